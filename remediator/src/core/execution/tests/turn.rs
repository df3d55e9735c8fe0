//! Which record goes first, and how many may go.

use super::*;

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
