//! The definition of HealthChecks: names, printer columns and schema facts of the published one. The pod spec is kept
//! whole here instead of being spelled out field by field.
//!
//! The published status schema lacks `consecutiveFailures`, which Kuberhealthy writes: the API server drops it.

use serde_json::{Value, json};

/// `healthchecks.kuberhealthy.github.io`, for an API server that runs without Kuberhealthy.
pub fn health_check() -> Value {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let number = || json!({"type": "integer"});
    let long = || json!({"type": "integer", "format": "int64"});
    let kept = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let column =
        |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    let spec = json!({
        "type": "object",
        "properties": {
            "singleRunOnly": {"type": "boolean"},
            "runInterval": text(), "timeout": text(), "extraAnnotations": texts(), "extraLabels": texts(),
            "podSpec": {"type": "object", "properties": {"metadata": kept(), "spec": kept()}},
        },
    });
    let status = json!({
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "errors": {"type": "array", "items": {"type": "string"}},
            "runDuration": long(), "namespace": text(), "currentUUID": text(), "lastRunUnix": long(),
            "successCount": number(), "failureCount": number(), "lastOKUnix": long(), "lastFailureUnix": long(),
            "additionalMetadata": text(),
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "healthchecks.kuberhealthy.github.io"},
        "spec": {
            "group": "kuberhealthy.github.io",
            "scope": "Namespaced",
            "names": {
                "kind": "HealthCheck", "listKind": "HealthCheckList", "plural": "healthchecks",
                "singular": "healthcheck", "shortNames": ["hc", "healthcheck", "healthchecks"],
            },
            "versions": [{
                "name": "v2", "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("OK", "boolean", ".status.ok"),
                    column("RunInterval", "string", ".spec.runInterval"),
                    column("ErrorMessage", "string", ".status.errors[0]"),
                    column("Timeout", "string", ".spec.timeout"),
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "apiVersion": text(), "kind": text(), "metadata": {"type": "object"},
                        "spec": spec, "status": status,
                    },
                }},
            }],
        },
    })
}
