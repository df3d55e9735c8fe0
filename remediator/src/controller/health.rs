//! The health of a workload, as its policies have written it down. It is told from the cache, by any replica.
//!
//! A probe may restart what is told to be unhealthy, at once and with no limit. So whatever holds the remediator back for
//! a reason beyond the workload holds this back too, and what is not known is not unhealthy.

use super::conditions::why_not;
use super::desk::Desk;
use super::objects::{Objects, Policy};
use super::status::ALLOWED;
use crate::clock;
use crate::core::limits::too_many;
use crate::core::{CheckStatus, Limits, PolicySpec, Reason, TargetKind, Time, Verdict};
use crate::crd::{RemediationPolicyStatus, state_view};

/// The health of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadHealth {
    /// No policy with this target has an open incident.
    Healthy,
    /// No policy with this target tells.
    Unknown,
    /// One has, and nothing is to be done because of it, for this reason.
    Held(Reason),
    /// One has.
    Unhealthy {
        /// The policy.
        policy: String,
        /// Since when.
        since: Time,
    },
}

impl Desk {
    /// How this workload is.
    pub fn health(&self, namespace: &str, kind: TargetKind, name: &str) -> WorkloadHealth {
        if !self.shared.complete() {
            return WorkloadHealth::Unknown;
        }
        let (limits, now) = (self.shared.limits, clock::now());
        self.shared.objects(|objects| {
            let policies: Vec<_> = objects
                .policies
                .with_target(&(namespace.into(), kind, name.into()))
                .cloned()
                .collect();
            let told: Vec<WorkloadHealth> = policies
                .iter()
                .map(|policy| told(objects, policy, &limits, now))
                .collect();
            worst(told)
        })
    }
}

fn worst(told: Vec<WorkloadHealth>) -> WorkloadHealth {
    let place = |health: &WorkloadHealth| match health {
        WorkloadHealth::Unknown => 0,
        WorkloadHealth::Healthy => 1,
        WorkloadHealth::Held(_) => 2,
        WorkloadHealth::Unhealthy { .. } => 3,
    };
    let worst = told.into_iter().max_by_key(place);
    worst.unwrap_or(WorkloadHealth::Unknown)
}

fn told(objects: &mut Objects, policy: &Policy, limits: &Limits, now: Time) -> WorkloadHealth {
    let (Ok(spec), Some(status)) = (&policy.spec, &policy.object.status) else {
        return WorkloadHealth::Unknown;
    };
    let Some(last) = last_run(objects, spec, status, now) else {
        return WorkloadHealth::Unknown;
    };
    let Some(since) = failing_since(policy, spec, now) else {
        return WorkloadHealth::Healthy;
    };
    // The status is as old as its last write.
    if last == Verdict::Passed {
        return WorkloadHealth::Healthy;
    }
    let counts = objects.counts(now, false);
    let storm = too_many(counts.failing, counts.mapped, limits);
    let why = why_not(&status.conditions, ALLOWED);
    let held = match why {
        Some(reason @ (Reason::StormActive | Reason::StormCooldown | Reason::SourceStale)) => {
            Some(reason)
        }
        _ if limits.paused => Some(Reason::GloballyPaused),
        _ if spec.pause.is_some() => Some(Reason::Paused),
        _ if storm => Some(Reason::StormActive),
        _ => None,
    };
    match held {
        Some(reason) => WorkloadHealth::Held(reason),
        None => WorkloadHealth::Unhealthy {
            policy: spec.key.name.to_string(),
            since,
        },
    }
}

/// How the last run ended of a check that can be relied on and that the status is about.
fn last_run(
    objects: &Objects,
    spec: &PolicySpec,
    status: &RemediationPolicyStatus,
    now: Time,
) -> Option<Verdict> {
    let meant = objects.meant(spec.source, &spec.check);
    let [check] = meant.as_slice() else {
        return None;
    };
    let check = objects.checks.read(check)?;
    let relied_on = matches!(
        check.status(now),
        CheckStatus::Settled | CheckStatus::Running
    );
    let known = status.check.as_ref()?;
    let same = known.uid == check.snapshot.uid && known.last.is_some();
    let last = check.runs.back().map(|run| run.verdict);
    last.filter(|_| relied_on && same)
}

