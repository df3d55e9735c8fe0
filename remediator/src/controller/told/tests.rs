use super::super::conditions::{Says, set};
use super::super::status::ALLOWED;
use serde_json::json;

use super::{held, of_policy, of_record};
use crate::core::{Incident, Phase, PolicyState, Reason, Record, Revert, RunId, Time};
use crate::crd::{RemediationPolicyStatus, record_view, write_state};
use crate::events::Severity;
use crate::notify::notice::Transition;

fn status(incident: Option<(bool, u32, bool)>, why: Option<Reason>) -> RemediationPolicyStatus {
    let at = Time::from_unix(1);
    let incident = incident.map(|(over, joined, exhausted)| Incident {
        id: "0123456789".to_owned(),
        opened: at,
        first_run: RunId("a".to_owned()),
        failing_run: RunId("a".to_owned()),
        failing_started: None,
        errors: vec!["broken".to_owned()],
        recovered: over.then_some(at),
        exhausted,
        joined,
        upstream_recovered: None,
        reached: true,
    });
    let state = PolicyState {
        incident,
        ..PolicyState::default()
    };
    let mut status = RemediationPolicyStatus::default();
    write_state(&state, &mut status);
    let says = Says::because(why.is_none(), why.unwrap_or(Reason::Healthy));
    set(&mut status.conditions, ALLOWED, says, 1, at);
    status
}

#[test]
fn transitions_are_told_and_states_are_not() {
    let open = Some((false, 0, false));
    let healthy = status(None, None);
    for (before, after, expected) in [
        (
            status(None, None),
            status(open, None),
            vec!["CheckFailing 0123456789-0"],
        ),
        (status(open, None), status(open, None), vec![]),
        (
            status(open, None),
            status(open, Some(Reason::Cooldown)),
            vec!["Cooldown held-0123456789-0"],
        ),
        (
            status(open, Some(Reason::Cooldown)),
            status(open, Some(Reason::Cooldown)),
            vec![],
        ),
        (
            status(open, None),
            status(open, Some(Reason::Verifying)),
            vec![],
        ),
        (
            status(open, None),
            status(open, Some(Reason::StormActive)),
            vec![],
        ),
        (
            status(open, None),
            status(Some((true, 0, false)), None),
            vec!["Recovered 0123456789-0"],
        ),
        (
            status(Some((true, 0, false)), None),
            status(Some((false, 1, false)), None),
            vec!["CheckFailing 0123456789-1"],
        ),
        (
            status(open, None),
            status(Some((false, 0, true)), Some(Reason::RetryBudgetExhausted)),
            vec!["RetryBudgetExhausted 0123456789-0"],
        ),
        (status(Some((true, 0, false)), None), healthy, vec![]),
    ] {
        let told = of_policy(Some(&before), &after);
        let told: Vec<String> = told
            .iter()
            .map(|told| format!("{} {}", told.reason, told.transition))
            .collect();
        assert_eq!(told, expected, "{after:?}");
    }
}

#[test]
fn receivers_hear_of_an_incident_once_the_thresholds_are_reached() {
    let unreached = |joined, over, why| {
        let mut status = status(Some((over, joined, false)), why);
        status.incident.as_mut().unwrap().reached = false;
        status
    };
    let reached = |joined, over, why| status(Some((over, joined, false)), why);
    let paused = Some(Reason::Paused);
    for (before, after, events, notices) in [
        // One failing run of three, and it passes again.
        (
            status(None, None),
            unreached(0, false, None),
            vec!["CheckFailing 0123456789-0"],
            vec![],
        ),
        (
            unreached(0, false, None),
            unreached(0, true, None),
            vec!["Recovered 0123456789-0"],
            vec![],
        ),
        (
            unreached(0, false, None),
            reached(0, false, None),
            vec![],
            vec!["incident.opened 0123456789-0"],
        ),
        (
            reached(0, false, None),
            reached(0, true, None),
            vec!["Recovered 0123456789-0"],
            vec!["incident.recovered 0123456789-0"],
        ),
        // It has passed and failed again since.
        (
            reached(0, false, None),
            unreached(1, false, None),
            vec![],
            vec!["incident.recovered 0123456789-0"],
        ),
        (
            status(None, None),
            unreached(0, false, paused),
            vec!["CheckFailing 0123456789-0", "Paused held-0123456789-0"],
            vec![],
        ),
        (
            unreached(0, false, paused),
            reached(0, false, paused),
            vec![],
            vec![
                "incident.opened 0123456789-0",
                "incident.held held-0123456789-0",
            ],
        ),
        (
            reached(0, false, paused),
            reached(0, false, paused),
            vec![],
            vec![],
        ),
    ] {
        let told = of_policy(Some(&before), &after);
        let of_events = told.iter().filter(|told| told.event);
        let found: Vec<String> = of_events
            .map(|told| format!("{} {}", told.reason, told.transition))
            .collect();
        assert_eq!(found, events, "{before:?} {after:?}");
        let of_notices = told.iter().filter_map(|told| Some((told.notice?, told)));
        let found: Vec<String> = of_notices
            .map(|(what, told)| format!("{} {}", what.as_str(), told.transition))
            .collect();
        assert_eq!(found, notices, "{before:?} {after:?}");
    }
}

