//! Pods, as far as their restarts are told.

use memchr::memmem;
use serde::Deserialize;

use crate::cluster::{Fields, Meta};

/// What is read of a pod. The statuses are taken as they are: they are decoded for few pods, and looking into them for
/// all would take longer than copying them.
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
            ("initContainerStatuses", Fields::All),
            ("containerStatuses", Fields::All),
        ]),
    ),
]);

/// Whether one of the restart counts in the JSON of a pod's [`FIELDS`] is above `most`. It need not be decoded otherwise.
pub(super) fn may_exceed(json: &[u8], most: u32) -> bool {
    // In a text there are backslashes before the quotes.
    const NAME: &[u8] = b"\"restartCount\"";
    memmem::find_iter(json, NAME).any(|place| {
        let rest = json.get(place + NAME.len()..).unwrap_or_default();
        let value = rest.trim_ascii_start().strip_prefix(b":");
        // What is no such number is for the decoder to judge.
        value.and_then(count).is_none_or(|count| count > most)
    })
}

/// The number that `bytes` begin with.
fn count(bytes: &[u8]) -> Option<u32> {
    let bytes = bytes.trim_ascii_start();
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
            ("{\"restartCount\" :\n 11 }", 10, true),
            ("{\"restartCount\" :\n 10 }", 10, false),
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
