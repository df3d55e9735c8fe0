//! Label and field selectors.

use serde_json::Value;

use super::event;
use crate::registry::Resource;
use crate::status::{Status, qualified};

/// What a label has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    /// Also holds if the label is missing.
    NotIn(String, Vec<String>),
    Greater(String, i64),
    Less(String, i64),
}

/// Which objects a list or watch is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// Path, value, and whether it has to be equal.
    fields: Vec<(Vec<String>, String, bool)>,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(crate) fn parse(
        resource: &Resource,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Selector, Status> {
        Ok(Selector {
            labels: parse_labels(labels.unwrap_or_default()).map_err(|why| {
                Status::bad_request(format!("unable to parse requirement: {why}"))
            })?,
            fields: parse_fields(resource, fields.unwrap_or_default())?,
        })
    }

    /// Adds the requirement that the object has this name.
    pub(crate) fn and_name(&mut self, name: &str) {
        let path = vec!["metadata".to_owned(), "name".to_owned()];
        self.fields.push((path, name.to_owned(), true));
    }

    /// Whether every object matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels
            .iter()
            .all(|requirement| requirement.holds(labels))
            && self
                .fields
                .iter()
                .all(|(path, value, equal)| (field(object, path) == *value) == *equal)
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let label = |key: &str| labels[key].as_str();
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|allowed| allowed == value))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|value| values.iter().all(|other| other != value))
            }
            Requirement::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Requirement::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
        }
    }
}

/// A field as text; one that is not there is empty.
fn field(object: &Value, path: &[String]) -> String {
    let value = path
        .iter()
        .fold(object, |value, part| &value[part.as_str()]);
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Splits at commas outside parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&selector[start..]);
    parts
}

fn parse_labels(selector: &str) -> Result<Vec<Requirement>, String> {
    if selector.trim().is_empty() {
        return Ok(Vec::new());
    }
    split(selector)
        .into_iter()
        .map(|part| requirement(part.trim()))
        .collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Requirement::Missing(label_key(key)?));
    }
    if let Some((head, rest)) = text.split_once('(') {
        let values = rest
            .trim_end()
            .strip_suffix(')')
            .ok_or_else(|| format!("found '{text}', expected: ')'"))?;
        let values: Vec<String> = values
            .split(',')
            .map(|value| label_value(value.trim()))
            .collect::<Result<_, _>>()?;
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Requirement::In(label_key(key)?, values)),
            (Some(key), Some("notin"), None) => Ok(Requirement::NotIn(label_key(key)?, values)),
            _ => Err(format!(
                "found '{head}', expected: in, notin, =, ==, !=, gt, lt"
            )),
        };
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(operator) {
            let (key, values) = (label_key(key)?, vec![label_value(value.trim())?]);
            return Ok(match equal {
                true => Requirement::In(key, values),
                false => Requirement::NotIn(key, values),
            });
        }
    }
    for (operator, greater) in [('>', true), ('<', false)] {
        if let Some((key, bound)) = text.split_once(operator) {
            let (key, bound) = (label_key(key)?, bound.trim());
            let bound = bound
                .parse()
                .map_err(|_| format!("values[0]: Invalid value: \"{bound}\": for 'Gt', 'Lt' operators, the value must be an integer"))?;
            return Ok(match greater {
                true => Requirement::Greater(key, bound),
                false => Requirement::Less(key, bound),
            });
        }
    }
    Ok(Requirement::Exists(label_key(text)?))
}

