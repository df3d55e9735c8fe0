//! Tells receivers of notifications. Nobody waits for them.

use std::future::Future;
use std::sync::Arc;

use super::conditions::get;
use super::noted::{by_policy, by_record, open};
use super::objects::{Objects, Owner, Policy};
use super::shared::Shared;
use super::status::ALLOWED;
use super::{Leader, Workloads, lock};
use crate::clock;
use crate::core::limits::{all_stale, storm};
use crate::core::{Reason, Record, RecordStatus, StormState, Time};
use crate::crd::RemediationPolicyStatus;
use crate::notify::Ask;
use crate::notify::notice::{Notice, Subject, Transition};

/// What concerns all policies and was told: since when it lasts.
#[derive(Debug, Default)]
pub(super) struct General {
    storm: Option<Time>,
    source: Option<Time>,
}

impl General {
    /// What the last leader has told and not ended, by what it wrote of its policies.
    fn inherited(objects: &Objects) -> General {
        let since = |reasons: &[Reason]| {
            let statuses = objects
                .policies
                .values()
                .filter_map(|policy| policy.object.status.as_ref());
            let held = statuses.filter_map(|status| get(&status.conditions, ALLOWED));
            let held =
                held.filter(|held| reasons.iter().any(|reason| reason.as_str() == held.reason));
            held.map(|held| held.last_transition_time).min()
        };
        General {
            storm: since(&[Reason::StormActive, Reason::StormCooldown]),
            source: since(&[Reason::SourceStale]),
        }
    }

    /// What lasts.
    fn open(&self) -> Vec<Notice> {
        let storm = self.storm.map(|since| {
            let (what, message) = (Transition::StormBegan, Reason::StormActive.sentence());
            Notice::general(Subject::Storm, what, message, since)
        });
        let source = self.source.map(|since| {
            let (what, message) = (Transition::SourceStale, Reason::SourceStale.sentence());
            Notice::general(Subject::Source, what, message, since)
        });
        storm.into_iter().chain(source).collect()
    }
}

impl<W: Workloads> Leader<W> {
    /// Takes over from the last leader. What it returns tells receivers, as long as it is polled.
    pub(super) fn begin_notifying(&self) -> impl Future<Output = ()> + Send + use<W> {
        let notify = self.shared.notify.clone();
        let general = self.with_objects(|objects| General::inherited(objects));
        *lock(&self.shared.general) = general;
        let shared = self.shared.clone();
        notify.resume(&shared.open());
        let ask: Ask = Arc::new(move || shared.open());
        notify.serve(self.fence.clone(), ask)
    }

    /// Tells what a policy's new status says that the old one did not.
    pub(super) fn notify_policy(
        &self,
        policy: &Policy,
        before: Option<&RemediationPolicyStatus>,
        after: &RemediationPolicyStatus,
    ) {
        let (notify, Ok(spec)) = (&self.shared.notify, &policy.spec) else {
            return;
        };
        if !notify.is_on() {
            return;
        }
        let known = before.and_then(|before| before.observed_generation);
        if known != after.observed_generation {
            notify.check(&spec.key, spec.notify.as_ref());
        }
        let owner = Owner {
            policy: spec.key.clone(),
            uid: spec.uid.clone(),
        };
        let records = self.with_objects(|objects| objects.records.of(&owner));
        for notice in by_policy(policy, &records, before, after, clock::now()) {
            notify.tell(notice);
        }
    }

    /// Tells what a record's new status says that the old one did not.
    pub(super) fn notify_record(&self, before: &RecordStatus, record: &Record) {
        let notify = &self.shared.notify;
        if !notify.is_on() {
            return;
        }
        let key = &record.intent.policy;
        let policy = self.with_objects(|objects| objects.policies.get(key).cloned());
        let notice = policy.and_then(|policy| by_record(&policy, before, record, clock::now()));
        if let Some(notice) = notice {
            notify.tell(notice);
        }
    }

    /// Tells once of each storm, and of each time that Kuberhealthy is down, that it has begun and that it is over. What is
    /// the case is read here: what was found before may have been waited for, and others have told of newer things since.
    pub(super) fn notify_general(&self) {
        let notify = &self.shared.notify;
        if !notify.is_on() {
            return;
        }
        let (limits, now) = (self.shared.limits, clock::now());
        let mut general = lock(&self.shared.general);
        let mut current = lock(&self.shared.storm);
        let (counts, any) = self.with_objects(|objects| {
            let any = objects.policies.values().any(|policy| policy.spec.is_ok());
            (objects.counts(now, false), any)
        });
        if !any {
            // Nobody is left to find that it is over.
            *current = storm(*current, 0, 0, &limits, now);
        }
        let stale = any && all_stale(counts.stale, counts.checks, &limits);
        let state = if any { *current } else { StormState::Calm };
        drop(current);
        let news = match (state, general.storm) {
            (StormState::Active { since }, None) => {
                general.storm = Some(since);
                let message = format!(
                    "{} of {} checks that policies are triggered by fail: nothing is begun until that is over",
                    counts.failing, counts.mapped
                );
                Some((Subject::Storm, Transition::StormBegan, message, since))
            }
            (StormState::Calm, Some(_)) => {
                general.storm = None;
                let message = "few enough checks fail again: actions may begin".to_owned();
                Some((Subject::Storm, Transition::StormEnded, message, now))
            }
            _ => None,
        };
        let more = match (stale, general.source) {
            (true, None) => {
                general.source = Some(now);
                let message = format!(
                    "{} of {} checks have not been written for too long: nothing is begun until they are",
                    counts.stale, counts.checks
                );
                Some((Subject::Source, Transition::SourceStale, message, now))
            }
            (false, Some(_)) => {
                general.source = None;
                let message = "checks are written again".to_owned();
                Some((Subject::Source, Transition::SourceBack, message, now))
            }
            _ => None,
        };
        drop(general);
        for (subject, what, message, since) in news.into_iter().chain(more) {
            notify.tell(Notice::general(subject, what, &message, since));
        }
    }
}

impl Shared {
    /// All that is open at this moment.
    fn open(&self) -> Vec<Notice> {
        let mut notices = lock(&self.general).open();
        self.objects(|objects| {
            let policies = objects.policies.sorted();
            notices.extend(policies.into_iter().filter_map(|policy| {
                let spec = policy.spec.as_ref().ok()?;
                let owner = Owner {
                    policy: spec.key.clone(),
                    uid: spec.uid.clone(),
                };
                open(policy, &objects.records.of(&owner))
            }));
        });
        notices
    }
}
