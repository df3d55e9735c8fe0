//! What the tests share.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use remediator::crd::definitions;
use serde_json::{Value, json};

static SCHEMAS: LazyLock<BTreeMap<&str, Value>> = LazyLock::new(|| {
    let definitions = definitions().unwrap().into_iter();
    definitions
        .map(|mut definition| {
            let schema = definition
                .value
                .pointer_mut("/spec/versions/0/schema/openAPIV3Schema");
            (definition.file, schema.unwrap().take())
        })
        .collect()
});

/// The schema of the definition kept in `file`.
pub(crate) fn schema(file: &str) -> &'static Value {
    &SCHEMAS[file]
}

/// A policy with every field set, triggered by alerts instead of a check.
pub(crate) fn full_alert_policy() -> Value {
    let mut policy = full_policy();
    let trigger = &mut policy["spec"]["trigger"];
    trigger.as_object_mut().unwrap().remove("check");
    trigger["successThreshold"] = json!(1);
    trigger["alert"] = json!({
        "matchLabels": {"alertname": "CheckoutErrors", "service": "checkout"}, "staleSeconds": 18_000,
    });
    policy
}

/// A policy with every field set that a check triggers.
pub(crate) fn full_policy() -> Value {
    json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "mode": "Enforce",
            "trigger": {
                "check": {"kind": "HealthCheck", "namespace": "kuberhealthy", "name": "web-http"},
                "failureThreshold": 3, "failureSeconds": 60, "successThreshold": 2,
                "matchErrors": ["^deployment shop/web: "], "countTimeouts": true,
            },
            "target": {"kind": "Deployment", "name": "web"},
            "steps": [
                {"restartPods": {"pods": "NotReady", "maxPods": 2}, "verifySeconds": 600},
                {"rolloutRestart": {}},
                {"scale": {"replicas": 1000, "revertAfterSeconds": 1800}},
                {"scale": {"step": 2, "maxReplicas": 1000}},
                {"rollback": {}},
            ],
            "retry": {"maxRetry": 1, "cooldownSeconds": 300, "minHealthySeconds": 3600},
            "safety": {"minReplicas": 2, "allowStateful": true, "autoscaler": "RaiseMinimum", "whileRollingOut": "Allow"},
            "dependsOn": [{"kind": "KuberhealthyState", "namespace": "kuberhealthy", "name": "db-tcp"}],
            "dependencyGraceSeconds": 120,
            "windows": [{"days": ["Monday", "Sunday"], "start": "22:00", "end": "06:00", "timeZone": "Europe/Berlin"}],
            "pauseRequests": ["migration, ask Ann"],
            "historyLimit": 5,
            "inferDependencies": false,
            "strategy": "Adaptive",
            "notify": {"receivers": ["oncall"], "severity": "info"},
        },
    })
}
