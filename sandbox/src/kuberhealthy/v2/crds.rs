//! The definitions of khchecks, khjobs and khstates: names, printer columns and schema facts of the published ones.
//! Pod specs are kept whole here instead of being spelled out field by field.

use serde_json::{Value, json};

use super::super::StartError;
use crate::api::Api;

const GROUP: &str = "comcast.github.io";

/// Creates an object unless it is there.
pub(in super::super) async fn ensure(api: &Api, collection: &str, object: &Value) -> Result<(), StartError> {
    match api.create(collection, object).await {
        Err(why) if !why.is_already_exists() => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let what = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
            Err(StartError::Install { what, why })
        }
        _ => Ok(()),
    }
}

/// Creates a definition unless it is there, and waits until its objects can be listed.
pub(in super::super) async fn define(api: &Api, definition: &Value) -> Result<(), StartError> {
    ensure(api, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &definition["spec"];
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let path = format!("/apis/{group}/{}/{plural}?limit=1", text(&spec["versions"][0]["name"]));
    let mut tries = 0;
    loop {
        match api.get(&path).await {
            Ok(_) => return Ok(()),
            Err(why) if tries >= 100 => return Err(StartError::Install { what: format!("{plural}.{group}"), why }),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
        tries += 1;
    }
}

/// Installs the three definitions.
pub(super) async fn install(api: &Api) -> Result<(), StartError> {
    for definition in [check(), job(), state()] {
        define(api, &definition).await?;
    }
    Ok(())
}

fn definition(kind: &str, singular: &str, short: &str, version: Value) -> Value {
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": singular,
                "shortNames": [short],
            },
            "versions": [version],
        },
    })
}

fn version(spec: Value, columns: Value) -> Value {
    json!({
        "name": "v1", "served": true, "storage": true,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": spec,
            },
        }},
    })
}

fn texts() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn pod_spec() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn check() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["podSpec", "runInterval", "timeout"],
        "properties": {
            "runInterval": {"type": "string"}, "timeout": {"type": "string"}, "podSpec": pod_spec(),
            "extraAnnotations": texts(), "extraLabels": texts(),
        },
    });
    definition("KuberhealthyCheck", "khcheck", "khc", version(spec, json!([])))
}

fn job() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["podSpec", "timeout"],
        "properties": {
            "phase": {"type": "string"}, "timeout": {"type": "string"}, "podSpec": pod_spec(),
            "extraAnnotations": texts(), "extraLabels": texts(),
        },
    });
    definition("KuberhealthyJob", "khjob", "khj", version(spec, json!([])))
}

fn state() -> Value {
    let text = || json!({"type": "string"});
    let spec = json!({
        "type": "object",
        "required": ["AuthoritativePod", "Errors", "Namespace", "Node", "OK", "RunDuration", "uuid"],
        "properties": {
            "OK": {"type": "boolean"},
            "Errors": {"type": "array", "items": {"type": "string"}},
            "RunDuration": text(), "Namespace": text(), "Node": text(), "AuthoritativePod": text(), "uuid": text(),
            "LastRun": {"type": "string", "format": "date-time", "nullable": true},
            "khWorkload": {"type": "string", "nullable": true},
        },
    });
    let columns = json!([
        {"name": "OK", "type": "string", "jsonPath": ".spec.OK"},
        {"name": "Age LastRun", "type": "date", "jsonPath": ".spec.LastRun"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    definition("KuberhealthyState", "khstate", "khs", version(spec, columns))
}
