//! The controller: starts runs, ends overdue ones, and takes leave of deleted checks.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::duration::GoDuration;
use super::super::speed::Speed;
use super::super::{clock, go, pods};
use super::check::{self, Name, RUN_LABEL, Status};
use super::page::ControllerMetrics;
use crate::api::{Api, ApiError};
use crate::informer::{Change, Informer, key};

/// Path of all checks.
pub(super) const CHECKS: &str = "/apis/kuberhealthy.github.io/v2/healthchecks";
/// Shortest pause between two looks at what is due.
const MIN_SCHEDULE: Duration = Duration::from_secs(1);
/// Beyond its time-out a run is given this long before it counts as failed.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);

/// What the parts of the controller share.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) api: Api,
    pub(super) speed: Speed,
    /// Where checker pods report.
    pub(super) report_url: String,
    /// Checks whose run is being started or in flight, as far as this process knows.
    starting: Mutex<HashSet<Name>>,
    pub(super) metrics: Mutex<ControllerMetrics>,
}

impl Controller {
    pub(super) fn new(api: Api, speed: Speed, report_url: String) -> Controller {
        Controller {
            api,
            speed,
            report_url,
            starting: Mutex::default(),
            metrics: Mutex::default(),
        }
    }

    /// Follows and schedules checks for ever.
    ///
    /// At the start the schedule comes before the events, so that checks that were there already are run before they
    /// could get their finalizer, and never do: the events' objects are outdated by then, and the write is not tried
    /// again. The real controller has the same race, and the recordings show this outcome.
    pub(super) async fn run(self: Arc<Controller>) {
        let mut informer = Informer::start(&self.api, CHECKS);
        let mut seen = HashSet::new();
        let mut present = Vec::new();
        loop {
            match informer.next().await {
                Change::Applied { new, .. } => {
                    seen.insert(key(&new));
                    present.push(new);
                }
                Change::Deleted(_) => {}
                Change::Listed => break,
            }
        }
        for check in present
            .iter()
            .filter(|check| !Status::of(check).current_uuid.is_empty())
        {
            self.watch_timeout(check);
        }
        let mut next = Instant::now() + self.schedule(&seen).await;
        for check in present {
            self.created(&check).await;
        }
        loop {
            tokio::select! {
                // Events first: the schedule must not start a check before its creation was dealt with.
                biased;
                change = informer.next() => match change {
                    Change::Applied { old: None, new } => {
                        seen.insert(key(&new));
                        self.created(&new).await;
                    }
                    Change::Applied { old: Some(old), new } => self.updated(&old, &new).await,
                    Change::Deleted(old) => {
                        seen.remove(&key(&old));
                        self.release(&Name::of(&old));
                    }
                    Change::Listed => {}
                },
                () = tokio::time::sleep_until(next) => next = Instant::now() + self.schedule(&seen).await,
            }
        }
    }

    /// Starts what is due, and says how long to wait before looking again.
    async fn schedule(self: &Arc<Controller>, seen: &HashSet<String>) -> Duration {
        let began = Instant::now();
        let shortest = self.speed.scale(MIN_SCHEDULE);
        let checks = self
            .api
            .list(CHECKS)
            .await
            .map(|list| list.items)
            .unwrap_or_default();
        let (mut next, mut due, mut started) = (None::<Duration>, 0, false);
        for check in checks.iter().filter(|check| seen.contains(&key(check))) {
            let status = Status::of(check);
            let interval = check::run_interval(check);
            let age = age(status.last_run_unix);
            let remaining = interval.saturating_sub(age);
            let candidate = if !status.current_uuid.is_empty() || age < interval {
                remaining
            } else {
                due += 1;
                if self.start(check).await.is_err() {
                    continue;
                }
                started = true;
                interval
            };
            if !candidate.is_zero() {
                next = Some(next.map_or(candidate, |next| next.min(candidate)));
            }
        }
        self.lock_metrics().scheduled(began.elapsed(), due);
        match next {
            Some(next) if !started => next.max(shortest),
            _ => shortest,
        }
    }

    pub(super) fn lock_metrics(&self) -> std::sync::MutexGuard<'_, ControllerMetrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new check gets its finalizer and its first run; no run if the finalizer cannot be written.
    async fn created(self: &Arc<Controller>, check: &Value) {
        if let Some(with) = check::with_finalizer(check)
            && self
                .api
                .replace(&Name::of(check).path(), &with)
                .await
                .is_err()
        {
            return;
        }
        // What cannot be started now is due at the next look.
        let _ = self.start(check).await;
    }

    /// Edits change nothing but a deletion; a run that another writer ended frees the check for the next.
    async fn updated(&self, old: &Value, new: &Value) {
        let name = Name::of(new);
        if new["metadata"]["deletionTimestamp"].is_string() {
            if check::without_finalizer(new).is_some() {
                // The source goes on to the finalizer whatever went wrong before.
                let _ = self.stop_check(new).await;
                if let Some(without) = self
                    .api
                    .get(&name.path())
                    .await
                    .ok()
                    .as_ref()
                    .and_then(check::without_finalizer)
                {
                    let _ = self.api.replace(&name.path(), &without).await;
                }
            }
            return;
        }
        if !Status::of(old).current_uuid.is_empty() && Status::of(new).current_uuid.is_empty() {
            self.release(&name);
        }
    }

