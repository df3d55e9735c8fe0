//! One run of a check: uuid, pod, report, exit, and the write that follows from how it went.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::super::{clock, go, pods};
use super::checker::{Checker, RUN_LABEL, Run};
use super::shared::Shared;
use crate::api::ApiError;
use crate::informer::{Change, Informer};

/// Pause between two looks at a report or a pod.
pub(super) const POLL: Duration = Duration::from_secs(5);

/// A check or job with the name of its latest pod.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) checker: Checker,
    pub(super) shared: Arc<Shared>,
    /// Name of the latest pod; empty before the first.
    pub(super) pod_name: Mutex<String>,
}

/// How a run ended without a verdict to compute.
enum Ended {
    /// Told to stop: the previous verdict is stamped again under the new uuid.
    Aborted,
    /// An execution error.
    Failed(String),
}

/// Set to true when all checks are to stop.
pub(super) type Stop = watch::Receiver<bool>;

async fn stopped(stop: &Stop) {
    // A sender that is gone means that everything ends.
    let _ = stop.clone().wait_for(|stop| *stop).await;
}

impl Runner {
    pub(super) fn new(checker: Checker, shared: &Arc<Shared>) -> Runner {
        Runner {
            checker,
            shared: Arc::clone(shared),
            pod_name: Mutex::default(),
        }
    }

    /// Runs the check at once and then on its interval until it is told to stop.
    pub(super) async fn repeat(self: Arc<Runner>, stop: Stop) {
        let interval = self.checker.interval.max(Duration::from_millis(1));
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        // Like Go's ticker: a run that outlasts the interval is followed by the next one at once, but only one.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !*stop.borrow() {
            self.once(&stop).await;
            tokio::select! {
                _ = ticks.tick() => {}
                () = stopped(&stop) => return,
            }
        }
    }

    /// One run and its result; false if it ended in an execution error.
    pub(super) async fn once(&self, stop: &Stop) -> bool {
        let started = Instant::now();
        let uuid = uuid::Uuid::new_v4().to_string();
        self.shared.runs().insert(uuid.clone(), false);
        let ended = self.run(&uuid, stop).await;
        self.shared.runs().remove(&uuid);
        // What cannot be written is lost, as it is in the source, which only logs it.
        match ended {
            Err(Ended::Failed(why)) => {
                let _ = self.write_error(&why).await;
                false
            }
            Ok(()) | Err(Ended::Aborted) => {
                let aborted = *stop.borrow();
                let _ = self.write_result(started, aborted).await;
                true
            }
        }
    }

    async fn run(&self, uuid: &str, stop: &Stop) -> Result<(), Ended> {
        let Checker {
            namespace, name, ..
        } = &self.checker;
        self.shared
            .states
            .set_uuid(namespace, name, uuid)
            .await
            .map_err(Ended::Failed)?;
        let outcome = self.checker_pod(uuid, stop).await;
        // The context of an aborted run is cancelled, and the clean-up that should follow with it.
        if !*stop.borrow() {
            self.evict_leftovers().await;
        }
        outcome
    }

    async fn checker_pod(&self, uuid: &str, stop: &Stop) -> Result<(), Ended> {
        let Checker {
            namespace,
            name,
            timeout,
            ..
        } = &self.checker;
        let fail = |why: String| Ended::Failed(self.checker.error(why));
        let pod_name = self.checker.pod_name(clock::now_unix());
        pod_name.clone_into(&mut self.pod_name.lock().unwrap_or_else(PoisonError::into_inner));
        let states = &self.shared.states;
        let last_run = states
            .last_run(namespace, name)
            .await
            .map_err(|error| Ended::Failed(go::error(&error)))?;
        if let Some(why) = self.checker.pod_spec_error() {
            return Err(Ended::Failed(why));
        }
        let deadline = Instant::now() + *timeout;
        let timeout_seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let deadline_unix = clock::now_unix().saturating_add(timeout_seconds);
        let limits = Limits { deadline, stop };

        let cleared = limits.within(
            "failed to see pod cleanup within timeout",
            self.pod_is_clear(&pod_name),
        );
        cleared
            .await
            .map_err(|ended| ended.about(fail))?
            .map_err(|error| {
                fail(format!(
                    "error waiting for pod to clean up: {}",
                    go::error(&error)
                ))
            })?;

        // The watch for a deletion starts before the pod is there.
        let own_pods = pods::labelled(namespace, RUN_LABEL, Some(uuid));
        let mut watched = Informer::start(&states.api, &own_pods);
        let run = Run {
            uuid,
            deadline_unix,
            report_url: &self.shared.report_url,
        };
        self.create_pod(&pod_name, &run)
            .await
            .map_err(|why| fail(format!("failed to create pod for checker: {why}")))?;

        let started = limits
            .within(
                "failed to see pod running within timeout",
                wait_for_start(&mut watched),
            )
            .await;
        match started.map_err(|ended| ended.about(fail))? {
            Start::Started => {}
            Start::Deleted => return Err(Ended::Failed(POD_DELETED.to_owned())),
            Start::ImageMissing => {
                self.evict_leftovers().await;
                return Err(fail(
                    "error when waiting for pod to start: ErrImagePull".to_owned(),
                ));
            }
        }

        let reported = limits.within("timed out waiting for checker pod to report in", async {
            tokio::select! {
                () = self.report(uuid, last_run) => true,
                () = wait_for_deletion(&mut watched) => false,
            }
        });
        if !reported.await.map_err(|ended| ended.about(fail))? {
            return Err(Ended::Failed(POD_DELETED.to_owned()));
        }
        drop(watched);

        let exited = limits
            .within(
                "timed out waiting for pod to exit",
                self.pod_exit(&own_pods),
            )
            .await;
        exited.map_err(|ended| ended.about(fail))?.map_err(|error| {
            fail(format!(
                "found an error when waiting for pod to exit: {}",
                go::error(&error)
            ))
        })
    }

    /// Waits until there is no pod of this name, looking first after a whole poll.
    async fn pod_is_clear(&self, name: &str) -> Result<(), ApiError> {
        let path = format!("{}/{name}", pods::path(&self.checker.namespace));
        loop {
            self.poll().await;
            match self.shared.states.api.get(&path).await {
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }

    async fn create_pod(&self, name: &str, run: &Run<'_>) -> Result<(), String> {
        let Shared {
            states,
            own_namespace,
            owner,
            ..
        } = &*self.shared;
        let namespace = &self.checker.namespace;
        let mut reference = None;
        // Owners in another namespace do not exist for Kubernetes.
        if namespace == own_namespace {
            let path = format!("{}/{owner}", pods::path(own_namespace));
            let owner = states.api.get(&path).await.map_err(|error| {
                format!(
                    "Failed to getOwnerReference for pod: {name}, err: {}",
                    go::error(&error)
                )
            })?;
            let of = |key: &str| pods::metadata(&owner, key);
            reference = Some(
                json!({"apiVersion": "v1", "kind": "Pod", "name": of("name"), "uid": of("uid")}),
            );
        }
        let pod = self.checker.pod(name, run, reference);
        states
            .api
            .create(&pods::path(namespace), &pod)
            .await
            .map(drop)
            .map_err(|error| go::error(&error))
    }

    /// Waits until the run has reported, looking first after a whole poll.
    async fn report(&self, uuid: &str, last_run: i64) {
        loop {
            self.poll().await;
            let seen = self.shared.runs().get(uuid) == Some(&true);
            let stored = self
                .shared
                .states
                .last_run(&self.checker.namespace, &self.checker.name)
                .await;
            if seen || stored.is_ok_and(|stored| stored > last_run) {
                return;
            }
        }
    }

    /// Waits until no pod of the run is pending or running.
    async fn pod_exit(&self, own_pods: &str) -> Result<(), ApiError> {
        while !self
            .shared
            .states
            .api
            .list(own_pods)
            .await?
            .items
            .iter()
            .all(|pod| !is_alive(pod))
        {
            self.poll().await;
        }
        Ok(())
    }

    pub(super) async fn poll(&self) {
        tokio::time::sleep(self.shared.states.speed.scale(POLL)).await;
    }
}

/// The one execution error that does not name its check.
const POD_DELETED: &str = "pod deleted unexpectedly";

/// The two things that end any wait of a run.
struct Limits<'a> {
    deadline: Instant,
    stop: &'a Stop,
}

