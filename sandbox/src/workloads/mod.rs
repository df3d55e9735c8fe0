//! The controllers of a cluster's workloads: Deployments, ReplicaSets, StatefulSets and DaemonSets become pods, Services
//! become EndpointSlices, disruption budgets are counted, autoscalers keep their bounds, and what has lost its owner is
//! collected ([`collector`]).
//!
//! They go through [`Api`] alone. One task looks at everything again after each burst of changes; what it has written
//! itself it knows at once ([`world`]), so nothing is made twice because a watch lags behind. Orphans are not adopted.

mod autoscaler;
mod collector;
mod daemonset;
mod deployment;
mod history;
mod pdb;
mod pods;
mod progress;
mod replicaset;
mod revision;
mod rollout;
mod slices;
mod statefulset;
mod values;
mod world;

use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Api;
use crate::informer::{AbortOnDrop, Change, Informer};
use world::{Kind, World};

/// How often everything is looked at again without a change: for deadlines, and for writes that failed.
const TICK: Duration = Duration::from_millis(500);
/// Changes that may wait while a pass is going on.
const BACKLOG: usize = 1024;

/// Whether workloads are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Runs the controllers. On by default; off, Deployments and the like are only stored.
    pub enabled: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { enabled: true }
    }
}

/// The running controllers. Dropping it ends them; pods stay as they are.
#[derive(Debug)]
pub(crate) struct Workloads {
    _tasks: [AbortOnDrop; 2],
}

impl Workloads {
    /// Starts the controllers.
    pub(crate) fn start(api: Api) -> Workloads {
        Workloads {
            _tasks: [
                AbortOnDrop(tokio::spawn(collector::run(api.clone()))),
                AbortOnDrop(tokio::spawn(run(api))),
            ],
        }
    }
}

async fn run(api: Api) {
    let (sender, mut changes) = mpsc::channel(BACKLOG);
    let _followers: Vec<AbortOnDrop> = Kind::ALL
        .iter()
        .map(|kind| AbortOnDrop(tokio::spawn(follow(api.clone(), *kind, sender.clone()))))
        .collect();
    let mut world = World::new(api);
    let mut listed = 0;
    loop {
        if let Ok(Some((kind, change))) = tokio::time::timeout(TICK, changes.recv()).await {
            listed += usize::from(change == Change::Listed);
            world.note(kind, change);
        }
        while let Ok((kind, change)) = changes.try_recv() {
            listed += usize::from(change == Change::Listed);
            world.note(kind, change);
        }
        // Before that, what is there might look as if it were missing.
        if listed >= Kind::ALL.len() {
            pass(&mut world).await;
        }
    }
}

/// Tells the changes of one kind.
async fn follow(api: Api, kind: Kind, sender: mpsc::Sender<(Kind, Change)>) {
    let mut informer = Informer::start(&api, kind.everywhere());
    loop {
        let change = informer.next().await;
        if sender.send((kind, change)).await.is_err() {
            return;
        }
    }
}

/// Looks at everything once. A write that fails is made again in a later pass, from what is known then.
async fn pass(world: &mut World) {
    for scaler in world.all(Kind::HorizontalPodAutoscaler) {
        let _ = autoscaler::sync(world, &scaler).await;
    }
    for deployment in world.all(Kind::Deployment) {
        let _ = deployment::sync(world, &deployment).await;
    }
    for set in world.all(Kind::ReplicaSet) {
        let _ = replicaset::sync(world, &set).await;
    }
    for set in world.all(Kind::StatefulSet) {
        let _ = statefulset::sync(world, &set).await;
    }
    for set in world.all(Kind::DaemonSet) {
        let _ = daemonset::sync(world, &set).await;
    }
    for budget in world.all(Kind::PodDisruptionBudget) {
        let _ = pdb::sync(world, &budget).await;
    }
    for service in world.all(Kind::Service) {
        let _ = slices::sync(world, &service).await;
    }
}
