use std::sync::Arc;

use serde_json::{Value, json};

use super::super::objects::{Objects, Policy};
use super::{WorkloadHealth, told};
use crate::core::{CheckKind, Limits, Reason, StormState, Time, parse_snapshot};

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
    let mut status =
        json!({"check": {"uid": "c", "last": {"id": "r", "verdict": "Failed", "time": at(-5)}}});
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

/// A check whose last run ended at `at`, in seconds.
fn put(objects: &mut Objects, name: &str, errors: &Value, at: i64) {
    let ok = errors.as_array().unwrap().is_empty();
    let check = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": "c"},
        "spec": {"runInterval": "60s", "timeout": "10s"},
        "status": {
            "ok": ok, "errors": errors, "currentUUID": "",
            "lastRunUnix": NOW + at - 1, "lastOKUnix": NOW + at, "lastFailureUnix": NOW + at,
            "successCount": 1, "failureCount": 1,
        },
    });
    let snapshot = parse_snapshot(CheckKind::HealthCheck, &check, None).unwrap();
    objects.put_check(snapshot, Time::from_unix(NOW));
}

fn put_policy(objects: &mut Objects, policy: Policy) -> Arc<Policy> {
    let policy = Arc::new(policy);
    let key = policy.spec.as_ref().unwrap().key.clone();
    objects.put_policy(&key, policy.clone(), at(0));
    policy
}

/// What is told of it while its check says this, so many seconds after its last run.
fn tell(policy: Policy, ok: bool, limits: Limits, later: i64) -> WorkloadHealth {
    let mut objects = Objects::default();
    let policy = put_policy(&mut objects, policy);
    let errors = if ok { json!([]) } else { json!(["broken"]) };
    put(&mut objects, "web", &errors, -5);
    let mut storm = StormState::Calm;
    told(&mut objects, &policy, limits, &mut storm, at(later))
}

fn unhealthy() -> WorkloadHealth {
    WorkloadHealth::Unhealthy {
        policy: "web".to_owned(),
        since: at(-60),
    }
}

#[test]
fn a_run_that_failed_by_itself_tells_nothing_of_the_workload() {
    let timeout = "check run shop/web timed out after 10s";
    let infrastructure = "failed to create check pod: quota";
    for (errors, trigger, expected) in [
        ("broken", json!({}), unhealthy()),
        (infrastructure, json!({}), WorkloadHealth::Unknown),
        (
            timeout,
            json!({"countTimeouts": false}),
            WorkloadHealth::Unknown,
        ),
        (timeout, json!({"countTimeouts": true}), unhealthy()),
        (
            "broken",
            json!({"matchErrors": ["refused"]}),
            WorkloadHealth::Unknown,
        ),
    ] {
        let mut objects = Objects::default();
        let policy = put_policy(&mut objects, policy(2, trigger.clone(), json!({})));
        put(&mut objects, "web", &json!([errors]), -5);
        let (limits, mut storm) = (Limits::default(), StormState::Calm);
        let found = told(&mut objects, &policy, limits, &mut storm, at(0));
        assert_eq!(found, expected, "{errors} {trigger}");
    }
}