/// Since when the policy's check has been failing, if that is so often and so long that it would act.
fn failing_since(policy: &Policy, spec: &PolicySpec, now: Time) -> Option<Time> {
    let state = state_view(&policy.object);
    let open = state.incident.filter(|open| open.recovered.is_none())?;
    let first = state.first_failure?;
    let long_enough = now >= first.plus(spec.failure_seconds);
    (state.failures >= spec.failure_threshold && long_enough).then_some(open.opened)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::objects::{Objects, Policy};
    use super::{WorkloadHealth, told};
    use crate::core::{CheckKind, Limits, Reason, Time, parse_snapshot};

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Time {
        Time::from_unix(NOW + seconds)
    }

    /// A policy after so many failing runs of its check.
    fn policy(failures: i64, trigger: Value, changes: Value) -> Policy {
        let mut spec = json!({
            "trigger": {"check": {"kind": "HealthCheck", "namespace": "shop", "name": "web"}, "failureThreshold": 2},
            "target": {"kind": "Deployment", "name": "web"},
        });
        for (field, value) in trigger.as_object().unwrap() {
            spec["trigger"][field] = value.clone();
        }
        for (field, value) in changes.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let mut status = json!({"check": {"uid": "c", "last": {"id": "r", "verdict": "Failed", "time": at(-5)}}});
        if failures > 0 {
            status["failures"] = json!(failures);
            status["firstFailureTime"] = json!(at(-60));
            status["incident"] = json!({
                "id": "0123456789", "openedTime": at(-60), "firstRun": "q", "failingRun": "r",
            });
        }
        let object = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
            "metadata": {"namespace": "shop", "name": "web", "uid": "p", "resourceVersion": "1"},
            "spec": spec, "status": status,
        });
        Policy::new(serde_json::from_value(object).unwrap())
    }

    /// What is told of it while its check says this, so many seconds after its last run.
    fn tell(policy: Policy, ok: bool, limits: Limits, later: i64) -> WorkloadHealth {
        let check = json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "c"},
            "spec": {"runInterval": "60s", "timeout": "10s"},
            "status": {
                "ok": ok, "errors": if ok { json!([]) } else { json!(["broken"]) }, "currentUUID": "",
                "lastRunUnix": NOW - 6, "lastOKUnix": NOW - 5, "lastFailureUnix": NOW - 5,
                "successCount": 1, "failureCount": 1,
            },
        });
        let mut objects = Objects::default();
        let policy = Arc::new(policy);
        let key = policy.spec.as_ref().unwrap().key.clone();
        objects.put_policy(&key, policy.clone(), at(0));
        let snapshot = parse_snapshot(CheckKind::HealthCheck, &check, None).unwrap();
        objects.put_check(snapshot, at(0));
        told(&mut objects, &policy, &limits, at(later))
    }

    #[test]
    fn only_an_incident_that_may_be_acted_on_is_unhealthy() {
        let none = || json!({});
        let calm = Limits::default();
        let storm = Limits {
            storm_minimum: 1,
            ..calm
        };
        let paused = Limits {
            paused: true,
            ..calm
        };
        let unhealthy = WorkloadHealth::Unhealthy {
            policy: "web".to_owned(),
            since: at(-60),
        };
        let reasons = json!({"pauseRequests": ["upgrade"]});
        for (case, policy, ok, limits, later, expected) in [
            (
                "failing",
                policy(2, none(), none()),
                false,
                calm,
                0,
                unhealthy,
            ),
            (
                "below the threshold",
                policy(1, none(), none()),
                false,
                calm,
                0,
                WorkloadHealth::Healthy,
            ),
            (
                "not long enough",
                policy(2, json!({"failureSeconds": 90}), none()),
                false,
                calm,
                0,
                WorkloadHealth::Healthy,
            ),
            (
                "passing",
                policy(0, none(), none()),
                true,
                calm,
                0,
                WorkloadHealth::Healthy,
            ),
            (
                "passing, not written down yet",
                policy(2, none(), none()),
                true,
                calm,
                0,
                WorkloadHealth::Healthy,
            ),
            (
                "stale",
                policy(2, none(), none()),
                false,
                calm,
                3600,
                WorkloadHealth::Unknown,
            ),
            (
                "policy paused",
                policy(2, none(), reasons),
                false,
                calm,
                0,
                WorkloadHealth::Held(Reason::Paused),
            ),
            (
                "remediator paused",
                policy(2, none(), none()),
                false,
                paused,
                0,
                WorkloadHealth::Held(Reason::GloballyPaused),
            ),
            (
                "storm",
                policy(2, none(), none()),
                false,
                storm,
                0,
                WorkloadHealth::Held(Reason::StormActive),
            ),
        ] {
            assert_eq!(tell(policy, ok, limits, later), expected, "{case}");
        }
    }
}
