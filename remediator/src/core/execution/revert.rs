//! Setting back the number of replicas, with a claim of its own.

use super::answer::pause;
use super::{Answer, BEGIN_SECONDS, Live, Next, Standing, TargetWrite};
use crate::core::{Claim, Facts, Reason, Record, RecordStatus, Revert, Time};

/// Seconds between two tries.
const AGAIN: u32 = 30;

/// How often it is tried at least, however late: the remediator may have been away when it was due.
const TRIES: u32 = 10;

/// Seconds within which a request arrives whose sender has given it up, with much to spare.
const ARRIVES: u32 = 60;

/// What comes next for a record that is over.
pub(super) fn revert(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
    let Some(revert) = &record.status.revert else {
        return finished(record);
    };
    if revert.end.is_some() {
        return finished(record);
    }
    let at_once = standing.policy_deleted || record.deleting;
    let due = if at_once {
        soonest(record).min(revert.due)
    } else {
        revert.due
    };
    let due = record.status.retry_at.map_or(due, |again| due.max(again));
    if now < due {
        return Next::Wait {
            until: due,
            reason: record.status.reason,
        };
    }
    let facts = match live {
        Live::Target(facts) if facts.uid == record.intent.target.uid => facts,
        Live::Target(_) | Live::Gone => return ended(record, Reason::RevertAbandoned),
        Live::Unreadable(_) if now.since(revert.due) > BEGIN_SECONDS => {
            return ended(record, Reason::RevertAbandoned);
        }
        Live::Unreadable(_) => {
            return Next::Wait {
                until: now.plus(AGAIN),
                reason: Reason::Refused,
            };
        }
    };
    let next = set_back(record, revert, facts);
    let writes = match &next {
        Next::Act(_) => true,
        Next::Status(status) => status
            .revert
            .as_ref()
            .is_some_and(|revert| revert.end.is_none()),
        _ => false,
    };
    match standing.set_back {
        Err(reason) if writes => ended(record, reason),
        // It was tried, and comes to nothing again and again.
        Ok(()) if writes && record.status.blocked_tries >= TRIES && too_late(now, record) => {
            ended(record, Reason::RevertAbandoned)
        }
        _ => next,
    }
}

/// Before this nothing is set back: a write of which nobody knows whether it was made may still arrive.
fn soonest(record: &Record) -> Time {
    let status = &record.status;
    match (status.applied, status.completed) {
        (None, Some(completed)) => completed.plus(ARRIVES),
        (applied, completed) => applied.or(completed).unwrap_or(record.intent.time),
    }
}

fn set_back(record: &Record, revert: &Revert, facts: &Facts) -> Next {
    let Some((from, to)) = record.intent.replicas else {
        return ended(record, Reason::RevertAbandoned);
    };
    let here = Claim {
        resource_version: facts.resource_version.clone(),
        generation: facts.generation,
    };
    match (&revert.claim, unconfirmed(record, facts)) {
        (None, Some(0)) => return Next::Status(without(record)),
        // Ours moves it by one.
        (None, Some(moved)) if moved != 1 => return ended(record, Reason::RevertAbandoned),
        _ => {}
    }
    match &revert.claim {
        Some(claim) if claim.generation != here.generation => ended(
            record,
            if facts.replicas == from {
                Reason::Reverted
            } else {
                Reason::RevertAbandoned
            },
        ),
        _ if facts.replicas != to => ended(record, Reason::RevertAbandoned),
        Some(claim) if *claim == here => Next::Act(TargetWrite::Scale {
            claim: here,
            replicas: from,
        }),
        _ => Next::Status(with(record, |revert| revert.claim = Some(here))),
    }
}

/// By how much the target's generation has moved since a write of which nobody has seen that it took effect.
fn unconfirmed(record: &Record, facts: &Facts) -> Option<i64> {
    let claim = record.status.claim.as_ref()?;
    match record.status.applied {
        Some(_) => None,
        None => Some(facts.generation.saturating_sub(claim.generation)),
    }
}

/// The status when there turns out to be nothing to set back.
fn without(record: &Record) -> RecordStatus {
    RecordStatus {
        revert: None,
        ..record.status.clone()
    }
}

/// The status after the answer to a write that sets back.
pub(super) fn reverted(now: Time, record: &Record, answer: &Answer) -> RecordStatus {
    match answer {
        Answer::Done => with(record, |revert| revert.end = Some(Reason::Reverted)),
        Answer::Gone => with(record, |revert| revert.end = Some(Reason::RevertAbandoned)),
        Answer::Refused(_) | Answer::Budget(_) => again(now, record, AGAIN),
        // The next read tells.
        Answer::Conflict | Answer::Unknown => {
            let due = record.status.revert.as_ref().map(|revert| revert.due);
            let tried = due.map_or(0, |due| now.since(due));
            again(now, record, pause(tried))
        }
    }
}

fn again(now: Time, record: &Record, seconds: u32) -> RecordStatus {
    RecordStatus {
        retry_at: Some(now.plus(seconds)),
        // Nothing else counts them once a record is over.
        blocked_tries: record.status.blocked_tries.saturating_add(1),
        ..record.status.clone()
    }
}

fn too_late(now: Time, record: &Record) -> bool {
    let due = record.status.revert.as_ref().map(|revert| revert.due);
    due.is_none_or(|due| now.since(due) > BEGIN_SECONDS)
}

fn finished(record: &Record) -> Next {
    if record.intent.revert_after.is_some() {
        Next::DropFinalizer
    } else {
        Next::Finished
    }
}

fn ended(record: &Record, reason: Reason) -> Next {
    Next::Status(with(record, |revert| revert.end = Some(reason)))
}

fn with(record: &Record, change: impl FnOnce(&mut Revert)) -> RecordStatus {
    let mut status = record.status.clone();
    if let Some(revert) = &mut status.revert {
        change(revert);
    }
    status
}
