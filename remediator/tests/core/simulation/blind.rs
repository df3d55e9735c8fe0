//! A remediator that does not see one thing: what each promise rests on.

use remediator::core::learning::step_name;
use remediator::core::{CheckStatus, Decision};
use remediator::core::{
    Class, Facts, KnownFailure, KnownStep, PolicySpec, PolicyState, Record, Run, StormState, Time,
    Verdict, World, decide, pattern,
};

use super::promises::Promise;

/// What it does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    Nothing,
    Silence,
    LastRun,
    Threshold,
    Duration,
    UsedRuns,
    LastAction,
    Unfinished,
    Pause,
    Storm,
    InFlight,
    PerHour,
    Cooldown,
    Tries,
    Upstream,
    Flapping,
    Turn,
    Preconditions,
    NotWanted,
    Starts,
    Evidence,
}

/// Each with the promises that it breaks.
pub(super) const BLIND: &[(Blind, &[Promise])] = &[
    (Blind::Silence, &[Promise::NotSilent]),
    (Blind::LastRun, &[Promise::LastFailed]),
    (Blind::Threshold, &[Promise::Threshold]),
    (Blind::Duration, &[Promise::Duration]),
    (Blind::UsedRuns, &[Promise::OwnRun]),
    (Blind::LastAction, &[Promise::StartedAfter]),
    (Blind::Unfinished, &[Promise::OneAtATime]),
    (Blind::Pause, &[Promise::Unpaused]),
    (Blind::Storm, &[Promise::NoStorm]),
    (Blind::InFlight, &[Promise::InFlight]),
    (Blind::PerHour, &[Promise::PerHour]),
    (Blind::Cooldown, &[Promise::Cooldown]),
    (Blind::Tries, &[Promise::Tries]),
    (Blind::Upstream, &[Promise::Upstream]),
    (Blind::Flapping, &[Promise::NotFlapping]),
    (Blind::Turn, &[Promise::EffectsAtOnce]),
    (Blind::Preconditions, &[Promise::EffectOnce]),
    (Blind::NotWanted, &[Promise::EffectWanted]),
    (Blind::Starts, &[Promise::SucceededFairly]),
    (Blind::Evidence, &[Promise::Evidence]),
];

/// Decides without what it is blind to.
pub(super) fn decision(
    blind: Blind,
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    world: &World<'_>,
    facts: Option<&Facts>,
) -> Decision {
    if blind == Blind::Nothing {
        return decide(now, spec, state, world, facts);
    }
    let (mut spec, mut state, mut world) = (spec.clone(), state.clone(), world.clone());
    let mut records = world.records.to_vec();
    match blind {
        Blind::Silence => {
            world.check_status = match world.check_status {
                CheckStatus::Stale => CheckStatus::Settled,
                other => other,
            };
            world.stale = 0;
        }
        Blind::LastRun => {
            let failing = state.incident.as_ref().map(|open| open.failing_run.clone());
            if let (Some(last), Some(failing)) = (&mut state.check.last, failing) {
                (last.0, last.1) = (failing, Verdict::Failed(Class::Reported));
            }
        }
        Blind::Threshold if state.failures > 0 => state.failures = u32::MAX,
        Blind::Duration => spec.failure_seconds = 0,
        Blind::UsedRuns => each(&mut records, |record| record.intent.run.0.clear()),
        Blind::LastAction => each(&mut records, |record| {
            record.status.rolled_out = Some(Time::from_unix(0));
        }),
        Blind::Unfinished => records.retain(Record::finished),
        Blind::Pause => spec.pause = None,
        Blind::Storm => world.storm = StormState::Calm,
        Blind::InFlight => world.in_flight = 0,
        Blind::PerHour => world.last_hour = 0,
        Blind::Cooldown => spec.retry.cooldown = 0,
        Blind::Tries => {
            spec.retry.max_retry = u32::MAX;
            if let Some(incident) = &mut state.incident {
                incident.exhausted = false;
            }
        }
        Blind::Upstream => {
            world.upstreams = &[];
            if let Some(incident) = &mut state.incident {
                incident.upstream_recovered = None;
            }
        }
        Blind::Flapping => state.verdicts = 0,
        Blind::Evidence => made_up(&spec, &mut state),
        Blind::Threshold
        | Blind::Nothing
        | Blind::Turn
        | Blind::Preconditions
        | Blind::NotWanted
        | Blind::Starts => {}
    }
    world.records = &records;
    decide(now, &spec, &state, &world, facts)
}

/// Outcomes that nobody has seen: the harshest step has always helped, no other ever has.
fn made_up(spec: &PolicySpec, state: &mut PolicyState) {
    let Some(incident) = &state.incident else {
        return;
    };
    let harshest = spec.steps.len().saturating_sub(1);
    let steps = spec.steps.iter().enumerate();
    let steps = steps.map(|(index, step)| KnownStep {
        step: step_name(&step.action),
        outcomes: vec![index == harshest; 10],
    });
    state.statistics.learned.failures = vec![KnownFailure {
        pattern: pattern(&incident.errors),
        last: incident.opened,
        steps: steps.collect(),
    }];
}

fn each(records: &mut [Record], change: impl Fn(&mut Record)) {
    for record in records {
        change(record);
    }
}

/// The runs, as one sees them who takes every run for one that has just started.
pub(super) fn runs(blind: Blind, runs: &[Run]) -> Vec<Run> {
    let mut runs = runs.to_vec();
    if blind == Blind::Starts {
        for run in &mut runs {
            run.started = Some(Time::from_unix(i64::MAX));
        }
    }
    runs
}
