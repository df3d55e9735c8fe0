//! The status of a pod, as a kubelet writes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// When and how a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// RFC 3339.
    pub(crate) finished_at: String,
    pub(crate) id: String,
}

impl Ended {
    fn to_value(&self) -> Value {
        let mut value = json!({
            "exitCode": self.exit_code, "reason": self.reason, "startedAt": self.started_at,
            "finishedAt": self.finished_at, "containerID": self.id,
        });
        if !self.message.is_empty() {
            value["message"] = self.message.as_str().into();
        }
        value
    }
}

/// What a container does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not running, and not for good.
    Waiting {
        reason: &'static str,
        message: String,
    },
    /// Its process runs.
    Running { since: String, id: String },
    /// It has ended, for good unless its record says otherwise.
    Terminated(Ended),
}

/// A container as far as its status goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) state: State,
    /// How it ended the time before.
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: u32,
    /// Passes its readiness probe, if it has one. Of an init container: has succeeded.
    pub(crate) ready: bool,
    /// Will not be started again.
    pub(crate) done: bool,
}

impl Container {
    /// A container that waits for its turn.
    pub(crate) fn new(spec: &Value, reason: &'static str) -> Container {
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        Container {
            name: text("name"),
            image: text("image"),
            state: State::Waiting {
                reason,
                message: String::new(),
            },
            last: None,
            restarts: 0,
            ready: false,
            done: false,
        }
    }

    fn has_run(&self) -> bool {
        self.last.is_some() || !matches!(self.state, State::Waiting { .. })
    }

    /// Its exit code, if it is done.
    pub(crate) fn result(&self) -> Option<i32> {
        match &self.state {
            State::Terminated(ended) if self.done => Some(ended.exit_code),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let mut id = self.last.as_ref().map(|ended| ended.id.clone());
        let state = match &self.state {
            State::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": reason}})
            }
            State::Waiting { reason, message } => {
                json!({"waiting": {"reason": reason, "message": message}})
            }
            State::Running { since, id: running } => {
                id = Some(running.clone());
                json!({"running": {"startedAt": since}})
            }
            State::Terminated(ended) => {
                id = Some(ended.id.clone());
                json!({"terminated": ended.to_value()})
            }
        };
        let last = self.last.as_ref().map_or_else(
            || json!({}),
            |ended| json!({"terminated": ended.to_value()}),
        );
        let mut value = json!({
            "name": self.name, "image": self.image, "imageID": "", "state": state, "lastState": last,
            "ready": self.ready, "restartCount": self.restarts,
            "started": matches!(self.state, State::Running { .. }),
        });
        if let Some(id) = id {
            value["containerID"] = id.into();
        }
        value
    }
}

/// All that the status of a pod is made of.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) init: Vec<Container>,
    pub(crate) main: Vec<Container>,
    pub(crate) started_at: String,
    pub(crate) pod_ip: String,
    pub(crate) host_ip: String,
    pub(crate) qos: &'static str,
    pub(crate) generation: Value,
    /// Last status and time of change of each condition.
    pub(crate) transitions: BTreeMap<&'static str, (bool, String)>,
}

impl Record {
    /// The pod's phase.
    pub(crate) fn phase(&self) -> &'static str {
        if self
            .init
            .iter()
            .any(|container| container.result().is_some_and(|code| code != 0))
        {
            return "Failed";
        }
        if self
            .init
            .iter()
            .any(|container| container.result().is_none())
        {
            return "Pending";
        }
        let results: Option<Vec<i32>> = self.main.iter().map(Container::result).collect();
        match results {
            Some(codes) if codes.iter().all(|code| *code == 0) => "Succeeded",
            Some(_) => "Failed",
            None if self.main.iter().all(|container| !container.has_run()) => "Pending",
            None => "Running",
        }
    }

    /// The whole status as of `now` (RFC 3339); conditions that changed get that time.
    pub(crate) fn render(&mut self, now: &str) -> Value {
        let phase = self.phase();
        let names = |containers: &[Container]| {
            let names: Vec<&str> = containers
                .iter()
                .filter(|container| !container.ready)
                .map(|container| container.name.as_str())
                .collect();
            names.join(" ")
        };
        let (uninitialized, unready) = (names(&self.init), names(&self.main));
        let over = matches!(phase, "Succeeded" | "Failed");
        let initialized = self.init.iter().all(|container| container.ready);
        let all_ready = !over && initialized && unready.is_empty();
        let not_ready = match phase {
            "Succeeded" => ("PodCompleted", String::new()),
            "Failed" => ("PodFailed", String::new()),
            _ => (
                "ContainersNotReady",
                format!("containers with unready status: [{unready}]"),
            ),
        };
        let not_initialized = (
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{uninitialized}]"),
        );
        let conditions = [
            self.condition("PodReadyToStartContainers", !over, None, now),
            self.condition(
                "Initialized",
                initialized,
                (!initialized).then_some(not_initialized),
                now,
            ),
            self.condition(
                "Ready",
                all_ready,
                (!all_ready).then(|| not_ready.clone()),
                now,
            ),
            self.condition(
                "ContainersReady",
                all_ready,
                (!all_ready).then_some(not_ready),
                now,
            ),
            self.condition("PodScheduled", true, None, now),
        ];
        let statuses = |containers: &[Container]| {
            containers
                .iter()
                .map(Container::to_value)
                .collect::<Value>()
        };
        let mut status = json!({
            "observedGeneration": self.generation, "phase": phase, "conditions": conditions,
            "hostIP": self.host_ip, "hostIPs": [{"ip": self.host_ip}],
            "podIP": self.pod_ip, "podIPs": [{"ip": self.pod_ip}],
            "startTime": self.started_at, "containerStatuses": statuses(&self.main), "qosClass": self.qos,
        });
        if !self.init.is_empty() {
            status["initContainerStatuses"] = statuses(&self.init);
        }
        status
    }

    fn condition(
        &mut self,
        kind: &'static str,
        holds: bool,
        why: Option<(&str, String)>,
        now: &str,
    ) -> Value {
        let (known, since) = self
            .transitions
            .entry(kind)
            .or_insert_with(|| (holds, now.to_owned()));
        if *known != holds {
            (*known, *since) = (holds, now.to_owned());
        }
        let mut condition = Map::new();
        condition.insert("type".to_owned(), kind.into());
        condition.insert("observedGeneration".to_owned(), self.generation.clone());
        condition.insert(
            "status".to_owned(),
            if holds { "True" } else { "False" }.into(),
        );
        condition.insert("lastProbeTime".to_owned(), Value::Null);
        condition.insert("lastTransitionTime".to_owned(), since.as_str().into());
        if let Some((reason, message)) = why {
            condition.insert("reason".to_owned(), reason.into());
            if !message.is_empty() {
                condition.insert("message".to_owned(), message.into());
            }
        }
        condition.into()
    }
}

/// The quality-of-service class of a pod.
pub(crate) fn qos(pod: &Value) -> &'static str {
    let resources: Vec<&Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| &container["resources"])
        .collect();
    let is_empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
    let unlimited =
        |resources: &&&Value| is_empty(&resources["limits"]) && is_empty(&resources["requests"]);
    let guaranteed = |resources: &&Value| {
        let limits = &resources["limits"];
        let asks_less = !is_empty(&resources["requests"]) && resources["requests"] != *limits;
        !asks_less && limits["cpu"].is_string() && limits["memory"].is_string()
    };
    if resources.iter().filter(unlimited).count() == resources.len() {
        "BestEffort"
    } else if resources.iter().all(guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

#[cfg(test)]
mod tests;
