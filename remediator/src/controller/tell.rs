//! Tells what has happened: events, metrics and the log.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;

use super::objects::{Owner, Policy};
use super::status::Found;
use super::told::{Told, held, of_policy, of_record};
use super::{Leader, Workloads, lock};
use crate::clock;
use crate::core::{Reason, Record, RecordStatus, StormState, TargetRef, Time};
use crate::crd::{RemediationPolicy, RemediationPolicyStatus};
use crate::events::{Event, Severity};

/// What concerns all policies is told once in this many seconds, not once by each of them.
const ALERT: i64 = 600;

impl<W: Workloads> Leader<W> {
    /// Tells what a policy's new status says that the old one did not.
    pub(super) fn tell_policy(
        &self,
        object: &RemediationPolicy,
        before: Option<&RemediationPolicyStatus>,
        after: &RemediationPolicyStatus,
    ) {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(reason) = held(before, after) {
            self.shared.metrics.held(namespace, name, reason);
            tracing::info!(namespace, policy = name, %reason, "held");
            if reason == Reason::SourceStale {
                self.source_stale(object);
            }
        }
        let told = of_policy(before, after);
        if told.is_empty() {
            return;
        }
        let owner = Owner {
            policy: super::key(namespace, name),
            uid: object.metadata.uid.clone().unwrap_or_default(),
        };
        let records = self.with_objects(|objects| objects.records.of(&owner));
        let last = records.iter().max_by_key(|record| record.intent.time);
        let target = last.map(|last| target_reference(namespace, &last.intent.target));
        for told in told.into_iter().filter(|told| told.event) {
            tracing::info!(namespace, policy = name, reason = %told.reason, note = told.note, "told");
            self.events(object.object_ref(&()), target.clone(), "Decide", &told);
        }
    }

    /// Tells what a record's new status says that the old one did not.
    pub(super) fn tell_record(&self, before: &RecordStatus, record: &Record) {
        let (intent, status) = (&record.intent, &record.status);
        let action = intent.action.name();
        if let (None, Some(completed)) = (before.completed, status.completed) {
            let seconds = completed.since(intent.time).max(0);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            let metrics = &self.shared.metrics;
            metrics.remediation_ended(action, status.phase, intent.mode, seconds.into());
        }
        let Some(told) = of_record(before, record) else {
            return;
        };
        let (namespace, name) = (&record.name.namespace, &record.name.name);
        tracing::info!(%namespace, remediation = %name, reason = %told.reason, note = told.note, "told");
        let policy = ObjectReference {
            api_version: Some(RemediationPolicy::api_version(&()).into_owned()),
            kind: Some(RemediationPolicy::kind(&()).into_owned()),
            name: Some(intent.policy.name.to_string()),
            namespace: Some(namespace.to_string()),
            uid: Some(intent.policy_uid.clone()),
            ..ObjectReference::default()
        };
        let target = target_reference(namespace, &intent.target);
        self.events(policy, Some(target), action.as_str(), &told);
    }

    /// One event on the policy, and one on the workload if it is of interest there.
    fn events(
        &self,
        policy: ObjectReference,
        target: Option<ObjectReference>,
        action: &'static str,
        told: &Told,
    ) {
        let event = |regarding: &ObjectReference, related: Option<&ObjectReference>| Event {
            regarding: regarding.clone(),
            related: related.cloned(),
            severity: told.severity,
            reason: told.reason,
            note: told.note.clone(),
            action,
            transition: told.transition.clone(),
        };
        self.shared.events.tell(event(&policy, target.as_ref()));
        if let Some(target) = target.filter(|_| told.target) {
            self.shared.events.tell(event(&target, Some(&policy)));
        }
    }

    /// Tells once of each storm that it has begun.
    pub(super) fn storm(&self, policy: &Policy, found: &Found) {
        let StormState::Active { since } = found.around.storm else {
            return;
        };
        if !self.alert(Reason::StormActive, |last| last != since, since) {
            return;
        }
        let counts = found.around.counts;
        let note = format!(
            "{}: {} of {} that policies are triggered by; nothing is begun until it is over",
            Reason::StormActive.sentence(),
            counts.failing,
            counts.mapped
        );
        tracing::error!(failing = counts.failing, mapped = counts.mapped, "storm");
        self.alert_event(&policy.object, Reason::StormActive, note, since);
    }

    fn source_stale(&self, policy: &RemediationPolicy) {
        let (reason, now) = (Reason::SourceStale, clock::now());
        if self.alert(reason, |last| now.since(last) >= ALERT, now) {
            tracing::error!(%reason, "Kuberhealthy seems to be down");
            self.alert_event(policy, reason, reason.sentence().to_owned(), now);
        }
    }

    /// Whether to tell of this now; if so it counts as told at `at`.
    fn alert(&self, reason: Reason, due: impl Fn(Time) -> bool, at: Time) -> bool {
        let mut alerts = lock(&self.alerts);
        let due = alerts.get(&reason).is_none_or(|last| due(*last));
        if due {
            alerts.insert(reason, at);
        }
        due
    }

    fn alert_event(&self, policy: &RemediationPolicy, reason: Reason, note: String, at: Time) {
        let told = Told {
            reason,
            severity: Severity::Warning,
            note,
            transition: at.to_string(),
            target: false,
            event: true,
            notice: None,
        };
        self.events(policy.object_ref(&()), None, "Decide", &told);
    }
}

fn target_reference(namespace: &str, target: &TargetRef) -> ObjectReference {
    ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some(target.kind.as_str().to_owned()),
        name: Some(target.name.clone()),
        namespace: Some(namespace.to_owned()),
        uid: Some(target.uid.clone()),
        ..ObjectReference::default()
    }
}
