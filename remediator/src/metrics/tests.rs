use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::{Format, Gauges, METRICS, Metrics, PolicyGauges, WatchGauges, mode_name, phase};
use crate::core::{ActionName, Mode, ObjectKey, Phase, Reason, StormState, Time};

/// Metrics as a reader of the text format sees them.
#[derive(Debug, Default)]
struct Read {
    help: BTreeMap<String, String>,
    kind: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

/// Reads the text format, as strictly as Prometheus does.
fn read(text: &str) -> Read {
    let mut read = Read::default();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                let again = read.help.insert((*name).to_owned(), (*help).to_owned());
                assert_eq!(again, None, "two HELP lines: {line}");
            }
            ["#", "TYPE", name, kind] => {
                let again = read.kind.insert((*name).to_owned(), (*kind).to_owned());
                assert_eq!(again, None, "two TYPE lines: {line}");
            }
            _ => {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let again = read
                    .samples
                    .insert(series.to_owned(), value.parse().unwrap());
                assert_eq!(again, None, "two samples: {line}");
            }
        }
    }
    for series in read.samples.keys() {
        let name = series.split('{').next().unwrap();
        let parts = ["", "_bucket", "_count", "_sum"];
        let described = parts
            .iter()
            .filter_map(|part| name.strip_suffix(part))
            .any(|family| read.kind.contains_key(family) && read.help.contains_key(family));
        assert!(described, "{series} has no HELP or TYPE of its own");
    }
    read
}

fn all() -> Metrics {
    let metrics = Metrics::new();
    metrics.receiver("oncall");
    metrics.notified("oncall", "sent", 2);
    metrics.notifications_queued("oncall", 3);
    metrics.remediation_ended(
        ActionName::RestartPods,
        Phase::Succeeded,
        Mode::Enforce,
        42.0,
    );
    metrics.remediation_ended(
        ActionName::RestartPods,
        Phase::Succeeded,
        Mode::Manual,
        400.0,
    );
    metrics.held("shop", "web", Reason::Cooldown);
    metrics.watch_error("healthchecks");
    metrics.request_failed(Some(503));
    metrics.request_failed(None);
    metrics.leading(true);
    metrics.observe(|| Gauges {
        in_flight: 2,
        storm: StormState::Active {
            since: Time::from_unix(1),
        },
        watches: vec![WatchGauges {
            kind: "khstates".to_owned(),
            listed: true,
        }],
        policies: vec![policy("web")],
    });
    metrics
}

fn policy(name: &str) -> PolicyGauges {
    PolicyGauges {
        policy: ObjectKey {
            namespace: "shop".into(),
            name: name.into(),
        },
        healthy: Some(false),
        stale: true,
        consecutive_failures: 3,
        success_ratio: Some(0.75),
        held: Some(Reason::Cooldown),
    }
}

