//! What a record needs next.

use super::pods::pods;
use super::revert::revert;
use super::turn::{begun, foreign, unwritten};
use super::verify::verify;
use super::{
    BEGIN_SECONDS, Live, Next, Standing, Taken, TargetWrite, applied, over, settled, taken, to,
    with_way_back, written,
};
use crate::core::{Claim, Facts, Intent, Mode, Phase, Reason, Record, RecordStatus, Time, Touched};

/// Seconds between two looks at a target that is settling.
pub(super) const LOOK_AGAIN: u32 = 2;

/// Seconds until a record whose turn it is not is looked at again.
const TURN: u32 = 5;

/// Seconds until a record is looked at again that has to wait for the limit of an hour.
const HOURLY: u32 = 30;

/// What the record needs next. Nothing but the record is remembered from one call to the next: whoever calls it, after
/// whatever crash, gets the same answer for the same world.
///
/// What was begun with its creation is acted on at once by who has created it, or else goes the way of any other: nothing
/// has been done for it then. What a former leader may have acted on is first told to be begun, or, if others go before
/// it, not to be: then its creation has arrived too late for who sent it.
pub fn next(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
    if standing.created && record.untold() {
        let begun = record.clone().begun_with_creation();
        if let act @ Next::Act(_) = follow(now, &begun, live, standing) {
            return act;
        }
    }
    match follow(now, record, live, standing) {
        Next::Status(status) => Next::Status(written(&record.intent, status)),
        // Whatever it waits for: nothing else is begun before something is written of it.
        Next::Wait { .. } if unwritten(record) => arrived(now, record, standing),
        other => other,
    }
}

fn follow(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
    let status = &record.status;
    if status.completed.is_some() {
        return revert(now, record, live, standing);
    }
    let orphaned = standing.policy_deleted || record.deleting;
    match status.phase {
        Phase::Pending | Phase::Blocked => begin(now, record, live, standing),
        Phase::Applied | Phase::Verifying if replaced(record, live) => end(
            now,
            record,
            Phase::Inconclusive,
            Reason::TargetChanged,
            "it was deleted or created anew",
        ),
        Phase::Applied | Phase::Verifying if orphaned => {
            end(now, record, Phase::Inconclusive, Reason::PolicyDeleted, "")
        }
        Phase::Applied => settle(now, record, live, standing),
        Phase::Verifying => verify(now, record, standing),
        // Only a status edited by hand is over without a time.
        phase => end(now, record, phase, status.reason, ""),
    }
}

/// Before the write is known to have taken effect.
fn begin(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
    let (intent, status) = (&record.intent, &record.status);
    let drop = |reason, details: &str| end(now, record, Phase::Inconclusive, reason, details);
    if intent.mode == Mode::DryRun {
        return end(now, record, Phase::DryRun, Reason::DryRun, "");
    }
    let orphaned = standing.policy_deleted || record.deleting;
    if intent.mode == Mode::Manual && !record.approved {
        let reason = Reason::AwaitingApproval;
        return match standing.wanted {
            _ if orphaned => drop(Reason::PolicyDeleted, ""),
            Err(reason) => drop(reason, "before it was approved"),
            Ok(()) if status.reason != reason => {
                Next::Status(to(status, Phase::Pending, reason, ""))
            }
            Ok(()) => Next::Wait {
                until: now.plus(60),
                reason,
            },
        };
    }
    let facts = match live {
        Live::Gone => return drop(Reason::TargetChanged, "it does not exist any more"),
        Live::Target(facts) if facts.uid != intent.target.uid => {
            return drop(Reason::TargetChanged, "it was created anew");
        }
        Live::Target(facts) => facts,
        Live::Unreadable(_) if orphaned => return drop(Reason::PolicyDeleted, ""),
        Live::Unreadable(refusal) if refusal.code == 403 => {
            return drop(Reason::Forbidden, &refusal.message);
        }
        Live::Unreadable(refusal) => {
            let wait = patience(now, record, Reason::Refused, TURN, &refusal.message);
            return match begun(record) {
                true => wait,
                false => adopted(record, standing, wait),
            };
        }
    };
    // A write that has taken effect is acknowledged whether it is still wanted or not.
    if let Some(found) = already(now, record, facts) {
        return Next::Status(found);
    }
    if orphaned {
        return match &status.claim {
            Some(_) => doubtful(now, record, Reason::PolicyDeleted),
            None => drop(Reason::PolicyDeleted, ""),
        };
    }
    if let Err(reason) = standing.wanted {
        return match (status.phase, &status.claim) {
            (Phase::Blocked, _) => end(
                now,
                record,
                Phase::Blocked,
                Reason::DisruptionBudget,
                reason.as_str(),
            ),
            (_, None) => drop(reason, "before anything was done"),
            (_, Some(_)) => doubtful(now, record, reason),
        };
    }
    if let Some(until) = status.retry_at.filter(|until| now < *until) {
        let reason = status.reason;
        return adopted(record, standing, Next::Wait { until, reason });
    }
    if unwritten(record) && !standing.created {
        return arrived(now, record, standing);
    }
    if standing.rank >= standing.limits.in_flight {
        let wait = patience(now, record, Reason::TooManyInFlight, TURN, "");
        return adopted(record, standing, wait);
    }
    // The decision asked too, but this may be long after it.
    if (!begun(record) || standing.created) && standing.last_hour >= standing.limits.per_hour {
        let wait = patience(now, record, Reason::RateLimited, HOURLY, "");
        return adopted(record, standing, wait);
    }
    if !intent.pods.is_empty() {
        return pods(now, record, facts, standing);
    }
    write(now, record, facts, standing)
}

