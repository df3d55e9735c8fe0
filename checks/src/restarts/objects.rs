//! Pods, as far as their restarts are told.

use serde::Deserialize;

use crate::cluster::{Fields, Meta};

/// What is read of a pod: some three hundred bytes of ten thousand.
pub(super) const FIELDS: Fields = Fields::Of(&[
    (
        "metadata",
        Fields::Of(&[
            ("name", Fields::All),
            ("namespace", Fields::All),
            ("deletionTimestamp", Fields::All),
        ]),
    ),
    (
        "spec",
        Fields::Of(&[(
            "initContainers",
            Fields::Of(&[("name", Fields::All), ("restartPolicy", Fields::All)]),
        )]),
    ),
    (
        "status",
        Fields::Of(&[
            ("phase", Fields::All),
            ("initContainerStatuses", CONTAINER),
            ("containerStatuses", CONTAINER),
        ]),
    ),
]);

const CONTAINER: Fields = Fields::Of(&[
    ("name", Fields::All),
    ("restartCount", Fields::All),
    ("state", STATE),
    ("lastState", STATE),
]);

const STATE: Fields = Fields::Of(&[
    ("waiting", Fields::Of(&[("reason", Fields::All)])),
    ("running", Fields::Of(&[("startedAt", Fields::All)])),
    (
        "terminated",
        Fields::Of(&[
            ("reason", Fields::All),
            ("exitCode", Fields::All),
            ("finishedAt", Fields::All),
        ]),
    ),
]);

/// A namespace, of which only the name matters.
pub(super) const NAME: Fields = Fields::Of(&[("metadata", Fields::Of(&[("name", Fields::All)]))]);

/// Any object, of which only the metadata matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) metadata: Meta,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Meta,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) init_containers: Vec<InitContainer>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InitContainer {
    pub(super) name: String,
    /// `Always` makes it a sidecar.
    pub(super) restart_policy: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) phase: String,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    pub(super) container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) restart_count: i64,
    /// How it is now.
    pub(super) state: State,
    /// How it was before it was started the last time.
    pub(super) last_state: State,
}

/// One of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) waiting: Option<Waiting>,
    pub(super) running: Option<Running>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Running {
    pub(super) started_at: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) reason: String,
    pub(super) exit_code: i64,
    /// `null` where the kubelet lost sight of the container.
    pub(super) finished_at: Option<String>,
}
