//! From runs to counters and incidents.

use super::depends::{earliest_start, grace};
use super::{
    CheckState, Class, Counters, Incident, Observation, PolicySpec, PolicyState, Run, RunId, Time,
    Timing, Verdict,
};

/// How many of a failure's errors are kept.
const ERRORS: usize = 10;
/// How many verdicts [`PolicyState::verdicts`] holds.
const VERDICTS: u16 = (1 << 10) - 1;
/// So many changes among them are called flapping.
const FLIPS: u32 = 4;

/// What a run says of the target, to this policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Passed,
    Failed,
    Nothing,
}

fn counts(spec: &PolicySpec, run: &Run) -> Counts {
    match run.verdict {
        Verdict::Passed => Counts::Passed,
        Verdict::Failed(Class::Reported) if spec.match_errors.matches(&run.errors) => {
            Counts::Failed
        }
        Verdict::Failed(Class::Timeout)
            if spec.count_timeouts && spec.match_errors.matches(&run.errors) =>
        {
            Counts::Failed
        }
        Verdict::Failed(_) | Verdict::Inconclusive => Counts::Nothing,
    }
}

/// Counts what was observed. `state.check` is what [`observe`](super::observe::observe) returned with `seen`.
///
/// A failure counts only half an interval after the last one that counted, so that a check that is started again and
/// again is not taken for one that keeps failing. Runs that say nothing of the target neither count nor reset.
pub fn advance(
    mut state: PolicyState,
    spec: &PolicySpec,
    timing: Timing,
    seen: &[Observation],
    now: Time,
) -> PolicyState {
    for observation in seen {
        match observation {
            Observation::New(run) => {
                // Another object of the same name is another check: its failures are its own.
                if state
                    .last_counted
                    .as_ref()
                    .is_some_and(|(last, _)| object(last) != object(&run.id))
                {
                    state.failures = 0;
                    state.first_failure = None;
                    state.last_counted = None;
                }
                state.before_last = Some(Box::new(counters(&state)));
                apply(&mut state, spec, timing, run);
            }
            Observation::Amended(run) => {
                let incident = state.incident.take();
                let known = incident.clone();
                if let Some(before) = &state.before_last {
                    let before = Counters::clone(before);
                    restore(&mut state, before);
                }
                keep_decisions(&mut state.incident, incident.as_ref());
                apply(&mut state, spec, timing, run);
                // The run that opened it does not count any more. Something may have been done because of it, so the
                // incident is over, not undone: the next failure continues it.
                state.incident = state.incident.take().or_else(|| {
                    incident.map(|incident| Incident {
                        recovered: incident.recovered.or(Some(run.finished)),
                        ..incident
                    })
                });
                if let (Some(incident), Some(known)) = (&mut state.incident, known)
                    && (&incident.id, incident.joined) == (&known.id, known.joined)
                {
                    incident.reached |= known.reached;
                }
            }
        }
    }
    if state.incident.as_ref().is_some_and(|incident| {
        incident
            .recovered
            .is_some_and(|recovered| now.since(recovered) > i64::from(spec.retry.min_healthy))
    }) {
        state.incident = None;
    }
    reach(&mut state, spec, now);
    let open = state.incident.as_ref();
    if !spec.infer_dependencies || open.is_none_or(|incident| incident.recovered.is_some()) {
        state.upstreams.clear();
    }
    state
}

/// Takes note that the check has failed often and long enough. That stays until the check has recovered: who is told of
/// the incident hears of one beginning and one end.
fn reach(state: &mut PolicyState, spec: &PolicySpec, now: Time) {
    let often = state.failures >= spec.failure_threshold;
    let first = state.first_failure.filter(|_| often);
    let long = first.is_some_and(|first| now >= first.plus(spec.failure_seconds));
    if let Some(incident) = &mut state.incident {
        incident.reached |= incident.recovered.is_none() && long;
    }
}

/// The part of a run's name that stands for the check's object.
fn object(id: &RunId) -> Option<&str> {
    id.0.split('/').next()
}

