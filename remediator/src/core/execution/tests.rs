//! Each situation a crash can leave behind, and what becomes of it.

mod created;

use std::sync::Arc;

use super::*;
use crate::core::{
    Action, Autoscaler, Class, Incident0, Mode, ObjectKey, PodFact, Record, RunId, Scaling,
    Selection, TargetKind, TargetRef, Verdict, Verify,
};

/// The leader that asks.
const TERM: i64 = 1;

/// When everything was decided.
fn t0() -> Time {
    Time::from_unix(1_800_000_000)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        namespace: Arc::from("shop"),
        name: Arc::from(name),
    }
}

fn record(action: Action) -> Record {
    Record {
        name: key("web-0123456789-1"),
        uid: "record".to_owned(),
        resource_version: "1".to_owned(),
        deleting: false,
        approved: false,
        intent: Intent {
            policy: key("web"),
            policy_uid: "policy".to_owned(),
            incident: Incident0 {
                id: "0123456789".to_owned(),
                opened: t0(),
                first_run: RunId("first".to_owned()),
            },
            attempt: 1,
            step: 0,
            mode: Mode::Enforce,
            run: RunId("third".to_owned()),
            errors: Vec::new(),
            time: t0(),
            target: TargetRef {
                kind: TargetKind::Deployment,
                name: "web".to_owned(),
                uid: "target".to_owned(),
            },
            claim: Claim {
                resource_version: "10".to_owned(),
                generation: 3,
            },
            pods: match action {
                Action::RestartPods { .. } => vec![
                    ("a".to_owned(), "uid-a".to_owned()),
                    ("b".to_owned(), "uid-b".to_owned()),
                ],
                _ => Vec::new(),
            },
            replicas: matches!(action, Action::Scale(_)).then_some((2, 5)),
            autoscaler: None,
            revision: matches!(action, Action::Rollback)
                .then(|| ("web-1".to_owned(), "revision".to_owned(), 1)),
            verify: Verify {
                seconds: 300,
                success_threshold: 1,
                failure_threshold: 2,
                count_timeouts: false,
            },
            revert_after: None,
            choice: None,
            begun: None,
            action,
        },
        status: RecordStatus::default(),
    }
}

fn scale() -> Action {
    Action::Scale(Scaling::Absolute {
        replicas: 5,
        revert: None,
    })
}

fn evict() -> Action {
    Action::RestartPods {
        pods: Selection::NotReady,
        max: 2,
    }
}

fn pod(name: &str, ready: bool) -> PodFact {
    PodFact {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        created: Time::from_unix(t0().unix() - 1000),
        ready,
        deleting: false,
        owned: true,
    }
}

fn facts() -> Facts {
    Facts {
        uid: "target".to_owned(),
        resource_version: "10".to_owned(),
        generation: 3,
        observed_generation: 3,
        replicas: 2,
        updated: 2,
        ready: 0,
        paused: false,
        stalled: false,
        controlled: false,
        excluded: false,
        deleting: false,
        autoscaler: None,
        pods: vec![pod("a", false), pod("b", false)],
        revision: None,
        restarted_at: None,
        current_revision: None,
    }
}

fn standing(runs: &[Run]) -> Standing<'_> {
    Standing {
        rank: 0,
        doubtful: 0,
        last_hour: 0,
        term: TERM,
        created: false,
        limits: Limits::default(),
        wanted: Ok(()),
        runs,
        check: CheckStatus::Settled,
        policy_deleted: false,
        lasting: false,
        set_back: Ok(()),
    }
}

fn ask(record: &Record, facts: &Facts) -> Next {
    next(
        t0(),
        record,
        &Live::Target(Box::new(facts.clone())),
        &standing(&[]),
    )
}

/// The record as it is when its first write is made.
fn claimed(action: Action) -> Record {
    let mut record = record(action);
    record.status = status(ask(&record, &facts()));
    assert!(record.status.claim.is_some() && record.status.phase == Phase::Pending);
    record
}

fn status(next: Next) -> RecordStatus {
    match next {
        Next::Status(status) => status,
        other => panic!("expected a status, got {other:?}"),
    }
}

