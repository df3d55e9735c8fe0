//! Replicas are set back: when, how often, and by whose leave.

use super::*;

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
fn however_a_scale_ends_that_may_have_been_made_it_is_set_back() {
    let mut begun = claimed(scale());
    begun.intent.revert_after = Some(600);
    begun.status.begun = Some(t0());
    let late = t0().plus(2 * 3600);
    let Next::Act(write) = ask(&begun, &facts()) else {
        panic!("not carried out");
    };
    let unanswered = answered(late, &begun, &write, Answer::Unknown);
    let unread = status(next(late, &begun, &unreadable(503), &standing(&[])));
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
