//! The rules of the definitions, evaluated as the API server does: after defaults, over the definitions as installed.

use std::collections::BTreeSet;

use kube::core::cel::{CompiledSchema, Validator, compile_schema, estimate_rule_cost};
use remediator::crd::{RemediationPolicy, definitions, policy_view};
use serde_json::{Value, json};

fn schema(file: &str) -> Value {
    let definition = definitions()
        .unwrap()
        .into_iter()
        .find(|definition| definition.file == file)
        .unwrap();
    definition.value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Messages of the rules that refuse `object`, an update of `old` if there is one.
fn refusals(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate_with_defaults(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| error.message)
            .collect(),
    }
}

fn policy(changes: Value) -> Value {
    let mut object = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {
            "trigger": {"check": {"namespace": "kuberhealthy", "name": "web-http"}},
            "target": {"kind": "Deployment", "name": "web"},
        },
    });
    for (name, value) in changes.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    object
}

const ONE_ACTION: &str = "a step has exactly one of";
const REPLICAS_OR_STEP: &str = "set either replicas, or step with maxReplicas";
const TOGETHER: &str = "step and maxReplicas belong together";
const DAEMON_SET: &str = "a DaemonSet cannot be scaled";
const STATEFUL_SET: &str = "a StatefulSet is acted on only with";
const MINIMUM: &str = "must not be below safety.minReplicas";
const ITSELF: &str = "dependsOn names the check of the trigger itself";
const TRIGGER: &str = "a trigger is exactly one of check and alert";
const RESOLVED_ONCE: &str = "that an alert is resolved is told once";
const WINDOW: &str = "a window must not end when it starts";

/// Changes to a policy, and the rules that refuse them; none: accepted.
fn cases() -> Vec<(Value, &'static [&'static str])> {
    let daemon_set = json!({"kind": "DaemonSet", "name": "web"});
    let stateful_set = json!({"kind": "StatefulSet", "name": "web"});
    let check = json!({"namespace": "kuberhealthy", "name": "web-http"});
    let alert = json!({"matchLabels": {"alertname": "CheckoutErrors"}});
    vec![
        (json!({}), &[]),
        (json!({"steps": []}), &[]),
        (
            json!({"steps": [{"restartPods": {}}, {"rolloutRestart": {}}, {"scale": {"replicas": 5}}, {"rollback": {}, "verifySeconds": 60}]}),
            &[],
        ),
        (json!({"steps": [{}]}), &[ONE_ACTION]),
        (json!({"steps": [{"verifySeconds": 60}]}), &[ONE_ACTION]),
        (
            json!({"steps": [{"restartPods": {}, "rolloutRestart": {}}]}),
            &[ONE_ACTION],
        ),
        (
            json!({"steps": [{"rolloutRestart": {}}, {"scale": {"replicas": 5}, "rollback": {}}]}),
            &[ONE_ACTION],
        ),
        (
            json!({"steps": [{"scale": {"step": 1, "maxReplicas": 9}}]}),
            &[],
        ),
        (json!({"steps": [{"scale": {}}]}), &[REPLICAS_OR_STEP]),
        (
            json!({"steps": [{"scale": {"replicas": 5, "step": 1, "maxReplicas": 9}}]}),
            &[REPLICAS_OR_STEP],
        ),
        (json!({"steps": [{"scale": {"step": 1}}]}), &[TOGETHER]),
        (
            json!({"steps": [{"scale": {"replicas": 5, "maxReplicas": 9}}]}),
            &[TOGETHER],
        ),
        (
            json!({"target": daemon_set, "steps": [{"rolloutRestart": {}}]}),
            &[],
        ),
        (
            json!({"target": daemon_set, "steps": [{"rolloutRestart": {}}, {"scale": {"replicas": 5}}]}),
            &[DAEMON_SET],
        ),
        (json!({"target": stateful_set}), &[]),
        (
            json!({"target": stateful_set, "safety": {"allowStateful": true}, "steps": [{"restartPods": {}}]}),
            &[],
        ),
        (
            json!({"target": stateful_set, "steps": [{"restartPods": {}}]}),
            &[STATEFUL_SET],
        ),
        (
            json!({"target": stateful_set, "safety": {"allowStateful": false}, "steps": [{"restartPods": {}}]}),
            &[STATEFUL_SET],
        ),
        (json!({"steps": [{"scale": {"replicas": 2}}]}), &[]),
        (json!({"steps": [{"scale": {"replicas": 1}}]}), &[MINIMUM]),
        (
            json!({"steps": [{"scale": {"replicas": 1}}], "safety": {"minReplicas": 1}}),
            &[],
        ),
        (
            json!({"steps": [{"scale": {"step": 1, "maxReplicas": 9}}], "safety": {"minReplicas": 10}}),
            &[MINIMUM],
        ),
        (
            json!({"dependsOn": [{"namespace": "kuberhealthy", "name": "db"}, {"namespace": "other", "name": "web-http"}]}),
            &[],
        ),
        (
            json!({"dependsOn": [{"namespace": "kuberhealthy", "name": "db"}, check]}),
            &[ITSELF],
        ),
        (
            json!({"windows": [{"start": "22:00", "end": "06:00"}]}),
            &[],
        ),
        (
            json!({"windows": [{"start": "06:00", "end": "06:00"}]}),
            &[WINDOW],
        ),
        (json!({"trigger": {"alert": alert}}), &[]),
        (
            json!({"trigger": {"alert": alert, "failureThreshold": 5, "successThreshold": 1}}),
            &[],
        ),
        (
            json!({"trigger": {"alert": alert}, "dependsOn": [check]}),
            &[],
        ),
        (json!({"trigger": {}}), &[TRIGGER]),
        (
            json!({"trigger": {"check": check, "alert": alert}}),
            &[TRIGGER],
        ),
        (
            json!({"trigger": {"alert": alert, "successThreshold": 2}}),
            &[RESOLVED_ONCE],
        ),
    ]
}

fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                found.insert(rule["message"].as_str().unwrap().to_owned());
            }
            for value in fields.values() {
                messages(value, found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                messages(element, found);
            }
        }
        _ => {}
    }
}

#[test]
fn policies_that_make_no_sense_are_refused_and_others_are_not() {
    let schema = schema("remediationpolicies.yaml");
    let mut alone = BTreeSet::new();
    for (changes, expected) in cases() {
        let refused = refusals(&schema, &policy(changes.clone()), None);
        assert_eq!(refused.len(), expected.len(), "{changes}: {refused:?}");
        for (refused, expected) in refused.iter().zip(expected) {
            assert!(refused.contains(expected), "{changes}: {refused:?}");
        }
        if let [only] = &refused[..] {
            alone.insert(only.clone());
        }
    }
    let mut all = BTreeSet::new();
    messages(&schema, &mut all);
    assert_eq!(
        alone, all,
        "each rule alone refuses one of the cases: without the rule that case would be accepted"
    );
}

#[test]
fn view_refuses_what_the_rules_refuse() {
    for (changes, expected) in cases() {
        let policy: RemediationPolicy = serde_json::from_value(policy(changes.clone())).unwrap();
        let view = policy_view(&policy);
        assert_eq!(view.is_err(), !expected.is_empty(), "{changes}: {view:?}");
    }
}