#[test]
fn a_hold_is_counted_when_it_or_its_reason_begins() {
    let open = Some((false, 0, false));
    let of = |why| status(open, why);
    for (before, after, expected) in [
        (None, Some(Reason::Cooldown), Some(Reason::Cooldown)),
        (Some(Reason::Cooldown), Some(Reason::Cooldown), None),
        (
            Some(Reason::Cooldown),
            Some(Reason::StormActive),
            Some(Reason::StormActive),
        ),
        (Some(Reason::Cooldown), None, None),
        (None, Some(Reason::Applied), None),
    ] {
        assert_eq!(held(Some(&of(before)), &of(after)), expected);
    }
    for reason in [Reason::Paused, Reason::TargetConflict] {
        let standing = |incident| status(incident, Some(reason));
        let (well, broken) = (standing(None), standing(open));
        assert_eq!(held(None, &well), None);
        assert_eq!(held(Some(&well), &broken), Some(reason));
        assert_eq!(held(Some(&broken), &broken), None);
    }
}

/// A scale step that has ended like this.
fn record(phase: Phase, reason: Reason) -> Record {
    let time = "2026-01-01T00:00:00Z";
    let object = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "Remediation",
        "metadata": {"name": "web-0123456789-1", "namespace": "shop", "uid": "r", "resourceVersion": "1"},
        "spec": {
            "policy": "web", "policyUID": "p", "attempt": 1, "step": 0, "mode": "Enforce", "run": "a",
            "incident": {"id": "0123456789", "openedTime": time, "firstRun": "a"},
            "time": time, "actionName": "rolloutRestart", "action": {"rolloutRestart": {}},
            "target": {"kind": "Deployment", "name": "web", "uid": "t"},
            "claim": {"resourceVersion": "1", "generation": 1},
            "verify": {"seconds": 1, "successThreshold": 1, "failureThreshold": 1},
        },
    });
    let mut record = record_view(&serde_json::from_value(object).unwrap()).unwrap();
    record.status.phase = phase;
    record.status.reason = reason;
    record.status.completed = Some(Time::from_unix(1));
    record
}

#[test]
fn the_end_of_setting_back_is_told_as_that_however_it_ended() {
    for (phase, reason) in [
        (Phase::Succeeded, Reason::Verified),
        (Phase::Failed, Reason::Forbidden),
    ] {
        for (end, severity) in [
            (Reason::Reverted, Severity::Normal),
            (Reason::RevertAbandoned, Severity::Warning),
            (Reason::Forbidden, Severity::Warning),
            (Reason::Refused, Severity::Warning),
        ] {
            let before = record(phase, reason);
            let mut after = before.clone();
            after.status.revert = Some(Revert {
                due: Time::from_unix(2),
                claim: None,
                end: Some(end),
            });
            let told = of_record(&before.status, &after).unwrap();
            assert_eq!(told.notice, Some(Transition::Reverted), "{end}");
            assert_eq!((told.reason, told.severity), (end, severity));
            assert_eq!(of_record(&after.status, &after), None, "{end}");
        }
    }
}
