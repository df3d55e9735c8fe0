//! From the core's intent and status to a `Remediation` object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use super::common::{
    Action, Condition, ConditionStatus, RestartPods, Rollback, RolloutRestart, Scale,
};
use super::policy::RemediationPolicy;
use super::remediation::{
    Begun, Candidate, Choice, Claim, FreshRuns, IncidentReference, PodReference, Remediation,
    RemediationSpec, RemediationStatus, ReplicaChange, Revert, RevisionReference, TargetReference,
    Verify,
};
use crate::core::reason::{MESSAGE_LENGTH, bounded};
use crate::core::{self, Intent, RecordStatus, Scaling};

/// Keeps a Remediation until the number of replicas is set back.
pub const REVERT_FINALIZER: &str = "kuberhealer.io/revert";
/// Label with the policy's name; of one longer than 63 characters the beginning and a hash.
pub const POLICY_LABEL: &str = "kuberhealer.io/policy";
/// Label with the incident's id.
pub const INCIDENT_LABEL: &str = "kuberhealer.io/incident";
/// Label with the number of the attempt.
pub const ATTEMPT_LABEL: &str = "kuberhealer.io/attempt";

const ERRORS: usize = 10;
const ERROR_LENGTH: usize = 300;

/// The object that records an intent, ready to be created. It belongs to the policy and goes with it.
pub fn remediation(intent: &Intent, owner: &RemediationPolicy) -> Remediation {
    let name = core::record_name(&intent.policy.name, &intent.incident.id, intent.attempt);
    let mut object = Remediation::new(&name, spec(intent));
    let metadata = object.meta_mut();
    metadata.namespace = Some(intent.policy.namespace.to_string());
    metadata.labels = Some(
        [
            (POLICY_LABEL, policy_label(&intent.policy.name)),
            (INCIDENT_LABEL, intent.incident.id.clone()),
            (ATTEMPT_LABEL, intent.attempt.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect(),
    );
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: RemediationPolicy::api_version(&()).into_owned(),
        kind: RemediationPolicy::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: intent.policy_uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    }]);
    if intent.revert_after.is_some() {
        metadata.finalizers = Some(vec![REVERT_FINALIZER.to_owned()]);
    }
    object
}

/// Value of [`POLICY_LABEL`] for a policy.
pub fn policy_label(policy: &str) -> String {
    if policy.len() <= 63 {
        return policy.to_owned();
    }
    // FNV-1a: two long names with the same beginning must not share a label.
    let hash = policy
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let start: String = policy.chars().take(46).collect();
    format!("{start}-{hash:016x}")
}

fn spec(intent: &Intent) -> RemediationSpec {
    let Intent {
        policy,
        policy_uid,
        incident,
        attempt,
        step,
        mode,
        run,
        errors,
        time,
        action,
        target,
        claim,
        pods,
        replicas,
        autoscaler,
        revision,
        verify,
        revert_after,
        choice,
        begun,
    } = intent.clone();
    RemediationSpec {
        policy: policy.name.to_string(),
        policy_uid,
        incident: IncidentReference {
            id: incident.id,
            opened_time: incident.opened,
            first_run: incident.first_run.0,
        },
        attempt: attempt.into(),
        step: step.try_into().unwrap_or(i32::MAX),
        mode,
        approved: false,
        run: run.0,
        errors: errors
            .iter()
            .take(ERRORS)
            .map(|error| bounded(error, ERROR_LENGTH))
            .collect(),
        time,
        action_name: action.name().as_str().to_owned(),
        action: written_action(action),
        target: TargetReference {
            kind: target.kind,
            name: target.name,
            uid: target.uid,
        },
        claim: written_claim(claim),
        pods: pods
            .into_iter()
            .map(|(name, uid)| PodReference { name, uid })
            .collect(),
        replicas: replicas.map(|(from, to)| ReplicaChange { from, to }),
        autoscaler,
        revision: revision.map(|(name, uid, number)| RevisionReference { name, uid, number }),
        verify: Verify {
            seconds: verify.seconds.into(),
            success_threshold: verify.success_threshold.into(),
            failure_threshold: verify.failure_threshold.into(),
            count_timeouts: verify.count_timeouts,
        },
        revert_after_seconds: revert_after.map(i64::from),
        choice: choice.map(written_choice),
        begun: begun.map(|begun| Begun {
            term: begun.term,
            number: begun.number.into(),
        }),
    }
}

