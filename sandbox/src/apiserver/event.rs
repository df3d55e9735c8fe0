//! Events: `events.k8s.io/v1` shows the objects of `v1` under other names, and is stricter with new ones.
//!
//! Follows `pkg/apis/events/v1/conversion.go` and `pkg/apis/core/validation/events.go`.

use serde_json::{Value, json};

use super::call::Call;
use super::meta;
use crate::status::Cause;

/// The group of the stricter view.
pub(crate) const GROUP: &str = "events.k8s.io";

/// Names of a field in `events.k8s.io/v1` and in `v1`, as which it is stored.
const FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// Fields that cannot be changed through the stricter view, by the names that its messages use.
const FIXED: [(&str, &str); 13] = [
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingComponent", "reportingController"),
    ("reportingInstance", "reportingInstance"),
];

/// Turns an event of `events.k8s.io/v1` into the one that is stored.
pub(crate) fn to_stored(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else {
        return;
    };
    for (_, stored) in FIELDS {
        fields.remove(stored);
    }
    for (shown, stored) in FIELDS {
        if let Some(value) = fields.remove(shown) {
            fields.insert(stored.to_owned(), value);
        }
    }
    fields.insert("apiVersion".to_owned(), Value::from("v1"));
}

/// Turns a stored event into one of `events.k8s.io/v1`.
pub(crate) fn to_shown(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else {
        return;
    };
    for (shown, stored) in FIELDS {
        if let Some(value) = fields.remove(stored) {
            fields.insert(shown.to_owned(), value);
        }
    }
    // As in Go, where one version leaves these out if they are empty and the other does not.
    for optional in ["reportingController", "reportingInstance"] {
        if fields.get(optional).is_some_and(|value| value == "") {
            fields.remove(optional);
        }
    }
    fields.insert("apiVersion".to_owned(), Value::from(format!("{GROUP}/v1")));
}

/// The path in a stored event for a field selector of the stricter view; `None` if one cannot select by it.
pub(crate) fn selectable(path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("regarding.") {
        return Some(format!("involvedObject.{rest}"));
    }
    match path {
        "reportingController" => Some("reportingComponent".to_owned()),
        "reason" | "type" => Some(path.to_owned()),
        _ => None,
    }
}

/// Fills in what a stored event has even when it is empty.
pub(crate) fn fill(event: &mut Value) {
    for (field, empty) in [
        ("involvedObject", json!({})),
        ("source", json!({})),
        ("firstTimestamp", Value::Null),
        ("lastTimestamp", Value::Null),
        ("eventTime", Value::Null),
        ("reportingComponent", json!("")),
        ("reportingInstance", json!("")),
    ] {
        if event[field].is_null() {
            event[field] = empty;
        }
    }
}

/// What is wrong with an event in its stored form.
pub(crate) fn check(call: &Call<'_>, old: Option<&Value>, event: &Value) -> Vec<Cause> {
    let mut causes = usual(event);
    if call.resource.group() != GROUP {
        return causes;
    }
    match old {
        None => {
            causes.extend(series(event));
            causes.extend(strict(event));
        }
        Some(old) => {
            if old["series"] != event["series"] {
                causes.extend(series(event));
            }
            let changed = FIXED.iter().filter(|(field, _)| old[field] != event[field]);
            causes.extend(
                changed.map(|(field, shown)| {
                    Cause::invalid(*shown, &event[field], "field is immutable")
                }),
            );
        }
    }
    causes
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// The rules for all events: those with an `eventTime` are of the newer kind and have to be complete.
fn usual(event: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let namespace = text(&event["metadata"], "namespace");
    let about = text(&event["involvedObject"], "namespace");
    let newer = !event["eventTime"].is_null();
    let fits = match (newer, about) {
        (true, "") => ["default", "kube-system"].contains(&namespace),
        (true, _) => true,
        (false, "") => namespace == "default",
        (false, about) => namespace == about,
    };
    if !fits {
        let why = "does not match event.namespace";
        let about = Value::from(about);
        causes.push(Cause::invalid("involvedObject.namespace", &about, why));
    }
    if !newer {
        return causes;
    }
    let controller = text(event, "reportingComponent");
    if controller.is_empty() {
        causes.push(Cause::required("reportingController", ""));
    }
    if !is_qualified_name(controller) {
        let why = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                   alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                   '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        let controller = Value::from(controller);
        causes.push(Cause::invalid("reportingController", &controller, why));
    }
    for (field, limit, required) in [
        ("reportingInstance", 128, true),
        ("action", 128, true),
        ("reason", 128, true),
        ("message", 1024, false),
    ] {
        let given = text(event, field);
        if given.is_empty() && required {
            causes.push(Cause::required(field, ""));
        }
        if given.len() > limit {
            let why = format!("can have at most {limit} characters");
            causes.push(Cause::invalid(field, &Value::from(""), &why));
        }
    }
    causes
}

/// What a new event of the stricter view has to be besides.
fn strict(event: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if event["eventTime"].is_null() {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = text(event, "type");
    if !["Normal", "Warning"].contains(&kind) {
        let why = format!("has invalid value: {kind}");
        causes.push(Cause::invalid("type", &Value::from(""), &why));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let value = &event[field];
        let unset = value.is_null() || *value == 0 || *value == json!({});
        if !unset {
            causes.push(Cause::invalid(field, &Value::from(""), "needs to be unset"));
        }
    }
    causes
}

fn series(event: &Value) -> Vec<Cause> {
    let series = &event["series"];
    let mut causes = Vec::new();
    if series.is_null() {
        return causes;
    }
    if series["count"].as_i64().unwrap_or(0) < 2 {
        let why = "should be at least 2";
        causes.push(Cause::invalid("series.count", &Value::from(""), why));
    }
    if series["lastObservedTime"].is_null() {
        causes.push(Cause::required("series.lastObservedTime", ""));
    }
    causes
}

/// A name, perhaps behind a DNS subdomain and a slash, as label keys are.
fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text
        .split_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    prefix.is_none_or(meta::is_subdomain)
        && name.len() <= 63
        && name.chars().all(inner)
        && edge(name.chars().next())
        && edge(name.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_by_both_names() {
        let mut stored = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"},
            "message": "m", "reason": "r", "reportingComponent": "c", "series": {"count": 2},
        });
        fill(&mut stored);
        let mut shown = stored.clone();
        to_shown(&mut shown);
        assert_eq!(
            shown,
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
                "regarding": {"kind": "Pod"}, "note": "m", "reason": "r", "reportingController": "c",
                "series": {"count": 2}, "deprecatedSource": {}, "deprecatedFirstTimestamp": null,
                "deprecatedLastTimestamp": null, "eventTime": null,
            })
        );
        to_stored(&mut shown);
        fill(&mut shown);
        assert_eq!(shown, stored);
    }

    #[test]
    fn controllers_are_named_as_labels_are() {
        for (name, good) in [
            ("remediator", true),
            ("kuberhealer.io/remediator", true),
            ("a_b.C-d", true),
            ("", false),
            ("-a", false),
            ("a b", false),
            ("/a", false),
            ("A/a", false),
            ("a/b/c", false),
        ] {
            assert_eq!(is_qualified_name(name), good, "{name}");
        }
    }
}