/// `namespace` is a reserved word of CEL: written plainly, a real API server refuses the whole definition.
#[test]
fn rules_escape_reserved_words() {
    fn rules(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => {
                found.extend(
                    fields
                        .get("rule")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                fields.values().for_each(|value| rules(value, found));
            }
            Value::Array(elements) => elements.iter().for_each(|value| rules(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for file in ["remediationpolicies.yaml", "remediations.yaml"] {
        rules(&schema(file), &mut found);
    }
    assert!(found.len() > 8);
    for rule in found {
        for word in ["namespace", "for", "if", "in", "package", "var", "loop"] {
            let plain = format!(".{word}");
            let after = rule.split(&plain).skip(1);
            for rest in after {
                assert!(
                    rest.starts_with(|c: char| c.is_alphanumeric()),
                    "{word} is not escaped in {rule}"
                );
            }
        }
    }
}

/// The API server refuses a definition with a rule that could cost too much: lists and texts it looks at need bounds.
#[test]
fn rules_compile_and_are_cheap() {
    fn analyse(schema: &CompiledSchema, seen: &mut usize) {
        for rule in &schema.validations {
            let rule = &rule.as_ref().unwrap().rule.rule;
            let warnings = estimate_rule_cost(rule, schema);
            assert!(warnings.is_empty(), "{warnings:?}");
            *seen += 1;
        }
        let below = schema.properties.values();
        for schema in below.chain(schema.items.as_deref()) {
            analyse(schema, seen);
        }
    }
    let mut seen = 0;
    for file in ["remediationpolicies.yaml", "remediations.yaml"] {
        let compiled = compile_schema(&schema(file));
        assert!(!compiled.has_errors());
        analyse(&compiled, &mut seen);
    }
    assert_eq!(seen, 15);
}

fn remediation() -> Value {
    json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "Remediation",
        "metadata": {"name": "web-0123456789-1", "namespace": "shop"},
        "spec": {
            "policy": "web", "policyUID": "p", "attempt": 1, "step": 0, "mode": "Manual", "approved": false,
            "incident": {"id": "0123456789", "openedTime": "2026-01-01T00:00:00Z", "firstRun": "r0"},
            "run": "r1", "errors": ["broken"], "time": "2026-01-01T00:00:00Z", "actionName": "scale",
            "action": {"scale": {"replicas": 5}},
            "target": {"kind": "Deployment", "name": "web", "uid": "t"},
            "claim": {"resourceVersion": "7", "generation": 1},
            "pods": [{"name": "web-1", "uid": "1"}],
            "replicas": {"from": 3, "to": 5}, "autoscaler": "web",
            "revision": {"name": "web-6", "uid": "6", "number": 6},
            "verify": {"seconds": 600, "successThreshold": 1, "failureThreshold": 3},
            "revertAfterSeconds": 600,
            "choice": {"failure": "0123456789", "steps": [
                {"step": "rollback", "tries": 3, "successes": 2, "score": 240, "standing": "Chosen"},
            ]},
            "begun": {"term": 2, "number": 1},
        },
    })
}

/// The value with one thing in it changed.
fn altered(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields = fields.clone();
            if let Some(field) = fields.values_mut().next() {
                *field = altered(field);
            }
            Value::Object(fields)
        }
        Value::Array(elements) => Value::Array(elements.iter().map(altered).collect()),
        Value::Number(number) => (number.as_i64().unwrap() + 1).into(),
        Value::String(text) => format!("{text}x").into(),
        other => panic!("{other} is not in an intent"),
    }
}

#[test]
fn an_intent_cannot_be_edited() {
    let schema = schema("remediations.yaml");
    let old = remediation();
    assert_eq!(refusals(&schema, &old, None), [""; 0]);
    assert_eq!(refusals(&schema, &old, Some(&old)), [""; 0]);
    let properties = schema["properties"]["spec"]["properties"]
        .as_object()
        .unwrap();
    let required = schema["properties"]["spec"]["required"].as_array().unwrap();
    for name in properties.keys().filter(|name| *name != "approved") {
        let mut new = old.clone();
        new["spec"][name] = altered(&new["spec"][name]);
        let refused = refusals(&schema, &new, Some(&old));
        assert!(
            refused.len() == 1 && refused[0].contains("cannot be changed"),
            "{name}: {refused:?}"
        );
        if !required.contains(&json!(name)) {
            let mut without = old.clone();
            without["spec"].as_object_mut().unwrap().remove(name);
            assert_ne!(refusals(&schema, &without, Some(&old)), [""; 0], "{name}");
            assert_ne!(refusals(&schema, &old, Some(&without)), [""; 0], "{name}");
        }
    }
}

#[test]
fn an_approval_is_given_once() {
    let schema = schema("remediations.yaml");
    let waiting = remediation();
    let mut approved = waiting.clone();
    approved["spec"]["approved"] = true.into();
    assert_eq!(refusals(&schema, &approved, Some(&waiting)), [""; 0]);
    assert_eq!(refusals(&schema, &approved, Some(&approved)), [""; 0]);
    let refused = refusals(&schema, &waiting, Some(&approved));
    assert!(
        refused.len() == 1 && refused[0].contains("cannot be withdrawn"),
        "{refused:?}"
    );
}
