//! What is promised of every action, judged by what really happened, which only the simulation knows.

use std::fmt;

use remediator::core::{
    Action, Intent, Limits, Mode, Phase, PolicySpec, PolicyState, RunId, Selection, Strategy, Time,
    Touched,
};

use super::check::{INTERVAL, RealRun, TIMEOUT, Truth};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    NotSilent,
    LastFailed,
    Threshold,
    Duration,
    OwnRun,
    StartedAfter,
    OneAtATime,
    Unpaused,
    NoStorm,
    InFlight,
    PerHour,
    Cooldown,
    Tries,
    NeverGentler,
    Evidence,
    Upstream,
    NotFlapping,
    EffectOnce,
    EffectsAtOnce,
    EffectWanted,
    EffectPermitted,
    SucceededFairly,
    CountedOnce,
    Ends,
}

/// A promise that was not kept.
pub(super) struct Broken {
    pub(super) promise: Promise,
    what: String,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}

pub(super) type Kept = Result<(), Broken>;

pub(super) fn promise(promise: Promise, kept: bool, what: impl FnOnce() -> String) -> Kept {
    if kept {
        return Ok(());
    }
    Err(Broken {
        promise,
        what: what(),
    })
}

/// What became of a record, by what was done to the workload.
pub(super) struct Entry {
    pub(super) policy: usize,
    pub(super) incident: String,
    pub(super) attempt: u32,
    step: u32,
    action: Action,
    mode: Mode,
    run: RunId,
    created: Time,
    most: usize,
    pub(super) effects: Vec<Time>,
    pub(super) ended: Option<(Time, Phase)>,
}

impl Entry {
    pub(super) fn new(policy: usize, intent: &Intent) -> Entry {
        Entry {
            policy,
            incident: intent.incident.id.clone(),
            attempt: intent.attempt,
            step: intent.step,
            action: intent.action.clone(),
            mode: intent.mode,
            run: intent.run.clone(),
            created: intent.time,
            most: intent.pods.len().max(1),
            effects: Vec::new(),
            ended: None,
        }
    }

    fn affects(&self) -> bool {
        !self.effects.is_empty() && self.ended.is_none()
    }
}

/// An upstream check as it really is.
pub(super) struct Above {
    /// The last two runs seen, the newest last.
    pub(super) runs: [Option<RealRun>; 2],
    pub(super) recovered: Option<Time>,
}

/// All that matters to one decision to act.
pub(super) struct Scene<'a> {
    pub(super) now: Time,
    pub(super) policy: usize,
    pub(super) spec: &'a PolicySpec,
    pub(super) state: &'a PolicyState,
    pub(super) intent: &'a Intent,
    pub(super) written: Option<Time>,
    pub(super) seen: &'a [RealRun],
    pub(super) ledger: &'a [Entry],
    pub(super) limits: Limits,
    /// Checks that fail, and all.
    pub(super) failing: (u32, u32),
    pub(super) above: Option<Above>,
}

/// Whether it is right to act.
pub(super) fn decided(scene: &Scene<'_>) -> Kept {
    check(scene)?;
    history(scene)?;
    limits(scene)
}

fn check(scene: &Scene<'_>) -> Kept {
    let Scene {
        now, spec, state, ..
    } = *scene;
    let silent = scene.written.map(|written| now.since(written));
    let most = i64::from(2 * INTERVAL + TIMEOUT + 120);
    promise(
        Promise::NotSilent,
        silent.is_some_and(|silent| silent <= most),
        || format!("the check is silent for {silent:?} s"),
    )?;
    let counts = |run: &RealRun| {
        run.truth == Truth::Failed || run.truth == Truth::Timeout && spec.count_timeouts
    };
    let last = scene.seen.last();
    promise(Promise::LastFailed, last.is_some_and(counts), || {
        format!("the last run is {last:?}")
    })?;
    let failures = scene
        .seen
        .iter()
        .rev()
        .take_while(|run| run.truth != Truth::Passed)
        .filter(|run| matches!(run.truth, Truth::Failed | Truth::Timeout));
    let (mut count, mut first) = (0, now);
    for run in failures {
        (count, first) = (count + 1, run.finished);
    }
    promise(Promise::Threshold, count >= spec.failure_threshold, || {
        format!("{count} failures in a row: {:?}", scene.seen)
    })?;
    promise(
        Promise::Duration,
        now.since(first) >= i64::from(spec.failure_seconds),
        || format!("failing since {first} only"),
    )?;
    let flips = ((state.verdicts ^ state.verdicts >> 1) & 0x1ff).count_ones();
    promise(Promise::NotFlapping, flips < 4, || {
        format!("{:010b}", state.verdicts)
    })?;
    let Some(above) = &scene.above else {
        return Ok(());
    };
    // A result that may still change is not looked at yet.
    let fresh = above.runs[1].is_some_and(|run| now.since(run.finished) <= 20);
    let passed = |run: &Option<RealRun>| run.is_some_and(|run| run.truth == Truth::Passed);
    let passes = passed(&above.runs[1]) || fresh && passed(&above.runs[0]);
    promise(Promise::Upstream, passes, || {
        format!("the upstream check's runs are {:?}", above.runs)
    })?;
    let grace = above
        .recovered
        .map(|recovered| recovered.plus(spec.dependency_grace));
    let started = last.map(|run| run.started);
    promise(Promise::Upstream, started >= grace, || {
        format!("failed in a run of {started:?}, in grace until {grace:?}")
    })
}

