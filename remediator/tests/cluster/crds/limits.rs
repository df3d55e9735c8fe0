//! Each limit of the schema, just kept and just broken: the API server and `policy_view` agree.

use std::collections::BTreeSet;

use proptest::prelude::*;
use remediator::crd::{RemediationPolicy, policy_view};
use sandbox::api::{Api, ApiError};
use serde_json::{Value, json};

use super::server::{POLICIES, installed};
use super::support::{full_alert_policy, full_policy, schema};

/// Values that break one limit of `schema`, and values that just keep it, instead of `value`.
fn around(schema: &Value, value: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut broken, mut kept) = (Vec::new(), Vec::new());
    if let Some(least) = schema["minimum"].as_i64() {
        broken.push(json!(least - 1));
        kept.push(json!(least));
    }
    if let Some(most) = schema["maximum"].as_i64() {
        broken.push(json!(most + 1));
        kept.push(json!(most));
    }
    if let Some(choices) = schema["enum"].as_array() {
        broken.push(json!("Other"));
        kept.extend(choices.iter().cloned());
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        let most = usize::try_from(most).unwrap();
        broken.push(json!("a".repeat(most + 1)));
        kept.push(json!("a".repeat(most)));
    }
    if !schema["minLength"].is_null() {
        broken.push(json!(""));
    }
    match schema["pattern"].as_str() {
        Some(pattern) if pattern.contains(':') => {
            broken.extend(["24:00", "6:00", "06:60", "06:00 ", "+6:00"].map(Value::from));
            kept.extend(["00:00", "23:59"].map(Value::from));
        }
        Some(_) => broken.extend(["Web", "-web", "web.", "w_b", "we\nb"].map(Value::from)),
        None => {}
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        let first = &value[0];
        let many = |count: u64| Value::from((0..count).map(|_| first.clone()).collect::<Vec<_>>());
        broken.push(many(most + 1));
        kept.push(many(most));
    }
    if let Some(most) = schema["maxProperties"].as_u64() {
        let many = |count: u64| {
            let labels = (0..count).map(|number| (format!("label{number}"), json!("value")));
            Value::Object(labels.collect())
        };
        broken.extend([many(0), many(most + 1)]);
        kept.extend([many(1), many(most)]);
    }
    let wrong_type = match schema["type"].as_str().unwrap() {
        "string" | "boolean" => json!(1),
        _ => json!("text"),
    };
    broken.push(wrong_type);
    (broken, kept)
}

/// Every place of `value` with its schema. `paths` are those of the schema.
fn places<'a>(
    schema: &'a Value,
    value: &Value,
    (pointer, path): (String, String),
    found: &mut Vec<(String, &'a Value)>,
    paths: &mut BTreeSet<String>,
) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let (schema, path) = match schema["properties"].get(name) {
                    Some(field) => (field, format!("{path}.{name}")),
                    None => (&schema["additionalProperties"], format!("{path}{{}}")),
                };
                let below = (format!("{pointer}/{name}"), path);
                places(schema, value, below, found, paths);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                let below = (format!("{pointer}/{index}"), format!("{path}[]"));
                places(&schema["items"], value, below, found, paths);
            }
        }
        _ => {}
    }
    found.push((pointer, schema));
    paths.insert(path);
}

fn all_paths(schema: &Value, path: String, paths: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        all_paths(field, format!("{path}.{name}"), paths);
    }
    if schema["items"].is_object() {
        all_paths(&schema["items"], format!("{path}[]"), paths);
    }
    if schema["additionalProperties"].is_object() {
        all_paths(
            &schema["additionalProperties"],
            format!("{path}{{}}"),
            paths,
        );
    }
    paths.insert(path);
}

fn view_accepts(object: &Value) -> bool {
    serde_json::from_value::<RemediationPolicy>(object.clone())
        .is_ok_and(|policy| policy_view(&policy).is_ok())
}

