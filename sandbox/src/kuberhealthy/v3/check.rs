//! A HealthCheck: what it asks for, its status, and the checker pod of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::duration::GoDuration;
use super::super::go::null_default;
use super::super::{clock, pods};

/// Used when no `runInterval` is set, or none that can be read.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(600);
/// Used when no `timeout` is set, or none that can be read.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Label with the name of the check a pod belongs to.
pub(super) const CHECK_LABEL: &str = "healthcheck";
/// Label and annotation with the uuid of the run a pod belongs to; also the header of reports.
pub(super) const RUN_LABEL: &str = "kh-run-uuid";
/// Keeps a deleted check until its run is stopped.
pub(super) const FINALIZER: &str = "kuberhealthy.io/healthcheck";

/// `status`, in the order Kuberhealthy serves it; zero values are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) ok: bool,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub(super) errors: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) consecutive_failures: i64,
    /// Nanoseconds; written only when a check is deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) run_duration: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    /// Of the run in flight; empty between runs, and then written all the same.
    #[serde(rename = "currentUUID")]
    pub(super) current_uuid: String,
    /// When the last run was started.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) last_run_unix: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) success_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) failure_count: i64,
    #[serde(rename = "lastOKUnix", skip_serializing_if = "is_zero")]
    pub(super) last_ok_unix: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) last_failure_unix: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) additional_metadata: String,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Status {
    /// Reads the status of an object; none, or one that cannot be read, is all zeroes.
    pub(super) fn of(check: &Value) -> Status {
        serde_json::from_value(check["status"].clone()).unwrap_or_default()
    }

    /// Takes over a report: the run is over, and counted.
    pub(super) fn report(&mut self, ok: bool, errors: Vec<String>, namespace: &str) {
        self.ok = ok;
        self.errors = errors;
        namespace.clone_into(&mut self.namespace);
        self.current_uuid.clear();
        if ok {
            self.consecutive_failures = 0;
            self.success_count += 1;
            self.last_ok_unix = clock::now_unix();
        } else {
            self.consecutive_failures += 1;
            self.failure_count += 1;
            self.last_failure_unix = clock::now_unix();
        }
    }

    /// Takes over a failure of the controller's own. The uuid is cleared by another write.
    pub(super) fn fail(&mut self, error: String) {
        self.ok = false;
        self.errors = vec![error];
        self.failure_count += 1;
        self.last_failure_unix = clock::now_unix();
    }
}

/// The two keys of a check.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Name {
    pub(super) fn of(check: &Value) -> Name {
        let text = |key: &str| pods::metadata(check, key).to_owned();
        Name {
            namespace: text("namespace"),
            name: text("name"),
        }
    }

    /// Path of the object.
    pub(super) fn path(&self) -> String {
        let Name { namespace, name } = self;
        format!("/apis/kuberhealthy.github.io/v2/namespaces/{namespace}/healthchecks/{name}")
    }
}

fn duration(check: &Value, key: &str) -> Option<GoDuration> {
    check["spec"][key].as_str()?.parse().ok()
}

/// Time between the starts of two runs.
pub(super) fn run_interval(check: &Value) -> Duration {
    duration(check, "runInterval").map_or(DEFAULT_INTERVAL, GoDuration::unsigned)
}

/// How long a run may take.
pub(super) fn timeout(check: &Value) -> Duration {
    match duration(check, "timeout") {
        Some(timeout) if timeout > GoDuration::default() => timeout.unsigned(),
        _ => DEFAULT_TIMEOUT,
    }
}

/// The time-out as set, in whole seconds, for the status page.
pub(super) fn timeout_seconds(check: &Value) -> i64 {
    duration(check, "timeout").map_or(0, |timeout| timeout.as_nanos() / 1_000_000_000)
}

/// The object with the finalizer, as a write of the typed object leaves it: durations in Go's form, and every container
/// with `resources`. Where that changes the spec, the generation goes up.
pub(super) fn with_finalizer(check: &Value) -> Option<Value> {
    let mut check = check.clone();
    if !check["metadata"]["finalizers"].is_array() {
        check["metadata"]["finalizers"] = json!([]);
    }
    let finalizers = check["metadata"]["finalizers"].as_array_mut()?;
    if finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return None;
    }
    finalizers.push(FINALIZER.into());
    for key in ["runInterval", "timeout"] {
        if let Some(duration) = duration(&check, key) {
            check["spec"][key] = duration.to_string().into();
        }
    }
    for kind in ["containers", "initContainers"] {
        for container in containers(check.pointer_mut("/spec/podSpec/spec"), kind) {
            if container["resources"].is_null() {
                container["resources"] = json!({});
            }
        }
    }
    Some(check)
}

/// The containers of a pod spec, none if it has none of the kind.
fn containers<'a>(spec: Option<&'a mut Value>, kind: &str) -> impl Iterator<Item = &'a mut Value> {
    let containers = spec
        .and_then(|spec| spec.get_mut(kind))
        .and_then(Value::as_array_mut);
    containers.into_iter().flatten()
}