fn history(scene: &Scene<'_>) -> Kept {
    let Scene {
        now,
        spec,
        intent,
        ledger,
        ..
    } = *scene;
    let own = || ledger.iter().filter(|entry| entry.policy == scene.policy);
    promise(
        Promise::OneAtATime,
        own().all(|entry| entry.ended.is_some()),
        || "another remediation is not finished".to_owned(),
    )?;
    promise(
        Promise::OwnRun,
        own().all(|entry| entry.run != intent.run),
        || format!("{:?} has been acted on", intent.run),
    )?;
    let started = scene.seen.last().map(|run| run.started);
    let last = own().flat_map(|entry| &entry.effects).max();
    promise(
        Promise::StartedAfter,
        last.is_none_or(|last| started > Some(*last)),
        || format!("the run of {started:?} began before {last:?}"),
    )?;
    let ended = own()
        .filter(|entry| entry.mode != Mode::DryRun)
        .filter_map(|entry| entry.ended)
        .map(|(ended, _)| ended)
        .max();
    promise(
        Promise::Cooldown,
        ended.is_none_or(|ended| now.since(ended) >= i64::from(spec.retry.cooldown)),
        || format!("the last ended at {ended:?}"),
    )?;
    let tried =
        || own().filter(|entry| entry.incident == intent.incident.id && !entry.effects.is_empty());
    let tries = tried().filter(|entry| entry.step == intent.step).count();
    promise(
        Promise::Tries,
        tries <= spec.retry.max_retry as usize,
        || format!("step {} was tried {tries} times", intent.step),
    )?;
    let ordered = spec.strategy == Strategy::Ordered;
    promise(
        Promise::NeverGentler,
        !ordered || tried().all(|entry| entry.step <= intent.step),
        || format!("step {} after a harsher one", intent.step),
    )?;
    // A gentler one that nobody has recorded in this incident, and that needs no pod to be named, has tries left.
    let recorded =
        |step: u32| own().any(|entry| entry.incident == intent.incident.id && entry.step == step);
    let early = (0..intent.step).zip(&spec.steps).any(|(index, step)| {
        let named = Selection::Reported;
        let left_out = matches!(step.action, Action::RestartPods { pods, .. } if pods == named);
        !left_out && !recorded(index)
    });
    let outcomes = own().filter(|entry| {
        let ended = entry.ended.map(|(_, phase)| phase);
        entry.action == intent.action && matches!(ended, Some(Phase::Succeeded | Phase::Failed))
    });
    promise(
        Promise::Evidence,
        ordered || !early || outcomes.count() >= 3,
        || {
            format!(
                "step {} before a gentler one, without evidence",
                intent.step
            )
        },
    )
}

fn limits(scene: &Scene<'_>) -> Kept {
    let Scene {
        now, limits, spec, ..
    } = *scene;
    promise(Promise::Unpaused, spec.pause.is_none(), String::new)?;
    let (failing, all) = scene.failing;
    let storm = failing >= limits.storm_minimum && failing * 100 > all * limits.storm_percent;
    promise(Promise::NoStorm, !storm, || {
        format!("{failing} of {all} checks fail")
    })?;
    let acting = scene.ledger.iter().filter(|entry| entry.affects()).count();
    promise(
        Promise::InFlight,
        acting < limits.in_flight as usize,
        || format!("{acting} are in flight"),
    )?;
    let begun = scene
        .ledger
        .iter()
        .filter(|entry| now.since(entry.created) < 3600 && !entry.effects.is_empty())
        .count();
    promise(Promise::PerHour, begun < limits.per_hour as usize, || {
        format!("{begun} in the last hour")
    })
}

/// Whether a write to a workload is right, once it has taken effect.
pub(super) fn affected(
    ledger: &[Entry],
    which: usize,
    limits: Limits,
    (approved, spec, state): (bool, &PolicySpec, &PolicyState),
) -> Kept {
    let entry = &ledger[which];
    promise(
        Promise::EffectOnce,
        entry.effects.len() <= entry.most,
        || format!("{} effects of one record", entry.effects.len()),
    )?;
    promise(
        Promise::EffectPermitted,
        entry.mode == Mode::Enforce || entry.mode == Mode::Manual && approved,
        || format!("in mode {:?}", entry.mode),
    )?;
    let acting = ledger.iter().filter(|entry| entry.affects()).count();
    promise(
        Promise::EffectsAtOnce,
        acting <= limits.in_flight as usize,
        || format!("{acting} in flight"),
    )?;
    let open = state
        .incident
        .as_ref()
        .is_some_and(|incident| incident.recovered.is_none());
    promise(Promise::EffectWanted, open && spec.pause.is_none(), || {
        format!("{:?}, {:?}", state.incident, spec.pause)
    })
}

/// Whether an outcome is what was seen: a success needs a pass in a run that started after the last effect.
pub(super) fn ended(entry: &Entry, phase: Phase, touched: Touched, runs: &[RealRun]) -> Kept {
    if phase != Phase::Succeeded || touched != Touched::Yes {
        return Ok(());
    }
    let Some(last) = entry.effects.iter().max() else {
        return promise(Promise::SucceededFairly, false, || {
            "nothing was done".to_owned()
        });
    };
    let fair = runs
        .iter()
        .any(|run| run.truth == Truth::Passed && run.started > *last);
    promise(Promise::SucceededFairly, fair, || {
        format!("after {last}: {runs:?}")
    })
}
