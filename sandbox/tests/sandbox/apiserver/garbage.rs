//! Objects and patches that make no sense: refused or taken, but always answered.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sandbox::api::{Api, ApiError, Patch};
use serde_json::{Value, json};

use super::start;

/// Trees of the names that the server looks for, with whatever in them.
fn tree() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "finalizers",
        "generateName",
        "resourceVersion",
        "uid",
        "spec",
        "status",
        "template",
        "containers",
        "initContainers",
        "env",
        "valueFrom",
        "fieldRef",
        "ports",
        "port",
        "image",
        "strategy",
        "rollingUpdate",
        "tolerations",
        "type",
        "conditions",
        "readinessProbe",
        "httpGet",
        "names",
        "plural",
        "kind",
        "group",
        "scope",
        "versions",
        "schema",
        "openAPIV3Schema",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "deletionTimestamp",
        "resources",
        "limits",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        (-2..3_i64).prop_map(Value::from),
        Just(json!(0.5)),
        "[a-z.%/]{0,4}".prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => prop::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn answered(result: Result<Value, ApiError>, path: &str, body: &Value) {
    match result {
        Ok(_) => {}
        Err(ApiError::Refused { status, .. }) => {
            assert!(status.code < 500, "{path} {body}: {status}")
        }
        Err(other) => panic!("{path} {body}: {other}"),
    }
}

async fn throw(api: &Api, path: &str, name: &str, garbage: &Value) {
    let mut object = json!({"metadata": {"name": name}, "spec": garbage, "status": garbage});
    answered(api.create(path, garbage).await, path, garbage);
    answered(api.create(path, &object).await, path, &object);
    // One that is there, so that patches have something to break.
    object["spec"] = json!({"containers": [{"name": "a", "image": "b"}], "ports": [{"port": 1}]});
    answered(api.create(path, &object).await, path, &object);
    let path = format!("{path}/{name}");
    for patch in [
        Patch::Merge,
        Patch::Strategic,
        Patch::Json,
        Patch::Apply("test"),
    ] {
        for body in [
            garbage,
            &json!({"spec": garbage}),
            &json!({"metadata": garbage, "status": garbage}),
        ] {
            answered(api.patch(&path, patch, body).await, &path, body);
            answered(
                api.patch(&format!("{path}/status"), patch, body).await,
                &path,
                body,
            );
        }
    }
    answered(api.replace(&path, garbage).await, &path, garbage);
    answered(api.get(&path).await, &path, garbage);
    answered(api.delete(&path).await, &path, garbage);
}

#[tokio::test]
async fn nonsense_is_always_answered() {
    let (_server, api) = start().await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..15 {
        let garbage = tree().new_tree(&mut runner).unwrap().current();
        for path in [
            super::PODS,
            "/api/v1/namespaces/default/services",
            "/apis/apps/v1/namespaces/default/deployments",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/api/v1/namespaces",
        ] {
            throw(&api, path, "x.example.com", &garbage).await;
        }
    }
    assert!(api.list("/api/v1/namespaces").await.is_ok());
}
