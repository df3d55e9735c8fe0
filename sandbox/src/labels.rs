//! Label selectors as they stand in objects: `matchLabels` and `matchExpressions`.

use serde_json::Value;

/// Whether a selector chooses an object with these labels. An empty selector chooses everything, none (null) nothing.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(fields) = selector.as_object() else {
        return false;
    };
    let mut equal = fields
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    equal.all(|(label, value)| labels[label] == *value)
        && expressions(selector).iter().all(|expression| {
            let found = &labels[expression["key"].as_str().unwrap_or_default()];
            let listed = values(expression).contains(found);
            match expression["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => found.is_string(),
                Some("DoesNotExist") => found.is_null(),
                _ => false,
            }
        })
}

/// The selector in the words of a query (`app=web,tier in (a,b)`), ordered by label.
pub(crate) fn written(selector: &Value) -> String {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<(String, String)> = equal
        .map(|(label, value)| {
            let value = value.as_str().unwrap_or_default();
            (label.clone(), format!("{label}={value}"))
        })
        .collect();
    parts.extend(expressions(selector).iter().map(|expression| {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> = values(expression)
            .iter()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        let part = match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        };
        (key.to_owned(), part)
    }));
    parts.sort();
    let parts: Vec<String> = parts.into_iter().map(|(_, part)| part).collect();
    parts.join(",")
}

fn expressions(selector: &Value) -> &[Value] {
    selector["matchExpressions"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn values(expression: &Value) -> &[Value] {
    expression["values"].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_chooses_and_is_written_as_in_kubernetes() {
        let both = json!({
            "matchLabels": {"app": "web", "a": "1"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["y", "x"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        let labels = json!({"app": "web", "a": "1", "tier": "x"});
        assert!(selects(&both, &labels));
        assert!(!selects(
            &both,
            &json!({"app": "web", "a": "1", "tier": "z"})
        ));
        assert!(!selects(
            &both,
            &json!({"app": "web", "a": "1", "tier": "x", "old": ""})
        ));
        assert_eq!(written(&both), "a=1,app=web,!old,tier in (x,y)");
        assert!(selects(&json!({}), &labels));
        assert!(!selects(&Value::Null, &labels));
    }
}
