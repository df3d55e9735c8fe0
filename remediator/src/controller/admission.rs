//! From a decision to the record of it, which is the lock. Taken alone, so that two policies never take the last place
//! at once.

use std::time::Instant;

use kube::api::{Api, PostParams};

use super::objects::{Policy, belonging};
use super::policies::{Look, hold};
use super::requests::denied;
use super::status::{Asked, Found};
use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::execution::Live;
use crate::core::{Decision, PolicySpec, Reason};
use crate::crd::{Remediation, remediation, state_view};

impl<W: Workloads> Leader<W> {
    /// Creates the record, if the decision still is what it was when the others are counted again. Policy and target were
    /// read at `read`.
    pub(super) async fn admit(
        &self,
        policy: &Policy,
        spec: &PolicySpec,
        look: &Look<'_>,
        read: Instant,
    ) -> Result<(Found, Asked), Failed> {
        let _alone = self.admission.lock().await;
        let look = Look {
            now: clock::now(),
            ..*look
        };
        let mut found = self.find(&policy.object, spec, &look);
        let known = state_view(&policy.object).incident.map(|known| known.id);
        let intent = match &found.decision {
            Decision::Act(intent) if known.as_ref() == Some(&intent.incident.id) => intent,
            _ => return Ok((found, Asked::Granted)),
        };
        let records: Api<Remediation> = Api::namespaced(self.client.clone(), &spec.key.namespace);
        let object = remediation(intent, &policy.object);
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
                if let (true, Some(facts)) = (new, look.facts) {
                    // Nobody has done anything for a record that has just been made. What was read of its target and its
                    // policy serves the claim and the write, if both follow at once; else both are read again.
                    let live = Live::Target(Box::new(facts.clone()));
                    self.hand_over(&record, live, read);
                }
                self.put_record(record);
            }
            Err(why) => {
                found.decision = hold(Reason::Conflict, Reason::Conflict.message(why));
            }
        }
        Ok((found, Asked::Granted))
    }
}
