//! Columns for `kubectl get`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jsonpath;
use crate::registry::{Column, Resource, Version};

type Cell = fn(&Value, Timestamp) -> Value;

/// The columns of a kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Columns {
    BuiltIn(&'static [(&'static str, i64, Cell)]),
    Custom(Vec<Column>),
}

const AGE: (&str, i64, Cell) = ("Age", 0, |object, now| {
    age(&object["metadata"]["creationTimestamp"], now)
});
const NAME: (&str, i64, Cell) = ("Name", 0, |object, _| object["metadata"]["name"].clone());

const PODS: &[(&str, i64, Cell)] = &[
    NAME,
    ("Ready", 0, |pod, _| {
        let ready = statuses(pod)
            .iter()
            .filter(|status| status["ready"] == true)
            .count();
        let all = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
        Value::from(format!("{ready}/{all}"))
    }),
    ("Status", 0, |pod, _| Value::from(pod_status(pod))),
    ("Restarts", 0, |pod, now| {
        let restarts: u64 = statuses(pod)
            .iter()
            .filter_map(|status| status["restartCount"].as_u64())
            .sum();
        let last = statuses(pod)
            .iter()
            .filter_map(|status| status["lastState"]["terminated"]["finishedAt"].as_str())
            .max();
        Value::from(match last {
            Some(last) if restarts > 0 => format!("{restarts} ({} ago)", since(last, now)),
            _ => restarts.to_string(),
        })
    }),
    AGE,
    ("IP", 1, |pod, _| or_none(&pod["status"]["podIP"])),
    ("Node", 1, |pod, _| or_none(&pod["spec"]["nodeName"])),
];
const DEPLOYMENTS: &[(&str, i64, Cell)] = &[
    NAME,
    ("Ready", 0, |object, _| {
        let ready = number(&object["status"]["readyReplicas"]);
        Value::from(format!("{ready}/{}", number(&object["spec"]["replicas"])))
    }),
    ("Up-to-date", 0, |object, _| {
        Value::from(number(&object["status"]["updatedReplicas"]))
    }),
    ("Available", 0, |object, _| {
        Value::from(number(&object["status"]["availableReplicas"]))
    }),
    AGE,
];
const REPLICASETS: &[(&str, i64, Cell)] = &[
    NAME,
    ("Desired", 0, |object, _| {
        Value::from(number(&object["spec"]["replicas"]))
    }),
    ("Current", 0, |object, _| {
        Value::from(number(&object["status"]["replicas"]))
    }),
    ("Ready", 0, |object, _| {
        Value::from(number(&object["status"]["readyReplicas"]))
    }),
    AGE,
];
const SERVICES: &[(&str, i64, Cell)] = &[
    NAME,
    ("Type", 0, |object, _| object["spec"]["type"].clone()),
    ("Cluster-IP", 0, |object, _| {
        or_none(&object["spec"]["clusterIP"])
    }),
    ("Port(s)", 0, |object, _| {
        let ports = object["spec"]["ports"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let ports: Vec<String> = ports
            .iter()
            .map(|port| {
                format!(
                    "{}/{}",
                    port["port"],
                    port["protocol"].as_str().unwrap_or("TCP")
                )
            })
            .collect();
        Value::from(ports.join(","))
    }),
    AGE,
];
const NAMESPACES: &[(&str, i64, Cell)] = &[
    NAME,
    ("Status", 0, |object, _| object["status"]["phase"].clone()),
    AGE,
];
const NODES: &[(&str, i64, Cell)] = &[
    NAME,
    ("Status", 0, |node, _| {
        let conditions = node["status"]["conditions"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let ready = conditions
            .iter()
            .find(|condition| condition["type"] == "Ready");
        Value::from(match ready.map(|ready| ready["status"] == "True") {
            Some(true) => "Ready",
            Some(false) => "NotReady",
            None => "Unknown",
        })
    }),
    AGE,
    ("Version", 0, |node, _| {
        node["status"]["nodeInfo"]["kubeletVersion"].clone()
    }),
];
const EVENTS: &[(&str, i64, Cell)] = &[
    ("Last Seen", 0, |event, now| {
        let seen = ["lastTimestamp", "eventTime", "firstTimestamp"]
            .iter()
            .find(|key| event[**key].is_string());
        age(seen.map_or(&Value::Null, |key| &event[*key]), now)
    }),
    ("Type", 0, |event, _| event["type"].clone()),
    ("Reason", 0, |event, _| event["reason"].clone()),
    ("Object", 0, |event, _| {
        let object = &event["involvedObject"];
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        Value::from(format!(
            "{kind}/{}",
            object["name"].as_str().unwrap_or_default()
        ))
    }),
    ("Message", 0, |event, _| event["message"].clone()),
];
const OTHERS: &[(&str, i64, Cell)] = &[NAME, AGE];
const CRDS: &[(&str, i64, Cell)] = &[
    NAME,
    ("Created At", 0, |object, _| {
        object["metadata"]["creationTimestamp"].clone()
    }),
];

impl Columns {
    pub(crate) fn of(resource: &Resource, version: &Version) -> Columns {
        if resource.custom {
            let mut columns = version.columns.clone();
            if columns.is_empty() {
                columns.push(Column {
                    name: "Age".to_owned(),
                    kind: "date".to_owned(),
                    path: ".metadata.creationTimestamp".to_owned(),
                    priority: 0,
                });
            }
            return Columns::Custom(columns);
        }
        Columns::BuiltIn(match (resource.group(), resource.plural()) {
            ("", "pods") => PODS,
            ("", "services") => SERVICES,
            ("", "namespaces") => NAMESPACES,
            ("", "nodes") => NODES,
            ("", "events") => EVENTS,
            ("apps", "deployments") => DEPLOYMENTS,
            ("apps", "replicasets") => REPLICASETS,
            ("apiextensions.k8s.io", _) => CRDS,
            _ => OTHERS,
        })
    }

    pub(crate) fn definitions(&self) -> Vec<Value> {
        let define = |name: &str, kind: &str, priority: i64| {
            // kubectl right-aligns nothing and prints a column of format "name" first.
            let format = if name == "Name" { "name" } else { "" };
            json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
        };
        match self {
            Columns::BuiltIn(columns) => columns
                .iter()
                .map(|(name, priority, _)| define(name, "string", *priority))
                .collect(),
            Columns::Custom(columns) => std::iter::once(define("Name", "string", 0))
                .chain(
                    columns
                        .iter()
                        .map(|column| define(&column.name, &column.kind, column.priority)),
                )
                .collect(),
        }
    }

    pub(crate) fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match self {
            Columns::BuiltIn(columns) => columns
                .iter()
                .map(|(_, _, cell)| cell(object, now))
                .collect(),
            Columns::Custom(columns) => std::iter::once(object["metadata"]["name"].clone())
                .chain(
                    columns
                        .iter()
                        .map(|column| custom_cell(column, object, now)),
                )
                .collect(),
        }
    }
}

fn custom_cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let Some(value) = jsonpath::first(&column.path, object) else {
        return Value::Null;
    };
    match (column.kind.as_str(), value) {
        ("date", date) => age(date, now),
        ("string", Value::String(_)) => value.clone(),
        ("string", other) => Value::from(other.to_string()),
        (_, other) => other.clone(),
    }
}

