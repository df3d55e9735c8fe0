//! Why: one vocabulary for conditions, events, metrics and records.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Messages are cut to this many characters.
pub const MESSAGE_LENGTH: usize = 512;

/// Why something was done or not done. [`Reason::as_str`] is the reason of the condition and the event, the metric's
/// label and `status.reason` of a Remediation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    // Nothing to do.
    /// The check passes.
    Healthy,
    /// The check fails.
    CheckFailing,
    /// Fewer failing runs in a row than the policy asks for.
    BelowThreshold,
    /// The check has not failed for as long as the policy asks for.
    NotLongEnough,
    /// The policy has no steps: it only tells.
    NoSteps,
    /// A remediation is not finished.
    Verifying,
    /// The incident is over.
    Recovered,
    // The check.
    /// The check has never finished a run.
    NeverRun,
    /// The check has not been written for too long.
    Stale,
    /// The last run says nothing of the target.
    Inconclusive,
    /// Kuberhealthy could not run the check.
    InfrastructureFailure,
    /// The check does not exist.
    CheckNotFound,
    /// A check of this name exists in both kinds; the policy must say which.
    AmbiguousCheck,
    /// The check was failing when it was first seen.
    Baseline,
    // The policy.
    /// The policy cannot be used as it is.
    InvalidPolicy,
    /// The policy's dependencies lead back to its own check.
    DependencyCycle,
    /// An older policy has the same target.
    TargetConflict,
    /// The policy is paused.
    Paused,
    /// No window is open.
    OutsideWindow,
    /// The last remediation was too short a time ago.
    Cooldown,
    /// The check goes up and down.
    Flapping,
    /// Every step has been tried as often as the policy allows.
    RetryBudgetExhausted,
    /// The policy only records what it would do.
    DryRun,
    /// The remediation waits for spec.approved.
    AwaitingApproval,
    /// No run has failed that started after the last remediation.
    AwaitingNewRun,
    // The world.
    /// As many remediations are in flight as are allowed at once.
    TooManyInFlight,
    /// As many remediations were begun in the last hour as are allowed.
    RateLimited,
    /// Too many checks fail at once.
    StormActive,
    /// Too many checks failed at once a short time ago.
    StormCooldown,
    /// All checks are stale, or as many as would be a storm: Kuberhealthy itself seems to be down.
    SourceStale,
    /// The remediator is paused.
    GloballyPaused,
    /// This process does not lead.
    LeaseLost,
    // Upstream checks.
    /// A check this one depends on fails.
    UpstreamUnhealthy,
    /// A check this one depends on has not passed since this one began to fail.
    UpstreamUnknown,
    /// A check this one depends on has recovered lately, whatever it does now: only runs that begin some time after that
    /// count.
    UpstreamGrace,
    // The target.
    /// The target does not exist.
    TargetNotFound,
    /// The target is labelled kuberhealer.io/exclude=true.
    TargetExcluded,
    /// The target is being deleted.
    TargetDeleting,
    /// A rollout of the target is in progress.
    RolloutInProgress,
    /// The target's rollouts are paused.
    TargetPaused,
    /// Too many of the target's pods are not ready.
    TargetUnhealthy,
    /// The target has fewer replicas than safety.minReplicas.
    TooFewReplicas,
    /// A StatefulSet needs safety.allowStateful.
    StatefulNotAllowed,
    /// An autoscaler sets the target's replicas.
    AutoscalerConflict,
    /// The target belongs to another controller, which would undo the change.
    OwnedByController,
    /// No pod of the target may be evicted.
    NoEligiblePod,
    /// The pods the check names are not the target's.
    SubjectNotOwned,
    /// The target has no earlier revision.
    NoPreviousRevision,
    /// The target already has as many replicas as the step allows.
    ScaleBounds,
    // Execution.
    /// The remediation is recorded and not begun.
    Intended,
    /// The remediation has taken effect.
    Applied,
    /// A disruption budget refused the eviction.
    DisruptionBudget,
    /// The target was changed by somebody else.
    TargetChanged,
    /// The object was written by somebody else meanwhile.
    Conflict,
    /// The API server does not allow it.
    Forbidden,
    /// The API server refused it.
    Refused,
    /// The check passed after the remediation.
    Verified,
    /// The check failed again after the remediation.
    VerificationFailed,
    /// The check did not pass in time after the remediation.
    VerificationTimeout,
    /// No run of the check began and ended after the remediation.
    NoFreshRun,
    /// The policy was deleted.
    PolicyDeleted,
    /// The policy asks for something else now.
    PolicyChanged,
    /// The number of replicas was set back.
    Reverted,
    /// The number of replicas was not set back, because somebody else had changed it.
    RevertAbandoned,
}

