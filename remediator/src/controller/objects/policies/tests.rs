use std::sync::Arc;

use serde_json::{Value, json};

use super::{ObjectKey, Policies, Policy};

/// The policy web in this version, which may not act for this reason.
fn web(version: u32, reason: &str, action: &Value) -> Value {
    json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
        "metadata": {"namespace": "shop", "name": "web", "uid": "p", "resourceVersion": version.to_string()},
        "spec": {
            "trigger": {"check": {"kind": "HealthCheck", "namespace": "shop", "name": "web"}},
            "target": {"kind": "Deployment", "name": "web"}, "steps": [action],
        },
        "status": {"conditions": [{
            "type": "RemediationAllowed", "status": "False", "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]},
    })
}

#[test]
fn who_waits_for_a_place_is_known_until_it_does_not() {
    let key = ObjectKey {
        namespace: "shop".into(),
        name: "web".into(),
    };
    let (waits, restart) = ("TooManyInFlight", json!({"rolloutRestart": {}}));
    let mut policies = Policies::default();
    let put = |policies: &mut Policies, object: Value| {
        let policy = Policy::new(serde_json::from_value(object).unwrap());
        policies.put(&key, Arc::new(policy));
        policies.waiting().count()
    };
    assert_eq!(put(&mut policies, web(1, "Paused", &restart)), 0);
    assert_eq!(put(&mut policies, web(2, waits, &restart)), 1);
    assert_eq!(put(&mut policies, web(3, "Cooldown", &restart)), 0);
    // What cannot be used waits for nothing.
    assert_eq!(put(&mut policies, web(4, waits, &json!({}))), 0);
    assert_eq!(put(&mut policies, web(5, waits, &restart)), 1);
    policies.put_malformed(&key, &web(6, waits, &restart), "broken");
    assert_eq!(policies.waiting().count(), 0);
    assert_eq!(put(&mut policies, web(7, waits, &restart)), 1);
    policies.remove(&key);
    assert_eq!(policies.waiting().count(), 0);
}
