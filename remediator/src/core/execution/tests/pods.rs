//! Pods are evicted one after the other, as far as their disruption budgets allow.

use super::*;

#[test]
fn a_refused_budget_is_blocked_and_never_escalates() {
    let mut record = record(evict());
    let mut waits = Vec::new();
    let mut now = t0();
    for _ in 0..6 {
        let live = Live::Target(Box::new(facts()));
        assert!(!begun(&record));
        record.status = status(next(now, &record, &live, &standing(&[])));
        let Next::Act(write) = next(now, &record, &live, &standing(&[])) else {
            panic!("not tried again");
        };
        record.status = answered(
            now,
            &record,
            &write,
            Answer::Budget("web needs 2".to_owned()),
        );
        assert_eq!(
            (record.status.phase, record.status.touched),
            (Phase::Blocked, Touched::No)
        );
        let Next::Wait { until, reason } = next(now, &record, &live, &standing(&[])) else {
            panic!("tried again at once");
        };
        assert_eq!(reason, Reason::DisruptionBudget);
        waits.push(until.since(now));
        now = until;
    }
    assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
    let mut over = standing(&[]);
    over.wanted = Err(Reason::Recovered);
    record.status = status(next(now, &record, &Live::Target(Box::new(facts())), &over));
    assert_eq!(record.status.phase, Phase::Blocked);
    assert!(record.finished());
    assert_eq!(record.status.touched, Touched::No);
}

#[test]
fn pods_go_one_after_the_other() {
    let mut record = claimed(evict());
    let mut target = facts();
    let Next::Act(write) = ask(&record, &target) else {
        panic!("nothing evicted");
    };
    assert!(matches!(&write, TargetWrite::Evict { uid, .. } if uid == "uid-a"));
    record.status = answered(t0(), &record, &write, Answer::Done);
    // Terminating, then gone, then replaced by one that is not ready yet: nothing else is touched.
    target.pods[0].deleting = true;
    assert!(matches!(ask(&record, &target), Next::Wait { .. }));
    target.pods.remove(0);
    assert!(matches!(ask(&record, &target), Next::Wait { .. }));
    target.pods.push(PodFact {
        created: t0(),
        ..pod("c", false)
    });
    assert!(matches!(ask(&record, &target), Next::Wait { .. }));
    target.pods[1].ready = true;
    record.status = status(ask(&record, &target));
    assert_eq!(record.status.pods_done, ["uid-a"]);
    assert!(matches!(
        ask(&record, &target),
        Next::Act(TargetWrite::Evict { uid, .. }) if uid == "uid-b"
    ));
    // Between two pods the check recovers: the rest is dropped.
    let mut recovered = standing(&[]);
    recovered.wanted = Err(Reason::Recovered);
    let dropped = status(next(
        t0(),
        &record,
        &Live::Target(Box::new(target.clone())),
        &recovered,
    ));
    assert_eq!(dropped.phase, Phase::Verifying);
    // A budget, too.
    let second = TargetWrite::Evict {
        pod: "b".to_owned(),
        uid: "uid-b".to_owned(),
    };
    let refused = answered(t0(), &record, &second, Answer::Budget(String::new()));
    assert_eq!(
        (refused.phase, refused.touched),
        (Phase::Verifying, Touched::Yes)
    );
}

#[test]
fn a_ready_pod_goes_only_from_a_target_that_is_all_ready() {
    let record = record(evict());
    let mut target = facts();
    target.pods[0].ready = true;
    target.ready = 1;
    assert!(matches!(ask(&record, &target), Next::Wait { .. }));
    target.ready = 2;
    let mut begun = record.clone();
    begun.status = status(ask(&record, &target));
    assert!(matches!(ask(&begun, &target), Next::Act(_)));
    target.pods[0].owned = false;
    assert_eq!(
        status(ask(&record, &target)).reason,
        Reason::SubjectNotOwned
    );
}

#[test]
fn a_pod_that_was_gone_before_anything_was_begun_was_not_restarted() {
    let mut target = facts();
    target.pods.remove(0);
    let found = status(ask(&record(evict()), &target));
    assert_eq!(
        (found.phase, found.reason, found.touched),
        (Phase::Inconclusive, Reason::TargetChanged, Touched::No)
    );
    let found = status(ask(&claimed(evict()), &target));
    assert_eq!(
        (found.phase, found.touched),
        (Phase::Applied, Touched::Maybe)
    );
}