/// The target after the record's write has taken effect.
fn written(record: &Record) -> Facts {
    let mut facts = Facts {
        resource_version: "11".to_owned(),
        generation: 4,
        ..facts()
    };
    match record.intent.action {
        Action::RestartPods { .. } => facts.pods[0].deleting = true,
        Action::RolloutRestart => facts.restarted_at = Some(t0()),
        Action::Scale(_) => facts.replicas = 5,
        Action::Rollback => facts.current_revision = Some("revision".to_owned()),
    }
    facts
}

#[test]
fn replay_after_each_crash_changes_nothing() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let mut record = claimed(action);
        // Before the write: the same write again, with the same precondition.
        let Next::Act(write) = ask(&record, &facts()) else {
            panic!("{record:?} was not carried out");
        };
        assert_eq!(ask(&record, &facts()), Next::Act(write.clone()));
        // After the write, before its acknowledgement, with its answer lost or not: no second write.
        let unknown = answered(t0(), &record, &write, Answer::Unknown);
        assert_eq!(
            (unknown.phase, unknown.touched),
            (Phase::Pending, Touched::Maybe)
        );
        for before in [record.status.clone(), unknown] {
            record.status = before;
            let found = status(ask(&record, &written(&record)));
            assert_eq!(found.phase, Phase::Applied);
            assert_ne!(found.touched, Touched::No);
        }
        // After the acknowledgement: wait for the target.
        record.status = answered(t0(), &record, &write, Answer::Done);
        assert_eq!(record.status.touched, Touched::Yes);
        let wait = ask(&record, &written(&record));
        assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
    }
}

#[test]
fn a_target_changed_by_somebody_else_is_not_written() {
    for action in [Action::RolloutRestart, scale(), Action::Rollback] {
        let record = claimed(action);
        let theirs = Facts {
            resource_version: "12".to_owned(),
            generation: 4,
            ..facts()
        };
        assert_eq!(taken(&record, &theirs), Taken::Changed);
        let found = status(ask(&record, &theirs));
        assert_eq!(
            (found.phase, found.reason, found.touched),
            (Phase::Inconclusive, Reason::TargetChanged, Touched::Maybe)
        );
    }
}

#[test]
fn a_new_resource_version_of_the_same_spec_is_claimed_before_it_is_used() {
    let mut record = record(Action::RolloutRestart);
    let moved = Facts {
        resource_version: "12".to_owned(),
        ..facts()
    };
    let claim = Claim {
        resource_version: "12".to_owned(),
        generation: 3,
    };
    for before in [None, claimed(Action::RolloutRestart).status.claim] {
        record.status.claim = before;
        record.status = status(ask(&record, &moved));
        assert_eq!(record.status.claim.as_ref(), Some(&claim));
        assert_eq!(record.status.touched, Touched::No);
    }
    assert_eq!(
        ask(&record, &moved),
        Next::Act(TargetWrite::Restart { claim, at: t0() })
    );
}

#[test]
fn another_target_of_the_same_name_is_left_alone() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let record = record(action);
        let other = Facts {
            uid: "other".to_owned(),
            ..facts()
        };
        for live in [Live::Target(Box::new(other)), Live::Gone] {
            let found = status(next(t0(), &record, &live, &standing(&[])));
            assert_eq!(
                (found.reason, found.touched),
                (Reason::TargetChanged, Touched::No)
            );
        }
    }
}

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
fn a_record_waits_for_its_turn() {
    let mut record = record(Action::RolloutRestart);
    record.status.term = TERM;
    let mut standing = standing(&[]);
    standing.rank = 1;
    let live = Live::Target(Box::new(facts()));
    let wait = next(t0(), &record, &live, &standing);
    assert!(
        matches!(
            wait,
            Next::Wait {
                reason: Reason::TooManyInFlight,
                ..
            }
        ),
        "{wait:?}"
    );
    let late = t0().plus(3601);
    let found = status(next(late, &record, &live, &standing));
    assert_eq!(found.touched, Touched::No);
    assert!(found.completed.is_some());
}

#[test]
fn the_limit_of_an_hour_is_asked_again_before_the_first_write() {
    let live = Live::Target(Box::new(facts()));
    let mut full = standing(&[]);
    full.last_hour = full.limits.per_hour;
    for mode in [Mode::Enforce, Mode::Manual] {
        let mut record = record(Action::RolloutRestart);
        (record.intent.mode, record.approved) = (mode, true);
        record.status = status(next(t0(), &record, &live, &full));
        assert_eq!(record.status.reason, Reason::RateLimited);
        assert!(!begun(&record));
        let wait = next(t0(), &record, &live, &full);
        assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
        // What has a place goes on.
        record.status = status(ask(&record, &facts()));
        assert_eq!(
            (record.status.reason, record.status.begun),
            (Reason::Intended, Some(t0()))
        );
        assert!(matches!(next(t0(), &record, &live, &full), Next::Act(_)));
    }
}

