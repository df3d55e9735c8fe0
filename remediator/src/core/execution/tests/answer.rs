//! What each answer of the API server comes to, and how often it is asked again.

use super::*;

fn refused(code: u16) -> Answer {
    Answer::Refused(refusal(code))
}

#[test]
fn answers_are_told_apart() {
    use Phase::{Applied, Inconclusive, Pending};
    use Touched::{Maybe, No, Yes};
    let table = [
        (Answer::Done, (Applied, Yes), (Applied, Yes)),
        (Answer::Gone, (Inconclusive, No), (Applied, Maybe)),
        (Answer::Conflict, (Pending, No), (Applied, Maybe)),
        (Answer::Unknown, (Pending, Maybe), (Pending, Maybe)),
        (refused(0), (Pending, No), (Pending, No)),
        (refused(403), (Inconclusive, No), (Inconclusive, No)),
        (refused(422), (Inconclusive, No), (Inconclusive, No)),
        (refused(429), (Pending, No), (Pending, No)),
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
    for answer in [Answer::Conflict, Answer::Unknown, refused(0), refused(429)] {
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
    for answer in [Answer::Unknown, refused(429)] {
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
    for answer in [Answer::Conflict, Answer::Unknown, refused(0), refused(403)] {
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
