//! The status page and `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::duration::GoDuration;
use super::check::{self, Status};

/// Upper bounds of the histogram of run durations, in seconds.
const BUCKETS: [u32; 7] = [1, 5, 10, 30, 60, 120, 300];

/// The controller's own numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct ControllerMetrics {
    scheduler_loop: Duration,
    due_checks: usize,
    reaper_sweep: Duration,
    reaped: BTreeMap<&'static str, u64>,
}

impl ControllerMetrics {
    /// A look at the schedule took this long and found so many checks due.
    pub(super) fn scheduled(&mut self, took: Duration, due: usize) {
        self.scheduler_loop = took;
        self.due_checks = due;
    }

    /// A sweep took this long.
    pub(super) fn swept(&mut self, took: Duration) {
        self.reaper_sweep = took;
    }

    /// A pod was removed.
    pub(super) fn reaped(&mut self, reason: &'static str) {
        *self.reaped.entry(reason).or_default() += 1;
    }
}

/// One check on the page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "is_zero")]
    next_run_unix: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pod_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    timeout_seconds: i64,
    #[serde(skip_serializing_if = "is_zero")]
    run_interval_seconds: i64,
    /// Labels of the check that become labels of its metrics.
    #[serde(skip)]
    labels: BTreeMap<&'static str, String>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The status page, in the order Kuberhealthy serves it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(rename = "OK")]
    ok: bool,
    errors: Vec<String>,
    /// By name alone: of two checks of one name in two namespaces, one is lost.
    check_details: BTreeMap<String, Detail>,
    current_master: String,
    metadata: BTreeMap<String, String>,
}

