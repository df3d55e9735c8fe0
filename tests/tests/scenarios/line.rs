//! The two lines of Kuberhealthy, as far as they differ for who creates a check and reads its state.

use std::time::Duration;

use sandbox::Sandbox;
use sandbox::api::Api;
use sandbox::kuberhealthy::ReportFaults;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

const NAMESPACE: &str = "kuberhealthy";

/// Upper bound of every wait.
const DEADLINE: Duration = Duration::from_secs(60);
/// Pause between two looks at a state.
const LOOK: Duration = Duration::from_millis(30);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    V2,
    V3,
}

/// What a run found, as its state object tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed(Vec<String>),
}

impl Line {
    pub(crate) const ALL: [Line; 2] = [Line::V2, Line::V3];

    pub(crate) fn faults(self, sandbox: &Sandbox) -> &ReportFaults {
        match self {
            Line::V2 => sandbox.v2().faults(),
            Line::V3 => sandbox.v3().faults(),
        }
    }

    /// The folder of its examples, below `manifests`.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Line::V2 => "checks/v2",
            Line::V3 => "checks/v3",
        }
    }

    pub(crate) async fn create_check(
        self,
        api: &Api,
        name: &str,
        interval: &str,
        env: &[(&str, &str)],
    ) {
        self.create_check_with_timeout(api, name, interval, "1m", env)
            .await;
    }

    pub(crate) async fn create_check_with_timeout(
        self,
        api: &Api,
        name: &str,
        interval: &str,
        timeout: &str,
        env: &[(&str, &str)],
    ) {
        let env: Vec<Value> = env
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let pod = json!({
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "http-check", "env": env}],
        });
        let (version, kind, plural, pod) = match self {
            Line::V2 => ("comcast.github.io/v1", "KuberhealthyCheck", "khchecks", pod),
            Line::V3 => (
                "kuberhealthy.github.io/v2",
                "HealthCheck",
                "healthchecks",
                json!({"spec": pod}),
            ),
        };
        let check = json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"runInterval": interval, "timeout": timeout, "podSpec": pod},
        });
        let path = format!("/apis/{version}/namespaces/{NAMESPACE}/{plural}");
        api.create(&path, &check).await.unwrap();
    }

    /// The part of the state object that holds the verdict; null if there is none.
    async fn state(self, api: &Api, name: &str) -> Value {
        let (path, part) = match self {
            Line::V2 => ("comcast.github.io/v1", "khstates"),
            Line::V3 => ("kuberhealthy.github.io/v2", "healthchecks"),
        };
        match api
            .get(&format!(
                "/apis/{path}/namespaces/{NAMESPACE}/{part}/{name}"
            ))
            .await
        {
            Ok(mut object) => match self {
                Line::V2 => object["spec"].take(),
                Line::V3 => object["status"].take(),
            },
            Err(error) if error.is_not_found() => Value::Null,
            Err(error) => panic!("{error}"),
        }
    }

    /// The verdict of the last run; `None` before the first.
    pub(crate) async fn verdict(self, api: &Api, name: &str) -> Option<Verdict> {
        let state = self.state(api, name).await;
        let (ok, errors, has_run) = match self {
            Line::V2 => (&state["OK"], &state["Errors"], state["LastRun"].is_string()),
            Line::V3 => (&state["ok"], &state["errors"], counts(&state) > 0),
        };
        if !has_run {
            return None;
        }
        if ok == true {
            return Some(Verdict::Passed);
        }
        let errors = errors.as_array().into_iter().flatten();
        let errors = errors.map(|error| error.as_str().unwrap_or_default().to_owned());
        Some(Verdict::Failed(errors.collect()))
    }

    /// How many results Kuberhealthy has counted. v2 keeps no count: it is one if the run has its one uuid and is over.
    pub(crate) async fn counted(self, api: &Api, name: &str) -> u64 {
        let state = self.state(api, name).await;
        match self {
            Line::V2 => u64::from(state["LastRun"].is_string()),
            Line::V3 => counts(&state),
        }
    }

    /// Waits for a verdict that is `wanted`.
    pub(crate) async fn wait_for(
        self,
        api: &Api,
        name: &str,
        wanted: impl Fn(&Verdict) -> bool,
    ) -> Verdict {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let verdict = self.verdict(api, name).await;
            if let Some(verdict) = verdict.clone().filter(&wanted) {
                return verdict;
            }
            assert!(
                Instant::now() < deadline,
                "{self:?} {name}: the last verdict is {verdict:?}"
            );
            sleep(LOOK).await;
        }
    }

    /// Waits until Kuberhealthy is done with the run and its pod.
    pub(crate) async fn wait_until_over(self, api: &Api, name: &str) {
        let over = async {
            loop {
                let state = self.state(api, name).await;
                let over = match self {
                    Line::V2 => state["Node"].as_str().is_some_and(|node| !node.is_empty()),
                    Line::V3 => state["currentUUID"] == "",
                };
                if over {
                    return;
                }
                sleep(LOOK).await;
            }
        };
        timeout_at(Instant::now() + DEADLINE, over).await.unwrap();
    }
}

fn counts(status: &Value) -> u64 {
    let count = |name: &str| status[name].as_u64().unwrap_or_default();
    count("successCount") + count("failureCount")
}
