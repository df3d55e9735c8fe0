//! Alerts that were sent here: each is written into the status of the policies it triggers, before its sender is told
//! that it was taken. That is an observation and no action, so that any replica may write it, and it writes nothing else.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube::api::{Api, PostParams};

use super::desk::Desk;
use super::objects::Policy;
use super::retries::Delivery;
use super::watch::chance;
use super::{Failed, REQUEST, lock};
use crate::clock;
use crate::core::ObjectKey;
use crate::core::alerts::{Delivered, Sent, Taken, receive};
use crate::crd::{RemediationPolicy, received, write_received};
use crate::explain::explain;

/// How often a status that somebody else has written meanwhile is read and written again, and the longest pause before
/// that: the leader and other replicas write it too.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(400);

/// Policies whose status is written at once.
const AT_ONCE: usize = 8;

/// What became of the alerts of a delivery; each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They told a policy something new.
    pub taken: usize,
    /// What they tell was known to their policies, or something newer was.
    pub known: usize,
    /// So many alerts fire for their policies that they were left out.
    pub truncated: usize,
    /// No policy is triggered by them.
    pub unmatched: usize,
    /// The API server does not let a policy be written, and would not if they were sent again.
    pub refused: usize,
}

/// What became of an alert; none: its policy may not be written.
pub(super) type Told = Option<Taken>;

/// Why a delivery was not taken as a whole; it is to be sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is not known yet which policies there are.
    #[error("the policies have not been read yet")]
    NotListed,
    /// A status was not written.
    #[error("the status of policy {namespace}/{name} was not written: {why}")]
    NotWritten {
        /// The policy's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What kept it from being written.
        why: String,
    },
}

impl Desk {
    /// Takes the alerts of a delivery in. If it was not taken as a whole and is sent again with the same body, the
    /// policies that know it already are left as they are.
    ///
    /// # Errors
    /// [`NotTaken`]: not all of them are written down.
    pub async fn take(&self, body: &[u8], sent: &[Sent]) -> Result<Tally, NotTaken> {
        if !self.shared.policies_known() {
            return Err(NotTaken::NotListed);
        }
        let mut concerned: BTreeMap<ObjectKey, Vec<usize>> = BTreeMap::new();
        self.shared.objects(|objects| {
            for (index, alert) in sent.iter().enumerate() {
                for policy in objects.policies.alerted(&alert.labels) {
                    concerned.entry(policy.clone()).or_default().push(index);
                }
            }
        });
        let delivery = lock(&self.retries).delivery(body);
        let (known, before) = lock(&self.retries).known(delivery, clock::instant());
        concerned.retain(|policy, _| !known.contains(policy));
        let writes = concerned.into_iter().map(|(policy, alerts)| async move {
            self.write_delivery(delivery, &policy, sent, &alerts).await
        });
        // One that cannot be written does not keep the others from being written.
        let told: Vec<Result<Vec<(usize, Told)>, NotTaken>> = stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let told: Vec<Vec<(usize, Told)>> = told.into_iter().collect::<Result<_, _>>()?;
        lock(&self.retries).taken(delivery);
        let told = told.into_iter().flatten().chain(before);
        Ok(tally(sent.len(), told))
    }

    /// Writes what concerns one policy, and keeps in mind that it was written: others of the delivery may not be.
    async fn write_delivery(
        &self,
        delivery: Delivery,
        policy: &ObjectKey,
        sent: &[Sent],
        concern: &[usize],
    ) -> Result<Vec<(usize, Told)>, NotTaken> {
        let why = |error: Failed| match error {
            Failed::Request(error) => explain(&error),
            other => other.to_string(),
        };
        let (namespace, name) = (&policy.namespace, &policy.name);
        let told: Vec<(usize, Told)> = match self.write_alerts(policy, sent, concern).await {
            Ok(taken) => taken
                .into_iter()
                .map(|(index, taken)| (index, Some(taken)))
                .collect(),
            Err(error) if for_good(&error) => {
                let (policy, why, alerts) = (name, why(error), concern.len());
                tracing::error!(%namespace, %policy, alerts, "alerts are lost, as the policy's status may not be written: {why}");
                concern.iter().map(|index| (*index, None)).collect()
            }
            Err(error) => {
                return Err(NotTaken::NotWritten {
                    namespace: namespace.to_string(),
                    name: name.to_string(),
                    why: why(error),
                });
            }
        };
        lock(&self.retries).put(delivery, policy, &told, clock::instant());
        Ok(told)
    }

