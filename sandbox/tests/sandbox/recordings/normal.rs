//! What is left of an event when identities and times are taken out.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value, json};

/// Turns the events of one object into what two runs of the same situation have in common.
pub(crate) struct Normaliser {
    uuids: HashMap<String, usize>,
    uuid: Regex,
    times: Regex,
    timeout: String,
    previous: Value,
    version: u64,
    generation: Option<i64>,
}

impl Normaliser {
    /// `timeout` is the check's, which error texts repeat.
    pub(crate) fn new(timeout: &str) -> Normaliser {
        let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        Normaliser {
            uuids: HashMap::new(),
            uuid: Regex::new(uuid).unwrap(),
            times: Regex::new(r"started at [0-9TZ:-]+|(?:for pod: [a-z-]+)-\d{10}").unwrap(),
            timeout: format!("timed out after {timeout}"),
            previous: Value::Null,
            version: 0,
            generation: None,
        }
    }

    /// What is to be compared of `part` (`spec` or `status`) of the object, and of its metadata.
    pub(crate) fn event(&mut self, event: &Value, part: &str) -> Value {
        let object = &event["object"];
        let metadata = &object["metadata"];
        let version: u64 = metadata["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            version > self.version,
            "resource versions do not rise: {version} after {}",
            self.version
        );
        self.version = version;
        // How much the generation rose: a comparison may begin in the middle.
        let generation = metadata["generation"].as_i64().unwrap();
        let risen = self
            .generation
            .replace(generation)
            .map(|before| generation - before);
        let mut normal = Map::new();
        for (key, value) in object[part].as_object().into_iter().flatten() {
            let value = match key.as_str() {
                "LastRun" if self.amends(&object[part]) => json!("a time"),
                "LastRun" | "lastRunUnix" | "lastOKUnix" | "lastFailureUnix" => {
                    json!(self.change(key, value))
                }
                "RunDuration" => json!(self.length(key, value)),
                "successCount" | "failureCount" => json!(self.count(key, value)),
                _ => self.texts(value),
            };
            normal.insert(key.clone(), value);
        }
        self.previous = match &object[part] {
            Value::Null => json!({}),
            part => part.clone(),
        };
        // kubectl's own annotation tells how the recording was made.
        let mut annotations = metadata["annotations"].clone();
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let has_annotations = annotations
            .as_object()
            .is_some_and(|annotations| !annotations.is_empty());
        json!({
            "type": event["type"], "kind": object["kind"], "apiVersion": object["apiVersion"],
            "generation": risen, "finalizers": metadata["finalizers"], "labels": metadata["labels"],
            "annotated": has_annotations, "deleting": metadata["deletionTimestamp"].is_string(), part: normal,
        })
    }

    /// A report that comes after another one of the same run.
    fn amends(&self, state: &Value) -> bool {
        let is_report = |state: &Value| {
            let first = state["Errors"][0].as_str().unwrap_or_default();
            state["Node"] == ""
                && state["AuthoritativePod"] != ""
                && !first.starts_with("Check execution error: ")
        };
        let same_run = self.previous["uuid"] == state["uuid"];
        same_run && is_report(&self.previous) && is_report(state)
    }

    fn change(&self, key: &str, value: &Value) -> &'static str {
        if self.previous[key] == *value {
            "unchanged"
        } else {
            "changed"
        }
    }

    /// How much a count rose since the last event.
    fn count(&self, key: &str, value: &Value) -> Option<i64> {
        let before = match &self.previous {
            Value::Null => return None,
            previous => previous[key].as_i64().unwrap_or(0),
        };
        Some(value.as_i64().unwrap() - before)
    }

    fn length(&self, key: &str, value: &Value) -> &'static str {
        match value.as_str().unwrap() {
            "" => "empty",
            "0s" => "zero",
            _ if self.previous[key] == *value => "as before",
            length if length.starts_with('-') => "new, below zero",
            _ => "new",
        }
    }

    fn texts(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(values) => values.iter().map(|value| self.texts(value)).collect(),
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let uuids = &mut self.uuids;
        let text = self.uuid.replace_all(text, |found: &regex::Captures<'_>| {
            let next = uuids.len() + 1;
            format!("uuid#{}", uuids.entry(found[0].to_owned()).or_insert(next))
        });
        let text = self
            .times
            .replace_all(&text, |found: &regex::Captures<'_>| match &found[0] {
                pod if pod.starts_with("for pod") => "for pod: NAME-TIME".to_owned(),
                _ => "started at TIME".to_owned(),
            });
        text.replace(&self.timeout, "timed out after TIMEOUT")
    }
}
