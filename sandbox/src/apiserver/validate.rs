//! Checking an object against a structural schema, with the causes worded as a kube-apiserver words them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde_json::Value;

use crate::status::Cause;

/// Causes listed at most; an object can be wrong in very many places.
const MAX_CAUSES: usize = 50;

/// What is wrong with `object`; `metadata` is not looked at.
pub(crate) fn validate(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_object(schema, object, "", &mut causes);
    causes.truncate(MAX_CAUSES);
    causes
}

fn check(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    if causes.len() >= MAX_CAUSES || (value.is_null() && schema["nullable"] == true) {
        return;
    }
    if !has_type(schema, value) {
        let wanted = schema["type"].as_str().unwrap_or("integer or string");
        let found = type_name(value);
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            field: at.to_owned(),
            message: format!(
                "Invalid value: \"{found}\": {at} in body must be of type {wanted}: \"{found}\""
            ),
        });
        return;
    }
    if let Value::Array(allowed) = &schema["enum"]
        && !allowed.contains(value)
    {
        causes.push(Cause::unsupported(at, value, allowed));
    }
    match value {
        Value::Object(_) => check_object(schema, value, at, causes),
        Value::Array(elements) => check_list(schema, elements, at, causes),
        Value::String(text) => check_text(schema, text, at, causes),
        Value::Number(_) => check_number(schema, value, at, causes),
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_object(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Value::Object(fields) = value else {
        return;
    };
    let below = |name: &str| match at {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !fields.contains_key(name) {
            causes.push(Cause::required(below(name), ""));
        }
    }
    let count = fields.len() as u64;
    let least = schema["minProperties"].as_u64();
    if let Some(least) = least.filter(|least| count < *least) {
        let why = format!("{at} in body should have at least {least} properties");
        causes.push(Cause::invalid(at, &Value::from(count), &why));
    }
    let most = schema["maxProperties"].as_u64();
    if let Some(most) = most.filter(|most| count > *most) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            field: at.to_owned(),
            message: format!("Too many: {count}: must have at most {most} items"),
        });
    }
    for (name, value) in fields {
        if at.is_empty() && name == "metadata" {
            continue;
        }
        match schema["properties"].get(name) {
            Some(schema) => check(schema, value, &below(name), causes),
            None if schema["additionalProperties"].is_object() => {
                check(&schema["additionalProperties"], value, &below(name), causes);
            }
            None => {}
        }
    }
}

fn check_list(schema: &Value, elements: &[Value], at: &str, causes: &mut Vec<Cause>) {
    let count = elements.len() as u64;
    if let Some(least) = schema["minItems"].as_u64().filter(|least| count < *least) {
        let why = format!("{at} in body should have at least {least} items");
        causes.push(Cause::invalid(at, &Value::from(count), &why));
    }
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| count > *most) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            field: at.to_owned(),
            message: format!("Too many: {count}: must have at most {most} items"),
        });
    }
    for (index, element) in elements.iter().enumerate() {
        check(&schema["items"], element, &format!("{at}[{index}]"), causes);
    }
}

fn check_text(schema: &Value, text: &str, at: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count() as u64;
    let value = Value::from(text);
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        let why = format!("{at} in body should be at least {least} chars long");
        causes.push(Cause::invalid(at, &value, &why));
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: at.to_owned(),
            message: format!("Too long: may not be more than {most} bytes"),
        });
    }
    // A pattern that this regex engine cannot read restricts nothing.
    if let Some(pattern) = schema["pattern"].as_str()
        && !matches(pattern, text)
    {
        let why = format!("{at} in body should match '{pattern}'");
        causes.push(Cause::invalid(at, &value, &why));
    }
    if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        let why = format!("{at} in body must be of type date-time: \"{text}\"");
        causes.push(Cause::wrong_type(at, &value, &why));
    }
}

/// Whether a pattern is found in a text. Patterns are compiled once, as long as they are not very many.
fn matches(pattern: &str, text: &str) -> bool {
    const MAX_KEPT: usize = 1000;
    // Shared, not cloned: a clone of a `Regex` begins with caches of its own.
    static COMPILED: Mutex<BTreeMap<String, Option<Arc<Regex>>>> = Mutex::new(BTreeMap::new());
    let known = {
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        match compiled.get(pattern) {
            Some(known) => known.clone(),
            None => {
                if compiled.len() >= MAX_KEPT {
                    compiled.clear();
                }
                let regex = Regex::new(pattern).ok().map(Arc::new);
                compiled.insert(pattern.to_owned(), regex.clone());
                regex
            }
        }
    };
    known.is_none_or(|regex| regex.is_match(text))
}

