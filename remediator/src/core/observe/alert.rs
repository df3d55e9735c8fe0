//! Alerts: what was received for a policy is one check, which fails while one of them fires and passes once none does.

use super::super::alerts::{Alert, Alerts, SAME};
use super::super::{CheckState, CheckStatus, Class, Observation, Run, Time, Verdict};
use super::{run_id, tell};

/// How many errors a run tells.
const ERRORS: usize = 10;

pub(super) fn observe(
    state: &mut CheckState,
    alerts: &Alerts,
    now: Time,
    told: &mut Vec<Observation>,
) {
    let (silent, firing) = firing(alerts, now);
    let run = match firing.iter().map(|alert| alert.received).max() {
        Some(received) => failing(state, &firing, received, now),
        // Of one that nobody repeats it is not known whether it is over.
        None if silent => None,
        None => passing(state, &alerts.episodes, now),
    };
    let Some(run) = run else {
        return;
    };
    let news = match &state.last {
        None => true,
        Some((id, _, _)) if *id == run.id => false,
        Some((_, last, finished)) => match (last, run.verdict) {
            // When the newest of several is resolved, those that remain tell nothing new. Two that come by themselves at
            // about the same time are one run.
            (Verdict::Failed(_), Verdict::Failed(_)) => {
                run.finished.since(*finished) >= i64::from(SAME)
            }
            (Verdict::Passed, Verdict::Passed) => run.finished >= *finished,
            _ => true,
        },
    };
    if news {
        state.last_activity = Some(run.finished);
        tell(state, run, told);
    }
}

/// Whether any fires that is not repeated, and those that fire and are.
fn firing(alerts: &Alerts, now: Time) -> (bool, Vec<&Alert>) {
    let firing = alerts.episodes.iter().filter(|one| one.fires());
    let (silent, firing): (Vec<&Alert>, Vec<&Alert>) =
        firing.partition(|one| one.stale(alerts.stale, now));
    (!silent.is_empty(), firing)
}

/// The run that the last delivery told.
fn failing(state: &CheckState, firing: &[&Alert], received: Time, now: Time) -> Option<Run> {
    let last = || firing.iter().filter(|alert| alert.received == received);
    // One that is repeated fires since long ago, and that it fires was found out since it was told before.
    let begun = |alert: &&Alert| match alert.count {
        0 | 1 => alert.starts.min(received),
        _ => received,
    };
    let started = last().copied().map(|alert| begun(&alert)).max()?;
    let name = &last().next()?.fingerprint;
    let newest_first = last().chain(firing.iter().filter(|alert| alert.received < received));
    Some(Run {
        id: run_id(state, &format!("{name}@{}", received.unix())),
        started: Some(started),
        finished: received.min(now),
        verdict: Verdict::Failed(Class::Reported),
        errors: newest_first
            .take(ERRORS)
            .map(|alert| alert.summary.clone())
            .collect(),
    })
}

/// The run that says that all are resolved; none if none was ever told.
fn passing(state: &CheckState, resolved: &[Alert], now: Time) -> Option<Run> {
    let last = resolved
        .iter()
        .max_by_key(|alert| (alert.ends, alert.received))?;
    let received = resolved.iter().map(|alert| alert.received).max()?.min(now);
    let ends = last.ends?.min(last.received).min(now);
    Some(Run {
        id: run_id(state, &format!("{}-{}", last.fingerprint, ends.unix())),
        started: Some(ends),
        finished: received,
        verdict: Verdict::Passed,
        errors: Vec::new(),
    })
}

/// How far what was received can be relied on.
pub(super) fn status(state: &CheckState, alerts: &Alerts, now: Time) -> CheckStatus {
    if state.uid.is_empty() {
        return CheckStatus::Gone;
    }
    match firing(alerts, now) {
        (true, fresh) if fresh.is_empty() => CheckStatus::Stale,
        _ if state.last.is_none() => CheckStatus::NeverRun,
        _ => CheckStatus::Settled,
    }
}