#[test]
fn the_limit_of_an_hour_counts_from_the_write() {
    let (now, early, late) = (t0().plus(9000), t0().plus(10), t0().plus(8000));
    let mut record = record(Action::RolloutRestart);
    assert_eq!(used(now, &record), None, "decided only");
    record.status.begun = Some(early);
    assert_eq!(used(now, &record), None, "a budget has refused it");
    record.status.claim = Some(record.intent.claim.clone());
    assert_eq!(used(now, &record), Some(now), "under way");
    record.status.touched = Touched::Maybe;
    record.status.completed = Some(late);
    assert_eq!(used(now, &record), Some(late), "nobody knows when");
    record.status.applied = Some(early);
    assert_eq!(used(now, &record), Some(early));
    record.status.completed = None;
    assert_eq!(used(now, &record), Some(early), "it settles");
    record.status.applied = None;
    record.status.touched = Touched::No;
    record.status.completed = Some(late);
    assert_eq!(used(now, &record), None, "refused");
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
fn answers_are_told_apart() {
    use Phase::{Applied, Inconclusive, Pending};
    use Touched::{Maybe, No, Yes};
    let refusal = |code| {
        Answer::Refused(Refusal {
            code,
            reason: String::new(),
            message: String::new(),
        })
    };
    let table = [
        (Answer::Done, (Applied, Yes), (Applied, Yes)),
        (Answer::Gone, (Inconclusive, No), (Applied, Maybe)),
        (Answer::Conflict, (Pending, No), (Applied, Maybe)),
        (Answer::Unknown, (Pending, Maybe), (Pending, Maybe)),
        (refusal(0), (Pending, No), (Pending, No)),
        (refusal(403), (Inconclusive, No), (Inconclusive, No)),
        (refusal(422), (Inconclusive, No), (Inconclusive, No)),
        (refusal(429), (Pending, No), (Pending, No)),
    ];
    for (answer, restarted, evicted) in table {
        for (action, expected) in [(Action::RolloutRestart, restarted), (evict(), evicted)] {
            let record = claimed(action);
            let Next::Act(write) = ask(&record, &facts()) else {
                panic!("nothing done");
            };
            let found = answered(t0(), &record, &write, answer.clone());
            assert_eq!(
                (found.phase, found.touched),
                expected,
                "{answer:?} to {write:?}"
            );
        }
    }
}

#[test]
fn what_another_leader_began_is_taken_over_before_it_is_written() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let mut record = claimed(action);
        let claim = record.status.claim.clone();
        record.status.term = TERM - 1;
        record.status = status(ask(&record, &facts()));
        assert_eq!(
            (record.status.term, record.status.touched),
            (TERM, Touched::Maybe),
            "its write may be on its way"
        );
        assert_eq!(record.status.claim, claim);
        let Next::Act(write) = ask(&record, &facts()) else {
            panic!("not gone on with");
        };
        // That this one was turned down says nothing of the other leader's.
        let refused = answered(t0(), &record, &write, Answer::Budget(String::new()));
        assert_eq!((refused.claim, refused.touched), (claim, Touched::Maybe));
    }
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

