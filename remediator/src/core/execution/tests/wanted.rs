//! Nothing is begun that the policy, or its mode, does not want.

use super::*;

#[test]
fn what_is_not_wanted_any_more_is_not_begun() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let mut standing = standing(&[]);
        standing.wanted = Err(Reason::Recovered);
        let live = Live::Target(Box::new(facts()));
        let found = |record| {
            let found = status(next(t0(), &record, &live, &standing));
            (found.phase, found.reason, found.touched)
        };
        let nothing_done = (Phase::Inconclusive, Reason::Recovered, Touched::No);
        assert_eq!(found(record(action.clone())), nothing_done);
        // Its write may be on its way, and arrive after this.
        let nobody_knows = (Phase::Inconclusive, Reason::Recovered, Touched::Maybe);
        let record = claimed(action);
        assert_eq!(found(record.clone()), nobody_knows);
        // What is found done is acknowledged all the same.
        let live = Live::Target(Box::new(written(&record)));
        let found = status(next(t0(), &record, &live, &standing));
        assert_eq!(found.phase, Phase::Applied);
    }
}

#[test]
fn modes_other_than_enforce_touch_nothing() {
    let mut record = record(Action::RolloutRestart);
    record.intent.mode = Mode::DryRun;
    let found = status(ask(&record, &facts()));
    assert_eq!((found.phase, found.completed), (Phase::DryRun, Some(t0())));
    record.intent.mode = Mode::Manual;
    assert!(idle(&record));
    // It says so before it waits.
    record.status = status(ask(&record, &facts()));
    assert_eq!(
        (record.status.phase, record.status.reason),
        (Phase::Pending, Reason::AwaitingApproval)
    );
    let wait = ask(&record, &facts());
    assert!(matches!(
        wait,
        Next::Wait {
            reason: Reason::AwaitingApproval,
            ..
        }
    ));
    record.approved = true;
    assert!(!idle(&record));
    record.status = status(ask(&record, &facts()));
    assert_eq!(record.status.reason, Reason::Intended);
    assert!(matches!(ask(&record, &facts()), Next::Act(_)));
}

#[test]
fn a_deleted_policy_ends_its_records() {
    for (phase, touched) in [
        (Phase::Pending, Touched::No),
        (Phase::Applied, Touched::Yes),
    ] {
        let mut record = record(Action::RolloutRestart);
        record.status.phase = phase;
        record.status.touched = touched;
        let mut standing = standing(&[]);
        standing.policy_deleted = true;
        let found = status(next(
            t0(),
            &record,
            &Live::Target(Box::new(facts())),
            &standing,
        ));
        assert_eq!(
            (found.reason, found.touched),
            (Reason::PolicyDeleted, touched)
        );
    }
}
