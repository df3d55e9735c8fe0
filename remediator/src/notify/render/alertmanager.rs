//! `POST /api/v2/alerts`. The labels identify an alert, so that what changes is in the annotations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::core::{Level, Time};
use crate::notify::alerts::Alert;
use crate::notify::notice::{Subject, path};

/// The labels that are set here.
pub(in crate::notify) const LABELS: [&str; 8] = [
    "alertname",
    "severity",
    "namespace",
    "policy",
    "check",
    "target_kind",
    "target",
    "incident",
];

/// The alerts of one subject: of an incident with nothing left to try there are two. `until` is when what fires counts
/// as resolved if it is not repeated.
pub(in crate::notify) fn alerts(
    alert: &Alert,
    own: &BTreeMap<String, String>,
    external_url: Option<&str>,
    until: Time,
) -> Vec<Value> {
    let (main, level) = match alert.notice.subject {
        Subject::Incident { .. } => ("KuberhealerIncident", Level::Warning),
        Subject::Storm => ("KuberhealerStorm", Level::Critical),
        Subject::Source => ("KuberhealerSourceStale", Level::Critical),
        // An Alertmanager groups by itself, and is told of each.
        Subject::Cascade { .. } => return Vec::new(),
    };
    let mut wanted = vec![(main, level)];
    if alert.exhausted {
        wanted.push(("KuberhealerExhausted", Level::Critical));
    }
    wanted.retain(|(_, level)| *level >= alert.level);
    let notice = &alert.notice;
    let opened = notice.about.as_ref().map(|about| about.opened);
    let ends = alert.over.unwrap_or(until);
    let one = |(name, level): (&str, Level)| {
        let mut value = json!({
            "labels": labels(alert, own, name, level),
            "annotations": annotations(alert),
            "startsAt": opened.unwrap_or(notice.time).min(ends).to_string(),
            "endsAt": ends.to_string(),
        });
        if let (Some(url), Some(object)) = (external_url, value.as_object_mut()) {
            object.insert("generatorURL".to_owned(), url.into());
        }
        value
    };
    wanted.into_iter().map(one).collect()
}

fn labels(
    alert: &Alert,
    own: &BTreeMap<String, String>,
    name: &str,
    level: Level,
) -> Map<String, Value> {
    let mut labels = Map::new();
    for (name, value) in own {
        labels.insert(name.clone(), value.as_str().into());
    }
    let mut set = |name: &str, value: String| labels.insert(name.to_owned(), value.into());
    set("alertname", name.to_owned());
    set("severity", level.as_str().to_owned());
    if let Subject::Incident { policy, id } = &alert.notice.subject {
        set("namespace", policy.namespace.to_string());
        set("policy", policy.name.to_string());
        set("incident", id.clone());
    }
    if let Some(about) = &alert.notice.about {
        set("check", path(&about.check));
        set("target_kind", about.target.0.as_str().to_owned());
        set("target", about.target.1.to_string());
    }
    labels
}

fn annotations(alert: &Alert) -> Map<String, Value> {
    let notice = &alert.notice;
    let mut annotations = Map::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            annotations.insert(name.to_owned(), value.into());
        }
    };
    set("summary", notice.headline());
    set("state", notice.what.as_str().to_owned());
    set("reason", notice.reason.as_str().to_owned());
    let mut description = notice.message.clone();
    if let Some(about) = &notice.about {
        for error in &about.errors {
            description.push_str("\n- ");
            description.push_str(error);
        }
        if let Some(attempt) = &about.remediation {
            set("action", attempt.action.to_owned());
            set("attempt", attempt.number.to_string());
            set("remediation", attempt.name.clone());
        }
        set("cause", about.root.clone().unwrap_or_default());
    }
    set("description", description);
    annotations
}
