//! What is served: the documents by which clients find groups, versions and kinds.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::respond;
use crate::registry::{Registry, Resource, Version, group_version};

/// The version whose answers this server gives.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
    })
}

/// A part of an object that is served by a path of its own.
struct Subresource {
    name: &'static str,
    verbs: &'static [&'static str],
    /// Group, version and kind of what is sent and answered.
    speaks: (String, String, String),
}

/// Subresources served for a version of a kind.
fn subresources(resource: &Resource, version: &Version) -> Vec<Subresource> {
    let speaks = |group: &str, version: &str, kind: &str| {
        (group.to_owned(), version.to_owned(), kind.to_owned())
    };
    let mut found = Vec::new();
    if version.status {
        found.push(Subresource {
            name: "status",
            verbs: &["get", "patch", "update"],
            speaks: (
                resource.group().to_owned(),
                version.name.clone(),
                resource.kind.clone(),
            ),
        });
    }
    if version.scale && !resource.custom {
        found.push(Subresource {
            name: "scale",
            verbs: &["get", "patch", "update"],
            speaks: speaks("autoscaling", "v1", "Scale"),
        });
    }
    if resource.group().is_empty() && resource.plural() == "pods" {
        found.push(Subresource {
            name: "binding",
            verbs: &["create"],
            speaks: speaks("", "v1", "Binding"),
        });
        found.push(Subresource {
            name: "eviction",
            verbs: &["create"],
            speaks: speaks("policy", "v1", "Eviction"),
        });
        found.push(Subresource {
            name: "log",
            verbs: &["get"],
            speaks: speaks("", "v1", "Pod"),
        });
    }
    found
}

/// Groups other than the core one, with their versions, preferred ones first.
fn groups(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in registry
        .all()
        .filter(|resource| !resource.group().is_empty())
    {
        let versions = groups.entry(resource.group().to_owned()).or_default();
        for version in &resource.versions {
            if !versions.contains(&version.name) {
                versions.push(version.name.clone());
            }
        }
    }
    groups
}

fn of_version<'a>(
    registry: &'a Registry,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = (&'a Arc<Resource>, &'a Arc<Version>)> {
    registry
        .all()
        .filter(move |resource| resource.group() == group)
        .filter_map(move |resource| Some((resource, resource.version(version)?)))
}

/// What can be done with objects of a kind.
fn verbs(resource: &Resource) -> &'static [&'static str] {
    match resource.review {
        true => &["create"],
        false => &VERBS,
    }
}

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `/api`
pub(crate) fn core_versions(registry: &Registry, aggregated: bool) -> Response {
    if aggregated {
        return aggregate(vec![aggregated_group(registry, "", &["v1".to_owned()])]);
    }
    let body = json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    });
    respond::json(StatusCode::OK, &body)
}

/// `/apis`
pub(crate) fn group_list(registry: &Registry, aggregated: bool) -> Response {
    let groups = groups(registry);
    if aggregated {
        let items = groups
            .iter()
            .map(|(group, versions)| aggregated_group(registry, group, versions));
        return aggregate(items.collect());
    }
    let groups: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| group_value(group, versions))
        .collect();
    let body = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
    respond::json(StatusCode::OK, &body)
}

/// `/apis/GROUP`
pub(crate) fn group(registry: &Registry, group: &str) -> Response {
    match groups(registry).get(group) {
        None => respond::unknown_path(),
        Some(versions) => {
            let mut body = group_value(group, versions);
            body["kind"] = json!("APIGroup");
            body["apiVersion"] = json!("v1");
            respond::json(StatusCode::OK, &body)
        }
    }
}

fn group_value(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": group_version(group, version), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(crate) fn resource_list(registry: &Registry, group: &str, version: &str) -> Response {
    let mut resources = Vec::new();
    for (resource, version) in of_version(registry, group, version) {
        let mut entry = json!({
            "name": resource.plural(), "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource),
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        for part in subresources(resource, version) {
            let (group, version, kind) = &part.speaks;
            resources.push(json!({
                "name": format!("{}/{}", resource.plural(), part.name), "singularName": "",
                "namespaced": resource.namespaced, "group": group, "version": version, "kind": kind,
                "verbs": part.verbs,
            }));
        }
    }
    if resources.is_empty() {
        return respond::unknown_path();
    }
    let body = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version),
        "resources": resources,
    });
    respond::json(StatusCode::OK, &body)
}

fn aggregate(items: Vec<Value>) -> Response {
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    respond::with_type(StatusCode::OK, content_type, body.to_string())
}

fn aggregated_group(registry: &Registry, group: &str, versions: &[String]) -> Value {
    let kind = |(group, version, kind): &(String, String, String)| json!({"group": group, "version": version, "kind": kind});
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let resources: Vec<Value> = of_version(registry, group, version)
                .map(|(resource, of)| {
                    let subresources: Vec<Value> = subresources(resource, of)
                        .iter()
                        .map(|part| json!({"subresource": part.name, "responseKind": kind(&part.speaks), "verbs": part.verbs}))
                        .collect();
                    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
                    json!({
                        "resource": resource.plural(), "singularResource": resource.singular, "scope": scope,
                        "responseKind": {"group": group, "version": version, "kind": resource.kind},
                        "verbs": verbs(resource), "shortNames": resource.short_names, "categories": resource.categories,
                        "subresources": subresources,
                    })
                })
                .collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
}

/// Whether an `Accept` header asks for the aggregated form (of version v2, which clients since 1.30 speak).
pub(crate) fn wants_aggregated(accept: &str) -> bool {
    accept.split(',').any(|part| {
        let mut parameters = part.split(';').map(str::trim);
        let has = |wanted: &str| part.split(';').any(|parameter| parameter.trim() == wanted);
        parameters.next() == Some("application/json")
            && has("as=APIGroupDiscoveryList")
            && has("v=v2")
    })
}
