//! What a khcheck or khjob asks for, and the checker pod made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::duration::GoDuration;
use super::super::pods;

/// Used when a khcheck's `runInterval` cannot be read.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(600);
/// Used when no `timeout` is set.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// Label with the uuid of the run a pod belongs to.
pub(super) const RUN_LABEL: &str = "kuberhealthy-run-id";
/// Label with the name of the check a pod belongs to.
pub(super) const CHECK_LABEL: &str = "kuberhealthy-check-name";
/// Annotation by which a report is matched with its check.
pub(super) const CHECK_ANNOTATION: &str = "comcast.github.io/check-name";

/// The two kinds of resource that lead to runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// Runs on its interval.
    Check,
    /// Runs once.
    Job,
}

impl Workload {
    /// How its execution errors begin.
    pub(super) fn error_prefix(self) -> &'static str {
        match self {
            Workload::Check => "Check execution error: ",
            Workload::Job => "Job execution error: ",
        }
    }
}

/// A khcheck or khjob as loaded when checks were last configured; later edits lead to a new one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checker {
    pub(super) workload: Workload,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pod_spec: Value,
    extra_annotations: Value,
    extra_labels: Value,
}

/// What a pod must know of its run.
pub(super) struct Run<'a> {
    pub(super) uuid: &'a str,
    pub(super) deadline_unix: i64,
    pub(super) report_url: &'a str,
}

impl Checker {
    /// Reads a khcheck or khjob.
    pub(super) fn new(workload: Workload, object: &Value) -> Checker {
        let spec = &object["spec"];
        let duration = |key: &str| spec[key].as_str().unwrap_or_default().parse::<GoDuration>();
        Checker {
            workload,
            namespace: pods::metadata(object, "namespace").to_owned(),
            name: pods::metadata(object, "name").to_owned(),
            interval: duration("runInterval").map_or(DEFAULT_INTERVAL, GoDuration::unsigned),
            // The source means to fall back to its default for an unreadable time-out, but keeps the zero that
            // came with the error: such a check times out at once.
            timeout: match spec["timeout"].as_str() {
                None | Some("") => DEFAULT_TIMEOUT,
                Some(_) => duration("timeout").map_or(Duration::ZERO, GoDuration::unsigned),
            },
            pod_spec: spec["podSpec"].clone(),
            extra_annotations: spec["extraAnnotations"].clone(),
            extra_labels: spec["extraLabels"].clone(),
        }
    }

    /// `namespace/name`.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// An error text as the runs of this check give it.
    pub(super) fn error(&self, why: impl std::fmt::Display) -> String {
        format!("{}: {why}", self.key())
    }

    /// What is wrong with the pod spec, if anything.
    pub(super) fn pod_spec_error(&self) -> Option<String> {
        let containers = self.pod_spec["containers"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if containers.is_empty() {
            return Some("no containers found in checks PodSpec".to_owned());
        }
        let nameless = containers
            .iter()
            .find(|container| container["image"].as_str().unwrap_or_default().is_empty())?;
        let name = nameless["name"].as_str().unwrap_or_default();
        Some(format!(
            "no image found in check's PodSpec for container {name}."
        ))
    }

    /// Name of a pod for a run that starts now; two runs in one second would share it.
    pub(super) fn pod_name(&self, now_unix: i64) -> String {
        format!("{}-{now_unix}", self.name).to_lowercase()
    }

    /// The pod of a run. `owner` is Kuberhealthy's own pod, set for checks in its namespace.
    pub(super) fn pod(&self, name: &str, run: &Run<'_>, owner: Option<Value>) -> Value {
        let mut spec = self.pod_spec.clone();
        spec["restartPolicy"] = "Never".into();
        for container in spec["containers"].as_array_mut().into_iter().flatten() {
            inject(container, run);
        }
        let mut annotations = json!({});
        pods::add_texts(&mut annotations, &self.extra_annotations);
        annotations[CHECK_ANNOTATION] = self.name.as_str().into();
        let mut labels = json!({});
        pods::add_texts(&mut labels, &self.extra_labels);
        labels[RUN_LABEL] = run.uuid.into();
        labels[CHECK_LABEL] = self.name.as_str().into();
        labels["app"] = "kuberhealthy-check".into();
        let mut metadata = json!({
            "name": name, "namespace": self.namespace, "annotations": annotations, "labels": labels,
        });
        if let Some(owner) = owner {
            metadata["ownerReferences"] = json!([owner]);
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    }
}

/// Puts the variables of a run after the container's own; the user's of the same names are dropped.
fn inject(container: &mut Value, run: &Run<'_>) {
    let injected = [
        pods::variable("KH_REPORTING_URL", run.report_url),
        pods::variable("KH_RUN_UUID", run.uuid),
        pods::variable("KH_CHECK_RUN_DEADLINE", &run.deadline_unix.to_string()),
        pods::namespace_variable(),
    ];
    if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
        env.retain(|known| {
            injected
                .iter()
                .all(|variable| known["name"] != variable["name"])
        });
    }
    for variable in injected {
        pods::set_env(container, variable);
    }
}

/// The khchecks known by key, to tell which edits matter: not those to the metadata or the status.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Value>);

impl Known {
    /// Remembers a khcheck; true if that calls for a restart of all checks.
    pub(super) fn applied(&mut self, key: String, object: &Value) -> bool {
        self.0.insert(key, object["spec"].clone()).as_ref() != Some(&object["spec"])
    }

