//! The controller: watches, a queue of what is due, and the leader that works on it.

mod conditions;
mod kinds;
mod objects;
mod policies;
mod queue;
mod records;
mod watch;
mod world;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::api::{Api, ListParams};
use tokio::task::JoinSet;

use crate::clock;
use crate::core::execution::{Answer, Live, TargetWrite};
use crate::core::{
    CheckKey, FactsNeed, Limits, ObjectKey, PolicySpec, StormState, TargetKind, TargetRef, Time,
};
use crate::crd::Remediation;
use crate::fence::{Fence, LostLease, Term};
use kinds::Kind;
use objects::{Concerns, Objects};
use queue::Queue;
use world::Surroundings;

/// How many things are worked on at once.
const WORKERS: usize = 8;

/// The longest that any request takes, but for the first list.
const REQUEST: Duration = Duration::from_secs(4);

/// The longest pause after failures, in seconds.
const PAUSE: u64 = 60;

/// What is worked on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    // Records first: what was begun is finished before anything new begins.
    Record(ObjectKey),
    Policy(ObjectKey),
}

/// Why something could not be done now; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Request(#[from] kube::Error),
    #[error("no answer within {} s", REQUEST.as_secs())]
    Timeout,
    #[error(transparent)]
    LostLease(#[from] LostLease),
    #[error("{0}")]
    Read(String),
}

impl Failed {
    /// Whether a write that failed like this may take effect all the same.
    fn may_have_taken_effect(&self) -> bool {
        match self {
            Failed::Request(kube::Error::Api(status)) => status.code >= 500,
            Failed::Request(_) | Failed::Timeout => true,
            Failed::LostLease(_) | Failed::Read(_) => false,
        }
    }
}

struct Shared {
    objects: Mutex<Objects>,
    queue: Mutex<Arc<Queue<Key>>>,
}

impl Shared {
    fn objects<T>(&self, look: impl FnOnce(&mut Objects) -> T) -> T {
        look(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn queue(&self) -> Arc<Queue<Key>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clone()
    }

    /// A new queue with everything in it.
    fn restart(&self) -> Arc<Queue<Key>> {
        let queue = Arc::new(Queue::new());
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = queue.clone();
        let now = clock::instant();
        self.objects(|objects| {
            for key in objects.records.keys() {
                queue.add(Key::Record(key.clone()), now);
            }
            for key in objects.policies.keys() {
                queue.add(Key::Policy(key.clone()), now);
            }
        });
        queue
    }

    fn changed(&self, kind: Kind, change: watch::Change) {
        let keys = self.objects(|objects| {
            let concerns = objects.take(kind, change, clock::now());
            concerns
                .into_iter()
                .flat_map(|concerns| keys(objects, concerns))
                .collect::<Vec<Key>>()
        });
        let (queue, now) = (self.queue(), clock::instant());
        for key in keys {
            queue.add(key, now);
        }
    }
}

/// What has to be looked at.
fn keys(objects: &Objects, concerns: Concerns) -> Vec<Key> {
    let of_policy = |policy: &ObjectKey| {
        let records = objects.records.values();
        let own = records.filter(|record| record.intent.policy == *policy && !record.finished());
        let mut keys: Vec<Key> = own.map(|record| Key::Record(record.name.clone())).collect();
        keys.push(Key::Policy(policy.clone()));
        keys
    };
    match concerns {
        Concerns::Policy(policy) => of_policy(&policy),
        Concerns::Record(record) => {
            let policy = objects.records.get(&record);
            let policy = policy.map(|record| Key::Policy(record.intent.policy.clone()));
            [Some(Key::Record(record)), policy]
                .into_iter()
                .flatten()
                .collect()
        }
        Concerns::Check(check) => {
            let policies = objects.policies_of(&check);
            policies.iter().flat_map(of_policy).collect()
        }
    }
}

/// The only way to workloads: what reads them and writes to them.
pub trait Workloads: Send + Sync + 'static {
    /// Reads what `need` says of a workload.
    fn facts(
        &self,
        namespace: &str,
        target: (TargetKind, &str),
        need: FactsNeed,
    ) -> impl Future<Output = Result<Live, kube::Error>> + Send;

