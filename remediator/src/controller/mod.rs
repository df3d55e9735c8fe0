//! The controller: watches, a queue of what is due, and the leader that works on it.

mod admission;
mod alerts;
mod cascade;
mod conditions;
mod desk;
mod health;
mod kinds;
mod leader;
mod mandate;
mod noted;
mod notices;
mod objects;
mod pace;
mod policies;
mod prune;
mod queue;
mod records;
mod requests;
mod retries;
mod settings;
mod shared;
mod status;
mod tell;
mod told;
mod watch;
mod world;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::task::JoinSet;

use crate::core::cascade::{Behind, Subject, Target};
use crate::core::execution::{Answer, Live, TargetWrite};
use crate::core::{FactsNeed, ObjectKey, TargetKind, TargetRef};
use crate::events::Events;
use crate::fence::{Fence, LostLease};
use leader::Leader;
use shared::Shared;

pub use alerts::{NotTaken, Tally};
pub use desk::Desk;
pub use health::WorkloadHealth;
pub use settings::Settings;

/// The longest that any request takes, but for the first list.
const REQUEST: Duration = Duration::from_secs(4);

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

/// The only way to workloads: what reads them and writes to them.
pub trait Workloads: Send + Sync + 'static {
    /// Reads what `need` says of a workload.
    fn facts(
        &self,
        namespace: &str,
        target: (TargetKind, &str),
        need: FactsNeed,
    ) -> impl Future<Output = Result<Live, kube::Error>> + Send;

    /// Reads which workloads are behind what an error names. `candidates`, workloads of its namespace, are asked if
    /// nothing else tells.
    fn behind(
        &self,
        subject: &Subject,
        candidates: &[Target],
    ) -> impl Future<Output = Result<Behind, kube::Error>> + Send;

    /// Makes a write, if `fence` is open at that moment.
    fn write(
        &self,
        fence: &Fence,
        namespace: &str,
        target: &TargetRef,
        write: &TargetWrite,
    ) -> impl Future<Output = Answer> + Send;
}

/// Watches always, and works while `fence` is open, for ever.
///
/// # Errors
/// [`LostLease`]: nobody seeks the lease any more.
pub async fn run<W: Workloads>(
    client: Client,
    workloads: W,
    fence: Fence,
    settings: Settings,
) -> Result<(), LostLease> {
    run_with(client, workloads, fence, settings, drop).await
}

/// As [`run`], and `open` is given the desk before anything is watched.
///
/// # Errors
/// [`LostLease`]: nobody seeks the lease any more.
pub async fn run_with<W: Workloads>(
    client: Client,
    workloads: W,
    fence: Fence,
    settings: Settings,
    open: impl FnOnce(Desk) + Send,
) -> Result<(), LostLease> {
    let workloads = Arc::new(workloads);
    let instance = settings.instance.clone();
    let (events, publisher) = Events::new(client.clone(), fence.clone(), instance);
    let shared = Arc::new(Shared::new(settings, events));
    open(Desk::new(client.clone(), shared.clone()));
    let gauges = shared.clone();
    shared.metrics.observe(move || gauges.gauges());
    let mut tasks = JoinSet::new();
    tasks.spawn(publisher.run());
    for source in shared.sources() {
        shared.metrics.watches(source.kind.plural());
        let (client, shared) = (client.clone(), shared.clone());
        tasks.spawn(async move {
            // Of a check that no policy names nothing is kept, so policies are read first.
            if source.kind.is_kuberhealthys() {
                shared.policies_listed().await;
            }
            let told = source.clone();
            watch::follow(client, source, move |change| shared.changed(&told, change)).await;
        });
    }
    loop {
        let term = fence.gained().await?;
        let leader = Leader::new(
            client.clone(),
            workloads.clone(),
            shared.clone(),
            fence.clone(),
            term,
        );
        tracing::info!(term = term.0, "leading");
        tokio::select! {
            () = fence.lost(term) => tracing::warn!(term = term.0, "not leading any more"),
            () = Arc::new(leader).lead() => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        namespace: namespace.into(),
        name: name.into(),
    }
}
