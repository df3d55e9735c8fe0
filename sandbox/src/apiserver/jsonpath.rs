//! The simple JSON paths that printer columns use: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`.

use serde_json::Value;

/// The first value that `path` finds; `None` if there is none or the path cannot be read.
pub(crate) fn first<'a>(path: &str, value: &'a Value) -> Option<&'a Value> {
    let mut found = vec![value];
    let mut rest = path.trim();
    while !rest.is_empty() {
        let step;
        (step, rest) = next(rest)?;
        found = found.into_iter().flat_map(|value| step.of(value)).collect();
    }
    found.into_iter().find(|value| !value.is_null())
}

enum Step<'p> {
    Key(&'p str),
    Index(usize),
    All,
    /// Elements of which the path equals the text.
    Where(&'p str, &'p str),
}

impl Step<'_> {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Step::Key(key), value) => value.get(key).into_iter().collect(),
            (Step::Index(index), value) => value.get(index).into_iter().collect(),
            (Step::All, Value::Array(elements)) => elements.iter().collect(),
            (Step::All, Value::Object(fields)) => fields.values().collect(),
            (Step::Where(path, text), Value::Array(elements)) => elements
                .iter()
                .filter(|element| first(path, element).is_some_and(|found| plain(found) == *text))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn next(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(rest) = path.strip_prefix("[?(@") {
        let (filter, rest) = rest.split_once(")]")?;
        let (path, text) = filter.split_once("==")?;
        return Some((Step::Where(path.trim(), unquoted(text.trim())), rest));
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']')?;
        let step = match inside {
            "*" => Step::All,
            quoted if quoted.starts_with(['\'', '"']) => Step::Key(unquoted(quoted)),
            index => Step::Index(index.parse().ok()?),
        };
        return Some((step, rest));
    }
    let rest = path.strip_prefix('.')?;
    // A dot may be escaped in a key: `.metadata.labels.example\.com/x` is not supported, brackets are.
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, rest) = rest.split_at(end);
    match key {
        "" => None,
        "*" => Some((Step::All, rest)),
        key => Some((Step::Key(key), rest)),
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['\'', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_usual_paths_are_followed() {
        let object = json!({
            "spec": {"a.b": 1, "list": [{"n": 1}, {"n": 2}], "none": null},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        for (path, expected) in [
            (".spec.list[1].n", Some(json!(2))),
            (".spec.list[*].n", Some(json!(1))),
            (".spec['a.b']", Some(json!(1))),
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                Some(json!("True")),
            ),
            (".status.conditions[?(@.type=='None')].status", None),
            (".spec.none", None),
            (".spec.list[9]", None),
            ("", Some(object.clone())),
            ("spec", None),
            (".spec[", None),
            ("..", None),
            ("[?(@.x", None),
        ] {
            assert_eq!(first(path, &object).cloned(), expected, "{path}");
        }
    }
}
