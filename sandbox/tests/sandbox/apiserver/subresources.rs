//! `pods/eviction` and `/scale`, compared with the recorded answers.

use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServerOptions, Token};
use serde_json::{Value, json};

use super::recorded::{create_deployment, recording, replay, same};
use super::{PODS, start, start_with};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";

/// A pod of the recordings, running and ready on a node that is not there.
async fn running(api: &Api, name: &str) -> Value {
    let recorded = recording("pod-terminating")["body"].clone();
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": recorded["spec"],
    });
    pod["spec"]["nodeName"] = "n1".into();
    api.create(PODS, &pod).await.unwrap();
    let mut status = recorded["status"].clone();
    status["conditions"].as_array_mut().unwrap().remove(0);
    let path = format!("{PODS}/{name}/status");
    let patch = json!({"status": status});
    api.patch(&path, Patch::Merge, &patch).await.unwrap()
}

/// The budget of the recordings, counted by hand.
async fn budget(api: &Api, allowed: i64) {
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    });
    api.create(BUDGETS, &budget).await.unwrap();
    let status = json!({"status": {
        "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 2 + allowed, "desiredHealthy": 2,
        "expectedPods": 2 + allowed,
    }});
    api.patch(&format!("{BUDGETS}/web/status"), Patch::Merge, &status)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_budget_blocks_an_eviction_as_recorded() {
    let (server, api) = start().await;
    running(&api, "web-67564988db-d528l").await;
    budget(&api, 0).await;
    same(&server, "eviction-blocked-by-pdb", "").await;
    same(&server, "eviction-dry-run", "").await;
    same(&server, "eviction-not-found", "").await;
    let pod = api.get(&format!("{PODS}/web-67564988db-d528l")).await;
    assert!(pod.unwrap()["metadata"]["deletionTimestamp"].is_null());
}

#[tokio::test]
async fn an_eviction_is_taken_off_the_budget_once() {
    let (server, api) = start().await;
    let pod = running(&api, "web-d757d7bd8-f9s5v").await;
    running(&api, "web-other").await;
    budget(&api, 1).await;

    let mut dry = recording("eviction-accepted");
    dry["request"]["path"] =
        format!("{}?dryRun=All", dry["request"]["path"].as_str().unwrap()).into();
    assert_eq!(replay(&server, &dry, "").await.0, 201);
    let allowed = async || {
        let budget = api.get(&format!("{BUDGETS}/web")).await.unwrap();
        budget["status"]["disruptionsAllowed"].clone()
    };
    assert_eq!(allowed().await, 1, "a dry run takes nothing");

    let recorded = recording("eviction-wrong-uid");
    let (code, _, body) = replay(&server, &recorded, "").await;
    let body = String::from_utf8(body).unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let told: Value =
        serde_json::from_str(&body.replace(uid, "be107bc9-8c4c-40c8-a3a8-47e59713bba8")).unwrap();
    assert_eq!((code, told), (409, recorded["body"].clone()));
    assert_eq!(allowed().await, 1);

    same(&server, "eviction-accepted", "").await;
    assert_eq!(allowed().await, 0);
    let terminating = api
        .get(&format!("{PODS}/web-d757d7bd8-f9s5v"))
        .await
        .unwrap();
    let mut expected = recording("pod-terminating")["body"]["status"]["conditions"][0].clone();
    let found = &terminating["status"]["conditions"][0];
    expected["lastTransitionTime"] = found["lastTransitionTime"].clone();
    assert_eq!(*found, expected);
    assert_eq!(terminating["metadata"]["deletionGracePeriodSeconds"], 1);
    assert_eq!(terminating["metadata"]["generation"], 2);

    same(&server, "eviction-again-while-terminating", "").await;
    assert_eq!(allowed().await, 0);
    let other = json!({"metadata": {"name": "web-other"}});
    let refused = api
        .create(&format!("{PODS}/web-other/eviction"), &other)
        .await;
    assert_eq!(refused.unwrap_err().code(), Some(429));
}

#[tokio::test]
async fn a_pod_that_does_not_serve_is_evicted_past_a_budget_that_is_met() {
    let (_server, api) = start().await;
    running(&api, "idle").await;
    let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    api.patch(&format!("{PODS}/idle/status"), Patch::Merge, &not_ready)
        .await
        .unwrap();
    budget(&api, 0).await;
    let eviction = json!({"metadata": {"name": "idle"}});
    let done = api
        .create(&format!("{PODS}/idle/eviction"), &eviction)
        .await;
    assert_eq!(done.unwrap()["status"], "Success");
}

/// A Scale without what differs between servers.
fn plain(mut scale: Value) -> Value {
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        assert!(scale["metadata"][field].is_string(), "{field}: {scale}");
        scale["metadata"][field].take();
    }
    scale
}

