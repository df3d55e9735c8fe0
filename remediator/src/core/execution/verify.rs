//! Whether the check passes since the target settled.

use super::{Next, Standing, over};
use crate::core::{
    CheckStatus, Class, Fresh, Phase, Reason, Record, RecordStatus, Run, Time, Verdict,
};

/// What comes next while fresh runs are awaited.
pub(super) fn verify(now: Time, record: &Record, standing: &Standing<'_>) -> Next {
    let status = &record.status;
    let verify = &record.intent.verify;
    let since = status.rolled_out.unwrap_or(now);
    let fresh = counted(&status.fresh, standing.runs, since, verify.count_timeouts);
    let deadline = status.deadline.unwrap_or(now);
    let status = &RecordStatus {
        fresh,
        ..status.clone()
    };
    let over = |phase, reason| Next::Status(over(now, status, phase, reason, ""));
    if status.fresh.passes >= verify.success_threshold.max(1) {
        return over(Phase::Succeeded, Reason::Verified);
    }
    // That an alert still fires may have been found out before: only the deadline tells.
    if !standing.lasting && status.fresh.failures >= verify.failure_threshold.max(1) {
        return over(Phase::Failed, Reason::VerificationFailed);
    }
    if standing.check == CheckStatus::Gone {
        return over(Phase::Inconclusive, Reason::CheckNotFound);
    }
    if now >= deadline && standing.lasting {
        let (phase, reason) = lasting(record, standing);
        return over(phase, reason);
    }
    if now >= deadline {
        return match status.fresh.failures {
            0 => over(Phase::Inconclusive, Reason::NoFreshRun),
            _ => over(Phase::Failed, Reason::VerificationTimeout),
        };
    }
    if status.fresh != record.status.fresh {
        return Next::Status(status.clone());
    }
    Next::Wait {
        until: deadline,
        reason: Reason::Verifying,
    }
}

/// What holds at the deadline of what holds until something else is told. What was resolved before the target had
/// settled, but after it was written to, was resolved by that: it would have been told by now if it were not.
fn lasting(record: &Record, standing: &Standing<'_>) -> (Phase, Reason) {
    if standing.check == CheckStatus::Stale {
        return (Phase::Inconclusive, Reason::Stale);
    }
    let written = record.status.applied.unwrap_or(record.intent.time);
    match standing.runs.last() {
        Some(run) if run.verdict == Verdict::Passed && run.started >= Some(written) => {
            (Phase::Succeeded, Reason::Verified)
        }
        Some(run) if matches!(run.verdict, Verdict::Failed(_)) => {
            (Phase::Failed, Reason::VerificationTimeout)
        }
        _ => (Phase::Inconclusive, Reason::NoFreshRun),
    }
}

/// The count after these runs: only runs that are known to have started after `since` and are not counted yet.
fn counted(before: &Fresh, runs: &[Run], since: Time, timeouts: bool) -> Fresh {
    let done = before
        .last
        .as_ref()
        .and_then(|last| runs.iter().rposition(|run| run.id == *last))
        .map_or(0, |at| at + 1);
    let new = runs.get(done..).unwrap_or_default();
    let fresh = new.iter().filter(|run| run.started > Some(since));
    fresh.fold(before.clone(), |count, run| {
        let last = Some(run.id.clone());
        match run.verdict {
            Verdict::Passed => Fresh {
                passes: count.passes.saturating_add(1),
                failures: 0,
                last,
            },
            Verdict::Failed(class)
                if class == Class::Reported || class == Class::Timeout && timeouts =>
            {
                Fresh {
                    passes: 0,
                    failures: count.failures.saturating_add(1),
                    last,
                }
            }
            // A run that says nothing of the target neither counts nor resets.
            Verdict::Failed(_) | Verdict::Inconclusive => count,
        }
    })
}