/// Why a wait ended early.
enum Early {
    Stopped,
    TimedOut(&'static str),
}

impl Early {
    fn about(self, fail: impl Fn(String) -> Ended) -> Ended {
        match self {
            Early::Stopped => Ended::Aborted,
            Early::TimedOut(why) => fail(why.to_owned()),
        }
    }
}

impl Limits<'_> {
    async fn within<T>(
        &self,
        timed_out: &'static str,
        wait: impl Future<Output = T>,
    ) -> Result<T, Early> {
        tokio::select! {
            biased;
            () = stopped(self.stop) => Err(Early::Stopped),
            () = tokio::time::sleep_until(self.deadline) => Err(Early::TimedOut(timed_out)),
            done = wait => Ok(done),
        }
    }
}

enum Start {
    Started,
    Deleted,
    ImageMissing,
}

async fn wait_for_start(watched: &mut Informer) -> Start {
    loop {
        match watched.next().await {
            Change::Listed => {}
            Change::Deleted(_) => return Start::Deleted,
            Change::Applied { new, .. } => {
                let statuses = new["status"]["containerStatuses"].as_array();
                if statuses
                    .into_iter()
                    .flatten()
                    .any(|of| of["state"]["waiting"]["reason"] == "ErrImagePull")
                {
                    return Start::ImageMissing;
                }
                if pods::phase(&new) == "Running" || pods::is_finished(&new) {
                    return Start::Started;
                }
            }
        }
    }
}

async fn wait_for_deletion(watched: &mut Informer) {
    while !matches!(watched.next().await, Change::Deleted(_)) {}
}

pub(super) fn is_alive(pod: &Value) -> bool {
    matches!(pods::phase(pod), "Pending" | "Running" | "Unknown")
}
