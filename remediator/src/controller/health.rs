//! The health of a workload, as its policies have written it down. It is told from the cache, by any replica.
//!
//! A probe may restart what is told to be unhealthy, at once and with no limit. So whatever holds the remediator back for
//! a reason beyond the workload holds this back too, and what is not known is not unhealthy.

use super::conditions::why_not;
use super::desk::Desk;
use super::objects::{Objects, Policy};
use super::status::ALLOWED;
use crate::clock;
use crate::core::limits::too_many;
use crate::core::{CheckStatus, Limits, PolicySpec, Reason, TargetKind, Time, Verdict};
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
        self.shared.objects(|objects| {
            let policies: Vec<_> = objects
                .policies
                .with_target(&(namespace.into(), kind, name.into()))
                .cloned()
                .collect();
            let told: Vec<WorkloadHealth> = policies
                .iter()
                .map(|policy| told(objects, policy, &limits, now))
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

fn told(objects: &mut Objects, policy: &Policy, limits: &Limits, now: Time) -> WorkloadHealth {
    let (Ok(spec), Some(status)) = (&policy.spec, &policy.object.status) else {
        return WorkloadHealth::Unknown;
    };
    let Some(last) = last_run(objects, spec, status, now) else {
        return WorkloadHealth::Unknown;
    };
    let Some(since) = failing_since(policy, spec, now) else {
        return WorkloadHealth::Healthy;
    };
    // The status is as old as its last write.
    if last == Verdict::Passed {
        return WorkloadHealth::Healthy;
    }
    let counts = objects.counts(now, false);
    let storm = too_many(counts.failing, counts.mapped, limits);
    let why = why_not(&status.conditions, ALLOWED);
    let held = match why {
        Some(reason @ (Reason::StormActive | Reason::StormCooldown | Reason::SourceStale)) => {
            Some(reason)
        }
        _ if limits.paused => Some(Reason::GloballyPaused),
        _ if spec.pause.is_some() => Some(Reason::Paused),
        _ if storm => Some(Reason::StormActive),
        _ => None,
    };
    match held {
        Some(reason) => WorkloadHealth::Held(reason),
        None => WorkloadHealth::Unhealthy {
            policy: spec.key.name.to_string(),
            since,
        },
    }
}

/// How the last run ended of a check that can be relied on and that the status is about.
fn last_run(
    objects: &Objects,
    spec: &PolicySpec,
    status: &RemediationPolicyStatus,
    now: Time,
) -> Option<Verdict> {
    let meant = objects.meant(spec.source, &spec.check);
    let [check] = meant.as_slice() else {
        return None;
    };
    let check = objects.checks.read(check)?;
    let relied_on = matches!(
        check.status(now),
        CheckStatus::Settled | CheckStatus::Running
    );
    let known = status.check.as_ref()?;
    let same = known.uid == check.snapshot.uid && known.last.is_some();
    let last = check.runs.back().map(|run| run.verdict);
    last.filter(|_| relied_on && same)
}

/// Since when the policy's check has been failing, if that is so often and so long that it would act.
fn failing_since(policy: &Policy, spec: &PolicySpec, now: Time) -> Option<Time> {
    let state = state_view(&policy.object);
    let open = state.incident.filter(|open| open.recovered.is_none())?;
    let first = state.first_failure?;
    let long_enough = now >= first.plus(spec.failure_seconds);
    (state.failures >= spec.failure_threshold && long_enough).then_some(open.opened)
}
