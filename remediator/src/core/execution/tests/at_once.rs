//! What may begin with its creation, and what place it takes then.

use super::created::{ask_as, created, named};
use super::*;
use crate::core::Begun;

/// A leader that has made so many, and knows of no greater one.
fn creator(term: i64, number: u32) -> Creator {
    Creator {
        made: Begun { term, number },
        greatest: None,
        last_hour: 0,
        limits: Limits::default(),
    }
}

#[test]
fn only_what_is_enforced_and_stays_as_it_is_can_be_begun_with_its_creation() {
    for (mode, revert_after, expected) in [
        (Mode::Enforce, None, true),
        (Mode::Enforce, Some(60), false),
        (Mode::Manual, None, false),
        (Mode::DryRun, None, false),
    ] {
        let mut record = created(scale(), (TERM, 1));
        (record.intent.mode, record.intent.revert_after) = (mode, revert_after);
        assert_eq!(at_once(&record, [], &creator(TERM, 0)), expected);
        assert_eq!(record.untold(), expected);
        assert_eq!(unwritten(&record.begun_with_creation()), expected);
    }
}

#[test]
fn nothing_begins_with_its_creation_where_limits_or_terms_do_not_allow_it() {
    let record = record(Action::RolloutRestart);
    let asked = |change: &dyn Fn(&mut Creator)| {
        let mut creator = creator(TERM, 3);
        change(&mut creator);
        at_once(&record, [], &creator)
    };
    assert!(asked(&|_| {}));
    assert!(!asked(&|creator| creator.limits.in_flight = 0));
    assert!(!asked(
        &|creator| creator.last_hour = creator.limits.per_hour
    ));
    for (term, number, expected) in [
        (TERM - 1, u32::MAX, true),
        (TERM, 3, true),
        (TERM, 4, false),
        (TERM + 1, 1, false),
        (i64::MAX, 1, false),
    ] {
        let greatest = Some(Begun { term, number });
        let answer = asked(&|creator| creator.greatest = greatest);
        assert_eq!(answer, expected, "{greatest:?}");
    }
}

#[test]
fn of_several_a_former_leader_can_only_have_acted_on_the_last() {
    let mut told = named("told", (9, 1));
    told.status = status(ask_as(&told, |_| {}));
    let all = [
        told,
        named("late", (2, 6)),
        named("latest", (3, 1)),
        named("later", (2, 7)),
        record(Action::RolloutRestart),
    ];
    assert_eq!(last(&all).unwrap().name, key("latest"));
    assert_eq!(last(&all[..1]), None);
}

#[test]
fn one_of_which_nothing_is_told_takes_one_place_and_comes_last() {
    let mut told = named("told", (TERM, 1));
    told.status = status(ask_as(&told, |_| {}));
    told.intent.time = t0().plus(60);
    let untold = named("untold", (TERM - 1, 7)).begun_with_creation();
    let order = [told, untold];
    for (at, record) in order.iter().enumerate() {
        assert_eq!(rank(record, &order, TERM), u32::try_from(at).unwrap());
    }
    // Its status may be refused for ever: others are begun as long as there is a place, but not with their creation.
    let mut other = record(Action::RolloutRestart);
    other.name = key("other");
    other.status.term = TERM;
    assert_eq!(rank(&other, &order, TERM), 2);
    let mut creator = creator(TERM, 1);
    creator.limits.in_flight = 3;
    assert!(!at_once(&other, &order, &creator) && at_once(&other, &order[..1], &creator));
    let mut roomy = standing(&[]);
    (roomy.rank, roomy.limits.in_flight) = (2, 3);
    let live = Live::Target(Box::new(facts()));
    assert!(begun(&Record {
        status: status(next(t0(), &other, &live, &roomy)),
        ..other
    }));
}