fn written_choice(choice: core::Choice) -> Choice {
    let message = choice.sentence().unwrap_or_default();
    let candidate = |candidate: core::Candidate| Candidate {
        step: candidate.step,
        tries: small(candidate.tries),
        successes: small(candidate.successes),
        score: small(candidate.score),
        standing: candidate.standing,
    };
    Choice {
        failure: choice.failure.id,
        failure_text: choice.failure.text,
        message: bounded(&message, MESSAGE_LENGTH),
        steps: choice.steps.into_iter().map(candidate).collect(),
    }
}

fn small(number: u32) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn written_action(action: core::Action) -> Action {
    match action {
        core::Action::RestartPods { pods, max } => Action {
            restart_pods: Some(RestartPods {
                pods,
                max_pods: small(max),
            }),
            ..Action::default()
        },
        core::Action::RolloutRestart => Action {
            rollout_restart: Some(RolloutRestart {}),
            ..Action::default()
        },
        core::Action::Rollback => Action {
            rollback: Some(Rollback {}),
            ..Action::default()
        },
        core::Action::Scale(scaling) => Action {
            scale: Some(match scaling {
                Scaling::Absolute { replicas, revert } => Scale {
                    replicas: Some(replicas),
                    revert_after_seconds: revert.map(small),
                    ..Scale::default()
                },
                Scaling::By { step, max, revert } => Scale {
                    step: Some(step),
                    max_replicas: Some(max),
                    revert_after_seconds: revert.map(small),
                    ..Scale::default()
                },
            }),
            ..Action::default()
        },
    }
}

fn written_claim(claim: core::Claim) -> Claim {
    Claim {
        resource_version: claim.resource_version,
        generation: claim.generation,
    }
}

/// What is written as the status of the object that records `intent`.
pub fn record_status(intent: &Intent, status: &RecordStatus) -> RemediationStatus {
    let RecordStatus {
        phase,
        reason,
        message,
        touched,
        claim,
        pods_done,
        blocked_tries,
        retry_at,
        applied,
        rolled_out,
        deadline,
        fresh,
        completed,
        revert,
        term,
        begun,
    } = status.clone();
    let message = bounded(&message, MESSAGE_LENGTH);
    RemediationStatus {
        conditions: vec![Condition {
            type_: "Complete".to_owned(),
            status: match completed {
                Some(_) => ConditionStatus::True,
                None => ConditionStatus::False,
            },
            observed_generation: None,
            last_transition_time: completed.unwrap_or(intent.time),
            reason: reason.as_str().to_owned(),
            message: message.clone(),
        }],
        phase,
        reason: Some(reason),
        message,
        touched,
        applied_time: applied,
        rolled_out_time: rolled_out,
        deadline_time: deadline,
        completed_time: completed,
        took: completed.map(|end| duration(end.since(intent.time))),
        fresh: FreshRuns {
            passes: fresh.passes.into(),
            failures: fresh.failures.into(),
            last: fresh.last.map(|run| run.0),
        },
        pods_done,
        blocked_tries: blocked_tries.into(),
        retry_time: retry_at,
        claim: claim.map(written_claim),
        revert: revert.map(|revert| Revert {
            due_time: revert.due,
            claim: revert.claim.map(written_claim),
            end: revert.end,
        }),
        term,
        begun_time: begun,
    }
}

/// Seconds as kubectl writes them: `45s`, `1m30s`, `2h0m5s`.
fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, policy_label};

    #[test]
    fn durations_read_as_kubectl_writes_them() {
        for (seconds, text) in [(-3, "0s"), (59, "59s"), (90, "1m30s"), (7205, "2h0m5s")] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_policys_label_fits_and_tells_long_names_apart() {
        let long = |end: &str| policy_label(&format!("{}{end}", "a".repeat(252)));
        assert_eq!(policy_label("web"), "web");
        assert_eq!(long("b").len(), 63);
        assert_ne!(long("b"), long("c"));
    }
}