/// What an earlier leader wrote may still be followed by a write of its that arrives late. So a record is written once
/// in the own term before others are begun on the strength of it not having been begun.
///
/// A wait for the limit of an hour may be long: the record says so.
fn adopted(record: &Record, standing: &Standing<'_>, wait: Next) -> Next {
    let status = &record.status;
    match wait {
        Next::Wait {
            reason: reason @ Reason::RateLimited,
            ..
        } if status.reason != reason && status.phase == Phase::Pending => {
            Next::Status(RecordStatus {
                term: standing.term,
                ..to(status, Phase::Pending, reason, "")
            })
        }
        Next::Wait { .. } if foreign(record, standing.term) => Next::Status(RecordStatus {
            term: standing.term,
            ..status.clone()
        }),
        other => other,
    }
}

/// The status of a record whose write turns out to have taken effect, or the target to have been changed.
fn already(now: Time, record: &Record, facts: &Facts) -> Option<RecordStatus> {
    let (intent, status) = (&record.intent, &record.status);
    match taken(record, facts) {
        Taken::Yes => Some(applied(now, intent, status, Touched::Yes)),
        Taken::Changed => Some(ended(
            now,
            status,
            Phase::Inconclusive,
            Reason::TargetChanged,
            "its spec is not what it was when this was decided",
        )),
        Taken::Not => {
            // A pod's UID never comes back: one that is gone has been restarted, by whomever.
            let first = intent.pods.first()?;
            let alive = facts
                .pods
                .iter()
                .any(|pod| pod.uid == first.1 && !pod.deleting);
            match (&status.claim, alive) {
                (_, true) => None,
                (Some(_), false) => Some(applied(now, intent, status, Touched::Maybe)),
                (None, false) => Some(over(
                    now,
                    status,
                    Phase::Inconclusive,
                    Reason::TargetChanged,
                    &format!("pod {} is gone already", first.0),
                )),
            }
        }
    }
}

/// The write to a target, or to its autoscaler.
fn write(now: Time, record: &Record, facts: &Facts, standing: &Standing<'_>) -> Next {
    let intent = &record.intent;
    let here = here(facts);
    if let (Some(name), Some((_, minimum)), Some(autoscaler)) =
        (&intent.autoscaler, intent.replicas, &facts.autoscaler)
    {
        if minimum > autoscaler.max {
            let details = format!("{name}: a minimum of {minimum} is above its maximum");
            return end(
                now,
                record,
                Phase::Inconclusive,
                Reason::ScaleBounds,
                &details,
            );
        }
        let write = TargetWrite::RaiseMinimum {
            autoscaler: name.clone(),
            resource_version: autoscaler.resource_version.clone(),
            minimum,
            record: record.name.name.to_string(),
        };
        return act(now, record, facts, standing, write);
    }
    match intent_write(intent, here.clone()) {
        Some(_) if record.status.claim.as_ref() != Some(&here) => {
            claimed(now, record, here, standing)
        }
        Some(write) => act(now, record, facts, standing, write),
        None => end(
            now,
            record,
            Phase::Inconclusive,
            Reason::Refused,
            "the intent does not say what to do",
        ),
    }
}

fn here(facts: &Facts) -> Claim {
    Claim {
        resource_version: facts.resource_version.clone(),
        generation: facts.generation,
    }
}

/// The write, if the record says already that this leader is about to make it. A record without a claim was never begun,
/// whatever happened since.
pub(super) fn act(
    now: Time,
    record: &Record,
    facts: &Facts,
    standing: &Standing<'_>,
    write: TargetWrite,
) -> Next {
    match &record.status.claim {
        Some(_) if !foreign(record, standing.term) => Next::Act(write),
        Some(claim) => claimed(now, record, claim.clone(), standing),
        None => claimed(now, record, here(facts), standing),
    }
}

/// The status with this claim. The leader before may have made its write, and it may be under way still.
fn claimed(now: Time, record: &Record, claim: Claim, standing: &Standing<'_>) -> Next {
    let status = &record.status;
    let inherited = status.claim.is_some() && foreign(record, standing.term);
    Next::Status(RecordStatus {
        claim: Some(claim),
        begun: Some(status.begun.unwrap_or(now)),
        term: standing.term,
        touched: if inherited {
            status.touched.max(Touched::Maybe)
        } else {
            status.touched
        },
        ..unwaiting(status)
    })
}

