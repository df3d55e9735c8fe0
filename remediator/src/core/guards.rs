//! What can keep a remediation from being begun: one guard each, asked in the order of their declaration.

use super::depends::{earliest_start, grace, upstream_hold};
use super::incident::flapping;
use super::limits::source_stale;
use super::windows::{Opening, opening};
use super::{
    Action, CheckStatus, Class, Decision, Facts, Incident, Mode, PolicySpec, PolicyState, Reason,
    Record, StormState, TargetKind, Time, Touched, Verdict, World,
};

macro_rules! guards {
    ($(#[doc = $doc:literal] $name:ident: $($reason:ident)|+,)*) => {
        /// A rule that can keep a remediation from being begun.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Guard { $(#[doc = $doc] $name,)* }

        impl Guard {
            /// All, in the order in which they are asked; those from [`Guard::Owned`] on rule the choice itself.
            pub const ALL: &'static [Guard] = &[$(Guard::$name,)*];

            /// When it holds a remediation back, for documents.
            pub fn sentence(self) -> &'static str {
                match self { $(Guard::$name => $doc.trim_ascii(),)* }
            }

            /// What it says then, for documents.
            pub fn reasons(self) -> &'static [Reason] {
                match self { $(Guard::$name => &[$(Reason::$reason),+],)* }
            }
        }
    };
}

guards! {
    /// The check does not exist.
    CheckGone: CheckNotFound,
    /// The check has no result.
    NeverRun: NeverRun,
    /// The check, or Kuberhealthy, has stopped.
    Stale: Stale | SourceStale,
    /// The last run may still change.
    Unsettled: Inconclusive,
    /// The last run is no failure of the target.
    LastRun: Inconclusive | InfrastructureFailure,
    /// The check passes.
    Healthy: Healthy | Recovered | BelowThreshold,
    /// A remediation of this policy is unfinished.
    Unfinished: Intended | AwaitingApproval | Applied | Verifying | DisruptionBudget,
    /// Too few failures in a row.
    Threshold: BelowThreshold | UpstreamGrace,
    /// Not failing long enough.
    Duration: NotLongEnough,
    /// There is nothing to do.
    NoSteps: NoSteps,
    /// Every step has been tried.
    Exhausted: RetryBudgetExhausted,
    /// The dependencies lead back to the check.
    Cycle: DependencyCycle,
    /// An older policy has the same target.
    Rival: TargetConflict,
    /// The remediator is paused.
    GlobalPause: GloballyPaused,
    /// The policy is paused.
    Pause: Paused,
    /// No window is open.
    Window: OutsideWindow,
    /// A dry run has recorded this incident already.
    DryRunOnce: DryRun,
    /// The failing run has been acted on already, or began before the last action.
    NewRun: AwaitingNewRun,
    /// The check goes up and down.
    Flapping: Flapping,
    /// The last remediation was too short a time ago.
    Cooldown: Cooldown,
    /// Too many checks are stale.
    SourceStale: SourceStale,
    /// Too many checks fail.
    Storm: StormActive | StormCooldown,
    /// A check this one depends on may be the cause.
    Upstream: UpstreamUnhealthy | UpstreamUnknown | UpstreamGrace,
    /// Too many remediations at once.
    InFlight: TooManyInFlight,
    /// Too many remediations in an hour.
    Rate: RateLimited,
    /// The target is being deleted.
    Deleting: TargetDeleting,
    /// The target is labelled to be left alone.
    Excluded: TargetExcluded,
    /// A StatefulSet without opt-in.
    Stateful: StatefulNotAllowed,
    /// The target has been scaled to nothing.
    NoReplicas: TooFewReplicas,
    /// Another controller would undo the change.
    Controlled: OwnedByController,
    /// The target's rollouts are paused.
    TargetPaused: TargetPaused,
    /// The target is being rolled out.
    Rollout: RolloutInProgress,
    /// The target has too few replicas to be restarted.
    Replicas: TooFewReplicas,
    /// The pods to be restarted are not the target's, by the UIDs of their owners.
    Owned: SubjectNotOwned | NoEligiblePod,
    /// A ready pod would go while others do not serve.
    ReadyPod: TargetUnhealthy,
    /// Too few replicas would be left, or none.
    ScaleToZero: ScaleBounds,
    /// An autoscaler sets the replicas.
    Autoscaler: AutoscalerConflict,
}

/// Which guards are asked: all, but for a test that shows what each of them is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) without: Option<Guard>,
}

impl Rules {
    pub(super) fn off(self, guard: Guard) -> bool {
        self.without == Some(guard)
    }
}

/// What the guards of policy and world look at.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) now: Time,
    pub(super) spec: &'a PolicySpec,
    pub(super) state: &'a PolicyState,
    pub(super) world: &'a World<'a>,
}

fn idle(reason: Reason) -> Option<Decision> {
    Some(Decision::Idle { reason })
}

pub(super) fn hold(reason: Reason, details: &str, until: Option<Time>) -> Option<Decision> {
    Some(Decision::Hold {
        reason,
        message: reason.message_or_sentence(details),
        until,
    })
}