fn apply(state: &mut PolicyState, spec: &PolicySpec, timing: Timing, run: &Run) {
    match counts(spec, run) {
        Counts::Nothing => {}
        Counts::Passed => {
            state.failures = 0;
            state.first_failure = None;
            state.last_counted = None;
            state.successes = state.successes.saturating_add(1);
            state.verdicts = state.verdicts << 1 & VERDICTS;
            state.healthy_since.get_or_insert(run.finished);
            if let Some(incident) = &mut state.incident
                && incident.recovered.is_none()
                && state.successes >= spec.success_threshold
            {
                incident.recovered = Some(run.finished);
            }
        }
        Counts::Failed => {
            let too_soon = state.last_counted.as_ref().is_some_and(|(_, last)| {
                run.finished.since(*last) * 2 < i64::from(timing.interval)
            });
            if too_soon {
                return;
            }
            state.successes = 0;
            state.last_counted = Some((run.id.clone(), run.finished));
            state.verdicts = (state.verdicts << 1 | 1) & VERDICTS;
            state.healthy_since = None;
            fail(&mut state.incident, spec, &state.check, run);
            let started = earliest_start(run.started, run.finished, timing);
            let until = state
                .incident
                .as_ref()
                .and_then(|incident| grace(spec, incident));
            if until.is_none_or(|until| started >= until) {
                state.failures = state.failures.saturating_add(1);
                state.first_failure.get_or_insert(run.finished);
            }
        }
    }
}

/// Opens, continues or joins an incident.
fn fail(incident: &mut Option<Incident>, spec: &PolicySpec, check: &CheckState, run: &Run) {
    let errors: Vec<String> = run.errors.iter().take(ERRORS).cloned().collect();
    if let Some(open) = incident {
        let joins = open.recovered.is_none_or(|recovered| {
            run.finished.since(recovered) <= i64::from(spec.retry.min_healthy)
        });
        if joins {
            if open.recovered.take().is_some() {
                open.joined = open.joined.saturating_add(1);
                open.reached = false;
            }
            open.failing_run = run.id.clone();
            open.failing_started = run.started;
            open.errors = errors;
            return;
        }
    }
    *incident = Some(Incident {
        id: incident_id(&spec.uid, &check.uid, &run.id),
        opened: run.finished,
        first_run: run.id.clone(),
        failing_run: run.id.clone(),
        failing_started: run.started,
        errors,
        recovered: None,
        exhausted: false,
        joined: 0,
        upstream_recovered: None,
        reached: false,
    });
}

fn counters(state: &PolicyState) -> Counters {
    Counters {
        failures: state.failures,
        successes: state.successes,
        first_failure: state.first_failure,
        last_counted: state.last_counted.clone(),
        verdicts: state.verdicts,
        incident: state.incident.clone(),
        healthy_since: state.healthy_since,
    }
}

fn restore(state: &mut PolicyState, before: Counters) {
    let Counters {
        failures,
        successes,
        first_failure,
        last_counted,
        verdicts,
        incident,
        healthy_since,
    } = before;
    state.failures = failures;
    state.successes = successes;
    state.first_failure = first_failure;
    state.last_counted = last_counted;
    state.verdicts = verdicts;
    state.incident = incident;
    state.healthy_since = healthy_since;
}

/// What was decided since the run is not undone with it.
fn keep_decisions(restored: &mut Option<Incident>, current: Option<&Incident>) {
    if let (Some(restored), Some(current)) = (restored, current)
        && restored.id == current.id
    {
        restored.exhausted |= current.exhausted;
        restored.upstream_recovered = restored.upstream_recovered.max(current.upstream_recovered);
    }
}

/// Whether the check goes up and down: four changes in ten verdicts.
pub fn flapping(verdicts: u16) -> bool {
    let verdicts = verdicts & VERDICTS;
    ((verdicts ^ verdicts >> 1) & VERDICTS >> 1).count_ones() >= FLIPS
}

/// The name of an incident, the same whoever derives it: 10 hexadecimal digits.
pub fn incident_id(policy_uid: &str, check_uid: &str, first: &RunId) -> String {
    let parts = [policy_uid, check_uid, &first.0];
    let hash = fnv(parts.iter().flat_map(|part| part.bytes().chain([0])));
    let mut id = format!("{hash:016x}");
    id.truncate(10);
    id
}

/// FNV-1a, 64 bits: the same in every version and on every machine, which std's hashers do not promise.
pub(crate) fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