/// Of a record that may have been begun with its creation: that it is begun, or that it is not. It has not been acted on if
/// there was no place for it.
fn arrived(now: Time, record: &Record, standing: &Standing<'_>) -> Next {
    let status = &record.status;
    let Standing { rank, limits, .. } = standing;
    let wait = |reason| Next::Wait {
        until: now.plus(1),
        reason,
    };
    // What may be begun, and may just as well not be, was not counted by who acted.
    let certain = standing.last_hour.saturating_sub(standing.doubtful);
    let why = if *rank >= limits.in_flight {
        Reason::TooManyInFlight
    } else if certain >= limits.per_hour {
        Reason::RateLimited
    } else if rank.saturating_add(standing.doubtful) >= limits.in_flight {
        return wait(Reason::TooManyInFlight);
    } else if standing.last_hour >= limits.per_hour {
        return wait(Reason::RateLimited);
    } else {
        let mut record = record.clone();
        record.status.touched = status.touched.max(Touched::Maybe);
        return claimed(now, &record, record.intent.claim.clone(), standing);
    };
    Next::Status(RecordStatus {
        claim: None,
        term: standing.term,
        ..to(status, Phase::Pending, why, "")
    })
}

/// The status without what it waited for.
fn unwaiting(status: &RecordStatus) -> RecordStatus {
    match status.phase {
        Phase::Pending => to(status, Phase::Pending, Reason::Intended, ""),
        _ => status.clone(),
    }
}

fn intent_write(intent: &Intent, claim: Claim) -> Option<TargetWrite> {
    use crate::core::Action;
    match &intent.action {
        Action::RestartPods { .. } => None,
        Action::RolloutRestart => Some(TargetWrite::Restart {
            claim,
            at: intent.time,
        }),
        Action::Scale(_) => intent
            .replicas
            .filter(|(_, to)| *to > 0)
            .map(|(_, replicas)| TargetWrite::Scale { claim, replicas }),
        Action::Rollback => intent
            .revision
            .clone()
            .map(|revision| TargetWrite::Rollback { claim, revision }),
    }
}

/// After the write: until the target has settled.
fn settle(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
    if let Live::Target(facts) = live {
        if !record.intent.pods.is_empty() {
            return pods(now, record, facts, standing);
        }
        if rolled_out(&record.intent, facts) {
            return Next::Status(settled(now, &record.intent, &record.status, ""));
        }
    }
    unsettled(now, record)
}

/// Wait for the target to settle, as long as it may take.
pub(super) fn unsettled(now: Time, record: &Record) -> Next {
    if record
        .status
        .deadline
        .is_none_or(|deadline| now >= deadline)
    {
        let details = "the target did not settle";
        return end(
            now,
            record,
            Phase::Failed,
            Reason::VerificationTimeout,
            details,
        );
    }
    Next::Wait {
        until: now.plus(LOOK_AGAIN),
        reason: Reason::Applied,
    }
}

fn rolled_out(intent: &Intent, facts: &Facts) -> bool {
    let enough = match (&intent.autoscaler, intent.replicas) {
        (Some(_), Some((_, minimum))) => facts.replicas >= minimum,
        _ => true,
    };
    enough
        && facts.observed_generation >= facts.generation
        && facts.updated >= facts.replicas
        && facts.ready >= facts.replicas
}

fn replaced(record: &Record, live: &Live) -> bool {
    match live {
        Live::Gone => true,
        Live::Target(facts) => facts.uid != record.intent.target.uid,
        Live::Unreadable(_) => false,
    }
}

/// Wait, but not for ever: what could not be begun in an hour is left, and decided anew.
pub(super) fn patience(
    now: Time,
    record: &Record,
    reason: Reason,
    seconds: u32,
    details: &str,
) -> Next {
    if record.intent.mode != Mode::Manual && now.since(record.intent.time) > BEGIN_SECONDS {
        return end(now, record, Phase::Inconclusive, reason, details);
    }
    Next::Wait {
        until: now.plus(seconds),
        reason,
    }
}

/// The record is over.
pub(super) fn end(now: Time, record: &Record, phase: Phase, reason: Reason, details: &str) -> Next {
    let over = ended(now, &record.status, phase, reason, details);
    Next::Status(with_way_back(now, &record.intent, over))
}

/// The status when it is over. What was claimed may have been begun: the write may even arrive after this.
fn ended(
    now: Time,
    status: &RecordStatus,
    phase: Phase,
    reason: Reason,
    details: &str,
) -> RecordStatus {
    let over = over(now, status, phase, reason, details);
    let touched = match over.claim {
        Some(_) => over.touched.max(Touched::Maybe),
        None => over.touched,
    };
    RecordStatus { touched, ..over }
}

/// The record is over although its write may still arrive. If that scales, and is to be set back, it is set back all the
/// same; the generation will tell whether there is anything to set back.
fn doubtful(now: Time, record: &Record, reason: Reason) -> Next {
    let details = "before it was known to be done";
    let over = ended(now, &record.status, Phase::Inconclusive, reason, details);
    let over = with_way_back(now, &record.intent, over);
    if over.revert.is_none() {
        return Next::Status(over);
    }
    let details = format!("{details}; if it is done after all, it is set back when that is due");
    let message = reason.message(details);
    Next::Status(RecordStatus { message, ..over })
}