fn label_key(key: &str) -> Result<String, String> {
    let key = key.trim();
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let valid = word(name)
        && prefix
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    match valid && key.len() <= 317 && !name.is_empty() {
        true => Ok(key.to_owned()),
        false => Err(format!(
            "key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        )),
    }
}

fn label_value(value: &str) -> Result<String, String> {
    match word(value) {
        true => Ok(value.to_owned()),
        false => Err(format!(
            "values[0]: Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        )),
    }
}

fn word(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Field paths that Kubernetes can select by, besides name and namespace.
fn selectable(resource: &Resource) -> &'static [&'static str] {
    match (resource.group(), resource.plural()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("apps", "replicasets") | ("", "replicationcontrollers") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        _ => &[],
    }
}

fn parse_fields(
    resource: &Resource,
    selector: &str,
) -> Result<Vec<(Vec<String>, String, bool)>, Status> {
    let mut fields = Vec::new();
    for part in selector.split(',').filter(|part| !part.trim().is_empty()) {
        let found = [("!=", false), ("==", true), ("=", true)]
            .into_iter()
            .find_map(|(operator, equal)| {
                part.split_once(operator)
                    .map(|(path, value)| (path, value, equal))
            });
        let Some((path, value, equal)) = found else {
            let message = format!("invalid selector: '{selector}'; can't understand '{part}'");
            return Err(Status::bad_request(message));
        };
        let path = path.trim();
        let of_view = resource.view_of.as_ref().and(event::selectable(path));
        if path != "metadata.name"
            && path != "metadata.namespace"
            && !selectable(resource).contains(&path)
            && of_view.is_none()
        {
            let kind = qualified(&resource.kind, resource.group());
            let message = match resource.custom || resource.group() != "" {
                true => format!("field label not supported: {path}"),
                false => format!(
                    "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\" ({kind})"
                ),
            };
            return Err(Status::bad_request(message));
        }
        let path = of_view.as_deref().unwrap_or(path);
        let path = path.split('.').map(str::to_owned).collect();
        fields.push((path, value.trim().to_owned(), equal));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use serde_json::json;

    fn pods() -> std::sync::Arc<Resource> {
        Registry::builtin().find("", "pods").unwrap()
    }

    #[test]
    fn label_selectors_match_as_in_kubernetes() {
        let object =
            json!({"metadata": {"labels": {"app": "web", "tier": "front", "n": "5", "e": ""}}});
        for (selector, matches) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web", true),
            ("app=api", false),
            ("app!=api", true),
            ("app!=web", false),
            ("none!=x", true),
            ("app", true),
            ("none", false),
            ("!none", true),
            ("!app", false),
            ("app in (web,api)", true),
            ("app in (api)", false),
            ("app notin (api, db)", true),
            ("none notin (a)", true),
            ("none in (a)", false),
            ("app in (web, api),tier=front", true),
            ("app=web,tier=back", false),
            ("n>4", true),
            ("n<5", false),
            ("e=", true),
            ("none=", false),
            ("example.com/x!=1", true),
        ] {
            let parsed = Selector::parse(&pods(), Some(selector), None).unwrap();
            assert_eq!(parsed.matches(&object), matches, "{selector}");
        }
        for bad in [
            "a b",
            "=x",
            "app in (web",
            "app within (a)",
            "a=b=c",
            ",",
            "a,,b",
            "-a=1",
            "a/b/c d",
            "n>x",
        ] {
            assert_eq!(
                Selector::parse(&pods(), Some(bad), None).unwrap_err().code,
                400,
                "{bad}"
            );
        }
    }

    #[test]
    fn field_selectors_match_the_fields_kubernetes_has() {
        let object = json!({
            "metadata": {"name": "p", "namespace": "a"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"},
        });
        for (selector, matches) in [
            ("metadata.name=p", true),
            ("metadata.name=p,metadata.namespace=a", true),
            ("metadata.name!=p", false),
            ("spec.nodeName=n1", true),
            ("spec.nodeName=", false),
            ("status.phase!=Succeeded,status.phase!=Failed", true),
            ("status.podIP=", true),
        ] {
            let parsed = Selector::parse(&pods(), None, Some(selector)).unwrap();
            assert_eq!(parsed.matches(&object), matches, "{selector}");
        }
        for bad in ["spec.nothing=1", "metadata.name"] {
            assert_eq!(
                Selector::parse(&pods(), None, Some(bad)).unwrap_err().code,
                400,
                "{bad}"
            );
        }
    }
}