    /// The guard against starting a check twice.
    pub(super) fn release(&self, name: &Name) {
        self.starting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    fn claim(&self, name: &Name) -> bool {
        self.starting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone())
    }

    /// Reads a check, changes its status, and writes that. Fails if someone else wrote in between.
    pub(super) async fn change(
        &self,
        name: &Name,
        change: impl FnOnce(&mut Status),
    ) -> Result<Value, ApiError> {
        let mut check = self.api.get(&name.path()).await?;
        let mut status = Status::of(&check);
        change(&mut status);
        check["status"] = serde_json::to_value(&status).unwrap_or_default();
        self.api
            .replace(&format!("{}/status", name.path()), &check)
            .await
    }

    async fn clear_uuid(&self, name: &Name) -> Result<(), ApiError> {
        let cleared = self
            .change(name, |status| status.current_uuid.clear())
            .await;
        self.release(name);
        cleared.map(drop)
    }

    /// Starts a run: uuid, pod, start time, each in a write of its own.
    pub(super) async fn start(self: &Arc<Controller>, check: &Value) -> Result<(), String> {
        let name = Name::of(check);
        if !self.claim(&name) {
            return Err(format!(
                "check {}/{} is already being started",
                name.namespace, name.name
            ));
        }
        let uuid = uuid::Uuid::new_v4().to_string();
        if let Err(error) = self
            .change(&name, |status| status.current_uuid.clone_from(&uuid))
            .await
        {
            self.release(&name);
            return Err(format!("unable to set running UUID: {}", go::error(&error)));
        }
        let start = clock::now_unix();
        let pod = check::pod(check, &uuid, start, &self.report_url);
        if let Err(error) = self.api.create(&pods::path(&name.namespace), &pod).await {
            let why = format!("failed to create check pod: {}", go::error(&error));
            // The start time stays as it was, so the check is due again at the next look.
            let _ = self.change(&name, |status| status.fail(why.clone())).await;
            let _ = self.clear_uuid(&name).await;
            return Err(why);
        }
        match self
            .change(&name, |status| status.last_run_unix = start)
            .await
        {
            Ok(started) => {
                self.watch_timeout(&started);
                Ok(())
            }
            Err(error) => {
                self.release(&name);
                Err(format!(
                    "unable to set check start time: {}",
                    go::error(&error)
                ))
            }
        }
    }

    /// Fails the check's run when it is overdue.
    fn watch_timeout(self: &Arc<Controller>, check: &Value) {
        let status = Status::of(check);
        if status.current_uuid.is_empty() {
            return;
        }
        let (name, timeout) = (Name::of(check), check::timeout(check));
        let wait =
            (timeout + self.speed.scale(TIMEOUT_GRACE)).saturating_sub(age(status.last_run_unix));
        let controller = Arc::downgrade(self);
        // Ends by itself: at its time, or when the controller is gone.
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(controller) = controller.upgrade() {
                // A write that fails leaves the run to the reporter, as in the source.
                let _ = controller.fail_overdue(&name, &status, timeout).await;
            }
        });
    }

    async fn fail_overdue(
        &self,
        name: &Name,
        run: &Status,
        timeout: Duration,
    ) -> Result<(), ApiError> {
        let check = self.api.get(&name.path()).await?;
        if Status::of(&check).current_uuid != run.current_uuid {
            return Ok(());
        }
        let started = clock::rfc3339(run.last_run_unix);
        let timeout = GoDuration::from(timeout);
        let why = format!(
            "check run {} timed out after {timeout} (started at {started})",
            run.current_uuid
        );
        self.change(name, |status| status.fail(why)).await?;
        self.clear_uuid(name).await
    }

    /// Ends the run of a check that is being deleted, and its pods.
    async fn stop_check(&self, check: &Value) -> Result<(), ApiError> {
        let name = Name::of(check);
        let uuid = Status::of(check).current_uuid;
        let _ = self.clear_uuid(&name).await;
        let now = clock::now_unix();
        self.change(&name, |status| {
            status.run_duration = now
                .saturating_sub(status.last_run_unix)
                .saturating_mul(1_000_000_000);
        })
        .await?;
        if uuid.is_empty() {
            return Ok(());
        }
        let own = pods::labelled(&name.namespace, RUN_LABEL, Some(&uuid));
        for pod in self.api.list(&own).await?.items {
            pods::delete(&self.api, &pod).await?;
        }
        Ok(())
    }

    /// Whether a report of this run is still taken. Before the start time of the first run is written it is not: the
    /// run seems to have started in 1970.
    pub(super) fn takes_report(check: &Value, uuid: &str) -> bool {
        let status = Status::of(check);
        status.current_uuid == uuid && age(status.last_run_unix) < check::timeout(check)
    }
}

/// Time since a second of the epoch; zero if it is to come.
fn age(unix: i64) -> Duration {
    let now = jiff::Timestamp::now().as_nanosecond();
    let nanos = now - i128::from(unix) * 1_000_000_000;
    Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}
