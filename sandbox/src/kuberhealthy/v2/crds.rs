//! The definitions of khchecks, khjobs and khstates: names, printer columns and schema facts of the published ones.
//! Pod specs are kept whole here instead of being spelled out field by field.

use serde_json::{Value, json};

use super::super::StartError;
use super::super::install::define;
use crate::api::Api;

const GROUP: &str = "comcast.github.io";

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

fn version(spec: Value, columns: Option<Value>) -> Value {
    let mut version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": spec,
            },
        }},
    });
    if let Some(columns) = columns {
        version["additionalPrinterColumns"] = columns;
    }
    version
}

fn texts() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn pod_spec() -> Value {
    json!({"type": "object", "required": ["containers"], "x-kubernetes-preserve-unknown-fields": true})
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
    definition("KuberhealthyCheck", "khcheck", "khc", version(spec, None))
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
    definition("KuberhealthyJob", "khjob", "khj", version(spec, None))
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
    definition(
        "KuberhealthyState",
        "khstate",
        "khs",
        version(spec, Some(columns)),
    )
}
