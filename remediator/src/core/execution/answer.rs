//! What the answer to a write makes of a record.

use super::revert::reverted;
use super::{
    Answer, BEGIN_SECONDS, Refusal, TargetWrite, applied, over, settled, to, with_way_back, written,
};
use crate::core::{Claim, Phase, Reason, Record, RecordStatus, Time, Touched};

/// Seconds until a refused eviction is tried again, doubled each time, and the most.
const BLOCKED: u32 = 30;
const BLOCKED_MOST: u32 = 300;

/// Seconds until a request is made again that the server had no time for, at least.
const BUSY: u32 = 5;

/// Seconds until a request is made again that came to nothing, at most.
const AGAIN_MOST: i64 = 60;

/// The record's status after the answer to its write.
pub fn answered(now: Time, record: &Record, write: &TargetWrite, answer: Answer) -> RecordStatus {
    let intent = &record.intent;
    if record.finished() {
        return reverted(now, record, &answer);
    }
    written(intent, became(now, record, write, answer))
}

fn became(now: Time, record: &Record, write: &TargetWrite, answer: Answer) -> RecordStatus {
    let (intent, status) = (&record.intent, &record.status);
    let eviction = matches!(write, TargetWrite::Evict { .. });
    let begun = status.phase == Phase::Applied;
    match answer {
        Answer::Done => applied(now, intent, status, Touched::Yes),
        // The pod of that UID is gone for good; whether by an earlier request of this record, nobody can tell.
        Answer::Gone | Answer::Conflict if eviction => applied(now, intent, status, Touched::Maybe),
        Answer::Gone => over(
            now,
            status,
            Phase::Inconclusive,
            Reason::TargetChanged,
            "it does not exist any more",
        ),
        Answer::Conflict => again(now, record, Reason::Conflict, ""),
        Answer::Unknown => {
            let details = "no answer says whether it was done";
            let mut record = record.clone();
            record.status.touched = status.touched.max(Touched::Maybe);
            again(now, &record, Reason::Refused, details)
        }
        Answer::Budget(message) if begun => settled(
            now,
            intent,
            status,
            &format!("the other pods are left alone: {message}"),
        ),
        Answer::Budget(message) => RecordStatus {
            blocked_tries: status.blocked_tries.saturating_add(1),
            retry_at: Some(now.plus(wait(status.blocked_tries))),
            claim: unclaimed(status),
            ..to(status, Phase::Blocked, Reason::DisruptionBudget, &message)
        },
        Answer::Refused(refusal) => refused(now, record, begun, &refusal),
    }
}

fn refused(now: Time, record: &Record, begun: bool, refusal: &Refusal) -> RecordStatus {
    let (intent, status) = (&record.intent, &record.status);
    let reason = match refusal.code {
        // Not sent: whoever leads goes on.
        0 => return again(now, record, Reason::Refused, &refusal.message),
        429 => {
            let tried = again(now, record, Reason::Refused, &refusal.message);
            return RecordStatus {
                retry_at: tried.retry_at.max(tried.retry_at.map(|_| now.plus(BUSY))),
                claim: unclaimed(status),
                ..tried
            };
        }
        401 | 403 => Reason::Forbidden,
        _ => Reason::Refused,
    };
    if begun {
        let why = format!("the other pods are left alone: {}", refusal.message);
        return settled(now, intent, status, &why);
    }
    let over = over(now, status, Phase::Inconclusive, reason, &refusal.message);
    with_way_back(now, intent, over)
}

/// The same once more, but not at once, and not for ever: there may be something that is always in the way.
fn again(now: Time, record: &Record, reason: Reason, details: &str) -> RecordStatus {
    let status = &record.status;
    let tried = now.since(status.begun.unwrap_or(record.intent.time));
    // Of several pods there is a time in which they have to be replaced.
    if status.phase == Phase::Pending && tried > BEGIN_SECONDS {
        // The read that would tell whether it was done after all is left to who sets back.
        let over = over(now, status, Phase::Inconclusive, reason, details);
        return with_way_back(now, &record.intent, over);
    }
    RecordStatus {
        retry_at: Some(now.plus(pause(tried))),
        ..status.clone()
    }
}

/// How long to wait after having tried for so many seconds: as long again, so that it doubles.
pub(super) fn pause(tried: i64) -> u32 {
    u32::try_from(tried.clamp(1, AGAIN_MOST)).unwrap_or(1)
}

/// The claim after a write that was turned down: none, if it was the only one that can have been made with it.
fn unclaimed(status: &RecordStatus) -> Option<Claim> {
    match (status.phase, status.touched) {
        (Phase::Pending | Phase::Blocked, Touched::No) => None,
        _ => status.claim.clone(),
    }
}

fn wait(tries: u32) -> u32 {
    BLOCKED
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(BLOCKED_MOST)
}