#[test]
fn while_something_it_depends_on_may_be_the_cause_it_is_held() {
    let named = |name: &str| json!([{"kind": "HealthCheck", "namespace": "shop", "name": name}]);
    let unhealthy_upstream = WorkloadHealth::Held(Reason::UpstreamUnhealthy);
    let unknown = WorkloadHealth::Held(Reason::UpstreamUnknown);
    // Whether what is led to is declared, and when api and db, which api depends on, ended how.
    for (case, declared, api, db, expected) in [
        ("none fails", true, (true, -5), (true, -5), unhealthy()),
        (
            "declared",
            true,
            (false, -5),
            (true, -5),
            unhealthy_upstream.clone(),
        ),
        (
            "inferred",
            false,
            (false, -5),
            (true, -5),
            unhealthy_upstream.clone(),
        ),
        (
            "further up",
            true,
            (true, -5),
            (false, -5),
            unhealthy_upstream.clone(),
        ),
        (
            "inferred, further up",
            false,
            (true, -5),
            (false, -5),
            unhealthy_upstream.clone(),
        ),
        (
            "passed before",
            true,
            (true, -61),
            (true, -5),
            unknown.clone(),
        ),
        ("stale", true, (true, -900), (true, -5), unknown),
    ] {
        let mut objects = Objects::default();
        let changes = if declared {
            json!({"dependsOn": named("api")})
        } else {
            json!({})
        };
        let mut object = policy(2, json!({}), changes).object;
        if !declared {
            let mut upstream = named("api")[0].clone();
            upstream["via"] = json!("service shop/api");
            let upstream = serde_json::from_value(upstream).unwrap();
            object.status.as_mut().unwrap().upstreams.push(upstream);
        }
        let web = put_policy(&mut objects, Policy::new(object));
        for (name, depends_on) in [("api", named("db")), ("db", json!([]))] {
            let mut object = policy(0, json!({}), json!({"dependsOn": depends_on})).object;
            object.metadata.name = Some(name.to_owned());
            let check = object.spec.trigger.check.as_mut().unwrap();
            check.name = name.to_owned();
            put_policy(&mut objects, Policy::new(object));
        }
        put(&mut objects, "web", &json!(["broken"]), -5);
        for (name, (ok, at)) in [("api", api), ("db", db)] {
            let errors = if ok { json!([]) } else { json!(["broken"]) };
            put(&mut objects, name, &errors, at);
        }
        let limits = Limits {
            storm_minimum: 9,
            ..Limits::default()
        };
        let found = told(
            &mut objects,
            &web,
            limits,
            &mut StormState::default(),
            at(0),
        );
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn a_policy_without_steps_is_held_by_storms_and_silence_too() {
    let (active, cooling) = (Reason::StormActive, Reason::StormCooldown);
    let until = at(100);
    for (case, storm, others, expected) in [
        ("calm", StormState::Calm, None, unhealthy()),
        (
            "it began a moment ago and has just ended",
            StormState::Active { since: at(-60) },
            None,
            WorkloadHealth::Held(cooling),
        ),
        (
            "cooling",
            StormState::Cooling { until },
            None,
            WorkloadHealth::Held(cooling),
        ),
        (
            "over",
            StormState::Cooling { until: at(0) },
            None,
            unhealthy(),
        ),
        (
            "who leads tells it of another policy",
            StormState::Calm,
            Some((-5, Some((cooling, until)))),
            WorkloadHealth::Held(cooling),
        ),
        (
            "everybody fails",
            StormState::Calm,
            Some((-5, None)),
            WorkloadHealth::Held(active),
        ),
        (
            "everybody is silent",
            StormState::Calm,
            Some((-3600, None)),
            WorkloadHealth::Held(Reason::SourceStale),
        ),
    ] {
        let mut objects = Objects::default();
        let web = put_policy(&mut objects, policy(2, json!({}), json!({})));
        put(&mut objects, "web", &json!(["broken"]), -5);
        // Others that are triggered by checks of their own.
        if let Some((ended, said)) = others {
            for number in 0..6 {
                let name = format!("other-{number}");
                let mut object = policy(0, json!({}), json!({})).object;
                object.metadata.name = Some(name.clone());
                object.spec.trigger.check.as_mut().unwrap().name = name.clone();
                if let Some((reason, until)) = said {
                    let status = object.status.as_mut().unwrap();
                    status.next_allowed_time = Some(until);
                    let condition = json!({
                        "type": "RemediationAllowed", "status": "False", "reason": reason.as_str(),
                        "message": "", "lastTransitionTime": at(-5),
                    });
                    status
                        .conditions
                        .push(serde_json::from_value(condition).unwrap());
                }
                put_policy(&mut objects, Policy::new(object));
                let errors = if said.is_some() || ended < -5 {
                    json!([])
                } else {
                    json!(["broken"])
                };
                put(&mut objects, &name, &errors, ended);
            }
        }
        let mut storm = storm;
        let found = told(&mut objects, &web, Limits::default(), &mut storm, at(0));
        assert_eq!(found, expected, "{case}");
    }
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
    let unhealthy = unhealthy();
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
