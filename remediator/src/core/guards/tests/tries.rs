//! What counts as a try, and when the next one may be made.

use super::*;

#[test]
fn steps_escalate_and_never_go_back() {
    let mut case = Case::new();
    case.spec.retry.max_retry = 1;
    case.spec.steps.push(step(Action::RolloutRestart));
    let expected = [(1, 0), (2, 0), (3, 1), (4, 1)];
    for (attempt, index) in expected {
        let intent = case.act();
        assert_eq!((intent.attempt, intent.step), (attempt, index));
        let mut record = case.record(attempt, &format!("old{attempt}"), Touched::Yes, ago(1000));
        record.intent.step = index;
        case.records.push(record);
    }
    assert_eq!(case.reason(), Reason::RetryBudgetExhausted);
}

#[test]
fn what_touched_nothing_uses_up_no_try() {
    let mut case = Case::new();
    for attempt in 1..5 {
        assert_eq!((case.act().attempt, case.act().step), (attempt, 0));
        let record = case.record(attempt, &format!("old{attempt}"), Touched::No, ago(1000));
        case.records.push(record);
    }
}

#[test]
fn what_the_api_server_refused_is_a_try() {
    for reason in [Reason::Forbidden, Reason::Refused] {
        let mut case = Case::new();
        case.spec.steps.push(step(Action::RolloutRestart));
        let mut record = case.record(1, "old1", Touched::No, ago(1000));
        record.status.reason = reason;
        case.records.push(record.clone());
        assert_eq!(case.act().step, 1, "{reason:?}");
        record.intent.step = 1;
        record.intent.attempt = 2;
        case.records.push(record);
        assert_eq!(case.reason(), Reason::RetryBudgetExhausted, "{reason:?}");
    }
}

#[test]
fn what_a_disruption_budget_refused_is_not_escalated() {
    let mut case = Case::new();
    case.spec.steps.push(step(Action::RolloutRestart));
    for (attempt, touched) in [(1, Touched::No), (2, Touched::Maybe)] {
        let mut record = case.record(attempt, &format!("old{attempt}"), touched, ago(1000));
        record.status.phase = Phase::Blocked;
        case.records.push(record);
        assert_eq!((case.act().attempt, case.act().step), (attempt + 1, 0));
    }
}

#[test]
fn a_run_that_began_before_an_action_ended_is_no_reason_for_the_next() {
    let mut case = Case::new();
    case.spec.retry.max_retry = 1;
    case.spec.retry.cooldown = 0;
    // The failing run started 20 s ago. The action never settled, so nobody knows when the last pod was gone.
    for (applied, rolled_out, completed, acts) in [
        (ago(900), None, ago(19), false),
        (ago(900), None, ago(20), false),
        (ago(900), None, ago(21), true),
        (ago(900), Some(ago(20)), ago(10), false),
        (ago(900), Some(ago(21)), ago(10), true),
    ] {
        let mut record = case.record(1, "r2", Touched::Yes, completed);
        record.status.applied = Some(applied);
        record.status.rolled_out = rolled_out;
        case.records = vec![record];
        let decision = case.decide(None, Some(&case.facts));
        assert_eq!(
            matches!(decision, Decision::Act(_)),
            acts,
            "{rolled_out:?} {completed:?}: {decision:?}"
        );
    }
}
