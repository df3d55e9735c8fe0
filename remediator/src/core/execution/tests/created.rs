//! What is begun with its creation, and what becomes of it when nobody, or somebody else, goes on with it.

use super::*;
use crate::core::Begun;

const ACTIONS: [fn() -> Action; 4] = [evict, || Action::RolloutRestart, scale, || Action::Rollback];

/// What else is the matter.
type Change = fn(&mut Standing<'_>);

/// A record that says that the leader of this term begins it with its creation, as its number so much.
pub(super) fn created(action: Action, (term, number): (i64, u32)) -> Record {
    let mut record = record(action);
    record.intent.begun = Some(Begun { term, number });
    record
}

/// And one that may have been acted on.
fn acted(action: Action, begun: (i64, u32)) -> Record {
    created(action, begun).begun_with_creation()
}

pub(super) fn named(name: &str, begun: (i64, u32)) -> Record {
    let mut record = created(Action::RolloutRestart, begun);
    record.name = key(name);
    record
}

pub(super) fn ask_as(record: &Record, change: impl FnOnce(&mut Standing<'_>)) -> Next {
    let mut standing = standing(&[]);
    change(&mut standing);
    next(t0(), record, &Live::Target(Box::new(facts())), &standing)
}

#[test]
fn who_has_created_it_acts_at_once() {
    for action in ACTIONS {
        let record = created(action(), (TERM, 1));
        let Next::Act(write) = ask_as(&record, |standing| standing.created = true) else {
            panic!("{record:?} was not carried out");
        };
        let mut record = record.begun_with_creation();
        assert!(begun(&record) && unwritten(&record) && !certain(&record));
        for answer in [Answer::Done, Answer::Unknown, Answer::Conflict] {
            record.status = answered(t0(), &record, &write, answer);
            assert_eq!(record.status.begun, Some(t0()));
            assert!(begun(&record) && !unwritten(&record) && certain(&record));
        }
    }
}

#[test]
fn what_a_budget_refuses_is_not_begun() {
    let record = created(evict(), (TERM, 1));
    let Next::Act(write) = ask_as(&record, |standing| standing.created = true) else {
        panic!("{record:?} was not carried out");
    };
    let mut record = record.begun_with_creation();
    record.status = answered(t0(), &record, &write, Answer::Budget("no".to_owned()));
    assert!(!begun(&record) && !unwritten(&record) && !in_flight(&record));
}

/// Targets, and what else may be the matter, in which a record ends or waits.
fn situations() -> Vec<(Live, Standing<'static>)> {
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        Live::Target(Box::new(facts))
    };
    let here = || with(&|_| {});
    let lives = [
        here(),
        Live::Gone,
        unreadable(403),
        unreadable(503),
        with(&|facts| facts.uid = "another".to_owned()),
        with(&|facts| facts.pods.clear()),
        with(&|facts| (facts.generation, facts.resource_version) = (4, "11".to_owned())),
        // As it would be had it been done.
        with(&|facts| {
            (facts.generation, facts.resource_version) = (4, "11".to_owned());
            (facts.replicas, facts.restarted_at) = (5, Some(t0()));
            facts.current_revision = Some("revision".to_owned());
        }),
    ];
    let changes: [Change; 5] = [
        |_| {},
        |standing| standing.rank = 1,
        |standing| standing.last_hour = standing.limits.per_hour,
        |standing| standing.wanted = Err(Reason::Paused),
        |standing| standing.policy_deleted = true,
    ];
    let mut all = Vec::new();
    for live in lives {
        for change in changes {
            let mut standing = standing(&[]);
            change(&mut standing);
            all.push((live.clone(), standing));
        }
    }
    all
}

#[test]
fn what_a_record_says_of_its_creation_is_not_believed() {
    for action in ACTIONS {
        for begun in [(TERM - 1, 1), (TERM, 1), (TERM, u32::MAX), (i64::MAX, 1)] {
            let mut forged = created(action(), begun);
            forged.intent.revert_after = matches!(action(), Action::Scale(_)).then_some(1);
            let mut plain = forged.clone();
            plain.intent.begun = None;
            for (live, standing) in situations() {
                let answer = next(t0(), &forged, &live, &standing);
                let expected = next(t0(), &plain, &live, &standing);
                assert_eq!(answer, expected, "{live:?} {standing:?}");
                if let Next::Status(RecordStatus {
                    completed: Some(_),
                    touched,
                    revert,
                    ..
                }) = answer
                {
                    assert_eq!((touched, revert), (Touched::No, None));
                }
            }
            assert_eq!(used(t0(), &forged), None);
        }
    }
}

#[test]
fn what_its_creator_does_not_act_on_has_touched_nothing() {
    for action in ACTIONS {
        let record = created(action(), (TERM, 1));
        let mut ends = 0;
        for (live, mut standing) in situations() {
            standing.created = true;
            match next(t0(), &record, &live, &standing) {
                Next::Act(_) => {
                    assert!(standing.rank == 0 && standing.last_hour == 0);
                    assert!(standing.wanted.is_ok() && !standing.policy_deleted);
                }
                Next::Status(status) if status.completed.is_some() => {
                    ends += 1;
                    assert_eq!(status.touched, Touched::No, "{live:?} {standing:?}");
                    assert_eq!((&status.claim, &status.revert), (&None, &None));
                    let mut over = record.clone();
                    over.status = status;
                    assert!(!over.is_try() || over.status.reason == Reason::Forbidden);
                    assert_eq!(used(t0(), &over), None);
                }
                Next::Status(status) => assert_eq!(status.touched, Touched::No),
                Next::Wait { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(ends > 10, "{ends}");
    }
}

#[test]
fn anybody_else_writes_first_that_it_is_begun() {
    for action in ACTIONS {
        for term in [TERM, TERM - 1] {
            let mut record = acted(action(), (term, 1));
            record.status = status(ask_as(&record, |_| {}));
            let expected = (Touched::Maybe, TERM);
            assert_eq!((record.status.touched, record.status.term), expected);
            assert!(begun(&record) && !unwritten(&record));
            assert!(matches!(ask(&record, &facts()), Next::Act(_)));
        }
    }
}

#[test]
fn what_has_arrived_without_a_place_is_not_begun_and_takes_its_turn() {
    let full: [(Change, Reason); 2] = [
        (|standing| standing.rank = 1, Reason::TooManyInFlight),
        (
            |standing| standing.last_hour = standing.limits.per_hour,
            Reason::RateLimited,
        ),
    ];
    for (full, reason) in full {
        let mut record = acted(Action::RolloutRestart, (TERM - 1, 1));
        record.status = status(ask_as(&record, full));
        assert_eq!(record.status.reason, reason);
        assert_eq!(
            (record.status.touched, record.status.begun),
            (Touched::No, None)
        );
        assert!(!begun(&record) && !unwritten(&record));
        let wait = ask_as(&record, full);
        assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
        let later = status(ask_as(&record, |_| {}));
        assert!(later.claim.is_some() && later.begun == Some(t0()));
    }
}

#[test]
fn nothing_is_written_of_it_before_of_those_that_another_may_have_begun() {
    let record = acted(Action::RolloutRestart, (TERM - 1, 2));
    let mut other = named("other", (TERM - 2, 1));
    assert_eq!(doubtful(&record, [&record, &other], TERM), 1);
    let wait = ask_as(&record, |standing| standing.doubtful = 1);
    assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
    let roomy = |standing: &mut Standing<'_>| {
        (standing.doubtful, standing.limits.in_flight) = (1, 2);
    };
    assert!(status(ask_as(&record, roomy)).claim.is_some());
    // Of the other something is written, whatever its target is like.
    let mut full = standing(&[]);
    full.rank = 1;
    for live in [unreadable(503), Live::Target(Box::new(facts()))] {
        other.status = RecordStatus::default();
        other.status = status(next(t0(), &other, &live, &full));
        assert!(!begun(&other));
        assert_eq!(doubtful(&record, [&other], TERM), 0);
    }
}

#[test]
fn it_is_told_that_it_is_begun_although_its_target_cannot_be_read() {
    let record = acted(Action::RolloutRestart, (TERM - 1, 1));
    let found = status(next(t0(), &record, &unreadable(503), &standing(&[])));
    assert!(found.claim.is_some() && found.begun.is_some() && found.completed.is_none());
}
