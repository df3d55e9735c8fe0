//! `pods/eviction`: deletion of a pod as far as disruption budgets allow it.
//!
//! Follows `pkg/registry/core/pod/storage/eviction.go`, and the recorded answers.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::{Call, now};
use super::delete::{self, Options};
use super::respond;
use crate::labels;
use crate::status::Status;
use crate::store::{Collection, Key, Transaction};

/// Seconds after which a client may ask again about a budget that its controller has not looked at yet.
const RETRY_AFTER: u64 = 10;

impl Call<'_> {
    /// POST of `pods/eviction`.
    pub(crate) fn evict(&self, eviction: &Value) -> Result<Response, Status> {
        let key = self.key(self.name()?);
        let given = eviction["metadata"]["name"].as_str().unwrap_or(&key.name);
        if given != key.name {
            return Err(Status::bad_request(format!(
                "name in URL does not match name in Eviction object: {given}"
            )));
        }
        let options = Options::read(self, &eviction["deleteOptions"])?;
        self.shared.store.write(options.dry_run, |tx| {
            let pod = tx.get(&key).ok_or_else(|| self.not_found(&key.name))?;
            self.precondition(&options, &pod)?;
            let charged = match ignores_budgets(&pod) {
                true => None,
                false => budget(tx, &pod)?,
            };
            if let Some((key, budget)) = charged {
                tx.put(&key, budget)?;
            }
            let mut evicted = (*pod).clone();
            if evicted["metadata"]["deletionTimestamp"].is_null() {
                mark(&mut evicted);
                evicted = (*tx.put(&key, evicted)?).clone();
            }
            delete::start(self.shared, tx, &key, &evicted, options.how)
        })?;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        Ok(respond::json(StatusCode::CREATED, &done))
    }
}

/// Pods that serve nobody go regardless of budgets.
fn ignores_budgets(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
        || matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed" | "Pending")
        )
}

/// The budget that pays for the pod, with the eviction taken off; `None` if none has to pay.
fn budget(tx: &Transaction<'_>, pod: &Value) -> Result<Option<(Key, Value)>, Status> {
    let collection = Collection {
        group: "policy".to_owned(),
        resource: "poddisruptionbudgets".to_owned(),
    };
    let mut found = tx.list(&collection, pod["metadata"]["namespace"].as_str());
    found.retain(|(_, budget)| {
        labels::selects(&budget["spec"]["selector"], &pod["metadata"]["labels"])
    });
    let (key, budget) = match found.as_slice() {
        [] => return Ok(None),
        [one] => one,
        _ => {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(500, "InternalError", message));
        }
    };
    let count = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let (allowed, healthy, desired) = (
        count("disruptionsAllowed"),
        count("currentHealthy"),
        count("desiredHealthy"),
    );
    if !is_ready(pod) {
        let free = match budget["spec"]["unhealthyPodEvictionPolicy"].as_str() {
            Some("AlwaysAllow") => true,
            _ => desired > 0 && healthy >= desired,
        };
        if free {
            return Ok(None);
        }
    }
    let generation = budget["metadata"]["generation"].as_i64().unwrap_or(0);
    if count("observedGeneration") < generation {
        let why = format!(
            "The disruption budget {} is still being processed by the server.",
            key.name
        );
        let mut status = refusal(why);
        status.details["retryAfterSeconds"] = Value::from(RETRY_AFTER);
        return Err(status);
    }
    if allowed <= 0 {
        return Err(refusal(format!(
            "The disruption budget {} needs {desired} healthy pods and has {healthy} currently",
            key.name
        )));
    }
    let mut budget = (**budget).clone();
    budget["status"]["disruptionsAllowed"] = Value::from(allowed - 1);
    if let Some(name) = pod["metadata"]["name"].as_str() {
        let disrupted = &mut budget["status"]["disruptedPods"];
        if !disrupted.is_object() {
            *disrupted = json!({});
        }
        disrupted[name] = Value::from(now());
    }
    Ok(Some((key.clone(), budget)))
}

fn refusal(why: String) -> Status {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut status = Status::new(429, "TooManyRequests", message);
    status.details = json!({"causes": [{"reason": "DisruptionBudget", "message": why}]});
    status
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Says on the pod why it goes.
fn mark(pod: &mut Value) {
    let target = json!({
        "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": now(),
        "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    });
    match pod["status"]["conditions"].as_array_mut() {
        Some(conditions) => conditions.insert(0, target),
        None => pod["status"]["conditions"] = json!([target]),
    }
}