fn statuses(pod: &Value) -> &[Value] {
    pod["status"]["containerStatuses"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn or_none(value: &Value) -> Value {
    match value.as_str() {
        None | Some("") => Value::from("<none>"),
        Some(_) => value.clone(),
    }
}

/// The column STATUS of a pod: the most telling reason, as in k8s.io/kubernetes/pkg/printers.
fn pod_status(pod: &Value) -> String {
    let status = &pod["status"];
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let mut reason = text(&status["reason"])
        .or_else(|| text(&status["phase"]))
        .unwrap_or_default();
    for container in statuses(pod).iter().rev() {
        let (waiting, terminated) = (
            &container["state"]["waiting"],
            &container["state"]["terminated"],
        );
        if let Some(waiting) = text(&waiting["reason"]) {
            reason = waiting;
        } else if terminated.is_object() {
            reason = text(&terminated["reason"])
                .unwrap_or_else(|| format!("ExitCode:{}", terminated["exitCode"]));
        }
    }
    if pod["metadata"]["deletionTimestamp"].is_string() {
        reason = match status["reason"] == "NodeLost" {
            true => "Unknown".to_owned(),
            false => "Terminating".to_owned(),
        };
    }
    reason
}

fn age(time: &Value, now: Timestamp) -> Value {
    Value::from(
        time.as_str()
            .map_or("<unknown>".to_owned(), |time| since(time, now)),
    )
}

fn since(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => human(now.duration_since(time).as_secs()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration as kubectl writes it (k8s.io/apimachinery/pkg/util/duration).
fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |a: i64, unit: char, b: i64, small: char| match b {
        0 => format!("{a}{unit}"),
        b => format!("{a}{unit}{b}{small}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_kubectl() {
        for (seconds, expected) in [
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (12_000, "3h20m"),
            (90_000, "25h"),
            (200_000, "2d7h"),
            (864_000, "10d"),
        ] {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_pods_status_is_its_most_telling_reason() {
        let containers = |state: Value| json!({"status": {"phase": "Running", "containerStatuses": [{"state": state}]}});
        for (pod, expected) in [
            (json!({"status": {"phase": "Pending"}}), "Pending"),
            (
                json!({"status": {"phase": "Failed", "reason": "Evicted"}}),
                "Evicted",
            ),
            (
                containers(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
                "CrashLoopBackOff",
            ),
            (
                containers(json!({"terminated": {"reason": "Completed", "exitCode": 0}})),
                "Completed",
            ),
            (
                containers(json!({"terminated": {"exitCode": 3}})),
                "ExitCode:3",
            ),
            (containers(json!({"running": {}})), "Running"),
            (
                json!({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running"}}),
                "Terminating",
            ),
        ] {
            assert_eq!(pod_status(&pod), expected, "{pod}");
        }
    }

    #[test]
    fn custom_cells_follow_their_path_and_type() {
        let object = json!({"status": {"ok": true, "n": 3, "at": "2026-01-01T00:00:00Z"}});
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        for (path, kind, expected) in [
            (".status.ok", "boolean", json!(true)),
            (".status.ok", "string", json!("true")),
            (".status.n", "integer", json!(3)),
            (".status.at", "date", json!("60s")),
            (".status.none", "string", Value::Null),
        ] {
            let column = Column {
                name: "C".to_owned(),
                kind: kind.to_owned(),
                path: path.to_owned(),
                priority: 0,
            };
            assert_eq!(custom_cell(&column, &object, now), expected, "{path}");
        }
    }
}
