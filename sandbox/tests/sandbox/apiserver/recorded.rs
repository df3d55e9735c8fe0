//! Answers compared with those recorded from a kube-apiserver 1.36.

use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions, Token};
use serde_json::{Value, json};

use super::{CONFIGMAPS, configmap, start, start_with};

pub(crate) fn recording(name: &str) -> Value {
    let path = format!(
        "{}/tests/fixtures/kubernetes/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Sends the recorded request; answers with code, content type and body.
pub(crate) async fn replay(
    server: &ApiServer,
    recorded: &Value,
    token: &str,
) -> (u16, String, Vec<u8>) {
    let request = &recorded["request"];
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let url = format!("{}{}", server.url(), request["path"].as_str().unwrap());
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(
            rustls::ClientConfig::builder_with_provider(
                rustls::crypto::ring::default_provider().into(),
            )
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        )
        .build()
        .unwrap();
    let mut sent = client.request(method, url);
    if !token.is_empty() {
        sent = sent.bearer_auth(token);
    }
    if request["body"].is_object() {
        let content_type = request["contentType"]
            .as_str()
            .unwrap_or("application/json");
        sent = sent
            .header("content-type", content_type)
            .body(request["body"].to_string());
    }
    let answer = sent.send().await.unwrap();
    let content_type = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let code = answer.status().as_u16();
    (code, content_type, answer.bytes().await.unwrap().to_vec())
}

/// Replays a recording and wants the very same answer.
pub(crate) async fn same(server: &ApiServer, name: &str, token: &str) {
    let recorded = recording(name);
    let (code, content_type, body) = replay(server, &recorded, token).await;
    assert_eq!(code, recorded["status"], "{name}");
    assert_eq!(content_type, recorded["headers"]["Content-Type"], "{name}");
    match &recorded["body"] {
        Value::String(text) => assert_eq!(String::from_utf8_lossy(&body), *text, "{name}"),
        object => assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            *object,
            "{name}"
        ),
    }
}

/// Events of a recorded watch, and those that the same request gets here.
async fn watched(server: &ApiServer, name: &str) -> (Vec<Value>, Vec<Value>) {
    let recorded = recording(name);
    let (code, content_type, body) = replay(server, &recorded, "").await;
    assert_eq!(
        (code, content_type.as_str()),
        (200, "application/json"),
        "{name}"
    );
    let lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let events = lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    (recorded["events"].as_array().unwrap().clone(), events)
}

#[tokio::test]
async fn refusals_are_the_recorded_ones() {
    let (server, api) = start().await;
    for name in [
        "get-not-found",
        "create-already-exists",
        "unknown-resource",
        "list-continue-garbage",
    ] {
        same(&server, name, "").await;
    }
    let restart = recording("patch-restart");
    create_deployment(&api, &restart["body"]).await;
    same(&server, "patch-wrong-resource-version", "").await;
}

#[tokio::test]
async fn unauthorized_and_forbidden_are_the_recorded_ones() {
    let options = ApiServerOptions {
        tokens: vec![Token {
            token: "weak-token".to_owned(),
            user: "system:serviceaccount:default:weak".to_owned(),
            groups: Vec::new(),
        }],
        rbac: true,
        ..ApiServerOptions::default()
    };
    let (server, _) = start_with(options).await;
    same(&server, "unauthorized", "").await;
    same(&server, "unauthorized", "another-token").await;
    same(&server, "forbidden-list", "weak-token").await;
    same(&server, "forbidden-subresource", "weak-token").await;
}

/// Creates what the recorded object was applied from.
pub(crate) async fn create_deployment(api: &Api, recorded: &Value) {
    let applied =
        &recorded["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let mut deployment: Value = serde_json::from_str(applied.as_str().unwrap()).unwrap();
    // It was scaled before the recording.
    deployment["spec"]["replicas"] = recorded["spec"]["replicas"].clone();
    deployment["metadata"]["annotations"] = recorded["metadata"]["annotations"].clone();
    api.create("/apis/apps/v1/namespaces/default/deployments", &deployment)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_restart_patch_gives_the_recorded_deployment() {
    let (server, api) = start().await;
    let recorded = recording("patch-restart");
    create_deployment(&api, &recorded["body"]).await;
    let (code, _, body) = replay(&server, &recorded, "").await;
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(code, 200);
    // Identities, and the generation of an object that had been scaled before.
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        body["metadata"][key] = recorded["body"]["metadata"][key].clone();
    }
    // Status is its controller's.
    body["status"] = recorded["body"]["status"].clone();
    assert_eq!(body, recorded["body"]);
}

#[tokio::test]
async fn a_page_of_pods_has_the_recorded_form() {
    let (server, api) = start().await;
    let recorded = recording("list-page-1");
    let item = &recorded["body"]["items"][0];
    let applied =
        &item["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let mut pod: Value = serde_json::from_str(applied.as_str().unwrap()).unwrap();
    pod["metadata"]["annotations"] = item["metadata"]["annotations"].clone();
    api.create(super::PODS, &pod).await.unwrap();
    pod["metadata"]["name"] = json!("crash2");
    api.create(super::PODS, &pod).await.unwrap();
    let binding = json!({"target": {"kind": "Node", "name": "n1"}});
    api.create(&format!("{}/crash/binding", super::PODS), &binding)
        .await
        .unwrap();

    let (code, _, body) = replay(&server, &recorded, "").await;
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(code, 200);
    // A page under a selector does not say how many are left.
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&body["metadata"]), keys(&recorded["body"]["metadata"]));
    assert_eq!(keys(&body["items"][0]), keys(item));
    assert_eq!(body["items"][0]["spec"], item["spec"]);
    for key in ["uid", "resourceVersion", "creationTimestamp"] {
        body["items"][0]["metadata"][key] = item["metadata"][key].clone();
    }
    assert_eq!(body["items"][0]["metadata"], item["metadata"]);

    let page = api.get(&format!("{}?limit=1", super::PODS)).await.unwrap();
    assert_eq!(
        keys(&page["metadata"]),
        keys(&recording("list-page-metadata")["metadata"])
    );
    assert_eq!(page["metadata"]["remainingItemCount"], 1);
}

/// Replaces versions by their rank and takes out identities, so that two servers' events can be compared.
fn without_identities(events: &[Value]) -> Vec<Value> {
    let version = |event: &Value| {
        event["object"]["metadata"]["resourceVersion"]
            .as_str()
            .and_then(|v| v.parse::<u64>().ok())
    };
    let mut versions: Vec<u64> = events.iter().filter_map(version).collect();
    versions.sort_unstable();
    versions.dedup();
    let mut events = events.to_vec();
    for event in &mut events {
        if let Some(found) = version(event) {
            let rank = versions.iter().position(|v| *v == found).unwrap();
            event["object"]["metadata"]["resourceVersion"] = json!(rank);
        }
        for key in ["uid", "creationTimestamp"] {
            if event["object"]["metadata"][key].is_string() {
                event["object"]["metadata"][key] = json!("");
            }
        }
    }
    events
}

#[tokio::test]
async fn a_watch_tells_what_the_recorded_one_told() {
    let (server, api) = start().await;
    // The recording starts at a version; this server has to have got there.
    while api.list(CONFIGMAPS).await.unwrap().resource_version != "1216" {
        let busy = api.create(CONFIGMAPS, &configmap("busy", "1")).await;
        if busy.is_err() {
            api.delete(&format!("{CONFIGMAPS}/busy")).await.unwrap();
        }
    }
    api.create(CONFIGMAPS, &configmap("w1", "1")).await.unwrap();
    let path = format!("{CONFIGMAPS}/w1");
    api.replace(&path, &configmap("w1", "2")).await.unwrap();
    api.delete(&path).await.unwrap();
    let (recorded, mut events) = watched(&server, "watch-add-modify-delete").await;
    // How many bookmarks come before the end is a matter of timing.
    let mut recorded = without_identities(&recorded);
    recorded.dedup();
    events = without_identities(&events);
    events.dedup();
    assert_eq!(events, recorded);
}

#[tokio::test]
async fn a_watch_list_ends_with_the_recorded_bookmark() {
    let (server, api) = start().await;
    let (recorded, _) = watched(&server, "watch-initial-list").await;
    for event in recorded.iter().filter(|event| event["type"] == "ADDED") {
        let mut object = event["object"].clone();
        object["metadata"]["resourceVersion"].take();
        api.create(CONFIGMAPS, &object).await.unwrap();
    }
    let (recorded, mut events) = watched(&server, "watch-initial-list").await;
    assert!(events.len() >= recorded.len());
    // After the initial events the time-out's bookmark may follow.
    events.truncate(recorded.len());
    let kinds = |events: &[Value]| {
        events
            .iter()
            .map(|event| {
                (
                    event["type"].clone(),
                    event["object"]["metadata"]["name"].clone(),
                    event["object"]["metadata"]["annotations"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&events), kinds(&recorded));
}

#[tokio::test]
async fn a_watch_from_too_long_ago_or_from_the_future_is_answered_as_recorded() {
    let (server, api) = start().await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    server.compact();
    let (mut recorded, mut events) = watched(&server, "watch-too-old").await;
    let (prefix, _) = recorded[0]["object"]["message"]
        .as_str()
        .unwrap()
        .split_once('(')
        .unwrap();
    assert!(
        events[0]["object"]["message"]
            .as_str()
            .unwrap()
            .starts_with(prefix)
    );
    recorded[0]["object"]["message"].take();
    events[0]["object"]["message"].take();
    assert_eq!(events, recorded);

    let (recorded, events) = watched(&server, "watch-future").await;
    assert_eq!(events, recorded);
}
