//! The status of a policy that tells what was found.

use super::conditions::{Says, set};
use super::objects::Policy;
use super::world::Surroundings;
use crate::core::{
    CheckStatus, Class, Decision, PolicySpec, PolicyState, Reason, Record, Time, Verdict,
    standing_hold,
};
use crate::crd::{ConditionStatus, RemediationPolicyStatus, write_state};

/// Condition: the policy makes sense and what it names exists.
pub(super) const ACCEPTED: &str = "Accepted";
/// Condition: nothing holds an action back.
pub(super) const ALLOWED: &str = "RemediationAllowed";
/// Condition: the check passes.
pub(super) const HEALTHY: &str = "CheckHealthy";
/// Between a check and the one it waits for, where a condition shows the way to the cause.
pub(super) const WAITS_FOR: &str = " <- ";
const REMEDIATING: &str = "Remediating";
const EXHAUSTED: &str = "EscalationExhausted";
const PERMITTED: &str = "Permitted";

/// What was found out about a policy.
pub(super) struct Found {
    pub(super) state: PolicyState,
    pub(super) decision: Decision,
    pub(super) around: Surroundings,
}

/// Whether the API server allowed what was asked for the policy's sake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing was asked that it could refuse.
    Nothing,
    /// It refused, in these words: they name verb and resource.
    Refused(String),
    /// It allowed all that was asked.
    Granted,
}

/// The status of a policy that makes no sense.
pub(super) fn refused(
    before: Option<&RemediationPolicyStatus>,
    why: &str,
    generation: i64,
    now: Time,
) -> RemediationPolicyStatus {
    let mut status = before.cloned().unwrap_or_default();
    status.observed_generation = Some(generation);
    let says = Says::new(
        ConditionStatus::False,
        Reason::InvalidPolicy.as_str(),
        Reason::InvalidPolicy.message(why),
    );
    set(
        &mut status.conditions,
        ACCEPTED,
        says.clone(),
        generation,
        now,
    );
    set(&mut status.conditions, ALLOWED, says, generation, now);
    status
}

/// The status that tells what was found. What is not known before the target is read stays as it was.
pub(super) fn status(
    policy: &Policy,
    spec: &PolicySpec,
    found: &Found,
    asked: &Asked,
    now: Time,
) -> RemediationPolicyStatus {
    let mut status = policy.object.status.clone().unwrap_or_default();
    write_state(&found.state, &mut status);
    for upstream in &mut status.upstreams {
        let mut ignored = found.around.ignored.iter();
        upstream.ignored = ignored.any(|check| {
            (check.kind, &*check.namespace, &*check.name)
                == (
                    upstream.kind,
                    upstream.namespace.as_str(),
                    upstream.name.as_str(),
                )
        });
    }
    status.observed_generation = Some(spec.generation);
    let records = found.around.records();
    let last = records.iter().map(|record| record.intent.time).max();
    status.last_remediation_time = status.last_remediation_time.max(last);
    let exhausted = found.state.incident.as_ref();
    let exhausted = if exhausted.is_some_and(|incident| incident.exhausted) {
        Says::because(true, Reason::RetryBudgetExhausted)
    } else {
        Says::new(ConditionStatus::False, "NotExhausted", "steps are left")
    };
    let under_way = records.iter().find(|record| !record.finished());
    let remediating = match under_way {
        Some(record) => Says::because(true, record.status.reason),
        None => Says::new(
            ConditionStatus::False,
            "NotRemediating",
            "no remediation is under way",
        ),
    };
    let known = !matches!(found.decision, Decision::NeedFacts(_));
    let mut says = Vec::new();
    if known {
        let standing = match &found.decision {
            Decision::Idle { .. } => standing_hold(now, spec, &found.state, &found.around.world()),
            _ => None,
        };
        let decision = standing.as_ref().unwrap_or(&found.decision);
        let (allowed, until) = allowed(found, decision);
        status.next_allowed_time = until;
        says.push((ACCEPTED, accepted(found, decision)));
        says.push((HEALTHY, healthy(found)));
        says.push((ALLOWED, allowed));
    } else {
        says.push((HEALTHY, healthy(found)));
    }
    says.push((REMEDIATING, remediating));
    says.push((EXHAUSTED, exhausted));
    let new = super::conditions::get(&status.conditions, PERMITTED).is_none();
    match asked {
        Asked::Refused(message) => says.push((PERMITTED, forbidden(message))),
        Asked::Granted => says.push((PERMITTED, permitted())),
        Asked::Nothing => match last_refusal(records) {
            Some(message) => says.push((PERMITTED, forbidden(message))),
            None if new => says.push((PERMITTED, permitted())),
            None => {}
        },
    }
    for (name, value) in says {
        set(&mut status.conditions, name, value, spec.generation, now);
    }
    status
}