fn check_number(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let number = value.as_f64().unwrap_or(0.0);
    for (key, exclusive, upper) in [
        ("minimum", "exclusiveMinimum", false),
        ("maximum", "exclusiveMaximum", true),
    ] {
        let Some(bound) = schema[key].as_f64() else {
            continue;
        };
        let strict = schema[exclusive] == true;
        let broken = match upper {
            true => number > bound,
            false => number < bound,
        };
        #[allow(
            clippy::float_cmp,
            reason = "an exclusive bound excludes exactly its value"
        )]
        if broken || (strict && number == bound) {
            let side = if upper { "less" } else { "greater" };
            let equal = if strict { "" } else { " or equal to" };
            let why = format!("{at} in body should be {side} than{equal} {}", schema[key]);
            causes.push(Cause::invalid(at, value, &why));
        }
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_rule_names_field_and_value() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]*$"},
                "mode": {"type": "string", "enum": ["On", "Off"]},
                "count": {"type": "integer", "minimum": 1, "maximum": 5},
                "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
                "port": {"x-kubernetes-int-or-string": true},
                "at": {"type": "string", "format": "date-time", "nullable": true},
                "list": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "boolean"}},
                "map": {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": {"type": "string"}},
            },
        }}});
        for (spec, expected) in [
            (
                json!({"name": "ok", "mode": "On", "count": 5, "ratio": 0.5, "port": "http", "at": null, "list": [true], "map": {"a": "b"}}),
                "",
            ),
            (
                json!({"name": "ok", "count": 2.0, "port": 80, "at": "2026-01-01T00:00:00Z", "unknown": 1}),
                "",
            ),
            (json!({}), "spec.name: Required value"),
            (
                json!({"name": 1}),
                "spec.name: Invalid value: \"integer\": spec.name in body must be of type string: \"integer\"",
            ),
            (
                json!({"name": null}),
                "spec.name: Invalid value: \"null\": spec.name in body must be of type string: \"null\"",
            ),
            (
                json!({"name": "a"}),
                "spec.name: Invalid value: \"a\": spec.name in body should be at least 2 chars long",
            ),
            (
                json!({"name": "abcde"}),
                "spec.name: Too long: may not be more than 4 bytes",
            ),
            (
                json!({"name": "A1"}),
                "spec.name: Invalid value: \"A1\": spec.name in body should match '^[a-z]*$'",
            ),
            (
                json!({"name": "ok", "mode": "Maybe"}),
                "spec.mode: Unsupported value: \"Maybe\": supported values: \"On\", \"Off\"",
            ),
            (
                json!({"name": "ok", "count": 0}),
                "spec.count: Invalid value: 0: spec.count in body should be greater than or equal to 1",
            ),
            (
                json!({"name": "ok", "count": 6}),
                "spec.count: Invalid value: 6: spec.count in body should be less than or equal to 5",
            ),
            (
                json!({"name": "ok", "ratio": 0}),
                "spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0",
            ),
            (
                json!({"name": "ok", "count": 1.5}),
                "spec.count: Invalid value: \"number\": spec.count in body must be of type integer: \"number\"",
            ),
            (
                json!({"name": "ok", "port": true}),
                "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer or string: \"boolean\"",
            ),
            (
                json!({"name": "ok", "at": "noon"}),
                "spec.at: Invalid value: \"noon\": spec.at in body must be of type date-time: \"noon\"",
            ),
            (
                json!({"name": "ok", "list": []}),
                "spec.list: Invalid value: 0: spec.list in body should have at least 1 items",
            ),
            (
                json!({"name": "ok", "list": [true, "x"]}),
                "spec.list[1]: Invalid value: \"string\": spec.list[1] in body must be of type boolean: \"string\"",
            ),
            (
                json!({"name": "ok", "list": [true, true, true]}),
                "spec.list: Too many: 3: must have at most 2 items",
            ),
            (
                json!({"name": "ok", "map": {}}),
                "spec.map: Invalid value: 0: spec.map in body should have at least 1 properties",
            ),
            (
                json!({"name": "ok", "map": {"a": "", "b": "", "c": ""}}),
                "spec.map: Too many: 3: must have at most 2 items",
            ),
            (
                json!({"name": "ok", "map": {"k": 1}}),
                "spec.map.k: Invalid value: \"integer\": spec.map.k in body must be of type string: \"integer\"",
            ),
        ] {
            let causes = validate(&schema, &json!({"metadata": {"x": 1}, "spec": spec}));
            let shown: Vec<String> = causes
                .iter()
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect();
            assert_eq!(shown.join("; "), expected, "{spec}");
        }
        assert_eq!(validate(&schema, &json!({}))[0].field, "spec");
    }
}
