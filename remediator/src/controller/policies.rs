//! Reconciles a policy: observes its check, counts, decides, acknowledges in the status, and records the intent.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DynamicObject, PostParams};

use super::conditions::{because, set};
use super::kinds::Kind;
use super::objects::Policy;
use super::world::Surroundings;
use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::execution::Live;
use crate::core::{
    CheckKey, CheckKind, CheckStatus, Decision, Intent, ObjectKey, PolicySpec, PolicyState, Reason,
    Snapshot, Time, advance, count, decide, parse_snapshot, resume, upstreams_recovered, wake,
};
use crate::crd::{
    ConditionStatus, Remediation, RemediationPolicy, RemediationPolicyStatus, remediation,
    state_view, write_state,
};

/// A policy is looked at this often although nothing happened, for what time alone changes; that costs no request.
const LOOK: u32 = 60;

/// And one that is held back this often: its target is not watched.
const LOOK_HELD: u32 = 15;

/// What was found out about a policy.
struct Found {
    state: PolicyState,
    decision: Decision,
    around: Surroundings,
}

impl<W: Workloads> Leader<W> {
    /// Does what the policy needs now. Returns after how long to look again.
    pub(super) async fn policy(&self, key: &ObjectKey) -> Result<Option<Duration>, Failed> {
        let Some(policy) = self.with_objects(|objects| objects.policies.get(key).cloned()) else {
            return Ok(None);
        };
        let now = clock::now();
        let spec = match &policy.spec {
            Ok(spec) => spec,
            Err(invalid) => {
                let message = invalid.to_string();
                let mut status = policy.object.status.clone().unwrap_or_default();
                let generation = policy.object.metadata.generation.unwrap_or_default();
                status.observed_generation = Some(generation);
                let value = (
                    ConditionStatus::False,
                    Reason::InvalidPolicy.as_str(),
                    message.as_str(),
                );
                set(&mut status.conditions, "Accepted", value, generation, now);
                self.put_policy(&policy, status).await?;
                return Ok(None);
            }
        };
        let meant = self.with_objects(|objects| objects.meant(spec.source, &spec.check));
        let check = match meant.as_slice() {
            [one] => Some(one),
            _ => None,
        };
        let snapshot = check.and_then(|check| self.snapshot(check));
        let mut found = self.find(&policy.object, spec, check, snapshot.as_deref(), None, now);
        if let Decision::NeedFacts(need) = &found.decision {
            let live = self.facts(spec, *need).await?;
            found.decision = match &live {
                Live::Target(facts) => {
                    let world = found.around.world();
                    decide(now, spec, &found.state, &world, Some(facts))
                }
                other => unread(other),
            };
        }
        if meant.len() > 1 {
            found.decision = held(Reason::AmbiguousCheck);
        }
        if let (Decision::Exhausted { .. }, Some(incident)) =
            (&found.decision, found.state.incident.as_mut())
        {
            incident.exhausted = true;
        }
        // The incident has to be known before anything is recorded for it.
        self.put_policy(&policy, status(&policy, spec, &found, now))
            .await?;
        if let (Decision::Act(intent), Some(check)) = (&found.decision, check) {
            self.record_intent(intent, spec, check).await?;
        }
        let wake = wake(now, spec, &found.state, &found.decision);
        let look = match found.decision {
            Decision::Hold { .. } | Decision::Act(_) => LOOK_HELD,
            _ => LOOK,
        };
        let at = wake.map_or(now.plus(look), |wake| wake.min(now.plus(look)));
        let seconds = u64::try_from(at.since(now)).unwrap_or(0).max(1);
        Ok(Some(Duration::from_secs(seconds)))
    }

    fn snapshot(&self, check: &CheckKey) -> Option<Arc<Snapshot>> {
        self.with_objects(|objects| objects.checks.get(check)?.snapshot.clone())
    }