impl Reason {
    /// Every reason, in the order of their declaration.
    pub const ALL: &'static [Reason] = &[
        Reason::Healthy,
        Reason::CheckFailing,
        Reason::BelowThreshold,
        Reason::NotLongEnough,
        Reason::NoSteps,
        Reason::Verifying,
        Reason::Recovered,
        Reason::NeverRun,
        Reason::Stale,
        Reason::Inconclusive,
        Reason::InfrastructureFailure,
        Reason::CheckNotFound,
        Reason::AmbiguousCheck,
        Reason::Baseline,
        Reason::InvalidPolicy,
        Reason::DependencyCycle,
        Reason::TargetConflict,
        Reason::Paused,
        Reason::OutsideWindow,
        Reason::Cooldown,
        Reason::Flapping,
        Reason::RetryBudgetExhausted,
        Reason::DryRun,
        Reason::AwaitingApproval,
        Reason::AwaitingNewRun,
        Reason::TooManyInFlight,
        Reason::RateLimited,
        Reason::StormActive,
        Reason::StormCooldown,
        Reason::SourceStale,
        Reason::GloballyPaused,
        Reason::LeaseLost,
        Reason::UpstreamUnhealthy,
        Reason::UpstreamUnknown,
        Reason::UpstreamGrace,
        Reason::TargetNotFound,
        Reason::TargetExcluded,
        Reason::TargetDeleting,
        Reason::RolloutInProgress,
        Reason::TargetPaused,
        Reason::TargetUnhealthy,
        Reason::TooFewReplicas,
        Reason::StatefulNotAllowed,
        Reason::AutoscalerConflict,
        Reason::OwnedByController,
        Reason::NoEligiblePod,
        Reason::SubjectNotOwned,
        Reason::NoPreviousRevision,
        Reason::ScaleBounds,
        Reason::Intended,
        Reason::Applied,
        Reason::DisruptionBudget,
        Reason::TargetChanged,
        Reason::Conflict,
        Reason::Forbidden,
        Reason::Refused,
        Reason::Verified,
        Reason::VerificationFailed,
        Reason::VerificationTimeout,
        Reason::NoFreshRun,
        Reason::PolicyDeleted,
        Reason::PolicyChanged,
        Reason::Reverted,
        Reason::RevertAbandoned,
    ];

    /// The name, in CamelCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Healthy => "Healthy",
            Reason::CheckFailing => "CheckFailing",
            Reason::BelowThreshold => "BelowThreshold",
            Reason::NotLongEnough => "NotLongEnough",
            Reason::NoSteps => "NoSteps",
            Reason::Verifying => "Verifying",
            Reason::Recovered => "Recovered",
            Reason::NeverRun => "NeverRun",
            Reason::Stale => "Stale",
            Reason::Inconclusive => "Inconclusive",
            Reason::InfrastructureFailure => "InfrastructureFailure",
            Reason::CheckNotFound => "CheckNotFound",
            Reason::AmbiguousCheck => "AmbiguousCheck",
            Reason::Baseline => "Baseline",
            Reason::InvalidPolicy => "InvalidPolicy",
            Reason::DependencyCycle => "DependencyCycle",
            Reason::TargetConflict => "TargetConflict",
            Reason::Paused => "Paused",
            Reason::OutsideWindow => "OutsideWindow",
            Reason::Cooldown => "Cooldown",
            Reason::Flapping => "Flapping",
            Reason::RetryBudgetExhausted => "RetryBudgetExhausted",
            Reason::DryRun => "DryRun",
            Reason::AwaitingApproval => "AwaitingApproval",
            Reason::AwaitingNewRun => "AwaitingNewRun",
            Reason::TooManyInFlight => "TooManyInFlight",
            Reason::RateLimited => "RateLimited",
            Reason::StormActive => "StormActive",
            Reason::StormCooldown => "StormCooldown",
            Reason::SourceStale => "SourceStale",
            Reason::GloballyPaused => "GloballyPaused",
            Reason::LeaseLost => "LeaseLost",
            Reason::UpstreamUnhealthy => "UpstreamUnhealthy",
            Reason::UpstreamUnknown => "UpstreamUnknown",
            Reason::UpstreamGrace => "UpstreamGrace",
            Reason::TargetNotFound => "TargetNotFound",
            Reason::TargetExcluded => "TargetExcluded",
            Reason::TargetDeleting => "TargetDeleting",
            Reason::RolloutInProgress => "RolloutInProgress",
            Reason::TargetPaused => "TargetPaused",
            Reason::TargetUnhealthy => "TargetUnhealthy",
            Reason::TooFewReplicas => "TooFewReplicas",
            Reason::StatefulNotAllowed => "StatefulNotAllowed",
            Reason::AutoscalerConflict => "AutoscalerConflict",
            Reason::OwnedByController => "OwnedByController",
            Reason::NoEligiblePod => "NoEligiblePod",
            Reason::SubjectNotOwned => "SubjectNotOwned",
            Reason::NoPreviousRevision => "NoPreviousRevision",
            Reason::ScaleBounds => "ScaleBounds",
            Reason::Intended => "Intended",
            Reason::Applied => "Applied",
            Reason::DisruptionBudget => "DisruptionBudget",
            Reason::TargetChanged => "TargetChanged",
            Reason::Conflict => "Conflict",
            Reason::Forbidden => "Forbidden",
            Reason::Refused => "Refused",
            Reason::Verified => "Verified",
            Reason::VerificationFailed => "VerificationFailed",
            Reason::VerificationTimeout => "VerificationTimeout",
            Reason::NoFreshRun => "NoFreshRun",
            Reason::PolicyDeleted => "PolicyDeleted",
            Reason::PolicyChanged => "PolicyChanged",
            Reason::Reverted => "Reverted",
            Reason::RevertAbandoned => "RevertAbandoned",
        }
    }

    /// What it means, without a capital and a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Reason::Healthy => "the check passes",
            Reason::CheckFailing => "the check fails",
            Reason::BelowThreshold => "fewer failing runs in a row than the policy asks for",
            Reason::NotLongEnough => "the check has not failed for as long as the policy asks for",
            Reason::NoSteps => "the policy has no steps: it only tells",
            Reason::Verifying => "a remediation is not finished",
            Reason::Recovered => "the incident is over",
            Reason::NeverRun => "the check has never finished a run",
            Reason::Stale => "the check has not been written for too long",
            Reason::Inconclusive => "the last run says nothing of the target",
            Reason::InfrastructureFailure => "Kuberhealthy could not run the check",
            Reason::CheckNotFound => "there is no such check",
            Reason::AmbiguousCheck => {
                "a check of this name exists in both kinds: set trigger.check.kind to KuberhealthyState or HealthCheck"
            }
            Reason::Baseline => "the check was failing when it was first seen",
            Reason::InvalidPolicy => "the policy cannot be used as it is",
            Reason::DependencyCycle => "the policy's dependencies lead back to its own check",
            Reason::TargetConflict => "an older policy has the same target",
            Reason::Paused => "the policy is paused",
            Reason::OutsideWindow => "no window is open",
            Reason::Cooldown => "the last remediation was too short a time ago",
            Reason::Flapping => "the check goes up and down",
            Reason::RetryBudgetExhausted => {
                "every step has been tried as often as the policy allows"
            }
            Reason::DryRun => "the policy only records what it would do",
            Reason::AwaitingApproval => "the remediation waits for spec.approved",
            Reason::AwaitingNewRun => "no run has failed that started after the last remediation",
            Reason::TooManyInFlight => "as many remediations are in flight as are allowed at once",
            Reason::RateLimited => {
                "as many remediations were begun in the last hour as are allowed"
            }
            Reason::StormActive => "too many checks fail at once",
            Reason::StormCooldown => "too many checks failed at once a short time ago",
            Reason::SourceStale => {
                "all checks are stale, or too many: Kuberhealthy itself seems to be down"
            }
            Reason::GloballyPaused => "the remediator is paused",
            Reason::LeaseLost => "this process does not lead",
            Reason::UpstreamUnhealthy => "a check this one depends on fails",
            Reason::UpstreamUnknown => {
                "a check this one depends on has not passed since this one began to fail"
            }
            Reason::UpstreamGrace => {
                "a check this one depends on has recovered lately; only runs that begin dependencyGraceSeconds after that count"
            }
            Reason::TargetNotFound => "the target does not exist",
            Reason::TargetExcluded => "the target is labelled kuberhealer.io/exclude=true",
            Reason::TargetDeleting => "the target is being deleted",
            Reason::RolloutInProgress => "a rollout of the target is in progress",
            Reason::TargetPaused => "the target's rollouts are paused",
            Reason::TargetUnhealthy => "too many of the target's pods are not ready",
            Reason::TooFewReplicas => "the target has fewer replicas than safety.minReplicas",
            Reason::StatefulNotAllowed => "a StatefulSet needs safety.allowStateful",
            Reason::AutoscalerConflict => "an autoscaler sets the target's replicas",
            Reason::OwnedByController => {
                "the target belongs to another controller, which would undo the change"
            }
            Reason::NoEligiblePod => "no pod of the target may be evicted",
            Reason::SubjectNotOwned => "the pods the check names are not the target's",
            Reason::NoPreviousRevision => "the target has no earlier revision",
            Reason::ScaleBounds => "the target already has as many replicas as the step allows",
            Reason::Intended => "the remediation is recorded and not begun",
            Reason::Applied => "the remediation has taken effect",
            Reason::DisruptionBudget => "a disruption budget refused the eviction",
            Reason::TargetChanged => "the target was changed by somebody else",
            Reason::Conflict => "the object was written by somebody else meanwhile",
            Reason::Forbidden => "the API server does not allow it",
            Reason::Refused => "the API server refused it",
            Reason::Verified => "the check passed after the remediation",
            Reason::VerificationFailed => "the check failed again after the remediation",
            Reason::VerificationTimeout => "the check did not pass in time after the remediation",
            Reason::NoFreshRun => "no run of the check began and ended after the remediation",
            Reason::PolicyDeleted => "the policy was deleted",
            Reason::PolicyChanged => "the policy asks for something else now",
            Reason::Reverted => "the number of replicas was set back",
            Reason::RevertAbandoned => {
                "the number of replicas was not set back, because somebody else had changed it"
            }
        }
    }

    /// [`Reason::sentence`] with details, fit for a condition: one line of at most [`MESSAGE_LENGTH`] characters.
    pub fn message(self, details: impl fmt::Display) -> String {
        bounded(&format!("{}: {details}", self.sentence()), MESSAGE_LENGTH)
    }

    /// [`Reason::message`]; [`Reason::sentence`] alone if there are no details.
    pub(super) fn message_or_sentence(self, details: &str) -> String {
        match details {
            "" => self.sentence().to_owned(),
            details => self.message(details),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of at most `length` characters: control characters become spaces, the rest is cut.
pub fn bounded(text: &str, length: usize) -> String {
    text.chars()
        .take(length)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_LENGTH, Reason};

    #[test]
    fn names_are_the_same_in_json_and_in_text() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn messages_are_one_short_line() {
        let message = Reason::Stale.message("a\nb\u{1b}".repeat(1000));
        assert_eq!(message.chars().count(), MESSAGE_LENGTH);
        assert!(!message.chars().any(char::is_control));
    }
}
