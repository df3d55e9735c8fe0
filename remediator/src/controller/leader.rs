//! One time of leadership.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use tokio::task::JoinSet;

use super::cascade;
use super::objects::{Concerns, Objects, STALE};
use super::pace::Bucket;
use super::queue::Queue;
use super::records::parsed;
use super::shared::{Shared, keys};
use super::watch::PAGE;
use super::world::{self, Surroundings, View};
use super::{Failed, Key, REQUEST, Workloads, lock};
use crate::clock;
use crate::core::{ObjectKey, Reason, Record, Time};
use crate::fence::{Fence, Term};

/// How many things are worked on at once.
const WORKERS: usize = 8;

/// The longest pause after failures, in seconds.
const PAUSE: u64 = 60;

/// Finished records that are deleted at once, and one each so often from then on.
const PRUNED: u32 = 20;
const PRUNE: Duration = Duration::from_secs(1);

/// One time of leadership.
pub(super) struct Leader<W> {
    pub(super) client: Client,
    pub(super) workloads: Arc<W>,
    pub(super) shared: Arc<Shared>,
    pub(super) fence: Fence,
    pub(super) term: Term,
    /// Who creates a record, or begins one. In it how many were begun with their creation.
    pub(super) admission: tokio::sync::Mutex<u32>,
    pub(super) pruning: Mutex<Bucket>,
    pub(super) alerts: Mutex<HashMap<Reason, Time>>,
    pub(super) cascade: Mutex<cascade::Known>,
    failures: Mutex<HashMap<Key, u32>>,
}

impl<W: Workloads> Leader<W> {
    pub(super) fn new(
        client: Client,
        workloads: Arc<W>,
        shared: Arc<Shared>,
        fence: Fence,
        term: Term,
    ) -> Leader<W> {
        Leader {
            client,
            workloads,
            shared,
            fence,
            term,
            admission: tokio::sync::Mutex::default(),
            pruning: Mutex::new(Bucket::new(PRUNED, PRUNE)),
            alerts: Mutex::default(),
            cascade: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    pub(super) async fn lead(self: Arc<Leader<W>>) {
        while !self.shared.complete() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.catch_up().await {
            tracing::warn!(%error, "the Remediations cannot be read");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(PAUSE));
        }
        self.with_objects(|objects| objects.records.inherit());
        let limits = self.shared.limits;
        let storm = self.with_objects(|objects| world::inherited(objects, &limits, clock::now()));
        *lock(&self.shared.storm) = storm;
        let queue = self.shared.restart();
        let notifying = self.begin_notifying();
        // Dropped with this future, and all that is under way with it.
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(self.clone().work(queue.clone()));
        }
        workers.spawn(notifying);
        workers.spawn(self.clone().count());
        while workers.join_next().await.is_some() {}
    }

    /// Reads all records from the API server itself: the watch may not have told of the last leader's last one.
    async fn catch_up(&self) -> Result<(), Failed> {
        for source in self.shared.sources() {
            if source.kind == super::kinds::Kind::Record {
                let (client, kind) = (self.client.clone(), source.kind.resource());
                let records = match &source.namespace {
                    Some(namespace) => Api::namespaced_with(client, namespace, &kind),
                    None => Api::all_with(client, &kind),
                };
                self.catch_up_with(&records).await?;
            }
        }
        Ok(())
    }

    async fn catch_up_with(&self, records: &Api<DynamicObject>) -> Result<(), Failed> {
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = self.limited(records.list(&parameters)).await?;
            for object in &page {
                // The watch says so of one that is none.
                if let Ok(record) = parsed(object) {
                    self.with_objects(|objects| objects.put_record(record));
                }
            }
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => parameters.continue_token = Some(next),
                _ => return Ok(()),
            }
        }
    }

    async fn count(self: Arc<Leader<W>>) {
        loop {
            tokio::time::sleep(Duration::from_secs(STALE.into())).await;
            self.with_objects(|objects| objects.count_stale(clock::now()));
        }
    }

    async fn work(self: Arc<Leader<W>>, queue: Arc<Queue<Key>>) {
        loop {
            let key = queue.next().await;
            let result = match &key {
                Key::Policy(policy) => self.policy(policy).await,
                Key::Record(record) => self.record(record).await,
            };
            let again = self.again(&key, result);
            queue.done(&key);
            if let Some(after) = again {
                queue.add(key, clock::instant() + after);
            }
        }
    }

    /// After how long to look at `key` again.
    fn again(&self, key: &Key, result: Result<Option<Duration>, Failed>) -> Option<Duration> {
        let mut failures = lock(&self.failures);
        match result {
            Ok(again) => {
                failures.remove(key);
                again
            }
            Err(error) => {
                let count = failures.entry(key.clone()).or_default();
                *count = count.saturating_add(1);
                let pause = 2_u64.saturating_pow(*count - 1).min(PAUSE);
                if is_outdated(&error) {
                    tracing::debug!(?key, pause, "written or deleted by somebody else meanwhile");
                } else {
                    tracing::warn!(?key, %error, pause, "tried again later");
                }
                Some(Duration::from_secs(pause))
            }
        }
    }

    pub(super) fn with_objects<T>(&self, look: impl FnOnce(&mut Objects) -> T) -> T {
        self.shared.objects(look)
    }

    pub(super) fn around(&self, view: &View<'_>) -> Surroundings {
        let mut storm = lock(&self.shared.storm);
        self.with_objects(|objects| world::around(objects, view, &mut storm))
    }

    /// Takes a record as it was read or written, and has it and its policy looked at.
    pub(super) fn put_record(&self, record: Record) {
        let key = record.name.clone();
        self.with_objects(|objects| objects.put_record(record));
        self.look_at_record(key);
    }

    /// Has a record and its policy looked at.
    pub(super) fn look_at_record(&self, key: ObjectKey) {
        let due = self.with_objects(|objects| keys(objects, Concerns::Record(key)));
        let (queue, now) = (self.shared.queue(), clock::instant());
        for key in due {
            queue.add(key, now);
        }
    }

    pub(super) async fn limited<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failed> {
        let answer = tokio::time::timeout(REQUEST, request).await;
        Ok(answer.map_err(|_| Failed::Timeout)??)
    }

    /// A write: not made unless this process leads at this moment.
    pub(super) async fn write<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failed> {
        self.fence.check(clock::instant())?;
        self.limited(request).await
    }
}

/// Whether what was known of an object is old. The watch, or the answer, tells of what there is now. A 404 that names no
/// object is another matter: that of a kind that is not installed, for example.
fn is_outdated(error: &Failed) -> bool {
    let Failed::Request(kube::Error::Api(status)) = error else {
        return false;
    };
    let named = || {
        let details = status.details.as_ref();
        details.is_some_and(|details| !details.name.is_empty())
    };
    status.code == 409 || (status.code == 404 && named())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_names_an_object_is_outdated() {
        for (code, details, outdated) in [
            (409, json!(null), true),
            (
                404,
                json!({"kind": "remediationpolicies", "name": "web"}),
                true,
            ),
            // The kind is not installed.
            (404, json!({}), false),
            (404, json!(null), false),
            (403, json!({"name": "web"}), false),
        ] {
            let status = json!({"status": "Failure", "message": "", "reason": "", "code": code, "details": details});
            let status: kube::core::Status = serde_json::from_value(status).unwrap();
            let error = Failed::Request(kube::Error::Api(status.boxed()));
            assert_eq!(is_outdated(&error), outdated, "{error}");
        }
        assert!(!is_outdated(&Failed::Timeout));
    }
}
