//! Whether objects are available: decisions over what the API server said, without I/O.
//!
//! Reasons hold no numbers that were seen, only those that were asked for: the text of a finding is the label of a
//! metric, and replicas come and go.

mod pods;
mod service;

pub(super) use pods::{PodTally, pods};
pub(super) use service::{Backing, Tally, backing, service};

use serde_json::Value;

use super::item::{Minimum, Workload};
use super::objects::{Any, ApiResource, Claim, Condition, Job, Replicated, ResourceList};
use crate::describe::shorten;

/// What was expected, and what was seen instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, seen {seen}")]
pub(super) struct NotReady {
    pub(super) expected: String,
    pub(super) seen: String,
}

impl NotReady {
    pub(super) fn new(expected: impl Into<String>, seen: impl Into<String>) -> NotReady {
        NotReady {
            expected: expected.into(),
            seen: seen.into(),
        }
    }
}

/// `at least 1 ready endpoint`, `at least 50% of its endpoints ready`.
fn at_least(minimum: Minimum, adjective: &str, noun: &str) -> String {
    match minimum {
        Minimum::Count(1) => format!("at least 1 {adjective} {noun}"),
        Minimum::Count(count) => format!("at least {count} {adjective} {noun}s"),
        Minimum::Percent(percent) => format!("at least {percent}% of its {noun}s {adjective}"),
    }
}

/// A Deployment, StatefulSet or DaemonSet: enough replicas available. A share is one of the replicas it is to have.
pub(super) fn workload(
    kind: Workload,
    object: &Replicated,
    minimum: Minimum,
) -> Result<(), NotReady> {
    let status = &object.status;
    let (wanted, available) = match kind {
        Workload::DaemonSet => (
            status.desired_number_scheduled.unwrap_or(0),
            status.number_available,
        ),
        _ => (object.spec.replicas.unwrap_or(1), status.available_replicas),
    };
    let available = available.unwrap_or(0) as usize;
    if available >= minimum.of(wanted as usize) {
        return Ok(());
    }
    let seen = match (available, wanted, kind) {
        (0, 0, Workload::DaemonSet) => "no node it is to run on".to_owned(),
        (0, 0, _) => format!("a {} scaled to 0", kind.kind()),
        (0, _, _) => "none".to_owned(),
        _ => "fewer".to_owned(),
    };
    Err(NotReady::new(
        at_least(minimum, "available", "replica"),
        seen,
    ))
}

/// A Job: completed.
pub(super) fn job(job: &Job) -> Result<(), NotReady> {
    let conditions = job.status.conditions.as_deref().unwrap_or_default();
    let holds = |kind: &str| {
        conditions
            .iter()
            .find(|c| c.r#type == kind && c.status == "True")
    };
    if holds("Complete").is_some() {
        return Ok(());
    }
    let seen = match holds("Failed") {
        Some(failed) => with_reason("a failed job", failed.reason.as_deref()),
        None if job.spec.suspend == Some(true) => "a suspended job".to_owned(),
        None => "one that has not finished".to_owned(),
    };
    Err(NotReady::new("a completed job", seen))
}

/// A PersistentVolumeClaim: bound.
pub(super) fn claim(claim: &Claim) -> Result<(), NotReady> {
    match claim.status.phase.as_deref() {
        Some("Bound") => Ok(()),
        phase => Err(NotReady::new("phase Bound", word(phase.unwrap_or("none")))),
    }
}

/// A condition of an object. One that was set for an older generation of the object says nothing of this one.
pub(super) fn condition(object: &Any, wanted: &str, status: &str) -> Result<(), NotReady> {
    let expected = format!("condition {wanted} to be {status}");
    let conditions = object.status.get("conditions").and_then(Value::as_array);
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(wanted));
    let Some(found) = found else {
        return Err(NotReady::new(expected, "no such condition"));
    };
    let text = |field: &str| found.get(field).and_then(Value::as_str);
    let seen = text("status").unwrap_or("no status");
    if seen != status {
        return Err(NotReady::new(
            expected,
            with_reason(&word(seen), text("reason")),
        ));
    }
    let observed = found
        .get("observedGeneration")
        .or_else(|| object.status.get("observedGeneration"))
        .and_then(Value::as_i64);
    match (observed, object.metadata.generation) {
        (Some(observed), Some(generation)) if observed < generation => Err(NotReady::new(
            expected,
            "it only for an older generation of the object",
        )),
        _ => Ok(()),
    }
}

/// The resource that serves `kind`.
pub(super) fn resource<'a>(
    list: &'a ResourceList,
    api_version: &str,
    kind: &str,
) -> Result<&'a ApiResource, NotReady> {
    let resources = list.resources.as_deref().unwrap_or_default();
    resources
        .iter()
        .find(|resource| !resource.name.contains('/') && resource.kind.eq_ignore_ascii_case(kind))
        .ok_or_else(|| {
            NotReady::new(
                format!("the API server to serve kind {kind} of {api_version}"),
                "no such kind",
            )
        })
}

fn holds(conditions: &[Condition], kind: &str) -> Option<bool> {
    conditions
        .iter()
        .find(|condition| condition.r#type == kind)
        .map(|condition| condition.status == "True")
}

/// `text (reason)`, if the reason is the single word that it is by convention.
fn with_reason(text: &str, reason: Option<&str>) -> String {
    let is_word = |reason: &&str| {
        (1..=60).contains(&reason.len()) && reason.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match reason.filter(is_word) {
        Some(reason) => format!("{text} ({reason})"),
        None => text.to_owned(),
    }
}

fn word(text: &str) -> String {
    shorten(text, 60)
}

#[cfg(test)]
mod tests;
