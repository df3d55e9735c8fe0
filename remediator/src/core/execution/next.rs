//! What a record needs next.

use super::pods::pods;
use super::revert::revert;
use super::taken::claim;
use super::verify::verify;
use super::{
    BEGIN_SECONDS, Live, Next, Standing, Taken, TargetWrite, applied, over, settled, taken,
};
use crate::core::{Claim, Facts, Intent, Mode, Phase, Reason, Record, RecordStatus, Time, Touched};

/// Seconds between two looks at a target that is settling.
pub(super) const LOOK_AGAIN: u32 = 2;

/// Seconds until a record whose turn it is not is looked at again.
const TURN: u32 = 5;

/// What the record needs next. Nothing but the record is remembered from one call to the next: whoever calls it, after
/// whatever crash, gets the same answer for the same world.
pub fn next(now: Time, record: &Record, live: &Live, standing: &Standing<'_>) -> Next {
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
        return match standing.wanted {
            _ if orphaned => drop(Reason::PolicyDeleted, ""),
            Err(reason) => drop(reason, "before it was approved"),
            Ok(()) => Next::Wait {
                until: now.plus(60),
                reason: Reason::AwaitingApproval,
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
            return patience(now, record, Reason::Refused, TURN, &refusal.message);
        }
    };
    // A write that has taken effect is acknowledged whether it is still wanted or not.
    if let Some(found) = already(now, record, facts) {
        return Next::Status(found);
    }
    if orphaned {
        return drop(Reason::PolicyDeleted, "");
    }
    if let Err(reason) = standing.wanted {
        return if status.phase == Phase::Blocked {
            end(
                now,
                record,
                Phase::Blocked,
                Reason::DisruptionBudget,
                reason.as_str(),
            )
        } else {
            drop(reason, "before anything was done")
        };
    }
    if let Some(until) = status.retry_at.filter(|until| now < *until) {
        return Next::Wait {
            until,
            reason: status.reason,
        };
    }
    if standing.rank >= standing.limits.in_flight {
        return patience(now, record, Reason::TooManyInFlight, TURN, "");
    }
    if !intent.pods.is_empty() {
        return pods(now, record, facts, standing);
    }
    write(now, record, facts)
}

/// The status of a record whose write turns out to have taken effect, or the target to have been changed.
fn already(now: Time, record: &Record, facts: &Facts) -> Option<RecordStatus> {
    let (intent, status) = (&record.intent, &record.status);
    match taken(record, facts) {
        Taken::Yes => Some(applied(now, intent, status, Touched::Yes)),
        Taken::Changed => Some(RecordStatus {
            touched: status.touched.max(Touched::Maybe),
            ..over(
                now,
                status,
                Phase::Inconclusive,
                Reason::TargetChanged,
                "its spec is not what it was when this was decided",
            )
        }),
        Taken::Not => {
            // A pod's UID never comes back: one that is gone has been restarted, by whomever.
            let first = intent.pods.first()?;
            let alive = facts
                .pods
                .iter()
                .any(|pod| pod.uid == first.1 && !pod.deleting);
            (!alive).then(|| applied(now, intent, status, Touched::Maybe))
        }
    }
}

/// The write, or the claim it needs.
fn write(now: Time, record: &Record, facts: &Facts) -> Next {
    let intent = &record.intent;
    let here = Claim {
        resource_version: facts.resource_version.clone(),
        generation: facts.generation,
    };
    if let (Some(name), Some((_, minimum)), Some(autoscaler)) =
        (&intent.autoscaler, intent.replicas, &facts.autoscaler)
    {
        return Next::Act(TargetWrite::RaiseMinimum {
            autoscaler: name.clone(),
            resource_version: autoscaler.resource_version.clone(),
            minimum: minimum.min(autoscaler.max),
            record: record.name.name.to_string(),
        });
    }
    if *claim(record) != here {
        return Next::Status(RecordStatus {
            claim: Some(here),
            ..record.status.clone()
        });
    }
    match intent_write(intent, here) {
        Some(write) => Next::Act(write),
        None => end(
            now,
            record,
            Phase::Inconclusive,
            Reason::Refused,
            "the intent does not say what to do",
        ),
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
    Next::Status(over(now, &record.status, phase, reason, details))
}
