//! Structural schemas: what of an object is kept, and what is filled in.

use serde_json::{Map, Value};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";

/// Paths of removed fields that are told of at most.
const MAX_TOLD: usize = 20;

/// Removes what the schema does not know, and answers with the paths of it. `apiVersion`, `kind` and `metadata` of
/// the object itself stay.
pub(crate) fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    prune_fields(schema, object, true, "", &mut removed);
    removed
}

fn prune_fields(
    schema: &Value,
    value: &mut Value,
    resource: bool,
    at: &str,
    removed: &mut Vec<String>,
) {
    match value {
        Value::Array(elements) => {
            let items = &schema["items"];
            for (index, element) in elements.iter_mut().enumerate() {
                let at = format!("{at}[{index}]");
                prune_fields(items, element, items[EMBEDDED] == true, &at, removed);
            }
        }
        Value::Object(fields) => {
            let known = &schema["properties"];
            let others = &schema["additionalProperties"];
            let keep = schema[PRESERVE] == true || *others == true;
            fields.retain(|name, value| {
                if resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let at = match at {
                    "" => name.clone(),
                    at => format!("{at}.{name}"),
                };
                let of = match known.get(name) {
                    Some(of) => of,
                    None if others.is_object() => others,
                    None => {
                        if !keep && removed.len() < MAX_TOLD {
                            removed.push(at);
                        }
                        return keep;
                    }
                };
                prune_fields(of, value, of[EMBEDDED] == true, &at, removed);
                true
            });
        }
        _ => {}
    }
}

/// Fills in defaults where a field is missing, or null though it may not be.
pub(crate) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Array(elements) => {
            for element in elements {
                default(&schema["items"], element);
            }
        }
        Value::Object(fields) => {
            if let Value::Object(known) = &schema["properties"] {
                default_fields(known, fields);
            }
            if schema["additionalProperties"].is_object() {
                for (name, value) in fields {
                    if schema["properties"].get(name).is_none() {
                        default(&schema["additionalProperties"], value);
                    }
                }
            }
        }
        _ => {}
    }
}

fn default_fields(known: &Map<String, Value>, fields: &mut Map<String, Value>) {
    for (name, schema) in known {
        if let Some(fallback) = schema.get("default") {
            let missing = match fields.get(name) {
                None => true,
                Some(Value::Null) => schema["nullable"] != true,
                Some(_) => false,
            };
            if missing {
                fields.insert(name.clone(), fallback.clone());
            }
        }
        if let Some(value) = fields.get_mut(name) {
            default(schema, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_pruned_where_the_schema_is_closed() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "a": {"type": "string"},
                "free": {"type": "object", PRESERVE: true, "properties": {"known": {"type": "object", "properties": {}}}},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {}}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"y": {}}}},
                "pod": {"type": "object", EMBEDDED: true, "properties": {"spec": {"type": "object", PRESERVE: true}}},
            }},
        }});
        let mut object = json!({
            "apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "other": 1,
            "spec": {
                "a": "1", "b": "2",
                "free": {"anything": {"goes": 1}, "known": {"dropped": 1}},
                "map": {"k": {"x": 1, "z": 2}},
                "list": [{"y": 1, "z": 2}],
                "pod": {"kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {"any": 1}, "status": {}},
            },
        });
        let removed = prune(&schema, &mut object);
        assert_eq!(
            removed,
            [
                "other",
                "spec.b",
                "spec.free.known.dropped",
                "spec.list[0].z",
                "spec.map.k.z",
                "spec.pod.status"
            ]
        );
        let expected = json!({
            "apiVersion": "v1", "kind": "K", "metadata": {"name": "n"},
            "spec": {
                "a": "1",
                "free": {"anything": {"goes": 1}, "known": {}},
                "map": {"k": {"x": 1}},
                "list": [{"y": 1}],
                "pod": {"kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {"any": 1}},
            },
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn defaults_fill_gaps_and_only_gaps() {
        let schema = json!({"properties": {"spec": {"default": {}, "properties": {
            "n": {"type": "integer", "default": 3},
            "nullable": {"type": "integer", "default": 3, "nullable": true},
            "list": {"items": {"properties": {"x": {"default": "d"}}}},
            "map": {"additionalProperties": {"properties": {"x": {"default": "d"}}}},
            "none": {"type": "string"},
        }}}});
        for (before, after) in [
            (json!({}), json!({"spec": {"n": 3, "nullable": 3}})),
            (
                json!({"spec": {"n": 0}}),
                json!({"spec": {"n": 0, "nullable": 3}}),
            ),
            (
                json!({"spec": {"n": null, "nullable": null}}),
                json!({"spec": {"n": 3, "nullable": null}}),
            ),
            (
                json!({"spec": {"list": [{}, {"x": "e"}], "map": {"k": {}}}}),
                json!({"spec": {"n": 3, "nullable": 3, "list": [{"x": "d"}, {"x": "e"}], "map": {"k": {"x": "d"}}}}),
            ),
        ] {
            let mut object = before.clone();
            default(&schema, &mut object);
            assert_eq!(object, after, "{before}");
        }
    }

    /// A few names, so that objects meet the schema often.
    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i32).prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn pruning_and_defaulting_twice_is_the_same_as_once(object in tree()) {
            let schema = json!({"properties": {
                "a": {"default": 1, "properties": {"b": {"default": {}}, "c": {"items": {"properties": {"a": {}}}}}},
                "b": {"additionalProperties": {"properties": {"c": {"default": [1]}}}},
            }});
            let mut once = object;
            prune(&schema, &mut once);
            default(&schema, &mut once);
            let mut twice = once.clone();
            prune(&schema, &mut twice);
            default(&schema, &mut twice);
            prop_assert_eq!(twice, once);
        }
    }
}
