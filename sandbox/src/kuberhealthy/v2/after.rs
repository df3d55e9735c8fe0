//! What follows a run: pods evicted, the result written, and the end of a check that is stopped.

use std::sync::PoisonError;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::duration::GoDuration;
use super::super::pods;
use super::checker::{CHECK_LABEL, Checker, RUN_LABEL, Workload};
use super::run::{POLL, Runner, is_alive};
use super::shared::Shared;
use super::state::Details;
use crate::api::ApiError;

/// How long a stop waits for a pod before it is killed.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(60);

impl Runner {
    /// Evicts what still runs of this check; one that cannot be evicted is deleted with 30 s of grace.
    pub(super) async fn evict_leftovers(&self) {
        let api = &self.shared.states.api;
        let Checker {
            namespace, name, ..
        } = &self.checker;
        let Ok(list) = api
            .list(&pods::labelled(namespace, CHECK_LABEL, Some(name)))
            .await
        else {
            return;
        };
        for pod in list.items.iter().filter(|pod| is_alive(pod)) {
            let pod_name = pods::metadata(pod, "name");
            let path = format!("{}/{pod_name}", pods::path(namespace));
            let eviction = json!({
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": pod_name, "namespace": namespace},
            });
            if api
                .create(&format!("{path}/eviction"), &eviction)
                .await
                .is_err()
            {
                let _ = api.delete(&format!("{path}?gracePeriodSeconds=30")).await;
            }
        }
    }

    /// The write of a run that failed to execute: the uuid stays, everything else of the run is blank.
    pub(super) async fn write_error(&self, why: &str) -> Result<(), ApiError> {
        let Checker {
            namespace,
            name,
            workload,
            ..
        } = &self.checker;
        let known = self
            .shared
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&self.checker.key());
        if *workload == Workload::Check && !known {
            return Ok(());
        }
        let current = self.shared.states.get_or_create(namespace, name).await?;
        let details = Details {
            errors: Some(vec![format!("{}{why}", workload.error_prefix())]),
            namespace: namespace.clone(),
            uuid: current.uuid,
            ..Details::default()
        };
        self.shared.states.store(namespace, name, &details).await
    }

    /// The write of a run that ended, or was stopped: the verdict is computed anew from the stored errors.
    pub(super) async fn write_result(
        &self,
        started: Instant,
        aborted: bool,
    ) -> Result<(), ApiError> {
        let Checker {
            namespace, name, ..
        } = &self.checker;
        let Shared { states, .. } = &*self.shared;
        let current = states.get_or_create(namespace, name).await?;
        // Two of the polls are taken for waiting, also when the run was stopped before them.
        let run_duration = GoDuration::difference(started.elapsed(), states.speed.scale(POLL) * 2);
        // A stopped run cannot look its pod up any more.
        let node = match aborted {
            true => String::new(),
            false => self.node(&current.uuid).await,
        };
        let details = Details {
            ok: current.errors().is_empty(),
            errors: Some(current.errors().to_vec()),
            run_duration: run_duration.to_string(),
            namespace: namespace.clone(),
            node,
            uuid: current.uuid,
            ..Details::default()
        };
        states.store(namespace, name, &details).await
    }

    async fn node(&self, uuid: &str) -> String {
        let path = pods::labelled(&self.checker.namespace, RUN_LABEL, Some(uuid));
        let pods = self
            .shared
            .states
            .api
            .list(&path)
            .await
            .map(|list| list.items)
            .unwrap_or_default();
        match pods.as_slice() {
            [pod] => pod["spec"]["nodeName"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            _ => String::new(),
        }
    }

    /// Waits for the latest pod to end, after the check was told to stop; kills it after a grace period, unless the
    /// check's own time-out is shorter.
    pub(super) async fn shut_down(&self) {
        let pod_name = self
            .pod_name
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Shared { states, .. } = &*self.shared;
        let path = format!("{}/{pod_name}", pods::path(&self.checker.namespace));
        let grace = states.speed.scale(SHUTDOWN_GRACE);
        let given_up = Instant::now() + self.checker.timeout;
        let killed = Instant::now() + grace;
        loop {
            self.poll().await;
            if pod_name.is_empty() {
                return;
            }
            match states.api.get(&path).await {
                Ok(pod) if !pods::is_finished(&pod) => {}
                _ => return,
            }
            if Instant::now() >= killed {
                let _ = states.api.delete_now(&path).await;
                return;
            }
            if Instant::now() >= given_up {
                return;
            }
        }
    }
}