    fn find(
        &self,
        object: &RemediationPolicy,
        spec: &PolicySpec,
        check: Option<&CheckKey>,
        snapshot: Option<&Snapshot>,
        facts: Option<&crate::core::Facts>,
        now: Time,
    ) -> Found {
        let around = self.around(spec, check, now);
        let mut state = state_view(object);
        if let Some(snapshot) = snapshot {
            let started = self.with_objects(|objects| objects.checks.get(&snapshot.key)?.started());
            let known = std::mem::take(&mut state.check);
            let (seen, told) = resume(known, snapshot, started.as_ref(), now);
            state.check = seen;
            state = advance(state, spec, snapshot.timing, &told, now);
            state = upstreams_recovered(state, spec, around.world().upstreams);
        }
        state.statistics = count(std::mem::take(&mut state.statistics), around.records());
        let decision = decide(now, spec, &state, &around.world(), facts);
        Found {
            state,
            decision,
            around,
        }
    }

    async fn facts(&self, spec: &PolicySpec, need: crate::core::FactsNeed) -> Result<Live, Failed> {
        let (kind, name) = &spec.target;
        let read = self
            .workloads
            .facts(&spec.key.namespace, (*kind, name), need);
        self.limited(read).await
    }

    /// Creates the record, if the decision still is what it was when everything is read again: it is taken alone, so
    /// that two policies never take the last place at once.
    async fn record_intent(
        &self,
        intent: &Intent,
        spec: &PolicySpec,
        check: &CheckKey,
    ) -> Result<(), Failed> {
        let _alone = self.admission.lock().await;
        let policies: Api<RemediationPolicy> =
            Api::namespaced(self.client.clone(), &spec.key.namespace);
        let checks: Api<DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            &check.namespace,
            &Kind::Check(check.kind).resource(),
        );
        let need = crate::core::execution::need(intent);
        let (object, read, live) = tokio::try_join!(
            self.limited(policies.get(&spec.key.name)),
            self.limited(checks.get(&check.name)),
            self.facts(spec, need),
        )?;
        let now = clock::now();
        let policy = Policy::new(object);
        let Ok(spec) = &policy.spec else {
            return Ok(());
        };
        let timing = self.snapshot(check).map(|snapshot| snapshot.timing);
        let timing = timing.filter(|_| check.kind == CheckKind::KuberhealthyState);
        let value = serde_json::to_value(&read).map_err(|error| Failed::Read(error.to_string()))?;
        let snapshot = parse_snapshot(check.kind, &value, timing)
            .map_err(|error| Failed::Read(error.to_string()))?;
        let Live::Target(facts) = &live else {
            return Ok(());
        };
        let found = self.find(
            &policy.object,
            spec,
            Some(check),
            Some(&snapshot),
            Some(facts),
            now,
        );
        let known = state_view(&policy.object).incident.map(|known| known.id);
        let Decision::Act(intent) = found.decision else {
            return Ok(());
        };
        if known.as_deref() != Some(intent.incident.id.as_str()) {
            return Ok(());
        }
        let records: Api<Remediation> = Api::namespaced(self.client.clone(), &spec.key.namespace);
        let record = remediation(&intent, &policy.object);
        let created = self
            .write(records.create(&PostParams::default(), &record))
            .await;
        let created = match created {
            // Another leader, or an earlier request whose answer was lost: that record is driven, not a second one.
            Err(Failed::Request(kube::Error::Api(status))) if status.code == 409 => {
                let name = record.metadata.name.unwrap_or_default();
                self.limited(records.get(&name)).await?
            }
            other => other?,
        };
        self.put_record(&created)
    }

    async fn put_policy(
        &self,
        policy: &Policy,
        status: RemediationPolicyStatus,
    ) -> Result<(), Failed> {
        if policy.object.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut object = policy.object.clone();
        object.status = Some(status);
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let policies: Api<RemediationPolicy> = Api::namespaced(self.client.clone(), &namespace);
        let parameters = PostParams::default();
        let written = self
            .write(policies.replace_status(&name, &parameters, &object))
            .await?;
        let key = ObjectKey {
            namespace: namespace.into(),
            name: name.into(),
        };
        self.with_objects(|objects| {
            objects.policies.insert(key, Arc::new(Policy::new(written)));
        });
        Ok(())
    }
}