/// The object without the finalizer; `None` if it has none.
pub(super) fn without_finalizer(check: &Value) -> Option<Value> {
    let mut check = check.clone();
    let finalizers = check["metadata"]["finalizers"].as_array_mut()?;
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    (finalizers.len() < before).then_some(check)
}

/// The checker pod of a run that starts at `start_unix`.
pub(super) fn pod(check: &Value, uuid: &str, start_unix: i64, report_url: &str) -> Value {
    let Name { namespace, name } = Name::of(check);
    let asked = &check["spec"]["podSpec"];
    let suffix: String = uuid::Uuid::new_v4().to_string().chars().take(5).collect();
    let mut annotations = json!({});
    let mut labels = json!({});
    for (texts, key, extra) in [
        (&mut annotations, "annotations", "extraAnnotations"),
        (&mut labels, "labels", "extraLabels"),
    ] {
        pods::add_texts(texts, &asked["metadata"][key]);
        pods::add_texts(texts, &check["spec"][extra]);
    }
    // Go prints a time as "2026-11-21 02:08:30 +0000 UTC".
    let created = clock::rfc3339(start_unix)
        .replace('T', " ")
        .replace('Z', " +0000 UTC");
    pods::add_texts(
        &mut annotations,
        &json!({
            "createdBy": "kuberhealthy", RUN_LABEL: uuid, "createdTime": created, "kuberhealthyCheckName": name,
        }),
    );
    pods::add_texts(&mut labels, &json!({CHECK_LABEL: name, RUN_LABEL: uuid}));
    let seconds = i64::try_from(timeout(check).as_secs()).unwrap_or(i64::MAX);
    let deadline = start_unix.saturating_add(seconds);
    let mut spec = asked["spec"].clone();
    for kind in ["containers", "initContainers"] {
        for container in containers(Some(&mut spec), kind) {
            pods::set_env(container, pods::variable("KH_REPORTING_URL", report_url));
            pods::set_env(container, pods::variable("KH_RUN_UUID", uuid));
            pods::set_env(container, pods::namespace_variable());
            pods::set_env(
                container,
                pods::variable("KH_CHECK_RUN_DEADLINE", &deadline.to_string()),
            );
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{name}-{suffix}"), "namespace": namespace, "annotations": annotations, "labels": labels,
            "ownerReferences": [{
                "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck", "name": name,
                "uid": pods::metadata(check, "uid"), "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "id"},
            "spec": {
                "runInterval": "10m", "timeout": "1.5s", "extraLabels": {"team": "a", "kh-run-uuid": "mine"},
                "podSpec": {
                    "metadata": {"labels": {"team": "b", "tier": "x"}},
                    "spec": {"containers": [{"name": "m", "image": "i", "env": [{"name": "KH_RUN_UUID", "value": "mine"}]}]},
                },
            },
        })
    }

    #[test]
    fn times_have_the_defaults_of_the_source() {
        for (spec, interval, run) in [
            (json!({}), 600, 30),
            (json!({"runInterval": "soon", "timeout": "soon"}), 600, 30),
            (json!({"runInterval": "15s", "timeout": "0s"}), 15, 30),
            (json!({"timeout": "2m"}), 600, 120),
        ] {
            let check = json!({"spec": spec});
            assert_eq!(
                (run_interval(&check).as_secs(), timeout(&check).as_secs()),
                (interval, run),
                "{check}"
            );
        }
    }

    #[test]
    fn a_pod_carries_the_run_whatever_the_check_says() {
        let pod = pod(&check(), "u", 1_795_226_910, "http://r/check");
        assert_eq!(
            pod["metadata"]["labels"],
            json!({"team": "a", "tier": "x", "healthcheck": "web", "kh-run-uuid": "u"})
        );
        assert_eq!(
            pod["metadata"]["annotations"]["createdTime"],
            "2026-11-21 02:08:30 +0000 UTC"
        );
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        assert_eq!(env[0], json!({"name": "KH_RUN_UUID", "value": "u"}));
        assert_eq!(
            env[3],
            json!({"name": "KH_CHECK_RUN_DEADLINE", "value": "1795226911"})
        );
        assert_eq!(
            pod["spec"].get("restartPolicy"),
            None,
            "passed through, unset too"
        );
    }

    #[test]
    fn the_finalizer_comes_with_gos_form_of_the_spec() {
        let check = with_finalizer(&check()).unwrap();
        assert_eq!(check["spec"]["runInterval"], "10m0s");
        assert_eq!(
            check["spec"]["podSpec"]["spec"]["containers"][0]["resources"],
            json!({})
        );
        assert_eq!(with_finalizer(&check), None);
        assert_eq!(
            without_finalizer(&check).unwrap()["metadata"]["finalizers"],
            json!([])
        );
        assert_eq!(without_finalizer(&json!({})), None);
    }

    #[test]
    fn zero_values_are_left_out_but_for_two() {
        assert_eq!(
            serde_json::to_string(&Status::default()).unwrap(),
            r#"{"ok":false,"currentUUID":""}"#
        );
    }
}