    /// Forgets a khcheck; true if it was known.
    pub(super) fn deleted(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checker(spec: Value) -> Checker {
        Checker::new(
            Workload::Check,
            &json!({"metadata": {"name": "Web", "namespace": "shop"}, "spec": spec}),
        )
    }

    #[test]
    fn times_have_the_defaults_of_the_source() {
        for (spec, interval, timeout) in [
            (json!({"runInterval": "15s", "timeout": "40s"}), 15, 40),
            (json!({}), 600, 300),
            (json!({"runInterval": "soon", "timeout": ""}), 600, 300),
            (json!({"timeout": "soon"}), 600, 0),
        ] {
            let checker = checker(spec.clone());
            assert_eq!(
                (checker.interval.as_secs(), checker.timeout.as_secs()),
                (interval, timeout),
                "{spec}"
            );
        }
    }

    #[test]
    fn a_pod_spec_needs_containers_with_images() {
        for (spec, error) in [
            (json!({"containers": [{"name": "a", "image": "i"}]}), None),
            (
                json!({"containers": []}),
                Some("no containers found in checks PodSpec"),
            ),
            (
                json!({"containers": [{"name": "a"}]}),
                Some("no image found in check's PodSpec for container a."),
            ),
        ] {
            assert_eq!(
                checker(json!({"podSpec": spec}))
                    .pod_spec_error()
                    .as_deref(),
                error
            );
        }
    }

    #[test]
    fn injected_variables_win_and_come_last() {
        let env = json!([{"name": "KH_RUN_UUID", "value": "mine"}, {"name": "A", "value": "1"}]);
        let spec = json!({"podSpec": {"containers": [{"name": "m", "image": "i", "env": env}], "restartPolicy": "Always"}});
        let run = Run {
            uuid: "u",
            deadline_unix: 7,
            report_url: "http://r",
        };
        let pod = checker(spec).pod("web-1", &run, None);
        let names: Vec<&str> = pod["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "A",
                "KH_REPORTING_URL",
                "KH_RUN_UUID",
                "KH_CHECK_RUN_DEADLINE",
                "KH_POD_NAMESPACE"
            ]
        );
        assert_eq!(pod["spec"]["restartPolicy"], "Never");
        assert_eq!(pod["metadata"]["ownerReferences"], Value::Null);
        assert_eq!(checker(json!({})).pod_name(5), "web-5");
    }

    #[test]
    fn only_edits_of_the_spec_count() {
        let mut known = Known::default();
        let object = |interval: &str, label: &str| json!({"metadata": {"labels": {"l": label}}, "spec": {"runInterval": interval}});
        let edits = [("1s", "a", true), ("1s", "b", false), ("2s", "b", true)];
        for (interval, label, counts) in edits {
            assert_eq!(
                known.applied("k".to_owned(), &object(interval, label)),
                counts
            );
        }
        assert!(known.deleted("k"));
        assert!(!known.deleted("k"));
    }
}
