//! The health of a workload, as its policies have written it down. It is told from the cache, by any replica.
//!
//! A probe may restart what is told to be unhealthy, at once and with no limit. So whatever holds the remediator back for
//! a reason beyond the workload holds this back too, and what is not known is not unhealthy.

use super::conditions::why_not;
use super::desk::Desk;
use super::lock;
use super::objects::{Objects, Policy};
use super::status::ALLOWED;
use super::world::{View, around, inherited};
use crate::clock;
use crate::core::{
    CheckKey, CheckStatus, Class, Limits, PolicySpec, PolicyState, Reason, Run, StormState,
    TargetKind, Time, Verdict, held_beyond,
};
use crate::crd::{RemediationPolicyStatus, state_view};

/// The health of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadHealth {
    /// No policy with this target has an open incident.
    Healthy,
    /// No policy with this target tells.
    Unknown,
    /// One has, and nothing is to be done because of it, for this reason.
    Held(Reason),
    /// One has.
    Unhealthy {
        /// The policy.
        policy: String,
        /// Since when.
        since: Time,
    },
}

impl Desk {
    /// How this workload is.
    pub fn health(&self, namespace: &str, kind: TargetKind, name: &str) -> WorkloadHealth {
        if !self.shared.complete() {
            return WorkloadHealth::Unknown;
        }
        let (limits, now) = (self.shared.limits, clock::now());
        // Before the objects, as who leads does.
        let mut storm = lock(&self.shared.storm);
        self.shared.objects(|objects| {
            let policies: Vec<_> = objects
                .policies
                .with_target(&(namespace.into(), kind, name.into()))
                .cloned()
                .collect();
            let told: Vec<WorkloadHealth> = policies
                .iter()
                .map(|policy| told(objects, policy, limits, &mut storm, now))
                .collect();
            worst(told)
        })
    }
}

fn worst(told: Vec<WorkloadHealth>) -> WorkloadHealth {
    let place = |health: &WorkloadHealth| match health {
        WorkloadHealth::Unknown => 0,
        WorkloadHealth::Healthy => 1,
        WorkloadHealth::Held(_) => 2,
        WorkloadHealth::Unhealthy { .. } => 3,
    };
    let worst = told.into_iter().max_by_key(place);
    worst.unwrap_or(WorkloadHealth::Unknown)
}

fn told(
    objects: &mut Objects,
    policy: &Policy,
    limits: Limits,
    storm: &mut StormState,
    now: Time,
) -> WorkloadHealth {
    let (Ok(spec), Some(status)) = (&policy.spec, &policy.object.status) else {
        return WorkloadHealth::Unknown;
    };
    let Some((check, last)) = last_run(objects, spec, status, now) else {
        return WorkloadHealth::Unknown;
    };
    let state = state_view(&policy.object);
    let Some(since) = failing_since(&state, spec, now) else {
        return WorkloadHealth::Healthy;
    };
    // The status is as old as its last write.
    if last.verdict == Verdict::Passed {
        return WorkloadHealth::Healthy;
    }
    if !counts(spec, &last) {
        return WorkloadHealth::Unknown;
    }
    match held(objects, policy, &check, &state, limits, storm, now) {
        Some(reason) => WorkloadHealth::Held(reason),
        None => WorkloadHealth::Unhealthy {
            policy: spec.key.name.to_string(),
            since,
        },
    }
}

/// Whether the target has failed by this run, and not whoever has run it.
fn counts(spec: &PolicySpec, run: &Run) -> bool {
    let class = match run.verdict {
        Verdict::Failed(Class::Reported) => true,
        Verdict::Failed(Class::Timeout) => spec.count_timeouts,
        Verdict::Failed(Class::Infrastructure) | Verdict::Inconclusive | Verdict::Passed => false,
    };
    class && spec.match_errors.matches(&run.errors)
}

/// Why the remediator would not act for the policy, for a reason beyond the workload.
fn held(
    objects: &mut Objects,
    policy: &Policy,
    check: &CheckKey,
    state: &PolicyState,
    limits: Limits,
    storm: &mut StormState,
    now: Time,
) -> Option<Reason> {
    let (spec, status) = (policy.spec.as_ref().ok()?, policy.object.status.as_ref()?);
    // Who leads knows more than this replica may.
    if let Some(reason @ (Reason::StormActive | Reason::StormCooldown | Reason::SourceStale)) =
        why_not(&status.conditions, ALLOWED)
    {
        return Some(reason);
    }
    let view = View {
        spec,
        check: Some(check),
        inferred: &state.upstreams,
        limits,
        exactly: false,
        now,
    };
    let around = around(objects, &view, storm);
    let mut world = around.world();
    if world.storm == StormState::Calm {
        world.storm = inherited(objects, &limits, now);
    }
    held_beyond(now, spec, state, &world)
}

/// The last run of a check that can be relied on and that the status is about.
fn last_run(
    objects: &Objects,
    spec: &PolicySpec,
    status: &RemediationPolicyStatus,
    now: Time,
) -> Option<(CheckKey, Run)> {
    let meant = objects.meant(spec.source, &spec.check);
    let [key] = meant.as_slice() else {
        return None;
    };
    let check = objects.checks.read(key)?;
    let relied_on = matches!(
        check.status(now),
        CheckStatus::Settled | CheckStatus::Running
    );
    let known = status.check.as_ref()?;
    let same = known.uid == check.snapshot.uid && known.last.is_some();
    let last = check.runs.back().filter(|_| relied_on && same)?;
    Some((key.clone(), last.clone()))
}

/// Since when the policy's check has been failing, if that is so often and so long that it would act.
fn failing_since(state: &PolicyState, spec: &PolicySpec, now: Time) -> Option<Time> {
    let open = state.incident.as_ref();
    let open = open.filter(|open| open.recovered.is_none())?;
    let first = state.first_failure?;
    let long_enough = now >= first.plus(spec.failure_seconds);
    (state.failures >= spec.failure_threshold && long_enough).then_some(open.opened)
}

#[cfg(test)]
mod tests;
