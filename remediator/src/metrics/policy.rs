//! A policy's metrics are read from its status, so that they cannot say anything else than its conditions.

use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};

use super::PolicyGauges;
use crate::core::{ObjectKey, Reason};
use crate::crd::{Condition, ConditionStatus, RemediationPolicy, RemediationPolicyStatus};

impl PolicyGauges {
    /// What a policy's status says. Of a policy without a status nothing is known yet.
    pub fn of(object: &RemediationPolicy) -> PolicyGauges {
        let unknown = RemediationPolicyStatus::default();
        let status = object.status.as_ref().unwrap_or(&unknown);
        let condition = |name: &str| status.conditions.iter().find(|known| known.type_ == name);
        let check = condition("CheckHealthy");
        PolicyGauges {
            policy: ObjectKey {
                namespace: object.namespace().unwrap_or_default().into(),
                name: object.name_any().into(),
            },
            healthy: check.and_then(|check| match check.status {
                ConditionStatus::True => Some(true),
                ConditionStatus::False => Some(false),
                ConditionStatus::Unknown => None,
            }),
            stale: check.is_some_and(|check| check.reason == Reason::Stale.as_str()),
            consecutive_failures: u32::try_from(status.failures).unwrap_or(0),
            success_ratio: success_ratio(status),
            held: condition("RemediationAllowed").and_then(held),
        }
    }
}

fn held(allowed: &Condition) -> Option<Reason> {
    if allowed.status != ConditionStatus::False {
        return None;
    }
    let text: StrDeserializer<'_, Error> = allowed.reason.as_str().into_deserializer();
    Reason::deserialize(text).ok()
}

fn success_ratio(status: &RemediationPolicyStatus) -> Option<f64> {
    let tallies = || status.statistics.by_action.values();
    let succeeded = tallies().fold(0_i64, |sum, tally| sum.saturating_add(tally.succeeded));
    let failed = tallies().fold(0_i64, |sum, tally| sum.saturating_add(tally.failed));
    let all = succeeded.saturating_add(failed);
    // Whole numbers as large as this have no exact f64, and no policy gets there.
    (all > 0).then(|| succeeded as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::PolicyGauges;
    use crate::core::{ObjectKey, Reason};

    fn gauges(status: Value) -> PolicyGauges {
        let object = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "trigger": {"check": {"namespace": "shop", "name": "web"}},
                "target": {"kind": "Deployment", "name": "web"},
                "steps": [{"rolloutRestart": {}}],
            },
            "status": status,
        });
        PolicyGauges::of(&serde_json::from_value(object).unwrap())
    }

    fn condition(name: &str, status: &str, reason: &str) -> Value {
        json!({
            "type": name, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    }

    #[test]
    fn metrics_say_what_the_conditions_say() {
        let unknown = PolicyGauges {
            policy: ObjectKey {
                namespace: "shop".into(),
                name: "web".into(),
            },
            healthy: None,
            stale: false,
            consecutive_failures: 0,
            success_ratio: None,
            held: None,
        };
        assert_eq!(gauges(Value::Null), unknown);
        for (status, expected) in [
            (
                json!({
                    "failures": 3,
                    "conditions": [
                        condition("CheckHealthy", "False", "Verifying"),
                        condition("RemediationAllowed", "False", "Cooldown"),
                    ],
                    "statistics": {"byAction": {
                        "restartPods": {"succeeded": 2, "failed": 1, "inconclusive": 5},
                        "scale": {"succeeded": 1, "dryRun": 7},
                    }},
                }),
                PolicyGauges {
                    healthy: Some(false),
                    consecutive_failures: 3,
                    success_ratio: Some(0.75),
                    held: Some(Reason::Cooldown),
                    ..unknown.clone()
                },
            ),
            (
                json!({
                    "conditions": [
                        condition("CheckHealthy", "Unknown", "Stale"),
                        condition("RemediationAllowed", "True", "Allowed"),
                    ],
                    "statistics": {"byAction": {"scale": {"inconclusive": 1}}},
                }),
                PolicyGauges {
                    stale: true,
                    ..unknown.clone()
                },
            ),
            (
                json!({"conditions": [condition("CheckHealthy", "True", "Healthy")]}),
                PolicyGauges {
                    healthy: Some(true),
                    ..unknown.clone()
                },
            ),
            (
                json!({"failures": -1, "conditions": [condition("RemediationAllowed", "False", "NoSuchReason")]}),
                unknown.clone(),
            ),
        ] {
            assert_eq!(gauges(status.clone()), expected, "{status}");
        }
    }
}
