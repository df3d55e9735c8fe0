//! Which checks run: all of them, started together and stopped together.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::checker::{Checker, Known, Workload};
use super::run::Runner;
use super::shared::Shared;
use crate::api::Patch;
use crate::informer::{Change, Informer, key};

/// How long khchecks must have been left alone before their changes lead to a restart of all checks.
const SETTLE: Duration = Duration::from_secs(10);

/// Runs the khchecks for ever. Whenever one is added, edited or deleted, all runs in flight are aborted, and after their
/// pods have ended all checks start anew.
pub(super) async fn run_checks(shared: Arc<Shared>) {
    let mut informer = Informer::start(&shared.states.api, "/apis/comcast.github.io/v1/khchecks");
    let mut checks = BTreeMap::new();
    let mut known = Known::default();
    let mut group: Option<Group> = None;
    let mut restart_at: Option<Instant> = None;
    loop {
        let change = tokio::select! {
            change = informer.next() => change,
            () = at(restart_at) => {
                restart_at = None;
                if let Some(group) = group.take() {
                    group.stop().await;
                }
                group = Some(Group::start(&shared, &checks));
                continue;
            }
        };
        let matters = match change {
            Change::Applied { new, .. } => {
                let matters = known.applied(key(&new), &new);
                checks.insert(key(&new), new);
                matters
            }
            Change::Deleted(old) => {
                checks.remove(&key(&old));
                known.deleted(&key(&old))
            }
            // What is there at the start is started without waiting for more.
            Change::Listed if group.is_none() => {
                group = Some(Group::start(&shared, &checks));
                restart_at = None;
                false
            }
            Change::Listed => false,
        };
        if matters && group.is_some() {
            restart_at = Some(Instant::now() + shared.states.speed.scale(SETTLE));
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The checks as configured at one time.
struct Group {
    stop: watch::Sender<bool>,
    runners: Vec<Arc<Runner>>,
    tasks: JoinSet<()>,
}

impl Group {
    fn start(shared: &Arc<Shared>, checks: &BTreeMap<String, Value>) -> Group {
        let loaded = checks.keys().cloned().collect();
        *shared.loaded.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
        let (stop, stopped) = watch::channel(false);
        let mut group = Group {
            stop,
            runners: Vec::new(),
            tasks: JoinSet::new(),
        };
        for check in checks.values() {
            let runner = Arc::new(Runner::new(Checker::new(Workload::Check, check), shared));
            group
                .tasks
                .spawn(Arc::clone(&runner).repeat(stopped.clone()));
            group.runners.push(runner);
        }
        group
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        futures::future::join_all(self.runners.iter().map(|runner| runner.shut_down())).await;
        self.tasks.join_all().await;
    }
}

/// Runs every khjob that has not been run yet, once.
pub(super) async fn run_jobs(shared: Arc<Shared>) {
    let mut informer = Informer::start(&shared.states.api, "/apis/comcast.github.io/v1/khjobs");
    // Jobs are not stopped with the checks.
    let (_never, stop) = watch::channel(false);
    let mut tasks = JoinSet::new();
    loop {
        let change = informer.next().await;
        while tasks.try_join_next().is_some() {}
        let Change::Applied { old: None, new } = change else {
            continue;
        };
        if new["spec"]["phase"].as_str().unwrap_or_default().is_empty() {
            let runner = Runner::new(Checker::new(Workload::Job, &new), &shared);
            let stop = stop.clone();
            tasks.spawn(async move {
                set_phase(&runner, "Running").await;
                if runner.once(&stop).await {
                    set_phase(&runner, "Completed").await;
                }
            });
        }
    }
}

/// A job whose run failed to execute stays `Running`, as it does in the source.
async fn set_phase(runner: &Runner, phase: &str) {
    let Checker {
        namespace, name, ..
    } = &runner.checker;
    let path = format!("/apis/comcast.github.io/v1/namespaces/{namespace}/khjobs/{name}");
    // The source replaces the object and only logs what goes wrong.
    let _ = runner
        .shared
        .states
        .api
        .patch(
            &path,
            Patch::Merge,
            &serde_json::json!({"spec": {"phase": phase}}),
        )
        .await;
}
