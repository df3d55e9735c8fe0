//! OpenAPI documents, no more than kubectl asks them for.
//!
//! kubectl looks a kind up to learn whether its PATCH takes `fieldValidation`; if so it leaves validation to the
//! server. `kubectl explain` gets the schemas of custom kinds.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::respond;
use crate::registry::{Registry, Resource, Version, group_version};

/// `/openapi/v3`
pub(crate) fn index(registry: &Registry) -> Response {
    let mut paths = Map::new();
    for resource in registry.all() {
        for version in &resource.versions {
            let path = prefix(resource.group(), &version.name);
            let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}")});
            paths.insert(path, url);
        }
    }
    respond::json(StatusCode::OK, &json!({"paths": paths}))
}

/// `/openapi/v2`: an empty document, in the protobuf form that clients ask for. They read it only to find that it
/// does not have what version 3 did not have either.
pub(crate) fn version_2() -> Response {
    // Field 1 (swagger) is the text "2.0".
    const DOCUMENT: &[u8] = b"\x0a\x032.0";
    let content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    respond::with_type(StatusCode::OK, content_type, DOCUMENT)
}

/// `/openapi/v3/apis/GROUP/VERSION`
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Response {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in registry.all().filter(|resource| resource.group() == group) {
        let Some(version) = resource.version(version) else {
            continue;
        };
        paths.insert(path(resource, version), operations(resource, version));
        schemas.insert(schema_name(resource, version), schema(resource, version));
    }
    if paths.is_empty() {
        return respond::unknown_path();
    }
    let body = json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths, "components": {"schemas": schemas},
    });
    respond::json(StatusCode::OK, &body)
}

/// `core/v1` is at `api/v1`, `apps/v1` at `apis/apps/v1`.
fn prefix(group: &str, version: &str) -> String {
    let root = if group.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", group_version(group, version))
}

fn path(resource: &Resource, version: &Version) -> String {
    let namespaced = if resource.namespaced {
        "namespaces/{namespace}/"
    } else {
        ""
    };
    let prefix = prefix(resource.group(), &version.name);
    format!("/{prefix}/{namespaced}{}/{{name}}", resource.plural())
}

fn kind(resource: &Resource, version: &Version) -> Value {
    json!({"group": resource.group(), "version": version.name, "kind": resource.kind})
}

fn operations(resource: &Resource, version: &Version) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"].map(parameter);
    let reference = format!("#/components/schemas/{}", schema_name(resource, version));
    let operation = |action: &str| {
        json!({
            "operationId": format!("{action}{}{}", version.name, resource.kind),
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": reference}}}}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind(resource, version),
        })
    };
    json!({"get": operation("get"), "put": operation("put"), "patch": operation("patch")})
}

fn schema_name(resource: &Resource, version: &Version) -> String {
    let mut group: Vec<&str> = resource
        .group()
        .split('.')
        .filter(|part| !part.is_empty())
        .collect();
    group.reverse();
    let group = if group.is_empty() {
        "io.k8s.api.core".to_owned()
    } else {
        group.join(".")
    };
    format!("{group}.{}.{}", version.name, resource.kind)
}

fn schema(resource: &Resource, version: &Version) -> Value {
    let mut schema = version.schema.clone();
    if !schema.is_object() {
        schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    schema["x-kubernetes-group-version-kind"] = json!([kind(resource, version)]);
    schema
}