fn permitted() -> Says {
    Says::new(
        ConditionStatus::True,
        "Permitted",
        "the API server has refused nothing that was last asked of it",
    )
}

fn forbidden(message: &str) -> Says {
    Says::new(
        ConditionStatus::False,
        Reason::Forbidden.as_str(),
        Reason::Forbidden.message(message),
    )
}

/// What the API server said when the last remediation ended because it was refused.
fn last_refusal(records: &[Record]) -> Option<&str> {
    let last = records.iter().max_by_key(|record| record.intent.time)?;
    let refused = last.finished() && last.status.reason == Reason::Forbidden;
    let message = last.status.message.as_str();
    let plain = message.strip_prefix(Reason::Forbidden.sentence());
    refused.then(|| plain.map_or(message, |plain| plain.trim_start_matches([':', ' '])))
}

fn allowed(found: &Found, decision: &Decision) -> (Says, Option<Time>) {
    match decision {
        Decision::Hold {
            reason,
            message,
            until,
        } => {
            let message = match reason {
                Reason::UpstreamUnhealthy | Reason::UpstreamUnknown
                    if !found.around.chain.is_empty() =>
                {
                    let names: Vec<&str> =
                        found.around.chain.iter().map(|key| &*key.name).collect();
                    reason.message(names.join(WAITS_FOR))
                }
                _ => message.clone(),
            };
            let says = Says::new(ConditionStatus::False, reason.as_str(), message);
            (says, *until)
        }
        Decision::Exhausted { message } => {
            let reason = Reason::RetryBudgetExhausted.as_str();
            let says = Says::new(ConditionStatus::False, reason, message.as_str());
            (says, None)
        }
        Decision::Idle { .. } | Decision::NeedFacts(_) | Decision::Act(_) => {
            let message = "nothing holds an action back";
            (Says::new(ConditionStatus::True, "Allowed", message), None)
        }
    }
}

fn accepted(found: &Found, decision: &Decision) -> Says {
    let wrong = match decision {
        Decision::Hold {
            reason:
                reason @ (Reason::AmbiguousCheck
                | Reason::DependencyCycle
                | Reason::TargetConflict
                | Reason::TargetNotFound),
            message,
            ..
        } => Some((*reason, message.as_str())),
        decision if found.around.status == CheckStatus::Gone => Some(no_check(decision)),
        _ => None,
    };
    match wrong {
        Some((reason, message)) => Says::new(ConditionStatus::False, reason.as_str(), message),
        None => Says::new(
            ConditionStatus::True,
            "Accepted",
            "the policy makes sense and what it names exists",
        ),
    }
}

/// Why there is no check to look at. One that cannot be told from its namesake, or cannot be read, is there all the same.
fn no_check(decision: &Decision) -> (Reason, &str) {
    match decision {
        Decision::Hold {
            reason: reason @ (Reason::AmbiguousCheck | Reason::CheckNotFound | Reason::Inconclusive),
            message,
            ..
        } => (*reason, message),
        _ => (Reason::CheckNotFound, Reason::CheckNotFound.sentence()),
    }
}

fn healthy(found: &Found) -> Says {
    let unknown = |reason: Reason| {
        Says::new(
            ConditionStatus::Unknown,
            reason.as_str(),
            reason.sentence().to_owned(),
        )
    };
    match found.around.status {
        CheckStatus::Gone => {
            let (reason, message) = no_check(&found.decision);
            return Says::new(ConditionStatus::Unknown, reason.as_str(), message);
        }
        CheckStatus::NeverRun => return unknown(Reason::NeverRun),
        CheckStatus::Stale => return unknown(Reason::Stale),
        CheckStatus::Running | CheckStatus::Settled => {}
    }
    match found
        .state
        .check
        .last
        .as_ref()
        .map(|(_, verdict, _)| *verdict)
    {
        Some(Verdict::Passed) => Says::because(true, Reason::Healthy),
        Some(Verdict::Failed(Class::Infrastructure)) => unknown(Reason::InfrastructureFailure),
        Some(Verdict::Failed(_)) => Says::new(
            ConditionStatus::False,
            Reason::CheckFailing.as_str(),
            failure(&found.state),
        ),
        Some(Verdict::Inconclusive) => unknown(Reason::Inconclusive),
        None => unknown(Reason::NeverRun),
    }
}

/// That the check fails, and what it says.
fn failure(state: &PolicyState) -> String {
    let errors = state.incident.as_ref().map(|incident| &incident.errors);
    match errors.and_then(|errors| errors.first()) {
        Some(error) => Reason::CheckFailing.message(error),
        None => Reason::CheckFailing.sentence().to_owned(),
    }
}
