//! What the core hands out to be kept comes back the same, through JSON and through the pruning of an API server.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use remediator::core::{ActionName, PolicyState, RecordStatus, Statistics, Tally};
use remediator::crd::remediation::PodReference;
use remediator::crd::{
    Remediation, RemediationPolicy, RemediationPolicyStatus, record_status, record_view,
    remediation, state_view, write_state,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::support::{full_policy, schema};
use super::values::{intent, state, status};

/// Through JSON, and through the schema: a field that it does not know would be gone, a value out of its bounds
/// refused by an API server.
fn stored<T: Serialize + DeserializeOwned>(file: &str, object: &T) -> T {
    let value = serde_json::to_value(object).unwrap();
    let schema = schema(file);
    for part in ["spec", "status"] {
        if !value[part].is_null() {
            known(&schema["properties"][part], &value[part], part);
        }
    }
    serde_json::from_value(value).unwrap()
}

fn known(schema: &Value, value: &Value, at: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = schema["properties"].get(name);
                let field = field.unwrap_or(&schema["additionalProperties"]);
                assert!(field.is_object(), "{at}.{name} would be pruned");
                known(field, value, &format!("{at}.{name}"));
            }
        }
        Value::Array(elements) => {
            let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
            assert!(elements.len() as u64 <= most, "{at} has more than {most}");
            for value in elements {
                known(&schema["items"], value, &format!("{at}[]"));
            }
        }
        Value::String(text) => {
            let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
            assert!(
                text.chars().count() as u64 <= most,
                "{at} is longer than {most}"
            );
            if let Some(choices) = schema["enum"].as_array() {
                assert!(choices.contains(value), "{at}: {text} is unknown");
            }
        }
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
            let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
            assert!((least..=most).contains(&number), "{at}: {number}");
        }
        Value::Bool(_) => {}
        Value::Null => panic!("{at} is null: it should be left out"),
    }
}

fn policy() -> RemediationPolicy {
    serde_json::from_value(full_policy()).unwrap()
}

proptest! {
    #[test]
    fn a_policys_state_comes_back(state in state()) {
        let mut policy = policy();
        let status = policy.status.get_or_insert_with(RemediationPolicyStatus::default);
        status.observed_generation = Some(7);
        write_state(&state, status);
        let read = stored("remediationpolicies.yaml", &policy);
        prop_assert_eq!(state_view(&read), state);
        prop_assert_eq!(read.status.unwrap().observed_generation, Some(7));
    }

    #[test]
    fn a_record_comes_back(intent in intent(), status in status(), approved in any::<bool>()) {
        let mut object = remediation(&intent, &policy());
        prop_assert_eq!(
            &record_view(&stored("remediations.yaml", &object)).unwrap().status,
            &RecordStatus::default()
        );
        object.spec.approved = approved;
        object.status = Some(record_status(&intent, &status));
        let record = record_view(&stored::<Remediation>("remediations.yaml", &object)).unwrap();
        prop_assert_eq!(record.intent, intent);
        prop_assert_eq!(record.status, status);
        prop_assert_eq!(record.approved, approved);
    }
}

#[test]
fn a_damaged_status_is_brought_within_bounds() {
    let mut policy = full_policy();
    policy["status"] = json!({
        "failures": -1, "successes": 1_i64 << 40, "verdicts": -7,
        "check": {"uid": "u", "seen": {"ok": true, "errorsHash": "not hexadecimal", "failures": -3}},
        "statistics": {"byAction": {"explode": {"failed": 9}, "scale": {"failed": -9}}},
        "learned": vec![json!({
            "id": "0123456789abcdef", "text": "x".repeat(1000), "lastTime": "2026-01-01T00:00:00Z",
            "steps": vec![json!({"step": "y".repeat(100), "outcomes": "SxF".repeat(9)}); 9],
        }); 99],
    });
    let policy: RemediationPolicy = serde_json::from_value(policy).unwrap();
    let state = state_view(&policy);
    assert_eq!(
        (state.failures, state.successes, state.verdicts),
        (0, u32::MAX, 0)
    );
    let seen = state.check.seen.unwrap();
    assert_eq!((seen.errors_hash, seen.failures), (0, 0));
    let learned = &state.statistics.learned.failures;
    assert_eq!((learned.len(), learned[0].steps.len()), (16, 5));
    assert_eq!(learned[0].pattern.text.len(), 120);
    let step = &learned[0].steps[0];
    assert_eq!((step.step.len(), step.outcomes.len()), (64, 10));
    let tallies: Vec<_> = state.statistics.by_action.into_iter().collect();
    assert_eq!(tallies, [(ActionName::Scale, Tally::default())]);
}

#[test]
fn the_success_rate_leaves_out_what_tells_nothing() {
    for (succeeded, failed, expected) in [
        (0, 0, None),
        (1, 2, Some(33)),
        (5, 0, Some(100)),
        (0, 1, Some(0)),
    ] {
        let tally = Tally {
            succeeded,
            failed,
            inconclusive: 100,
            dry_run: 100,
            ..Tally::default()
        };
        let state = PolicyState {
            statistics: Statistics {
                by_action: [(ActionName::Scale, tally)].into(),
                ..Statistics::default()
            },
            ..PolicyState::default()
        };
        let mut status = RemediationPolicyStatus::default();
        write_state(&state, &mut status);
        assert_eq!(status.success_percent, expected);
    }
}

#[test]
fn an_object_that_no_remediator_wrote_is_refused() {
    let intent = {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        intent().new_tree(&mut runner).unwrap().current()
    };
    let object = remediation(&intent, &policy());
    assert!(record_view(&object).is_ok());
    type Damage = fn(&mut Remediation);
    let wrong: [(&str, Damage); 10] = [
        ("spec.action", |object| {
            object.spec.action = Default::default()
        }),
        ("spec.actionName", |object| {
            object.spec.action_name = "explode".to_owned()
        }),
        ("spec.target.name", |object| {
            object.spec.target.name = "../../other/deployments/web".to_owned();
        }),
        ("spec.pods[0].name", |object| {
            let name = "web/../../other".to_owned();
            let uid = "1".to_owned();
            object.spec.pods = vec![PodReference { name, uid }];
        }),
        ("spec.autoscaler", |object| {
            object.spec.autoscaler = Some("web?dryRun=All".to_owned());
        }),
        ("spec.attempt", |object| object.spec.attempt = 0),
        ("spec.step", |object| object.spec.step = 5),
        ("spec.target.uid", |object| object.spec.target.uid.clear()),
        ("spec.verify.seconds", |object| {
            object.spec.verify.seconds = -1
        }),
        ("spec.choice.steps[0].tries", |object| {
            let candidate = json!({"step": "scale", "tries": -1, "successes": 0, "score": 0, "standing": "Held"});
            let choice = json!({"failure": "0123456789", "steps": [candidate]});
            object.spec.choice = serde_json::from_value(choice).unwrap();
        }),
    ];
    for (field, damage) in wrong {
        let mut object = object.clone();
        damage(&mut object);
        assert_eq!(record_view(&object).unwrap_err().field, field);
    }
}