    /// Writes what concerns one policy into its status, if it is new. Says what became of each.
    async fn write_alerts(
        &self,
        key: &ObjectKey,
        sent: &[Sent],
        concern: &[usize],
    ) -> Result<Vec<(usize, Taken)>, Failed> {
        let _turn = self.turn(key).await;
        let policies: Api<RemediationPolicy> = Api::namespaced(self.client.clone(), &key.namespace);
        let mut known = self
            .shared
            .objects(|objects| objects.policies.get(key).cloned());
        let mut tries = 0;
        loop {
            let Some(policy) = &known else {
                return Ok(Vec::new());
            };
            let Some((object, taken)) = merged(policy, sent, concern) else {
                return Ok(Vec::new());
            };
            if !taken.iter().any(|(_, taken)| *taken == Taken::New) {
                return Ok(taken);
            }
            tries += 1;
            let parameters = PostParams::default();
            let written = policies.replace_status(&key.name, &parameters, &object);
            match limited(written).await {
                Ok(_) => {
                    let (namespace, policy) = (&key.namespace, &key.name);
                    tracing::info!(%namespace, %policy, alerts = taken.len(), "alerts received");
                    return Ok(taken);
                }
                Err(Failed::Request(kube::Error::Api(status)))
                    if status.code == 409 && tries < TRIES =>
                {
                    let longest = (PAUSE / 16).saturating_mul(1 << tries.min(4));
                    tokio::time::sleep(longest.mul_f64(chance())).await;
                    let read = limited(policies.get_opt(&key.name)).await?;
                    known = read.map(|object| Arc::new(Policy::new(object)));
                }
                Err(Failed::Request(kube::Error::Api(status))) if status.code == 404 => {
                    return Ok(Vec::new());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The policy with what concerns it in its status; none if alerts do not trigger it any more.
fn merged(
    policy: &Policy,
    sent: &[Sent],
    concern: &[usize],
) -> Option<(RemediationPolicy, Vec<(usize, Taken)>)> {
    let spec = policy.spec.as_ref().ok()?;
    let wanted = spec.alert.as_ref()?;
    let meant = concern.iter().filter_map(|index| {
        let alert = sent.get(*index)?;
        let matches = wanted.matches(&alert.labels);
        matches.then(|| (*index, alert.to(&spec.key.namespace)))
    });
    let (indices, delivered): (Vec<usize>, Vec<Delivered>) = meant.unzip();
    let mut alerts = received(&policy.object, wanted);
    let taken = receive(&mut alerts, &delivered, clock::now());
    let mut object = policy.object.clone();
    write_received(&alerts, wanted, &mut object);
    Some((object, indices.into_iter().zip(taken).collect()))
}

/// Whether the API server would answer the same if the delivery was sent again: the write is not allowed or not valid.
fn for_good(error: &Failed) -> bool {
    matches!(error, Failed::Request(kube::Error::Api(status)) if matches!(status.code, 403 | 422))
}

/// Keeps the most that an alert told any policy.
pub(super) fn more(most: &mut BTreeMap<usize, Told>, index: usize, told: Told) {
    let before = most.entry(index).or_insert(told);
    if told == Some(Taken::New) || *before == Some(Taken::Known) {
        *before = told;
    }
}

/// Counts each alert once.
fn tally(all: usize, told: impl Iterator<Item = (usize, Told)>) -> Tally {
    let mut most: BTreeMap<usize, Told> = BTreeMap::new();
    for (index, told) in told {
        more(&mut most, index, told);
    }
    let count = |which: Told| most.values().filter(|told| **told == which).count();
    Tally {
        taken: count(Some(Taken::New)),
        known: count(Some(Taken::Known)),
        truncated: count(Some(Taken::Truncated)),
        unmatched: all.saturating_sub(most.len()),
        refused: count(None),
    }
}

async fn limited<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failed> {
    let answer = tokio::time::timeout(REQUEST, request).await;
    Ok(answer.map_err(|_| Failed::Timeout)??)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::{Failed, Tally, for_good, tally};
    use crate::core::alerts::Taken;

    #[test]
    fn each_alert_is_counted_once_by_the_most_it_told() {
        let (new, known, refused) = (Some(Taken::New), Some(Taken::Known), None);
        let told = [
            (0, known),
            (0, new),
            (0, refused),
            (1, known),
            (1, refused),
            (2, known),
        ];
        let expected = Tally {
            taken: 1,
            known: 1,
            truncated: 0,
            unmatched: 1,
            refused: 1,
        };
        assert_eq!(tally(4, told.into_iter()), expected);
    }

    #[test]
    fn what_would_be_answered_the_same_is_not_asked_for_again() {
        for (code, expected) in [
            (403, true),
            (422, true),
            (409, false),
            (429, false),
            (500, false),
        ] {
            let status = Status::failure("no", "No").with_code(code).boxed();
            let error = Failed::Request(kube::Error::Api(status));
            assert_eq!(for_good(&error), expected, "{code}");
        }
        assert!(!for_good(&Failed::Timeout));
    }
}
