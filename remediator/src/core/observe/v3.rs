//! HealthCheck: a run is over when one of its two counters has grown.

use super::super::{CheckState, Class, Observation, Run, Seen, Time, V3, Verdict};
use super::{classify, errors_hash, remember, run_id, tell};

pub(super) fn observe(state: &mut CheckState, body: &V3, now: Time, told: &mut Vec<Observation>) {
    let before = state.seen.take();
    let counts = (body.successes, body.failures);
    let result = counts != (0, 0)
        && before
            .as_ref()
            .is_none_or(|seen| (seen.successes, seen.failures) != counts);
    if result {
        let verdict = verdict(before.as_ref(), body);
        let written = if body.ok {
            body.last_ok
        } else {
            body.last_failure
        };
        let finished = written.or(body.last_run).unwrap_or(now);
        let run = Run {
            id: run_id(state, &format!("{}+{}", body.failures, body.successes)),
            started: body
                .last_run
                .filter(|started| *started <= finished && start_is_this_runs(body, verdict)),
            finished: finished.min(now),
            verdict,
            errors: if verdict == Verdict::Passed {
                Vec::new()
            } else {
                body.errors.clone()
            },
        };
        tell(state, run, told);
    }
    state.started = match (body.uuid.is_empty(), state.started.take()) {
        (true, _) => None,
        (false, Some((uuid, time))) if uuid == body.uuid => Some((uuid, time)),
        (false, _) => Some((body.uuid.clone(), now)),
    };
    state.last_activity = [body.last_run, body.last_ok, body.last_failure]
        .into_iter()
        .flatten()
        .max();
    let seen = Seen {
        last_run: body.last_run,
        uuid: body.uuid.clone(),
        ok: body.ok,
        errors_hash: errors_hash(&body.errors),
        successes: body.successes,
        failures: body.failures,
    };
    remember(state, seen);
}

/// The latest verdict. Of several runs since the last snapshot only the latest is known.
fn verdict(before: Option<&Seen>, body: &V3) -> Verdict {
    let one_more = before.is_some_and(|seen| {
        (seen.successes.wrapping_add(seen.failures)).wrapping_add(1)
            == body.successes.wrapping_add(body.failures)
    });
    let passed_counted = before.is_some_and(|seen| seen.successes < body.successes);
    if one_more && passed_counted != body.ok {
        return Verdict::Inconclusive;
    }
    match (body.ok, body.errors.is_empty()) {
        (true, _) => Verdict::Passed,
        (false, false) => Verdict::Failed(classify::v3(&body.errors)),
        (false, true) => Verdict::Inconclusive,
    }
}

/// `lastRunUnix` may be the next run's already; a time-out is the only result that is written before the uuid goes.
fn start_is_this_runs(body: &V3, verdict: Verdict) -> bool {
    let timed_out = verdict == Verdict::Failed(Class::Timeout);
    body.uuid.is_empty() || timed_out && body.errors.iter().any(|error| error.contains(&body.uuid))
}