fn held(reason: Reason) -> Decision {
    Decision::Hold {
        reason,
        message: reason.sentence().to_owned(),
        until: None,
    }
}

fn unread(live: &Live) -> Decision {
    match live {
        Live::Unreadable(refusal) => Decision::Hold {
            reason: Reason::Forbidden,
            message: Reason::Forbidden.message(&refusal.message),
            until: None,
        },
        Live::Gone | Live::Target(_) => held(Reason::TargetNotFound),
    }
}

/// The status that tells what was found.
fn status(policy: &Policy, spec: &PolicySpec, found: &Found, now: Time) -> RemediationPolicyStatus {
    let mut status = policy.object.status.clone().unwrap_or_default();
    write_state(&found.state, &mut status);
    status.observed_generation = Some(spec.generation);
    let records = found.around.records();
    status.last_remediation_time = records.iter().map(|record| record.intent.time).max();
    status.success_percent = found
        .state
        .statistics
        .success_percent()
        .and_then(|percent| i32::try_from(percent).ok());
    let (allowed, until) = match &found.decision {
        Decision::Hold {
            reason,
            message,
            until,
        } => (
            (ConditionStatus::False, reason.as_str(), message.as_str()),
            *until,
        ),
        Decision::Exhausted { message } => (
            (
                ConditionStatus::False,
                Reason::RetryBudgetExhausted.as_str(),
                message.as_str(),
            ),
            None,
        ),
        Decision::Idle { .. } | Decision::NeedFacts(_) | Decision::Act(_) => (
            (
                ConditionStatus::True,
                "Allowed",
                "nothing holds an action back",
            ),
            None,
        ),
    };
    status.next_allowed_time = until;
    let wrong = match &found.decision {
        Decision::Hold {
            reason:
                reason @ (Reason::AmbiguousCheck
                | Reason::DependencyCycle
                | Reason::TargetConflict
                | Reason::TargetNotFound),
            ..
        } => Some(*reason),
        _ if found.around.status == CheckStatus::Gone => Some(Reason::CheckNotFound),
        _ => None,
    };
    let accepted = match wrong {
        Some(reason) => because(false, reason),
        None => (
            ConditionStatus::True,
            "Accepted",
            "the policy makes sense and what it names exists",
        ),
    };
    let healthy = match found.around.status {
        CheckStatus::Gone => (ConditionStatus::Unknown, Reason::CheckNotFound),
        CheckStatus::NeverRun => (ConditionStatus::Unknown, Reason::NeverRun),
        CheckStatus::Stale => (ConditionStatus::Unknown, Reason::Stale),
        _ if found.state.failures > 0 => (
            ConditionStatus::False,
            match &found.decision {
                Decision::Idle { reason } | Decision::Hold { reason, .. } => *reason,
                _ => Reason::Verifying,
            },
        ),
        _ => (ConditionStatus::True, Reason::Healthy),
    };
    let healthy = (healthy.0, healthy.1.as_str(), healthy.1.sentence());
    let under_way = records.iter().find(|record| !record.finished());
    let remediating = because(
        under_way.is_some(),
        under_way.map_or(Reason::Healthy, |record| record.status.reason),
    );
    let exhausted = found
        .state
        .incident
        .as_ref()
        .is_some_and(|incident| incident.exhausted);
    let exhausted = if exhausted {
        because(true, Reason::RetryBudgetExhausted)
    } else {
        (ConditionStatus::False, "NotExhausted", "steps are left")
    };
    for (name, value) in [
        ("Accepted", accepted),
        ("CheckHealthy", healthy),
        ("RemediationAllowed", allowed),
        ("Remediating", remediating),
        ("EscalationExhausted", exhausted),
    ] {
        set(&mut status.conditions, name, value, spec.generation, now);
    }
    status
}
