//! The `KuberhealthyState` objects: one per check or job, written in a fixed order that others read meaning into.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::speed::Speed;
use super::super::{clock, go};
use crate::api::{Api, ApiError};

/// Retries of a write that met another one; waits double from a second.
const CONFLICT_RETRIES: u32 = 8;
/// How often the uuid of a new run is read back and written again before the run is given up.
const UUID_TRIES: u32 = 9;

/// `spec` of a `KuberhealthyState`, in the order Kuberhealthy serves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    #[serde(rename = "OK")]
    pub(super) ok: bool,
    /// `None` is Go's nil slice, which it writes as null.
    #[serde(rename = "Errors")]
    pub(super) errors: Option<Vec<String>>,
    #[serde(rename = "RunDuration")]
    pub(super) run_duration: String,
    #[serde(rename = "Namespace")]
    pub(super) namespace: String,
    #[serde(rename = "Node")]
    pub(super) node: String,
    #[serde(rename = "LastRun", skip_serializing_if = "Option::is_none")]
    pub(super) last_run: Option<String>,
    #[serde(rename = "AuthoritativePod")]
    pub(super) authoritative_pod: String,
    pub(super) uuid: String,
}

impl Details {
    /// Reads the `spec` of a khstate; fields it cannot read are as if missing.
    pub(super) fn of(state: &Value) -> Details {
        serde_json::from_value(state["spec"].clone()).unwrap_or_default()
    }

    /// The errors, none if there never were any.
    pub(super) fn errors(&self) -> &[String] {
        self.errors.as_deref().unwrap_or_default()
    }

    /// Completion of the last run in unix seconds; `None` before the first.
    pub(super) fn last_run_unix(&self) -> Option<i64> {
        clock::parse_unix(self.last_run.as_deref()?)
    }
}

/// Reads and writes khstates.
#[derive(Debug, Clone)]
pub(super) struct States {
    pub(super) api: Api,
    pub(super) speed: Speed,
    /// Written into every state as its author.
    pub(super) pod: String,
}

/// Path of the khstates of a namespace.
fn path(namespace: &str) -> String {
    format!("/apis/comcast.github.io/v1/namespaces/{namespace}/khstates")
}

fn bare(name: &str, spec: &Details) -> Value {
    json!({
        "apiVersion": "comcast.github.io/v1", "kind": "KuberhealthyState",
        "metadata": {"name": name}, "spec": spec,
    })
}

impl States {
    /// The object as stored.
    pub(super) async fn get(&self, namespace: &str, name: &str) -> Result<Value, ApiError> {
        self.api.get(&format!("{}/{name}", path(namespace))).await
    }

    async fn put(&self, namespace: &str, name: &str, object: &Value) -> Result<Value, ApiError> {
        self.api
            .replace(&format!("{}/{name}", path(namespace)), object)
            .await
    }

    /// The details of a state; an absent one is created first, not OK and empty, as the result of a run would find it.
    pub(super) async fn get_or_create(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Details, ApiError> {
        match self.get(namespace, name).await {
            Err(error) if error.is_not_found() => {
                let empty = Details {
                    errors: Some(Vec::new()),
                    ..Details::default()
                };
                self.api
                    .create(&path(namespace), &bare(name, &empty))
                    .await?;
                self.get(namespace, name)
                    .await
                    .map(|state| Details::of(&state))
            }
            state => state.map(|state| Details::of(&state)),
        }
    }

    /// Starts a run: the only write that changes nothing but the uuid. The first run of all creates the state, OK.
    pub(super) async fn set_uuid(
        &self,
        namespace: &str,
        name: &str,
        uuid: &str,
    ) -> Result<(), String> {
        let mut state = match self.get(namespace, name).await {
            Ok(state) => state,
            Err(error) if error.is_not_found() => {
                let first = Details {
                    ok: true,
                    errors: Some(Vec::new()),
                    run_duration: "0s".to_owned(),
                    namespace: namespace.to_owned(),
                    uuid: uuid.to_owned(),
                    ..Details::default()
                };
                let created = self.api.create(&path(namespace), &bare(name, &first)).await;
                return created.map(drop).map_err(|error| go::error(&error));
            }
            Err(error) => {
                return Err(format!(
                    "error setting uuid for check {name} {}",
                    go::error(&error)
                ));
            }
        };
        for _ in 0..UUID_TRIES {
            state["spec"]["uuid"] = uuid.into();
            // Whether it was stored is seen below.
            let _ = self.put(namespace, name, &state).await;
            match self.get(namespace, name).await {
                Ok(seen) if seen["spec"]["uuid"] == uuid => return Ok(()),
                Ok(seen) => state = seen,
                Err(_) => {}
            }
            tokio::time::sleep(self.speed.scale(Duration::from_secs(1))).await;
        }
        let place = format!("{namespace}{name}");
        Err(format!(
            "failed to verify uuid {uuid} was set for khstate {place} after {UUID_TRIES} tries"
        ))
    }

    /// Writes a result: everything but the resourceVersion is replaced, labels and annotations too, and `LastRun` is now.
    pub(super) async fn store(
        &self,
        namespace: &str,
        name: &str,
        details: &Details,
    ) -> Result<(), ApiError> {
        self.get_or_create(namespace, name).await?;
        let mut delay = Duration::from_secs(1);
        let mut retries = 0;
        loop {
            match self.replace_spec(namespace, name, details).await {
                Err(error) if error.is_conflict() && retries < CONFLICT_RETRIES => {
                    tokio::time::sleep(self.speed.scale(delay)).await;
                    delay *= 2;
                    retries += 1;
                }
                stored => return stored,
            }
        }
    }

    async fn replace_spec(
        &self,
        namespace: &str,
        name: &str,
        details: &Details,
    ) -> Result<(), ApiError> {
        let existing = self.get(namespace, name).await?;
        let details = Details {
            authoritative_pod: self.pod.clone(),
            last_run: Some(clock::now_rfc3339()),
            ..details.clone()
        };
        let mut object = bare(name, &details);
        object["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"].clone();
        self.put(namespace, name, &object).await.map(drop)
    }

    /// Completion of the last run in unix seconds; 0 if there was none, or no state.
    pub(super) async fn last_run(&self, namespace: &str, name: &str) -> Result<i64, ApiError> {
        match self.get(namespace, name).await {
            Err(error) if error.is_not_found() => Ok(0),
            state => Ok(Details::of(&state?).last_run_unix().unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_written_in_kuberhealthys_order() {
        let details = Details {
            ok: true,
            errors: Some(vec!["x".to_owned()]),
            ..Details::default()
        };
        let text = serde_json::to_string(&details).unwrap();
        let expected = r#"{"OK":true,"Errors":["x"],"RunDuration":"","Namespace":"","Node":"","AuthoritativePod":"","uuid":""}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_state_never_run_has_no_last_run() {
        let state = json!({"spec": {"OK": true, "Errors": null, "LastRun": null, "uuid": "u"}});
        let details = Details::of(&state);
        assert_eq!(
            (details.ok, details.errors().len(), details.last_run_unix()),
            (true, 0, None)
        );
    }
}
