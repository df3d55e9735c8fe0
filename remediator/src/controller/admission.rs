//! From a decision to the record of it, which is the lock, and to the action. Taken alone, so that two policies never take
//! the last place at once.

use std::time::{Duration, Instant};

use kube::api::{Api, PostParams};
use tokio::sync::MutexGuard;

use super::objects::{Policy, belonging};
use super::policies::{Look, hold};
use super::records::Seen;
use super::requests::denied;
use super::status::{Asked, Found};
use super::{Failed, Leader, REQUEST, Workloads};
use crate::clock;
use crate::core::execution::Live;
use crate::core::{Begun, Decision, Facts, Intent, PolicySpec, Reason, Record};
use crate::crd::{Remediation, remediation};

/// How long what was read is good enough to act on; later all is read again.
const FRESH: Duration = Duration::from_secs(1);

impl<W: Workloads> Leader<W> {
    /// Creates the record, if the decision still is what it was when the others are counted again, and acts if nothing is
    /// in the way. Policy and target were read at `read`.
    pub(super) async fn admit(
        &self,
        policy: &Policy,
        spec: &PolicySpec,
        look: &Look<'_>,
        read: Instant,
    ) -> Result<(Found, Asked), Failed> {
        let alone = self.admission.lock().await;
        self.admitted(alone, policy, spec, look, read).await
    }

    /// As [`Leader::admit`], if nobody else is at it.
    pub(super) async fn try_admit(
        &self,
        policy: &Policy,
        spec: &PolicySpec,
        look: &Look<'_>,
        read: Instant,
    ) -> Result<Option<(Found, Asked)>, Failed> {
        match self.admission.try_lock() {
            Ok(alone) => {
                let admitted = self.admitted(alone, policy, spec, look, read);
                admitted.await.map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    async fn admitted(
        &self,
        mut number: MutexGuard<'_, u32>,
        policy: &Policy,
        spec: &PolicySpec,
        look: &Look<'_>,
        read: Instant,
    ) -> Result<(Found, Asked), Failed> {
        // The others are counted now: what is counted once a second is good enough to hold back, not to act.
        let look = Look {
            now: clock::now(),
            exactly: true,
            ..*look
        };
        let mut found = self.find(&policy.object, spec, &look);
        let known = policy.incident().map(|known| &known.id);
        let mut intent = match &found.decision {
            Decision::Act(intent) if known == Some(&intent.incident.id) => intent.clone(),
            _ => return Ok((found, Asked::Granted)),
        };
        let fresh = || clock::instant().saturating_duration_since(read) < FRESH;
        if fresh() && self.at_once(&intent, *number) {
            // Whether the request is answered or not.
            *number = number.saturating_add(1);
            intent.begun = Some(Begun {
                term: self.term.0,
                number: *number,
            });
        }
        let records: Api<Remediation> = Api::namespaced(self.client.clone(), &spec.key.namespace);
        let object = remediation(&intent, &policy.object);
        let name = object.metadata.name.clone().unwrap_or_default();
        let created = self
            .write(records.create(&PostParams::default(), &object))
            .await;
        let (created, new) = match created {
            // Another leader, or an earlier request whose answer was lost: that record is driven, not a second one.
            Err(Failed::Request(kube::Error::Api(status))) if status.code == 409 => {
                (self.limited(records.get(&name)).await?, false)
            }
            other => match denied(other)? {
                Ok(created) => (created, true),
                Err(message) => {
                    let why = Reason::Forbidden.message(&message);
                    found.decision = hold(Reason::Forbidden, why);
                    return Ok((found, Asked::Refused(message)));
                }
            },
        };
        match belonging(&created) {
            Ok(record) => {
                self.with_objects(|objects| objects.put_record(record.clone()));
                let acted = match look.facts.filter(|_| new && fresh()) {
                    // What is not done in time is gone on with as after a crash. A write that takes as long as one may is
                    // written down all the same.
                    Some(facts) => tokio::time::timeout(2 * REQUEST, self.begin(&record, facts))
                        .await
                        .unwrap_or(Err(Failed::Timeout)),
                    None => Ok(()),
                };
                // Whatever is next for it.
                self.look_at_record(record.name);
                acted?;
            }
            Err(why) => {
                found.decision = hold(Reason::Conflict, Reason::Conflict.message(why));
            }
        }
        Ok((found, Asked::Granted))
    }

    /// Whether the remediation can be begun with the creation of its record.
    fn at_once(&self, intent: &Intent, number: u32) -> bool {
        let (now, limits) = (clock::now(), self.shared.limits);
        let record = Record::planned(intent.clone());
        let term = self.term.0;
        self.with_objects(|objects| {
            let made = Begun { term, number };
            objects.records.at_once(now, &record, made, limits)
        })
    }

    /// Acts for a record that has been begun with its creation just now.
    async fn begin(&self, record: &Record, facts: &Facts) -> Result<(), Failed> {
        // An edit that a watch has told of meanwhile counts.
        let policy = self.policy_of(&record.intent);
        if !record.untold() || policy.is_none() {
            return Ok(());
        }
        let seen = Seen {
            live: Live::Target(Box::new(facts.clone())),
            policy,
            deleted: false,
            created: true,
        };
        self.step(record, &seen).await.map(drop)
    }
}