    /// Makes a write, if `fence` is open at that moment.
    fn write(
        &self,
        fence: &Fence,
        namespace: &str,
        target: &TargetRef,
        write: &TargetWrite,
    ) -> impl Future<Output = Answer> + Send;
}

/// One time of leadership.
struct Leader<W> {
    client: Client,
    workloads: Arc<W>,
    shared: Arc<Shared>,
    fence: Fence,
    term: Term,
    limits: Limits,
    storm: Mutex<StormState>,
    admission: tokio::sync::Mutex<()>,
    failures: Mutex<HashMap<Key, u32>>,
}

/// Watches always, and works while `fence` is open, for ever.
///
/// # Errors
/// [`LostLease`]: nobody seeks the lease any more.
pub async fn run<W: Workloads>(
    client: Client,
    workloads: W,
    fence: Fence,
    limits: Limits,
) -> Result<(), LostLease> {
    let workloads = Arc::new(workloads);
    let shared = Arc::new(Shared {
        objects: Mutex::default(),
        queue: Mutex::new(Arc::new(Queue::new())),
    });
    let mut watches = JoinSet::new();
    for kind in Kind::ALL {
        let (client, shared) = (client.clone(), shared.clone());
        watches.spawn(watch::follow(client, kind, move |change| {
            shared.changed(kind, change);
        }));
    }
    loop {
        let term = fence.gained().await?;
        let leader = Arc::new(Leader {
            client: client.clone(),
            workloads: workloads.clone(),
            shared: shared.clone(),
            fence: fence.clone(),
            term,
            limits,
            storm: Mutex::default(),
            admission: tokio::sync::Mutex::default(),
            failures: Mutex::default(),
        });
        tracing::info!(term = term.0, "leading");
        tokio::select! {
            () = fence.lost(term) => tracing::warn!(term = term.0, "not leading any more"),
            () = leader.lead() => {}
        }
    }
}

impl<W: Workloads> Leader<W> {
    async fn lead(self: Arc<Leader<W>>) {
        while !self.with_objects(|objects| objects.complete()) || !self.catch_up().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let queue = self.shared.restart();
        // Dropped with this future, and all that is under way with it.
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(self.clone().work(queue.clone()));
        }
        while workers.join_next().await.is_some() {}
    }

    /// Reads all records from the API server itself: the watch may not have told of the last leader's last one.
    async fn catch_up(&self) -> bool {
        let records: Api<Remediation> = Api::all(self.client.clone());
        match self.limited(records.list(&ListParams::default())).await {
            Ok(list) => {
                for record in &list {
                    if let Err(why) = self.put_record(record) {
                        tracing::warn!(%why, "Remediation left out");
                    }
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the Remediations cannot be read");
                false
            }
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
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(again) => {
                failures.remove(key);
                again
            }
            Err(error) => {
                let count = failures.entry(key.clone()).or_default();
                *count = count.saturating_add(1);
                let pause = 2_u64.saturating_pow(*count - 1).min(PAUSE);
                tracing::warn!(?key, %error, pause, "tried again later");
                Some(Duration::from_secs(pause))
            }
        }
    }

    fn with_objects<T>(&self, look: impl FnOnce(&mut Objects) -> T) -> T {
        self.shared.objects(look)
    }

    fn around(&self, spec: &PolicySpec, check: Option<&CheckKey>, now: Time) -> Surroundings {
        let mut storm = self.storm.lock().unwrap_or_else(PoisonError::into_inner);
        self.with_objects(|objects| {
            world::around(objects, spec, check, self.limits, &mut storm, now)
        })
    }

    /// Takes a record as it was read or written, and has it and its policy looked at.
    fn put_record(&self, object: &Remediation) -> Result<(), Failed> {
        let queue = self.shared.queue();
        let key = self.with_objects(|objects| objects.put_record(object));
        let key = key.map_err(Failed::Read)?;
        queue.add(Key::Record(key), clock::instant());
        Ok(())
    }

    async fn limited<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failed> {
        let answer = tokio::time::timeout(REQUEST, request).await;
        Ok(answer.map_err(|_| Failed::Timeout)??)
    }

    /// A write: not made unless this process leads at this moment.
    async fn write<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failed> {
        self.fence.check(clock::instant())?;
        self.limited(request).await
    }
}
