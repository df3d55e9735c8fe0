//! What is worth telling: what has changed from one status to the next. Pure.

use super::conditions::{get, why_not};
use super::status::{ACCEPTED, ALLOWED, HEALTHY};
use crate::core::{Choice, Phase, Reason, Record, RecordStatus};
use crate::crd::RemediationPolicyStatus;
use crate::crd::policy_status::Incident;
use crate::events::Severity;
use crate::notify::notice::Transition;

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) reason: Reason,
    pub(super) severity: Severity,
    pub(super) note: String,
    /// Names the transition among all of the policy with this reason: told twice it is still one.
    pub(super) transition: String,
    /// Whether it is of interest to who looks at the workload.
    pub(super) target: bool,
    /// Whether it is told as an event.
    pub(super) event: bool,
    /// What receivers of notifications are told it is, if it is anything to them.
    pub(super) notice: Option<Transition>,
}

/// Why the policy is held back from now on, if that is new.
pub(super) fn held(
    before: Option<&RemediationPolicyStatus>,
    after: &RemediationPolicyStatus,
) -> Option<Reason> {
    let reason = holding(after)?;
    let known = before.and_then(holding);
    (known != Some(reason) && !own(reason)).then_some(reason)
}

/// Why the policy is held back, if there is anything to hold back: what stands while nothing is wrong, as a pause, holds
/// nothing yet.
fn holding(status: &RemediationPolicyStatus) -> Option<Reason> {
    let reason = why_not(&status.conditions, ALLOWED)?;
    let incident = status.incident.as_ref();
    let open = incident.is_some_and(|incident| incident.recovered_time.is_none());
    let standing = matches!(
        reason,
        Reason::Paused | Reason::GloballyPaused | Reason::TargetConflict | Reason::DependencyCycle
    );
    (open || !standing).then_some(reason)
}

/// A remediation of its own that is under way holds a policy back, which is as it should be.
fn own(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Intended | Reason::Applied | Reason::Verifying
    )
}

/// What a policy's new status tells.
pub(super) fn of_policy(
    before: Option<&RemediationPolicyStatus>,
    after: &RemediationPolicyStatus,
) -> Vec<Told> {
    let mut told = Vec::new();
    let empty = RemediationPolicyStatus::default();
    let before = before.unwrap_or(&empty);
    let (was, is) = (before.incident.as_ref(), after.incident.as_ref());
    let message = |condition: &str| {
        let condition = get(&after.conditions, condition);
        condition.map_or_else(String::new, |condition| condition.message.clone())
    };
    if let Some(incident) = is {
        let transition = format!("{}-{}", incident.id, incident.joined);
        let open = incident.recovered_time.is_none();
        let same = was.filter(|was| was.id == incident.id);
        let was_open = same.is_some_and(|was| was.recovered_time.is_none());
        let was_known = same.is_some_and(known);
        let (begins, opened) = (open && !was_open, known(incident) && !was_known);
        if begins || opened {
            let errors = incident.errors.first();
            told.push(Told {
                reason: Reason::CheckFailing,
                severity: Severity::Warning,
                note: errors.map_or_else(
                    || Reason::CheckFailing.sentence().to_owned(),
                    |error| Reason::CheckFailing.message(error),
                ),
                transition: transition.clone(),
                target: false,
                event: begins,
                notice: opened.then_some(Transition::Opened),
            });
        }
        let (ends, recovered) = (!open && was_open, was_known && !known(incident));
        if ends || recovered {
            // One that has come back meanwhile has ended as what it was.
            let joined = same.map_or(incident.joined, |was| was.joined);
            let transition = if ends {
                transition.clone()
            } else {
                format!("{}-{joined}", incident.id)
            };
            told.push(Told {
                event: ends,
                notice: recovered.then_some(Transition::Recovered),
                ..plain(Reason::Recovered, Severity::Normal, transition)
            });
        }
        if incident.exhausted && !same.is_some_and(|was| was.exhausted) {
            let reason = Reason::RetryBudgetExhausted;
            told.push(Told {
                notice: Some(Transition::Exhausted),
                ..plain(reason, Severity::Warning, transition)
            });
        }
    }
    let stale = |status: &RemediationPolicyStatus| {
        get(&status.conditions, HEALTHY)
            .is_some_and(|condition| condition.reason == Reason::Stale.as_str())
    };
    if stale(after) && !stale(before) {
        let since = get(&after.conditions, HEALTHY).map(|condition| condition.last_transition_time);
        let transition = since.map_or_else(String::new, |since| since.to_string());
        told.push(plain(Reason::Stale, Severity::Warning, transition));
    }
    let incident = is.map_or("", |incident| incident.id.as_str());
    let generation = after.observed_generation.unwrap_or_default();
    let event = held(Some(before), after);
    // Receivers that have not heard of the incident are told with it why nothing is done.
    let heard = was.is_some_and(|was| known(was) && was.id == incident);
    let noticed = event.or_else(|| holding(after).filter(|reason| !heard && !own(*reason)));
    let noticed = noticed.filter(|_| is.is_some_and(known));
    if let Some(reason) = event.or(noticed)
        && !told_otherwise(reason)
    {
        told.push(Told {
            reason,
            severity: severity(reason),
            note: message(ALLOWED),
            transition: format!("held-{incident}-{generation}"),
            target: true,
            event: event.is_some(),
            notice: noticed.map(|_| Transition::Held),
        });
    }
    if let Some(reason) = why_not(&after.conditions, ACCEPTED)
        && why_not(&before.conditions, ACCEPTED) != Some(reason)
        && holding(after) != Some(reason)
    {
        told.push(Told {
            reason,
            severity: Severity::Warning,
            note: message(ACCEPTED),
            transition: format!("refused-{generation}"),
            target: false,
            event: true,
            notice: None,
        });
    }
    told
}