impl Page {
    /// A page without checks: OK.
    pub(super) fn empty() -> Page {
        Page {
            ok: true,
            errors: Vec::new(),
            check_details: BTreeMap::new(),
            current_master: String::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// A page that says only that the checks cannot be read.
    pub(super) fn broken(why: String) -> Page {
        Page {
            ok: false,
            errors: vec![why],
            ..Page::empty()
        }
    }

    /// Adds a check; `pod_name` is that of its run in flight, empty if there is none.
    pub(super) fn add(&mut self, check: &Value, pod_name: String) {
        let mut status = Status::of(check);
        let text = |key: &str| check["metadata"][key].as_str().unwrap_or_default();
        if status.namespace.is_empty() {
            text("namespace").clone_into(&mut status.namespace);
        }
        let interval = i64::try_from(check::run_interval(check).as_secs()).unwrap_or(i64::MAX);
        let waits = status.current_uuid.is_empty() && status.last_run_unix != 0;
        if !status.ok {
            self.ok = false;
            self.errors.extend(
                status
                    .errors
                    .iter()
                    .filter(|error| !error.is_empty())
                    .cloned(),
            );
        }
        let labels = ["category", "severity"].into_iter().filter_map(|label| {
            let value = check["metadata"]["labels"][format!("kuberhealthy.io/{label}")].as_str()?;
            (!value.is_empty()).then(|| (label, label_value(value)))
        });
        let detail = Detail {
            next_run_unix: if waits {
                status.last_run_unix.saturating_add(interval)
            } else {
                0
            },
            pod_name,
            timeout_seconds: check::timeout_seconds(check),
            run_interval_seconds: interval,
            labels: labels.collect(),
            status,
        };
        self.check_details.insert(text("name").to_owned(), detail);
    }

    /// The page in Prometheus' text format; `now` in seconds since the epoch.
    pub(super) fn metrics(&self, controller: &ControllerMetrics, now: f64) -> String {
        let mut text = Text(String::new());
        text.gauge(
            "cluster_state",
            "Shows the status of the cluster",
            [(String::new(), u8::from(self.ok).to_string())],
        );
        text.controller(controller);
        let checks = || self.check_details.iter();
        let plain = |name: &String, detail: &Detail| labels(name, detail, &[]);
        text.gauge(
            "check",
            "Shows the status of a Kuberhealthy check",
            checks().map(|(name, detail)| {
                let ok = u8::from(detail.status.ok).to_string();
                let error = label_value(&detail.status.errors.join("|"));
                (
                    labels(name, detail, &[("error", &error), ("status", &ok)]),
                    ok,
                )
            }),
        );
        text.gauge(
            "check_duration_seconds",
            "Shows the check run duration of a Kuberhealthy check",
            checks().map(|(name, detail)| (plain(name, detail), format!("{:.6}", seconds(detail)))),
        );
        text.gauge(
            "check_consecutive_failures",
            "Shows the number of consecutive failures for a Kuberhealthy check",
            checks().map(|(name, detail)| {
                (
                    plain(name, detail),
                    detail.status.consecutive_failures.to_string(),
                )
            }),
        );
        text.counter(
            "check_success_total",
            "Shows the total number of successful runs for a check",
            checks().map(|(name, detail)| {
                (plain(name, detail), detail.status.success_count.to_string())
            }),
        );
        text.counter(
            "check_failure_total",
            "Shows the total number of failed runs for a check",
            checks().map(|(name, detail)| {
                (plain(name, detail), detail.status.failure_count.to_string())
            }),
        );
        text.gauge(
            "check_seconds_since_success",
            "Shows time since the last OK report for a check",
            checks().map(|(name, detail)| {
                let since = match detail.status.last_ok_unix {
                    0 => -1.0,
                    last => now - last as f64,
                };
                (plain(name, detail), format!("{since:.6}"))
            }),
        );
        let durations: Vec<f64> = checks().map(|(_, detail)| seconds(detail)).collect();
        text.histogram(
            "check_run_duration_seconds",
            "Bucketed distribution of check run durations",
            &durations,
        );
        text.0
    }
}

fn seconds(detail: &Detail) -> f64 {
    GoDuration::from_nanos(detail.status.run_duration)
        .as_secs_f64()
        .max(0.0)
}

fn label_value(value: &str) -> String {
    value.replace('"', "'").replace(['\n', '\r'], " ")
}

/// The labels of a check's metric, sorted by name.
fn labels(name: &str, detail: &Detail, more: &[(&str, &str)]) -> String {
    let mut all = BTreeMap::from([("check", name), ("namespace", &detail.status.namespace)]);
    all.extend(
        detail
            .labels
            .iter()
            .map(|(label, value)| (*label, value.as_str())),
    );
    all.extend(more.iter().copied());
    let pairs: Vec<String> = all
        .iter()
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// Metrics in Prometheus' text format.
struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn header(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP kuberhealthy_{name} {help}"));
        self.line(format_args!("# TYPE kuberhealthy_{name} {kind}"));
    }

    fn metric(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) {
        self.header(name, kind, help);
        for (labels, value) in values {
            self.line(format_args!("kuberhealthy_{name}{labels} {value}"));
        }
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) {
        self.metric(name, "gauge", help, values);
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) {
        self.metric(name, "counter", help, values);
    }

    fn controller(&mut self, metrics: &ControllerMetrics) {
        let one = |value: String| [(String::new(), value)];
        let seconds = |duration: Duration| one(format!("{:.6}", duration.as_secs_f64()));
        self.gauge(
            "controller_leader",
            "Shows whether this controller instance is the elected leader",
            one("1".to_owned()),
        );
        self.gauge(
            "scheduler_loop_duration_seconds",
            "Shows the duration of the last scheduling loop",
            seconds(metrics.scheduler_loop),
        );
        self.gauge(
            "scheduler_due_checks",
            "Shows the number of checks that were due in the last scheduling loop",
            one(metrics.due_checks.to_string()),
        );
        self.gauge(
            "reaper_last_sweep_duration_seconds",
            "Shows the duration of the last reaper sweep",
            seconds(metrics.reaper_sweep),
        );
        let reaped = metrics.reaped.iter();
        self.counter(
            "reaper_deleted_pods_total",
            "Shows the total pods deleted by the reaper",
            reaped.map(|(reason, count)| (format!("{{reason=\"{reason}\"}}"), count.to_string())),
        );
    }

    fn histogram(&mut self, name: &str, help: &str, values: &[f64]) {
        self.header(name, "histogram", help);
        for bound in BUCKETS {
            let within = values
                .iter()
                .filter(|value| **value <= f64::from(bound))
                .count();
            self.line(format_args!(
                "kuberhealthy_{name}_bucket{{le=\"{bound}\"}} {within}"
            ));
        }
        let (count, sum) = (values.len(), values.iter().sum::<f64>());
        self.line(format_args!(
            "kuberhealthy_{name}_bucket{{le=\"+Inf\"}} {count}"
        ));
        // An empty sum of floats is -0.
        self.line(format_args!("kuberhealthy_{name}_sum {:.6}", sum + 0.0));
        self.line(format_args!("kuberhealthy_{name}_count {count}"));
    }
}
