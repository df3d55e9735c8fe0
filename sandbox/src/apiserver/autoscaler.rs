//! Defaults and checks of HorizontalPodAutoscalers: bounds and target; metrics are taken as they are.

use serde_json::{Value, json};

use super::defaults::missing;
use crate::status::Cause;

/// Fills in the defaults.
pub(crate) fn fill(object: &mut Value) {
    missing(object, "spec", json!({}));
    let spec = &mut object["spec"];
    missing(spec, "minReplicas", json!(1));
    let cpu = json!({
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    });
    missing(spec, "metrics", json!([cpu]));
}

/// What is wrong with it.
pub(crate) fn check(scaler: &Value) -> Vec<Cause> {
    let spec = &scaler["spec"];
    let (least, most) = (&spec["minReplicas"], &spec["maxReplicas"]);
    // As in Go, a number that is left out is 0.
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let mut causes = Vec::new();
    if number(least) < 1 {
        let why = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", least, why));
    }
    let shown = json!(number(most));
    if number(most) < 1 {
        let why = "must be greater than 0";
        causes.push(Cause::invalid("spec.maxReplicas", &shown, why));
    }
    if number(most) < number(least) {
        let why = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &shown, why));
    }
    for key in ["kind", "name"] {
        let target = &spec["scaleTargetRef"][key];
        if target.as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{key}"), ""));
        }
    }
    causes
}
