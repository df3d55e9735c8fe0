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

/// Whether one of the counts in the JSON of a pod's [`FIELDS`] is above `most`. It need not be decoded otherwise.
///
/// Names have no blanks around them there, and what looks like this in a text has backslashes before its quotes.
pub(super) fn may_exceed(json: &[u8], most: u32) -> bool {
    let mut parts = json.split(|byte| *byte == b':');
    let mut before = parts.next().unwrap_or_default();
    parts.any(|part| {
        let is_count = std::mem::replace(&mut before, part).ends_with(b"\"restartCount\"");
        is_count && count(part).is_none_or(|count| count > most)
    })
}

/// The number that `bytes` begin with, if they begin with one that makes sense.
fn count(bytes: &[u8]) -> Option<u32> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(bytes.get(..end)?).ok()?.parse().ok()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_without_decoding() {
        for (json, most, expected) in [
            (
                r#"{"status":{"containerStatuses":[{"name":"a","restartCount":11}]}}"#,
                10,
                true,
            ),
            (
                r#"{"status":{"containerStatuses":[{"name":"a","restartCount":10}]}}"#,
                10,
                false,
            ),
            (
                r#"{"status":{"containerStatuses":[{"restartCount":0},{"restartCount":4,"name":"b"}]}}"#,
                3,
                true,
            ),
            (
                r#"{"status":{"initContainerStatuses":[{"restartCount":1}],"containerStatuses":[]}}"#,
                0,
                true,
            ),
            (r#"{"metadata":{"name":"restartCount:99"}}"#, 10, false),
            (r#"{"metadata":{"name":"\"restartCount\":99"}}"#, 10, false),
            // For the decoder to judge.
            (r#"{"restartCount":-1}"#, 10, true),
            (r#"{"restartCount":"many"}"#, 10, true),
            (r#"{"restartCount":99999999999}"#, 10, true),
            ("", 0, false),
        ] {
            assert_eq!(may_exceed(json.as_bytes(), most), expected, "{json}");
        }
    }
}