#[test]
fn records_take_turns_and_what_was_begun_goes_first() {
    let make = |name: &str, time: i64, term: i64, claimed: bool, phase| {
        let mut record = record(Action::RolloutRestart);
        record.name = key(name);
        record.intent.time = Time::from_unix(t0().unix() + time);
        record.status.term = term;
        record.status.phase = phase;
        record.status.claim = claimed.then(|| record.intent.claim.clone());
        record
    };
    use Phase::{Applied, Blocked, Pending, Verifying};
    let one = |time, term, claimed, phase| make("one", time, term, claimed, phase);
    let other = |time, term, claimed, phase| make("two", time, term, claimed, phase);
    let table = [
        // By time, then by name.
        (
            one(1, TERM, false, Pending),
            other(0, TERM, false, Pending),
            1,
        ),
        (
            one(0, TERM, false, Pending),
            other(1, TERM, false, Pending),
            0,
        ),
        (
            one(0, TERM, false, Pending),
            other(0, TERM, false, Pending),
            0,
        ),
        // What was begun goes first, though the clock of the leader that recorded it was ahead.
        (
            one(0, TERM, false, Pending),
            other(9, TERM, true, Pending),
            1,
        ),
        (one(0, TERM, false, Pending), other(9, 0, false, Applied), 1),
        (
            one(0, TERM, false, Pending),
            other(9, 0, true, Verifying),
            1,
        ),
        (
            one(9, TERM, true, Pending),
            other(0, TERM, false, Pending),
            0,
        ),
        (one(9, TERM, true, Pending), other(0, 0, false, Pending), 0),
        (
            one(0, TERM, true, Pending),
            other(1, TERM, true, Applied),
            0,
        ),
        (
            one(1, TERM, true, Pending),
            other(0, TERM, true, Applied),
            1,
        ),
        // What another leader may yet begin.
        (one(0, TERM, false, Pending), other(9, 0, false, Pending), 1),
        (one(0, TERM, false, Pending), other(9, 0, false, Blocked), 1),
        // Nothing waits for a disruption budget.
        (
            one(1, TERM, false, Pending),
            other(0, TERM, false, Blocked),
            0,
        ),
        (
            one(0, TERM, false, Blocked),
            other(1, TERM, false, Pending),
            1,
        ),
        (
            one(0, TERM, false, Pending),
            other(0, TERM, true, Blocked),
            1,
        ),
    ];
    for (one, other, expected) in table {
        let all = [one.clone(), other.clone()];
        assert_eq!(rank(&one, &all, TERM), expected, "{one:?} and {other:?}");
        let mut over = other;
        over.status.completed = Some(t0());
        assert_eq!(rank(&one, [&over], TERM), 0, "it is over");
        over.status.completed = None;
        over.intent.mode = Mode::Manual;
        assert_eq!(rank(&one, [&over], TERM), 0, "nobody has approved it");
    }
}

#[test]
fn a_record_that_waits_is_made_this_leaders_own_first() {
    let mut record = record(Action::RolloutRestart);
    record.status.term = TERM - 1;
    let mut standing = standing(&[]);
    standing.rank = 1;
    let live = Live::Target(Box::new(facts()));
    record.status = status(next(t0(), &record, &live, &standing));
    assert_eq!(record.status.term, TERM);
    assert!(!begun(&record));
    let wait = next(t0(), &record, &live, &standing);
    assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
}

fn autoscaled(min: i32, raised_by: Option<&str>) -> Facts {
    Facts {
        autoscaler: Some(Autoscaler {
            name: "web".to_owned(),
            resource_version: "20".to_owned(),
            min,
            max: 6,
            raised_by: raised_by.map(str::to_owned),
        }),
        ..facts()
    }
}

fn raise() -> Record {
    let mut record = record(scale());
    record.intent.autoscaler = Some("web".to_owned());
    record
}

#[test]
fn a_minimum_is_raised_once_and_told_by_the_records_name() {
    let mut record = raise();
    let before = autoscaled(2, Some("web-0123456789-0"));
    record.status = status(ask(&record, &before));
    let Next::Act(write) = ask(&record, &before) else {
        panic!("nothing raised");
    };
    let expected = TargetWrite::RaiseMinimum {
        autoscaler: "web".to_owned(),
        resource_version: "20".to_owned(),
        minimum: 5,
        record: "web-0123456789-1".to_owned(),
    };
    assert_eq!(write, expected);
    let after = autoscaled(5, Some("web-0123456789-1"));
    for answer in [Answer::Conflict, Answer::Unknown] {
        let mut lost = record.clone();
        lost.status = answered(t0(), &record, &write, answer);
        let found = status(ask(&lost, &after));
        assert_eq!((found.phase, found.touched), (Phase::Applied, Touched::Yes));
    }
    // It has settled once the autoscaler has followed.
    record.status = answered(t0(), &record, &write, Answer::Done);
    assert!(matches!(ask(&record, &after), Next::Wait { .. }));
    let scaled = Facts {
        replicas: 5,
        updated: 5,
        ready: 5,
        ..after
    };
    assert_eq!(status(ask(&record, &scaled)).phase, Phase::Verifying);
    assert_eq!(record.status.revert, None, "a minimum is not set back");
}