/// Whether receivers of notifications are to know it as open: a failure that the policy does not act on is none of theirs.
fn known(incident: &Incident) -> bool {
    incident.reached && incident.recovered_time.is_none()
}

/// Told when it begins, by who sees that; for all policies at once or for the record.
fn told_otherwise(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::StormActive
            | Reason::StormCooldown
            | Reason::SourceStale
            | Reason::Stale
            | Reason::DryRun
            | Reason::DisruptionBudget
            | Reason::RetryBudgetExhausted
    )
}

fn plain(reason: Reason, severity: Severity, transition: String) -> Told {
    Told {
        reason,
        severity,
        note: reason.sentence().to_owned(),
        transition,
        target: false,
        event: true,
        notice: None,
    }
}

/// What a record's new status tells.
pub(super) fn of_record(before: &RecordStatus, record: &Record) -> Option<Told> {
    let (status, intent) = (&record.status, &record.intent);
    let reverted = |status: &RecordStatus| status.revert.as_ref().and_then(|revert| revert.end);
    let ended = reverted(status).filter(|_| reverted(before).is_none());
    let reason = match ended {
        Some(end) => end,
        None if before.phase == status.phase && before.completed == status.completed => {
            return None;
        }
        None if status.phase == Phase::Verifying && status.completed.is_none() => return None,
        None => status.reason,
    };
    let action = intent.action.name().as_str();
    let message = match reverted(status) {
        Some(end @ (Reason::Reverted | Reason::RevertAbandoned)) if end == reason => {
            end.sentence().to_owned()
        }
        Some(end) if end == reason => {
            format!("the number of replicas is not set back: {}", end.sentence())
        }
        _ if status.message.is_empty() => reason.sentence().to_owned(),
        _ => status.message.clone(),
    };
    // The first that is told of a record says why this step.
    let choice = intent.choice.as_ref();
    let why = choice
        .filter(|_| before.phase == Phase::Pending)
        .and_then(Choice::sentence);
    Some(Told {
        reason,
        severity: match (status.phase, status.reason) {
            _ if ended.is_some_and(|end| end != Reason::Reverted) => Severity::Warning,
            _ if ended.is_some() => Severity::Normal,
            (Phase::Failed | Phase::Blocked, _) => Severity::Warning,
            (Phase::Inconclusive, Reason::Recovered | Reason::PolicyDeleted) => Severity::Normal,
            (Phase::Inconclusive, _) => Severity::Warning,
            _ => Severity::Normal,
        },
        note: match why {
            Some(why) => format!("{action}, attempt {}: {message}; {why}", intent.attempt),
            None => format!("{action}, attempt {}: {message}", intent.attempt),
        },
        transition: format!("{}-{}", intent.incident.id, intent.attempt),
        target: true,
        event: true,
        notice: match status.phase {
            _ if ended.is_some() => Some(Transition::Reverted),
            Phase::Pending | Phase::Verifying => None,
            Phase::Applied => Some(Transition::Applied),
            Phase::Succeeded => Some(Transition::Verified),
            Phase::Failed => Some(Transition::Failed),
            Phase::Blocked => Some(Transition::Blocked),
            Phase::Inconclusive => Some(Transition::Inconclusive),
            Phase::DryRun => Some(Transition::Simulated),
        },
    })
}

fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::NotLongEnough
        | Reason::Paused
        | Reason::GloballyPaused
        | Reason::OutsideWindow
        | Reason::Cooldown
        | Reason::AwaitingApproval
        | Reason::AwaitingNewRun
        | Reason::TooManyInFlight
        | Reason::Inconclusive
        | Reason::NeverRun
        | Reason::UpstreamGrace
        | Reason::RolloutInProgress => Severity::Normal,
        _ => Severity::Warning,
    }
}

#[cfg(test)]
mod tests;
