//! Setting back the number of replicas, with a claim of its own.

use super::{Answer, BEGIN_SECONDS, Live, Next, Standing, TargetWrite};
use crate::core::{Claim, Facts, Reason, Record, RecordStatus, Revert, Time};

/// Seconds between two tries.
const AGAIN: u32 = 30;

/// What comes next for a record that is over.
pub(super) fn revert(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
    let Some(revert) = &record.status.revert else {
        return finished(record);
    };
    if revert.end.is_some() {
        return finished(record);
    }
    let at_once = standing.policy_deleted || record.deleting;
    let due = if at_once { now } else { revert.due };
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
    set_back(record, revert, facts)
}

fn set_back(record: &Record, revert: &Revert, facts: &Facts) -> Next {
    let Some((from, to)) = record.intent.replicas else {
        return ended(record, Reason::RevertAbandoned);
    };
    let here = Claim {
        resource_version: facts.resource_version.clone(),
        generation: facts.generation,
    };
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

/// The status after the answer to a write that sets back.
pub(super) fn reverted(now: Time, record: &Record, answer: &Answer) -> RecordStatus {
    match answer {
        Answer::Done => with(record, |revert| revert.end = Some(Reason::Reverted)),
        Answer::Gone => with(record, |revert| revert.end = Some(Reason::RevertAbandoned)),
        Answer::Refused(refusal) if refusal.code == 0 => record.status.clone(),
        Answer::Refused(_) | Answer::Budget(_) if too_late(now, record) => {
            with(record, |revert| revert.end = Some(Reason::RevertAbandoned))
        }
        Answer::Refused(_) | Answer::Budget(_) => RecordStatus {
            retry_at: Some(now.plus(AGAIN)),
            ..record.status.clone()
        },
        // The next read tells.
        Answer::Conflict | Answer::Unknown => record.status.clone(),
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