impl<'a> Question<'a> {
    /// The incident, if it is not over.
    pub(super) fn incident(&self) -> Option<&'a Incident> {
        self.state
            .incident
            .as_ref()
            .filter(|incident| incident.recovered.is_none())
    }

    /// Records of the open incident.
    pub(super) fn tries(&self) -> impl Iterator<Item = &'a Record> {
        let id = self.incident().map(|incident| incident.id.as_str());
        self.world
            .records
            .iter()
            .filter(move |record| Some(record.intent.incident.id.as_str()) == id)
    }

    /// What the first of these guards says that has something to say.
    pub(super) fn first(&self, guards: &[Guard]) -> Option<Decision> {
        guards.iter().find_map(|guard| self.ask(*guard))
    }

    /// What a guard says of policy and world: why not, or nothing.
    pub(super) fn ask(&self, guard: Guard) -> Option<Decision> {
        let Question {
            now,
            spec,
            state,
            world,
        } = *self;
        match guard {
            Guard::CheckGone => (world.check_status == CheckStatus::Gone)
                .then(|| hold(Reason::CheckNotFound, &spec.named_check(), None))?,
            Guard::NeverRun => {
                let never = world.check_status == CheckStatus::NeverRun;
                // That no alert was ever sent is how it should be.
                let answer = match spec.alert {
                    Some(_) => idle(Reason::NeverRun),
                    None => hold(Reason::NeverRun, "", None),
                };
                answer.filter(|_| never)
            }
            Guard::Stale => {
                let everything =
                    spec.alert.is_none() && world.checks > 1 && world.stale == world.checks;
                let reason = if everything {
                    Reason::SourceStale
                } else {
                    Reason::Stale
                };
                (world.check_status == CheckStatus::Stale).then(|| hold(reason, "", None))?
            }
            Guard::Unsettled => {
                // While nothing is wrong there is nothing to hold back.
                self.incident()?;
                let pending = state.check.pending.as_ref()?;
                hold(
                    Reason::Inconclusive,
                    "its result may still change",
                    Some(pending.until),
                )
            }
            Guard::LastRun => self.last_run(),
            Guard::Healthy => match (self.incident(), &state.incident) {
                (Some(_), _) => None,
                (None, Some(_)) => idle(Reason::Recovered),
                (None, None) if state.healthy_since.is_some() => idle(Reason::Healthy),
                (None, None) => idle(Reason::BelowThreshold),
            },
            Guard::Unfinished => {
                let record = world.records.iter().find(|record| !record.finished())?;
                let waits = record.intent.mode == Mode::Manual && !record.approved;
                let reason = if waits {
                    Reason::AwaitingApproval
                } else {
                    record.status.reason
                };
                hold(reason, &record.name.name, None)
            }
            Guard::Threshold => (state.failures < spec.failure_threshold).then(|| {
                let until = self.incident().and_then(|incident| grace(spec, incident));
                match until.filter(|until| now < *until) {
                    Some(until) => hold(Reason::UpstreamGrace, "", Some(until)),
                    None => idle(Reason::BelowThreshold),
                }
            })?,
            Guard::Duration => {
                let until = state.first_failure?.plus(spec.failure_seconds);
                (now < until).then(|| hold(Reason::NotLongEnough, "", Some(until)))?
            }
            Guard::NoSteps => spec.steps.is_empty().then(|| idle(Reason::NoSteps))?,
            Guard::Exhausted => {
                let exhausted = self.incident().is_some_and(|incident| incident.exhausted);
                exhausted.then(|| Some(super::decide::exhausted()))?
            }
            Guard::Cycle => {
                let cycle = world.cycle.as_ref()?;
                let names: Vec<&str> = cycle.iter().map(|check| &*check.name).collect();
                hold(Reason::DependencyCycle, &names.join(" <- "), None)
            }
            Guard::Rival => hold(Reason::TargetConflict, &world.rival.as_ref()?.name, None),
            Guard::GlobalPause => world
                .limits
                .paused
                .then(|| hold(Reason::GloballyPaused, "", None))?,
            Guard::Pause => hold(Reason::Paused, spec.pause.as_ref()?, None),
            Guard::Window => match opening(&spec.windows, now) {
                Opening::Open => None,
                Opening::Closed { until } => hold(Reason::OutsideWindow, "", until),
            },
            Guard::DryRunOnce => {
                let recorded = spec.mode == Mode::DryRun
                    && self
                        .tries()
                        .any(|record| record.intent.mode == Mode::DryRun);
                recorded.then(|| hold(Reason::DryRun, "recorded for this incident", None))?
            }
            Guard::NewRun => self.new_run(),
            Guard::Flapping => {
                flapping(state.verdicts).then(|| hold(Reason::Flapping, "", None))?
            }
            Guard::Cooldown => {
                let acted = world
                    .records
                    .iter()
                    .filter(|record| record.intent.mode != Mode::DryRun);
                let until = acted
                    .filter_map(|record| record.status.completed)
                    .max()?
                    .plus(spec.retry.cooldown);
                (now < until).then(|| hold(Reason::Cooldown, "", Some(until)))?
            }
            // How many is told once for all, not by each policy: a number that moves would be a write to each of them.
            Guard::SourceStale => {
                // Alerts do not come from Kuberhealthy.
                let stale = spec.alert.is_none() && source_stale(world);
                stale.then(|| hold(Reason::SourceStale, "", None))?
            }
            Guard::Storm => match world.storm {
                StormState::Active { .. } => hold(Reason::StormActive, "", None),
                StormState::Cooling { until } if now < until => {
                    hold(Reason::StormCooldown, "", Some(until))
                }
                StormState::Cooling { .. } | StormState::Calm => None,
            },
            Guard::Upstream => upstream_hold(now, spec, state, world),
            Guard::InFlight => (world.in_flight >= world.limits.in_flight).then(|| {
                hold(
                    Reason::TooManyInFlight,
                    &world.limits.in_flight.to_string(),
                    None,
                )
            })?,
            Guard::Rate => (world.last_hour >= world.limits.per_hour).then(|| {
                hold(
                    Reason::RateLimited,
                    &world.limits.per_hour.to_string(),
                    None,
                )
            })?,
            Guard::Deleting
            | Guard::Excluded
            | Guard::Stateful
            | Guard::NoReplicas
            | Guard::Controlled
            | Guard::TargetPaused
            | Guard::Rollout
            | Guard::Replicas
            | Guard::Owned
            | Guard::ReadyPod
            | Guard::ScaleToZero
            | Guard::Autoscaler => None,
        }
    }

    /// The last run must be the one the incident goes on with.
    fn last_run(&self) -> Option<Decision> {
        let (id, verdict, _) = self.state.check.last.as_ref()?;
        match verdict {
            Verdict::Inconclusive => hold(Reason::Inconclusive, "", None),
            Verdict::Failed(Class::Infrastructure) => hold(Reason::InfrastructureFailure, "", None),
            // The policy may have been edited since the run was counted.
            Verdict::Failed(class)
                if self.incident().is_some_and(|incident| {
                    incident.failing_run != *id
                        || *class == Class::Timeout && !self.spec.count_timeouts
                        || !self.spec.match_errors.matches(&incident.errors)
                }) =>
            {
                hold(
                    Reason::Inconclusive,
                    "it failed in a way that does not count",
                    None,
                )
            }
            Verdict::Failed(_) | Verdict::Passed => None,
        }
    }

    /// Each action needs a failing run of its own, that started after the last one.
    fn new_run(&self) -> Option<Decision> {
        let incident = self.incident()?;
        if self
            .world
            .records
            .iter()
            .any(|record| record.intent.run == incident.failing_run)
        {
            return hold(
                Reason::AwaitingNewRun,
                "the last failing run has been acted on",
                None,
            );
        }
        let touched = self
            .world
            .records
            .iter()
            .filter(|record| record.status.touched != Touched::No);
        let done = touched
            .map(|record| {
                let status = &record.status;
                // Not when it was applied: of several pods that is the first, and what never settled went on.
                status
                    .rolled_out
                    .or(status.completed)
                    .unwrap_or(record.intent.time)
            })
            .max()?;
        let (_, finished) = self.state.last_counted.as_ref()?;
        let started = earliest_start(incident.failing_started, *finished, self.world.timing);
        (started <= done).then(|| hold(Reason::AwaitingNewRun, "", None))?
    }
}