async fn server_accepts(api: &Api, object: &Value) -> bool {
    match api.create(&format!("{POLICIES}?dryRun=All"), object).await {
        Ok(_) => true,
        Err(ApiError::Refused { status, .. }) if status.code == 422 => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn view_refuses_what_the_schema_refuses() {
    let schema = schema("remediationpolicies.yaml");
    let spec = &schema["properties"]["spec"];
    let (server, api) = installed().await;
    let (mut visited, mut all) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Vec::new();
    for full in [full_policy(), full_alert_policy()] {
        let (mut here, start) = (Vec::new(), ("/spec".to_owned(), String::new()));
        places(spec, &full["spec"], start, &mut here, &mut visited);
        // Of the second only what the first has not.
        here.retain(|(pointer, _)| found.iter().all(|(_, known, _)| known != pointer));
        found.extend(
            here.into_iter()
                .map(|(pointer, schema)| (full.clone(), pointer, schema)),
        );
    }
    all_paths(spec, String::new(), &mut all);
    assert_eq!(visited, all, "the full policies have every field");
    for (full, pointer, schema) in found {
        let (broken, kept) = around(schema, full.pointer(&pointer).unwrap());
        for (values, accepted) in [(broken, false), (kept, true)] {
            for value in values {
                let mut object = full.clone();
                *object.pointer_mut(&pointer).unwrap() = value.clone();
                // What a limit allows, a rule or the core may still refuse: an unknown time zone is only a text here.
                let server = server_accepts(&api, &object).await;
                assert_eq!(server, accepted, "API server: {pointer} = {value}");
                let view = view_accepts(&object);
                let refused_by_more = [
                    "/timeZone",
                    "/target/kind",
                    "/safety/minReplicas",
                    "/scale/replicas",
                    "/scale/maxReplicas",
                ];
                if !accepted || !refused_by_more.iter().any(|end| pointer.ends_with(end)) {
                    assert_eq!(view, accepted, "policy_view: {pointer} = {value}");
                }
            }
        }
    }
    server.stop().await;
}

/// Things that people, or their tools, put where they do not belong.
fn hostile() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("(a{1000}){1000}")),
        Just(json!("(".repeat(250))),
        Just(json!("\u{1b}[31m\n\u{0}")),
        Just(json!("../../etc/passwd")),
        Just(json!("x".repeat(100_000))),
        Just(json!(vec!["x"; 10_000])),
        Just(json!([{}])),
        Just(json!({"replicas": 0})),
        Just(json!({"replicas": -5, "step": 1, "maxReplicas": 0})),
    ]
}

proptest! {
    #[test]
    fn hostile_specs_are_refused_or_bounded(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), hostile()), 1..4),
    ) {
        let schema = schema("remediationpolicies.yaml");
        let full = full_policy();
        let (mut found, mut paths) = (Vec::new(), BTreeSet::new());
        let start = ("/spec".to_owned(), String::new());
        places(&schema["properties"]["spec"], &full["spec"], start, &mut found, &mut paths);
        let mut object = full.clone();
        for (place, value) in changes {
            if let Some(here) = object.pointer_mut(&found[place.index(found.len())].0) {
                *here = value;
            }
        }
        let Ok(policy) = serde_json::from_value::<RemediationPolicy>(object) else {
            return Ok(());
        };
        match policy_view(&policy) {
            Ok(spec) => {
                prop_assert!((1..=100).contains(&spec.failure_threshold));
                prop_assert!((1..=100).contains(&spec.success_threshold));
                prop_assert!(spec.failure_seconds <= 86_400 && spec.dependency_grace <= 86_400);
                prop_assert!(spec.steps.len() <= 5 && spec.depends_on.len() <= 16 && spec.windows.len() <= 16);
                prop_assert!((1..=100).contains(&spec.history_limit));
                prop_assert!(spec.retry.max_retry <= 10 && spec.retry.cooldown <= 86_400);
                prop_assert!((0..=1000).contains(&spec.safety.min_replicas));
                prop_assert!(spec.pause.is_none_or(|pause| !pause.chars().any(char::is_control)));
            }
            Err(refused) => {
                let text = refused.to_string();
                prop_assert!(text.chars().count() < 600 && !text.chars().any(char::is_control), "{text:?}");
                prop_assert!(refused.field.starts_with("spec."), "{text}");
            }
        }
    }
}