#[tokio::test]
async fn a_scale_is_read_and_written_as_recorded() {
    let (server, api) = start().await;
    let mut deployment = recording("patch-restart")["body"].clone();
    deployment["spec"]["replicas"] = 2.into();
    create_deployment(&api, &deployment).await;
    let status = json!({"status": {"replicas": 2}});
    let deployment = api
        .patch(&format!("{WEB}/status"), Patch::Merge, &status)
        .await
        .unwrap();

    let recorded = recording("scale-get");
    let (code, _, body) = replay(&server, &recorded, "").await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(code, 200);
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        assert_eq!(body["metadata"][field], deployment["metadata"][field]);
    }
    assert_eq!(plain(body.clone()), plain(recorded["body"].clone()));

    let mut recorded = recording("scale-put");
    recorded["request"]["body"]["metadata"] = body["metadata"].clone();
    let (code, _, answer) = replay(&server, &recorded, "").await;
    assert_eq!(code, 200);
    let answer = serde_json::from_slice::<Value>(&answer).unwrap();
    assert_eq!(plain(answer), plain(recorded["body"].clone()));
    let scaled = api.get(WEB).await.unwrap();
    assert_eq!(
        (
            &scaled["spec"]["replicas"],
            &scaled["metadata"]["generation"]
        ),
        (&json!(3), &json!(2))
    );

    let mut conflict = recording("scale-put-conflict");
    conflict["request"]["body"]["metadata"] = body["metadata"].clone();
    let (code, _, answer) = replay(&server, &conflict, "").await;
    assert_eq!(code, 409);
    assert_eq!(
        serde_json::from_slice::<Value>(&answer).unwrap(),
        conflict["body"]
    );

    let four = json!({"spec": {"replicas": 4}});
    let answer = api
        .patch(&format!("{WEB}/scale"), Patch::Merge, &four)
        .await
        .unwrap();
    assert_eq!(
        (&answer["kind"], &answer["spec"]["replicas"]),
        (&json!("Scale"), &json!(4))
    );
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 5}});
    let refused = api
        .patch(&format!("{WEB}/scale"), Patch::Merge, &stale)
        .await
        .unwrap_err();
    assert!(refused.is_conflict(), "{refused}");
    let other = json!({"metadata": {"uid": "another"}, "spec": {"replicas": 5}});
    let refused = api
        .patch(&format!("{WEB}/scale"), Patch::Merge, &other)
        .await
        .unwrap_err();
    assert!(refused.is_conflict(), "{refused}");
    let negative = json!({"spec": {"replicas": -1}});
    let refused = api
        .patch(&format!("{WEB}/scale"), Patch::Merge, &negative)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(422));
}

#[tokio::test]
async fn a_json_patch_of_the_resource_version_is_a_condition() {
    let (_server, api) = start().await;
    create_deployment(&api, &recording("patch-restart")["body"]).await;
    let before = api.get(WEB).await.unwrap();
    let replace = |version: &Value| {
        json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec/paused", "value": true},
        ])
    };
    api.patch(WEB, Patch::Merge, &json!({"spec": {"paused": false}}))
        .await
        .unwrap();
    let stale = api
        .patch(
            WEB,
            Patch::Json,
            &replace(&before["metadata"]["resourceVersion"]),
        )
        .await;
    assert!(stale.unwrap_err().is_conflict());
    let now = api.get(WEB).await.unwrap();
    let done = api
        .patch(
            WEB,
            Patch::Json,
            &replace(&now["metadata"]["resourceVersion"]),
        )
        .await
        .unwrap();
    assert_eq!(done["spec"]["paused"], true);
}

#[tokio::test]
async fn a_log_needs_a_node_and_the_permission_to_read_it() {
    let token = |user: &str, group: &str| Token {
        token: user.to_owned(),
        user: user.to_owned(),
        groups: vec![group.to_owned()],
    };
    let options = ApiServerOptions {
        tokens: vec![token("root", "system:masters"), token("weak", "users")],
        rbac: true,
        ..ApiServerOptions::default()
    };
    let (server, _) = start_with(options).await;
    let root = Api::new(&server.url(), Some("root"), "test/1").unwrap();
    root.create(PODS, &super::pod("p")).await.unwrap();
    let client = crate::setup::reqwest_client();
    let url = format!("{}{PODS}/p/log", server.url());
    let get = async |token: &str| client.get(&url).bearer_auth(token).send().await.unwrap();
    assert_eq!(get("root").await.status(), 204, "it runs nowhere");
    let refused = get("weak").await;
    assert_eq!(refused.status(), 403);
    let status: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    let message = "pods \"p\" is forbidden: User \"weak\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"default\"";
    assert_eq!(status["message"], message);

    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}],
    });
    root.create(&format!("{roles}/roles"), &role).await.unwrap();
    let binding = json!({
        "metadata": {"name": "r"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "weak"}],
    });
    let bindings = format!("{roles}/rolebindings");
    root.create(&bindings, &binding).await.unwrap();
    assert_eq!(get("weak").await.status(), 204);
    let posted = root.create(&format!("{PODS}/p/log"), &json!({})).await;
    assert_eq!(posted.unwrap_err().code(), Some(405));
}
