//! From a `Remediation` object to the core's record.

use kube::{Resource, ResourceExt};

use super::remediation::{Begun, Choice, Claim, Remediation, RemediationStatus};
use super::view::{Invalid, action, invalid, name, text, within};
use crate::core::learning::{STEP_LENGTH, STEPS};
use crate::core::pattern::PATTERN_LENGTH;
use crate::core::reason::bounded;
use crate::core::{self, Intent, ObjectKey, Reason, Record, RecordStatus, RunId};

const LARGEST: i64 = u32::MAX as i64;

/// The record in an object.
///
/// # Errors
/// The first thing in it that no remediator has written.
pub fn record_view(object: &Remediation) -> Result<Record, Invalid> {
    let namespace: std::sync::Arc<str> = object.namespace().unwrap_or_default().into();
    let spec = &object.spec;
    // Names become parts of request paths: nothing but a name may get there.
    name("spec.policy".to_owned(), &spec.policy, 253, true)?;
    name("spec.target.name".to_owned(), &spec.target.name, 253, true)?;
    for (index, pod) in spec.pods.iter().enumerate() {
        name(format!("spec.pods[{index}].name"), &pod.name, 253, true)?;
        text(format!("spec.pods[{index}].uid"), &pod.uid, 128)?;
    }
    if let Some(autoscaler) = &spec.autoscaler {
        name("spec.autoscaler".to_owned(), autoscaler, 253, true)?;
    }
    if let Some(revision) = &spec.revision {
        name("spec.revision.name".to_owned(), &revision.name, 253, true)?;
    }
    text("spec.target.uid", &spec.target.uid, 128)?;
    let wanted = action("spec.action", &spec.action)?;
    if wanted.name().as_str() != spec.action_name {
        return Err(invalid(
            "spec.actionName",
            format!("expected {}, as in spec.action", wanted.name().as_str()),
        ));
    }
    if let Some(change) = spec.replicas {
        within::<i32>("spec.replicas.from", change.from, 0, i32::MAX.into())?;
        within::<i32>("spec.replicas.to", change.to, 1, i32::MAX.into())?;
    }
    if spec.pods.len() > 20 {
        return Err(invalid("spec.pods", "at most 20 are allowed"));
    }
    let verify = core::Verify {
        seconds: within("spec.verify.seconds", spec.verify.seconds, 0, LARGEST)?,
        success_threshold: within(
            "spec.verify.successThreshold",
            spec.verify.success_threshold,
            0,
            LARGEST,
        )?,
        failure_threshold: within(
            "spec.verify.failureThreshold",
            spec.verify.failure_threshold,
            0,
            LARGEST,
        )?,
        count_timeouts: spec.verify.count_timeouts,
    };
    let revert_after = spec
        .revert_after_seconds
        .map(|seconds| within("spec.revertAfterSeconds", seconds, 0, LARGEST))
        .transpose()?;
    let intent = Intent {
        policy: ObjectKey {
            namespace: namespace.clone(),
            name: spec.policy.as_str().into(),
        },
        policy_uid: spec.policy_uid.clone(),
        incident: core::Incident0 {
            id: spec.incident.id.clone(),
            opened: spec.incident.opened_time,
            first_run: RunId(spec.incident.first_run.clone()),
        },
        attempt: within("spec.attempt", spec.attempt, 1, LARGEST)?,
        step: within("spec.step", spec.step, 0, 4)?,
        mode: spec.mode,
        run: RunId(spec.run.clone()),
        errors: spec.errors.clone(),
        time: spec.time,
        action: wanted,
        target: core::TargetRef {
            kind: spec.target.kind,
            name: spec.target.name.clone(),
            uid: spec.target.uid.clone(),
        },
        claim: read_claim(&spec.claim),
        pods: spec
            .pods
            .iter()
            .map(|pod| (pod.name.clone(), pod.uid.clone()))
            .collect(),
        replicas: spec.replicas.map(|change| (change.from, change.to)),
        autoscaler: spec.autoscaler.clone(),
        revision: spec
            .revision
            .as_ref()
            .map(|revision| (revision.name.clone(), revision.uid.clone(), revision.number)),
        verify,
        revert_after,
        choice: spec.choice.as_ref().map(read_choice).transpose()?,
        begun: spec.begun.map(read_begun).transpose()?,
    };
    let status = match &object.status {
        Some(status) => read_status(status)?,
        None => RecordStatus::default(),
    };
    Ok(Record {
        name: ObjectKey {
            namespace,
            name: object.name_any().into(),
        },
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        deleting: object.meta().deletion_timestamp.is_some(),
        approved: spec.approved,
        intent,
        status,
    })
}

fn read_begun(begun: Begun) -> Result<core::Begun, Invalid> {
    Ok(core::Begun {
        term: begun.term,
        number: within("spec.begun.number", begun.number, 1, LARGEST)?,
    })
}

fn read_choice(choice: &Choice) -> Result<core::Choice, Invalid> {
    let steps = choice.steps.iter().take(STEPS).enumerate();
    let candidate = |(index, candidate): (usize, &super::remediation::Candidate)| {
        let field = |name: &str| format!("spec.choice.steps[{index}].{name}");
        Ok(core::Candidate {
            step: bounded(&candidate.step, STEP_LENGTH),
            tries: within(field("tries"), candidate.tries, 0, LARGEST)?,
            successes: within(field("successes"), candidate.successes, 0, LARGEST)?,
            score: within(field("score"), candidate.score, 0, LARGEST)?,
            standing: candidate.standing,
        })
    };
    Ok(core::Choice {
        failure: core::Pattern {
            id: bounded(&choice.failure, 10),
            text: bounded(&choice.failure_text, PATTERN_LENGTH),
        },
        steps: steps.map(candidate).collect::<Result<_, _>>()?,
    })
}

fn read_status(status: &RemediationStatus) -> Result<RecordStatus, Invalid> {
    Ok(RecordStatus {
        phase: status.phase,
        reason: status.reason.unwrap_or(Reason::Intended),
        message: status.message.clone(),
        touched: status.touched,
        claim: status.claim.as_ref().map(read_claim),
        pods_done: status.pods_done.clone(),
        blocked_tries: within("status.blockedTries", status.blocked_tries, 0, LARGEST)?,
        retry_at: status.retry_time,
        applied: status.applied_time,
        rolled_out: status.rolled_out_time,
        deadline: status.deadline_time,
        fresh: core::Fresh {
            passes: within("status.fresh.passes", status.fresh.passes, 0, LARGEST)?,
            failures: within("status.fresh.failures", status.fresh.failures, 0, LARGEST)?,
            last: status.fresh.last.clone().map(RunId),
        },
        completed: status.completed_time,
        revert: status.revert.as_ref().map(|revert| core::Revert {
            due: revert.due_time,
            claim: revert.claim.as_ref().map(read_claim),
            end: revert.end,
        }),
        term: status.term,
        begun: status.begun_time,
    })
}

fn read_claim(claim: &Claim) -> core::Claim {
    core::Claim {
        resource_version: claim.resource_version.clone(),
        generation: claim.generation,
    }
}