#[test]
fn a_minimum_is_never_lowered_and_no_other_autoscaler_is_touched() {
    let renamed = |name: &str| {
        let mut facts = autoscaled(2, None);
        facts.autoscaler.as_mut().unwrap().name = name.to_owned();
        facts
    };
    let lowered = |max| {
        let mut facts = autoscaled(2, None);
        facts.autoscaler.as_mut().unwrap().max = max;
        facts
    };
    for (live, reason) in [
        (autoscaled(6, None), Reason::TargetChanged),
        (autoscaled(1, None), Reason::TargetChanged),
        (renamed("other"), Reason::TargetChanged),
        (facts(), Reason::TargetChanged),
        (lowered(4), Reason::ScaleBounds),
    ] {
        let found = status(ask(&raise(), &live));
        assert_eq!(
            (found.phase, found.reason, found.touched),
            (Phase::Inconclusive, reason, Touched::No),
            "{:?}",
            live.autoscaler
        );
    }
}

fn run(id: &str, started: Option<Time>, verdict: Verdict) -> Run {
    Run {
        id: RunId(id.to_owned()),
        started,
        finished: t0().plus(100),
        verdict,
        errors: Vec::new(),
    }
}

#[test]
fn only_runs_that_started_after_the_rollout_judge_it() {
    let failed = Verdict::Failed(Class::Reported);
    let after = Some(t0().plus(1));
    let table: &[(&[Run], i64, Phase, Reason)] = &[
        (&[], 0, Phase::Verifying, Reason::Verifying),
        (&[], 300, Phase::Inconclusive, Reason::NoFreshRun),
        (
            &[run("1", Some(t0()), Verdict::Passed)],
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
        (
            &[run("1", None, Verdict::Passed)],
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
        (
            &[run("1", after, Verdict::Passed)],
            1,
            Phase::Succeeded,
            Reason::Verified,
        ),
        (
            &[run("1", after, failed)],
            300,
            Phase::Failed,
            Reason::VerificationTimeout,
        ),
        (
            &[run("1", after, failed), run("2", after, failed)],
            1,
            Phase::Failed,
            Reason::VerificationFailed,
        ),
        (
            &[run("1", after, Verdict::Failed(Class::Infrastructure))],
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
    ];
    for (runs, seconds, phase, reason) in table {
        let mut record = record(Action::RolloutRestart);
        record.status = settled(t0(), &record.intent, &record.status, "");
        let now = Time::from_unix(t0().unix() + seconds);
        let live = Live::Target(Box::new(facts()));
        // The same runs are shown again and again and counted once.
        for _ in 0..3 {
            if let Next::Status(status) = next(now, &record, &live, &standing(runs)) {
                record.status = status;
            }
        }
        assert_eq!(
            (record.status.phase, record.status.reason),
            (*phase, *reason),
            "{runs:?}"
        );
    }
}

#[test]
fn a_timed_out_run_is_a_failure_where_the_policy_counts_it_as_one() {
    let timeout = Verdict::Failed(Class::Timeout);
    let after = Some(t0().plus(1));
    let runs = [
        run("1", after, timeout),
        run("2", after, Verdict::Inconclusive),
        run("3", after, timeout),
    ];
    for (counts, now, expected) in [
        (false, t0().plus(1), (Phase::Verifying, 0)),
        (false, t0().plus(300), (Phase::Inconclusive, 0)),
        (true, t0().plus(1), (Phase::Failed, 2)),
    ] {
        let mut record = record(Action::RolloutRestart);
        record.intent.verify.count_timeouts = counts;
        record.status = settled(t0(), &record.intent, &record.status, "");
        let live = Live::Target(Box::new(facts()));
        if let Next::Status(status) = next(now, &record, &live, &standing(&runs)) {
            record.status = status;
        }
        let found = (record.status.phase, record.status.fresh.failures);
        assert_eq!(found, expected, "{counts}");
    }
}

/// What an alert told holds until it tells something else.
#[test]
fn an_alert_is_judged_by_its_end_or_at_the_deadline() {
    let failed = Verdict::Failed(Class::Reported);
    let (before, at, after) = (Time::from_unix(t0().unix() - 10), t0(), t0().plus(1));
    let repeated: Vec<Run> = (1..9)
        .map(|number| run(&number.to_string(), Some(after), failed))
        .collect();
    let ended = |started: Time| {
        vec![
            run("0", Some(before), failed),
            run("1", Some(started), Verdict::Passed),
        ]
    };
    let settled_check = CheckStatus::Settled;
    for (runs, check, seconds, phase, reason) in [
        (
            repeated.clone(),
            settled_check,
            299,
            Phase::Verifying,
            Reason::Verifying,
        ),
        (
            repeated,
            settled_check,
            300,
            Phase::Failed,
            Reason::VerificationTimeout,
        ),
        (
            ended(after),
            settled_check,
            2,
            Phase::Succeeded,
            Reason::Verified,
        ),
        // Resolved while the target was still settling: nothing more will be told of it.
        (
            ended(at),
            settled_check,
            299,
            Phase::Verifying,
            Reason::Verifying,
        ),
        (
            ended(at),
            settled_check,
            300,
            Phase::Succeeded,
            Reason::Verified,
        ),
        // Resolved before anything was done.
        (
            ended(before),
            settled_check,
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
        (
            ended(before),
            CheckStatus::Stale,
            300,
            Phase::Inconclusive,
            Reason::Stale,
        ),
        (
            Vec::new(),
            settled_check,
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
    ] {
        let mut record = record(Action::RolloutRestart);
        record.status = settled(t0(), &record.intent, &record.status, "");
        let live = Live::Target(Box::new(facts()));
        let standing = Standing {
            check,
            lasting: true,
            ..standing(&runs)
        };
        for _ in 0..3 {
            if let Next::Status(status) = next(t0().plus(seconds), &record, &live, &standing) {
                record.status = status;
            }
        }
        let found = (record.status.phase, record.status.reason);
        assert_eq!(found, (phase, reason), "{runs:?} {check:?} {seconds}");
    }
}

#[test]
fn a_target_that_does_not_settle_is_a_failure() {
    let mut record = record(Action::RolloutRestart);
    record.status = applied(t0(), &record.intent, &record.status, Touched::Yes);
    let target = Facts {
        restarted_at: Some(t0()),
        observed_generation: 2,
        ..facts()
    };
    assert!(matches!(ask(&record, &target), Next::Wait { .. }));
    let late = t0().plus(SETTLE_SECONDS);
    let found = status(next(
        late,
        &record,
        &Live::Target(Box::new(target)),
        &standing(&[]),
    ));
    assert_eq!(
        (found.phase, found.reason),
        (Phase::Failed, Reason::VerificationTimeout)
    );
}

#[test]
fn replicas_are_set_back_once_and_only_if_nobody_changed_them() {
    let mut record = record(scale());
    record.intent.revert_after = Some(600);
    let applied = applied(t0(), &record.intent, &record.status, Touched::Yes);
    record.status = over(t0(), &applied, Phase::Succeeded, Reason::Verified, "");
    let mut target = written(&record);
    let due = t0().plus(600);
    let at = |now, record: &Record, facts: &Facts| {
        next(
            now,
            record,
            &Live::Target(Box::new(facts.clone())),
            &standing(&[]),
        )
    };
    assert!(matches!(at(t0(), &record, &target), Next::Wait { until, .. } if until == due));
    record.status = status(at(due, &record, &target));
    let Next::Act(write) = at(due, &record, &target) else {
        panic!("not set back");
    };
    assert!(matches!(write, TargetWrite::Scale { replicas: 2, .. }));
    // Its answer is lost: the target tells.
    target.replicas = 2;
    target.generation += 1;
    record.status = answered(due, &record, &write, Answer::Unknown);
    let due = due.plus(1);
    let done = status(at(due, &record, &target));
    assert_eq!(
        done.revert.as_ref().and_then(|revert| revert.end),
        Some(Reason::Reverted)
    );
    // Somebody else's number stays.
    target.replicas = 7;
    let left = status(at(due, &record, &target));
    assert_eq!(
        left.revert.and_then(|revert| revert.end),
        Some(Reason::RevertAbandoned)
    );
    record.status = done;
    assert_eq!(at(due, &record, &target), Next::DropFinalizer);
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

/// Whoever drives the record gets this answer to each of its writes. When they were made, until it is over.
fn tried(record: &mut Record, target: &Facts, answer: &Answer) -> Vec<Time> {
    let mut tried = Vec::new();
    let mut now = t0().plus(600);
    for _ in 0..1000 {
        let live = Live::Target(Box::new(target.clone()));
        let over = |record: &Record| match &record.status.revert {
            Some(revert) => revert.end.is_some(),
            None => record.finished(),
        };
        match next(now, record, &live, &standing(&[])) {
            Next::Status(status) => record.status = status,
            Next::Act(write) => {
                tried.push(now);
                record.status = answered(now, record, &write, answer.clone());
            }
            Next::Wait { until, .. } => now = until.max(now.plus(1)),
            other => panic!("{other:?}"),
        }
        if over(record) {
            return tried;
        }
    }
    panic!("not over at {now}: {record:?}");
}

fn at_most_a_few_in_a_minute(tried: &[Time]) {
    for first in tried {
        let minute = tried
            .iter()
            .filter(|at| (0..60).contains(&at.since(*first)));
        assert!(minute.count() <= 7, "{tried:?}");
    }
}

#[test]
fn what_comes_to_nothing_is_tried_less_and_less_often_and_not_for_ever() {
    let refusal = |code| {
        Answer::Refused(Refusal {
            code,
            reason: String::new(),
            message: String::new(),
        })
    };
    for answer in [Answer::Conflict, Answer::Unknown, refusal(0), refusal(429)] {
        for mode in [Mode::Enforce, Mode::Manual] {
            let mut record = record(Action::RolloutRestart);
            (record.intent.mode, record.approved) = (mode, true);
            let tried = tried(&mut record, &facts(), &answer);
            at_most_a_few_in_a_minute(&tried);
            assert!(tried.len() > 10, "{answer:?}: {tried:?}");
            let status = &record.status;
            assert_eq!(status.phase, Phase::Inconclusive);
            assert!(matches!(status.reason, Reason::Conflict | Reason::Refused));
            let expected = match answer {
                Answer::Unknown => Touched::Maybe,
                _ => Touched::No,
            };
            assert_eq!(status.touched, expected, "{answer:?}");
        }
    }
}

#[test]
fn the_second_pod_is_not_tried_again_at_once_either() {
    for answer in [
        Answer::Unknown,
        Answer::Refused(Refusal {
            code: 429,
            reason: String::new(),
            message: String::new(),
        }),
    ] {
        let mut record = claimed(evict());
        record.status = applied(t0().plus(600), &record.intent, &record.status, Touched::Yes);
        record.status.pods_done.push("uid-a".to_owned());
        let live = Live::Target(Box::new(facts()));
        let now = t0().plus(700);
        let Next::Act(write) = next(now, &record, &live, &standing(&[])) else {
            panic!("not tried");
        };
        record.status = answered(now, &record, &write, answer);
        let wait = next(now, &record, &live, &standing(&[]));
        assert!(
            matches!(wait, Next::Wait { until, .. } if until > now),
            "{wait:?}"
        );
    }
}

#[test]
fn setting_back_is_tried_less_and_less_often_and_not_for_ever() {
    let refusal = |code| {
        Answer::Refused(Refusal {
            code,
            reason: String::new(),
            message: String::new(),
        })
    };
    for answer in [Answer::Conflict, Answer::Unknown, refusal(0), refusal(403)] {
        let mut record = record(scale());
        record.intent.revert_after = Some(600);
        let applied = applied(t0(), &record.intent, &record.status, Touched::Yes);
        record.status = over(t0(), &applied, Phase::Succeeded, Reason::Verified, "");
        let target = written(&record);
        let tried = tried(&mut record, &target, &answer);
        at_most_a_few_in_a_minute(&tried);
        assert!(tried.len() > 10, "{answer:?}: {tried:?}");
        let end = record.status.revert.and_then(|revert| revert.end);
        assert_eq!(end, Some(Reason::RevertAbandoned), "{answer:?}");
    }
}

#[test]
fn setting_back_is_tried_several_times_however_late() {
    let mut record = record(scale());
    record.intent.revert_after = Some(600);
    let applied = applied(t0(), &record.intent, &record.status, Touched::Yes);
    record.status = over(t0(), &applied, Phase::Succeeded, Reason::Verified, "");
    let live = Live::Target(Box::new(written(&record)));
    let mut late = t0().plus(10 * 3600);
    record.status = status(next(late, &record, &live, &standing(&[])));
    for _ in 0..3 {
        let Next::Act(write) = next(late, &record, &live, &standing(&[])) else {
            panic!("not tried: {:?}", record.status);
        };
        record.status = answered(late, &record, &write, Answer::Conflict);
        late = late.plus(60);
    }
}

#[test]
fn however_a_scale_ends_that_may_have_been_made_it_is_set_back() {
    let mut begun = claimed(scale());
    begun.intent.revert_after = Some(600);
    begun.status.begun = Some(t0());
    let late = t0().plus(2 * 3600);
    let Next::Act(write) = ask(&begun, &facts()) else {
        panic!("not carried out");
    };
    let unanswered = answered(late, &begun, &write, Answer::Unknown);
    let unreadable = Live::Unreadable(Refusal {
        code: 503,
        reason: String::new(),
        message: String::new(),
    });
    let unread = status(next(late, &begun, &unreadable, &standing(&[])));
    let mut doubtful = begun.clone();
    doubtful.status.touched = Touched::Maybe;
    let conflict = answered(late, &doubtful, &write, Answer::Conflict);
    for status in [unanswered, unread, conflict] {
        assert_eq!(status.phase, Phase::Inconclusive, "{status:?}");
        assert!(
            status.completed.is_some() && status.revert.is_some(),
            "{status:?}"
        );
    }
    // What was turned down each time has done nothing.
    let conflict = answered(late, &begun, &write, Answer::Conflict);
    assert!(conflict.completed.is_some() && conflict.revert.is_none());
}

#[test]
fn a_scale_that_was_given_up_before_its_answer_is_set_back_if_it_was_done() {
    let mut record = claimed(scale());
    record.intent.revert_after = Some(600);
    let Next::Act(write) = ask(&record, &facts()) else {
        panic!("not carried out");
    };
    record.status = answered(t0(), &record, &write, Answer::Unknown);
    let mut unwanted = standing(&[]);
    unwanted.wanted = Err(Reason::Recovered);
    let live = |facts: &Facts| Live::Target(Box::new(facts.clone()));
    record.status = status(next(t0(), &record, &live(&facts()), &unwanted));
    assert_eq!(
        (record.status.phase, record.status.touched),
        (Phase::Inconclusive, Touched::Maybe)
    );
    assert!(
        record.status.message.contains("set back"),
        "{:?}",
        record.status
    );
    let due = t0().plus(600);
    // It arrived after all.
    let late = written(&record);
    let mut arrived = record.clone();
    arrived.status = status(next(due, &arrived, &live(&late), &unwanted));
    let back = next(due, &arrived, &live(&late), &unwanted);
    assert!(
        matches!(back, Next::Act(TargetWrite::Scale { replicas: 2, .. })),
        "{back:?}"
    );
    // It never arrived: there is nothing to tell.
    let mut lost = record.clone();
    lost.status = status(next(due, &lost, &live(&facts()), &unwanted));
    assert_eq!(lost.status.revert, None);
    let last = next(due, &lost, &live(&facts()), &unwanted);
    assert_eq!(last, Next::DropFinalizer);
    // Somebody else has changed it too: nobody knows whose number it is.
    let theirs = Facts {
        generation: 5,
        ..late
    };
    let left = status(next(due, &record, &live(&theirs), &unwanted));
    let end = left.revert.and_then(|revert| revert.end);
    assert_eq!(end, Some(Reason::RevertAbandoned));
}

#[test]
fn replicas_are_set_back_only_if_the_policy_answers_for_it() {
    let mut record = record(scale());
    record.intent.revert_after = Some(600);
    let applied = applied(t0(), &record.intent, &record.status, Touched::Yes);
    record.status = over(t0(), &applied, Phase::Succeeded, Reason::Verified, "");
    let target = written(&record);
    let here = Claim {
        resource_version: target.resource_version.clone(),
        generation: target.generation,
    };
    let mut forged = standing(&[]);
    forged.set_back = Err(Reason::PolicyChanged);
    for claim in [None, Some(here)] {
        record.status.revert = record
            .status
            .revert
            .map(|revert| Revert { claim, ..revert });
        let live = Live::Target(Box::new(target.clone()));
        let found = status(next(t0().plus(600), &record, &live, &forged));
        let end = found.revert.and_then(|revert| revert.end);
        assert_eq!(end, Some(Reason::PolicyChanged));
    }
}
