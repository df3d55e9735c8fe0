//! What is begun with its creation, and what becomes of it when nobody, or somebody else, goes on with it.

use super::*;
use crate::core::Begun;

const ACTIONS: [fn() -> Action; 4] = [evict, || Action::RolloutRestart, scale, || Action::Rollback];

/// A record that the leader of this term begins with its creation, as its number so much.
fn created(action: Action, (term, number): (i64, u32)) -> Record {
    let mut record = record(action);
    record.intent.begun = Some(Begun { term, number });
    Record::planned(record.intent)
}

fn named(name: &str, begun: (i64, u32)) -> Record {
    let mut record = created(Action::RolloutRestart, begun);
    record.name = key(name);
    record
}

fn ask_as(record: &Record, change: impl FnOnce(&mut Standing<'_>)) -> Next {
    let mut standing = standing(&[]);
    change(&mut standing);
    next(t0(), record, &Live::Target(Box::new(facts())), &standing)
}

#[test]
fn who_has_created_it_acts_at_once() {
    for action in ACTIONS {
        let mut record = created(action(), (TERM, 1));
        assert!(begun(&record) && unwritten(&record));
        let Next::Act(write) = ask_as(&record, |standing| standing.created = true) else {
            panic!("{record:?} was not carried out");
        };
        for answer in [Answer::Done, Answer::Unknown, Answer::Conflict] {
            record.status = answered(t0(), &record, &write, answer);
            assert_eq!(record.status.begun, Some(t0()));
            assert!(begun(&record) && !unwritten(&record));
        }
    }
}

#[test]
fn what_a_budget_refuses_is_not_begun() {
    let mut record = created(evict(), (TERM, 1));
    let Next::Act(write) = ask_as(&record, |standing| standing.created = true) else {
        panic!("{record:?} was not carried out");
    };
    record.status = answered(t0(), &record, &write, Answer::Budget("no".to_owned()));
    assert!(!begun(&record) && !unwritten(&record) && !in_flight(&record));
}

#[test]
fn anybody_else_writes_first_that_it_is_begun() {
    for action in ACTIONS {
        for (term, touched) in [(TERM, Touched::No), (TERM - 1, Touched::Maybe)] {
            let mut record = created(action(), (term, 1));
            record.status = status(ask_as(&record, |_| {}));
            assert_eq!((record.status.touched, record.status.term), (touched, TERM));
            assert!(begun(&record) && !unwritten(&record));
            assert!(matches!(ask(&record, &facts()), Next::Act(_)));
        }
    }
}

#[test]
fn what_has_arrived_without_a_place_is_not_begun_and_takes_its_turn() {
    for term in [TERM, TERM - 1] {
        let mut record = created(Action::RolloutRestart, (term, 1));
        record.status = status(ask_as(&record, |standing| standing.rank = 1));
        assert_eq!(record.status.reason, Reason::TooManyInFlight);
        assert_eq!(
            (record.status.touched, record.status.begun),
            (Touched::No, None)
        );
        assert!(!begun(&record) && !unwritten(&record));
        let wait = ask_as(&record, |standing| standing.rank = 1);
        assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
        let later = status(ask_as(&record, |_| {}));
        assert!(later.claim.is_some() && later.begun == Some(t0()));
    }
}

#[test]
fn nothing_is_written_of_it_before_of_those_that_go_after_it() {
    let record = created(Action::RolloutRestart, (TERM - 1, 2));
    let wait = ask_as(&record, |standing| standing.precedes = true);
    assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
}

#[test]
fn it_is_told_that_it_is_begun_although_its_target_cannot_be_read() {
    let record = created(Action::RolloutRestart, (TERM - 1, 1));
    let unreadable = Live::Unreadable(Refusal {
        code: 503,
        reason: String::new(),
        message: String::new(),
    });
    let found = status(next(t0(), &record, &unreadable, &standing(&[])));
    assert!(found.claim.is_some() && found.begun.is_some() && found.completed.is_none());
}

#[test]
fn only_what_is_enforced_can_be_begun_with_its_creation() {
    for (mode, expected) in [
        (Mode::Enforce, true),
        (Mode::Manual, false),
        (Mode::DryRun, false),
    ] {
        let mut record = created(Action::RolloutRestart, (TERM, 1));
        record.intent.mode = mode;
        let record = Record::planned(record.intent);
        assert_eq!(at_once(&record, [], TERM, 1), expected, "{mode:?}");
        assert_eq!(unwritten(&record), expected, "{mode:?}");
    }
}

#[test]
fn of_several_the_last_goes_first_and_all_that_is_known_more_of_before_it() {
    let mut told = named("told", (1, 1));
    told.status = status(ask_as(&told, |_| {}));
    let mut blocked = named("blocked", (1, 2));
    blocked.status = status(ask_as(&blocked, |_| {}));
    blocked.status.phase = Phase::Blocked;
    let order = [
        told,
        blocked,
        named("latest", (3, 1)),
        named("later", (2, 7)),
        named("late", (2, 6)),
    ];
    for (at, record) in order.iter().enumerate() {
        assert_eq!(rank(record, &order, TERM), u32::try_from(at).unwrap());
        assert_eq!(precedes(record, &order), at < 4, "{}", record.name.name);
    }
    // And nothing else is begun meanwhile, however many places there are.
    let mut other = record(Action::RolloutRestart);
    other.name = key("other");
    assert_eq!(rank(&other, &order, TERM), u32::MAX);
    assert_eq!(rank(&other, &order[..2], TERM), 2);
    assert!(!at_once(&other, &order, TERM, 100) && at_once(&other, &order[..2], TERM, 3));
}