#[test]
fn what_was_counted_is_shown() {
    let read = read(&all().text(Format::Text).unwrap());
    let version = env!("CARGO_PKG_VERSION");
    let own = r#"{namespace="shop",policy="web"}"#;
    for (series, value) in [
        (
            r#"remediations_total{action="restartPods",outcome="Succeeded",mode="Enforce"}"#,
            1.0,
        ),
        (
            r#"remediations_total{action="restartPods",outcome="Succeeded",mode="Manual"}"#,
            1.0,
        ),
        (
            r#"remediation_duration_seconds_count{action="restartPods",outcome="Succeeded"}"#,
            2.0,
        ),
        (
            r#"remediation_duration_seconds_sum{action="restartPods",outcome="Succeeded"}"#,
            442.0,
        ),
        (
            r#"remediation_duration_seconds_bucket{le="60.0",action="restartPods",outcome="Succeeded"}"#,
            1.0,
        ),
        (r#"remediations_blocked_total{reason="Cooldown"}"#, 1.0),
        (r#"watch_errors_total{kind="healthchecks"}"#, 1.0),
        (r#"request_errors_total{code="503"}"#, 1.0),
        (r#"request_errors_total{code="none"}"#, 1.0),
        (
            r#"notifications_total{receiver="oncall",outcome="sent"}"#,
            2.0,
        ),
        (
            r#"notifications_total{receiver="oncall",outcome="failed"}"#,
            0.0,
        ),
        (r#"notifications_queued{receiver="oncall"}"#, 3.0),
        ("leader", 1.0),
        (r#"watch_listed{kind="khstates"}"#, 1.0),
        ("remediations_in_flight", 2.0),
        (r#"storm{state="active"}"#, 1.0),
        (r#"storm{state="calm"}"#, 0.0),
        (r#"storm{state="cooling"}"#, 0.0),
        (&format!("policy_check_healthy{own}"), 0.0),
        (&format!("policy_check_stale{own}"), 1.0),
        (&format!("policy_check_consecutive_failures{own}"), 3.0),
        (&format!("policy_success_ratio{own}"), 0.75),
        (
            r#"policy_held{namespace="shop",policy="web",reason="Cooldown"}"#,
            1.0,
        ),
        (&format!("build_info{{version=\"{version}\"}}"), 1.0),
    ] {
        let series = format!("kuberhealer_{series}");
        assert_eq!(
            read.samples.get(&series),
            Some(&value),
            "{series} in {read:#?}"
        );
    }
}

#[test]
fn the_table_lists_each_metric_with_its_labels() {
    let read = read(&all().text(Format::Text).unwrap());
    assert_eq!(read.kind.len(), METRICS.len());
    for metric in METRICS {
        let (name, help) = (metric.name, format!("{}.", metric.help));
        let kind = metric.kind.as_str();
        assert_eq!(
            read.kind.get(name).map(String::as_str),
            Some(kind),
            "{name}"
        );
        assert_eq!(read.help.get(name), Some(&help), "{name}");
        let series = read.samples.keys().filter_map(|series| {
            let (of, labels) = series.split_once('{').unwrap_or((series, ""));
            let part = of.strip_prefix(name)?;
            ["", "_count"].contains(&part).then_some(labels)
        });
        for labels in series {
            let names = labels.trim_end_matches('}').split(',');
            let names = names.filter_map(|label| Some(label.split_once('=')?.0));
            assert_eq!(names.collect::<Vec<&str>>(), metric.labels, "{name}");
        }
    }
}

/// The rules of `promtool check metrics`.
#[test]
fn names_and_texts_are_those_that_promtool_asks_for() {
    let read = read(&all().text(Format::Text).unwrap());
    for (name, kind) in &read.kind {
        let help = read.help.get(name).map(String::as_str).unwrap_or_default();
        assert!(!help.is_empty(), "{name}: no help text");
        assert!(
            help.ends_with('.') && !help.ends_with(".."),
            "{name}: {help}"
        );
        assert_eq!(
            name.ends_with("_total"),
            kind == "counter",
            "{name}: {kind}"
        );
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(
            name.starts_with("kuberhealer_") && name.chars().all(plain),
            "{name}"
        );
        for reserved in ["_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(reserved), "{name}");
        }
        for other in [
            "milli",
            "minutes",
            "hours",
            "percent",
            "gauge",
            "counter",
            "histogram",
        ] {
            assert!(
                !name.contains(other),
                "{name}: base units, and no type in the name"
            );
        }
    }
    assert!(read.kind.len() > 10);
}

#[test]
fn a_deleted_policy_leaves_no_series() {
    let policies = Arc::new(Mutex::new(vec![policy("web"), policy("api")]));
    let metrics = Metrics::new();
    let none = metrics.text(Format::Text).unwrap();
    assert!(!none.contains("policy="), "{none}");
    let asked = policies.clone();
    metrics.observe(move || Gauges {
        policies: asked.lock().unwrap().clone(),
        ..Gauges::default()
    });
    let of = |name: &str| {
        let text = metrics.text(Format::Text).unwrap();
        let label = format!("policy=\"{name}\"");
        text.lines().filter(|line| line.contains(&label)).count()
    };
    assert_eq!((of("web"), of("api")), (5, 5));
    policies.lock().unwrap().remove(0);
    assert_eq!((of("web"), of("api")), (0, 5));
    // What is not known is not made up.
    policies.lock().unwrap()[0] = PolicyGauges {
        healthy: None,
        success_ratio: None,
        held: None,
        ..policy("api")
    };
    assert_eq!(of("api"), 2);
}

#[test]
fn each_reader_gets_the_format_it_asks_for() {
    // As Prometheus 3 sends it.
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, expected) in [
        (Some(prometheus), Format::OpenMetrics),
        (Some("text/plain"), Format::Text),
        (Some("*/*"), Format::Text),
        (None, Format::Text),
    ] {
        assert_eq!(Format::accepted(accept), expected, "{accept:?}");
    }
    let metrics = all();
    let open = metrics.text(Format::OpenMetrics).unwrap();
    assert!(open.ends_with("# EOF\n"));
    assert!(
        open.contains("# TYPE kuberhealer_remediations counter\n"),
        "{open}"
    );
    let text = metrics.text(Format::Text).unwrap();
    assert!(
        !text.contains("# EOF") && !text.contains("# UNIT"),
        "{text}"
    );
    let samples = |text: &str| -> BTreeSet<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(str::to_owned).collect()
    };
    assert_eq!(samples(&open), samples(&text));
}

#[test]
fn labels_are_the_words_of_the_objects() {
    for of in [
        Phase::Pending,
        Phase::Applied,
        Phase::Verifying,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Inconclusive,
        Phase::Blocked,
        Phase::DryRun,
    ] {
        assert_eq!(serde_json::to_value(of).unwrap(), phase(of));
    }
    for of in [Mode::DryRun, Mode::Enforce, Mode::Manual] {
        assert_eq!(serde_json::to_value(of).unwrap(), mode_name(of));
    }
}