/// What a guard says of the target: why not, or nothing.
pub(super) fn ask_target(
    guard: Guard,
    spec: &PolicySpec,
    action: &Action,
    facts: &Facts,
) -> Option<(Reason, String)> {
    let evicts = matches!(action, Action::RestartPods { .. });
    let restarts = evicts || *action == Action::RolloutRestart;
    let plain = |hit: bool, reason: Reason| hit.then(|| (reason, String::new()));
    match guard {
        Guard::Deleting => plain(facts.deleting, Reason::TargetDeleting),
        Guard::Excluded => plain(facts.excluded, Reason::TargetExcluded),
        Guard::Stateful => {
            let stateful = spec.target.0 == TargetKind::StatefulSet && !spec.safety.allow_stateful;
            plain(stateful, Reason::StatefulNotAllowed)
        }
        Guard::NoReplicas => {
            (facts.replicas < 1).then(|| (Reason::TooFewReplicas, "scaled to none".to_owned()))
        }
        Guard::Controlled => plain(facts.controlled && !evicts, Reason::OwnedByController),
        Guard::TargetPaused => plain(facts.paused, Reason::TargetPaused),
        Guard::Rollout => {
            let rolling =
                facts.observed_generation < facts.generation || facts.updated < facts.replicas;
            plain(
                spec.safety.block_rollout && rolling && !facts.stalled,
                Reason::RolloutInProgress,
            )
        }
        Guard::Replicas => (restarts && facts.replicas < spec.safety.min_replicas).then(|| {
            (
                Reason::TooFewReplicas,
                format!(
                    "{} of at least {}",
                    facts.replicas, spec.safety.min_replicas
                ),
            )
        }),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
