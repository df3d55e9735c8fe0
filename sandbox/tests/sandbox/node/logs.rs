//! `pods/log`: what the API server tells of the output that the node keeps.

use sandbox::api::Api;
use serde_json::{Value, json};

use super::{Cluster, is_phase, shell};
use crate::apiserver::kubectl::Kubectl;
use crate::setup::{self, pod};

async fn cluster() -> Cluster {
    Cluster::start(setup::options(1).node).await
}

async fn get(cluster: &Cluster, path: &str) -> reqwest::Response {
    let url = format!(
        "{}/api/v1/namespaces/default/pods/{path}",
        cluster.server.url()
    );
    setup::reqwest_client().get(url).send().await.unwrap()
}

/// Code, content type and body of the answer.
async fn answer(cluster: &Cluster, path: &str) -> (u16, String, String) {
    let answer = get(cluster, path).await;
    let content_type = answer.headers()["content-type"].to_str().unwrap();
    let content_type = content_type.to_owned();
    let code = answer.status().as_u16();
    (code, content_type, answer.text().await.unwrap())
}

/// Code and message of a refusal.
async fn refused(cluster: &Cluster, path: &str) -> (u16, String) {
    let (code, _, body) = answer(cluster, path).await;
    let status: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["kind"], "Status", "{status}");
    assert_eq!(status["code"], code, "{status}");
    (code, status["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_output_of_a_container_is_served() {
    let cluster = cluster().await;
    let spoken = pod("spoken", shell("echo one; echo two; printf three"));
    cluster.pod(&spoken, "ends", is_phase("Succeeded")).await;
    for (query, text) in [
        ("", "one\ntwo\nthree\n"),
        ("?container=main&tailLines=1&previous=false", "three\n"),
        ("?tailLines=0", ""),
        ("?follow=true&tailLines=2", "two\nthree\n"),
    ] {
        let expected = (200, "text/plain".to_owned(), text.to_owned());
        let path = format!("spoken/log{query}");
        assert_eq!(answer(&cluster, &path).await, expected, "{query}");
    }
    for (path, code, message) in [
        (
            "spoken/log?container=x",
            400,
            "container x is not valid for pod spoken",
        ),
        (
            "spoken/log?tailLines=-1",
            422,
            "PodLogOptions \"spoken\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        ("nobody/log", 404, "pods \"nobody\" not found"),
    ] {
        assert_eq!(
            refused(&cluster, path).await,
            (code, message.to_owned()),
            "{path}"
        );
    }
    for option in [
        "previous=true",
        "timestamps=true",
        "sinceSeconds=5",
        "stream=Stdout",
    ] {
        let (code, message) = refused(&cluster, &format!("spoken/log?{option}")).await;
        let (name, _) = option.split_once('=').unwrap();
        let begins = format!("{name} is not supported by the sandbox: ");
        assert!(code == 400 && message.starts_with(&begins), "{message}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn one_of_several_containers_has_to_be_named() {
    let cluster = cluster().await;
    let mut several = pod("several", shell("echo main"));
    let container = |name: &str, script: &str| json!({"name": name, "image": "none", "command": ["/bin/sh", "-c", script]});
    several["spec"]["initContainers"] = json!([container("before", "echo before")]);
    let containers = several["spec"]["containers"].as_array_mut().unwrap();
    containers.push(container("other", "echo other"));
    cluster.pod(&several, "ends", is_phase("Succeeded")).await;
    let expected =
        "a container name must be specified for pod several, choose one of: [before main other]";
    assert_eq!(
        refused(&cluster, "several/log").await,
        (400, expected.to_owned())
    );
    for name in ["before", "main", "other"] {
        let (code, _, text) = answer(&cluster, &format!("several/log?container={name}")).await;
        assert_eq!((code, text), (200, format!("{name}\n")));
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_log_is_followed_to_its_end() {
    let cluster = cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!(
        "echo one; while [ ! -e {} ]; do sleep 0.02; done; echo two",
        go.display()
    );
    let talking = pod("talking", shell(&script));
    cluster.pod(&talking, "runs", is_phase("Running")).await;
    let mut followed = get(&cluster, "talking/log?follow=true").await;
    let first = followed.chunk().await.unwrap().unwrap();
    assert_eq!(first, "one\n");
    std::fs::write(&go, "").unwrap();
    let rest = tokio::time::timeout(setup::DEADLINE, followed.text()).await;
    assert_eq!(rest.expect("the log does not end").unwrap(), "two\n");
    cluster.stop().await;
}

#[tokio::test]
async fn without_output_the_reason_is_told() {
    let cluster = cluster().await;
    let mut missing = pod("missing", shell(""));
    missing["spec"]["containers"][0] = json!({"name": "main", "image": "missing"});
    cluster
        .pod(&missing, "has no image", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("Image"))
        })
        .await;
    let (code, message) = refused(&cluster, "missing/log").await;
    let begins = "container \"main\" in pod \"missing\" is waiting to start: ";
    assert!(code == 400 && message.starts_with(begins), "{message}");

    let mut elsewhere = pod("elsewhere", shell("echo"));
    elsewhere["spec"]["nodeName"] = "nowhere".into();
    setup::create(&cluster.api, &elsewhere).await;
    // As a real server has it, which looks for the node among the pods.
    let expected = (404, "pods \"nowhere\" not found".to_owned());
    assert_eq!(refused(&cluster, "elsewhere/log").await, expected);

    let left = pod("left", shell("sleep 60"));
    cluster.pod(&left, "runs", is_phase("Running")).await;
    let Cluster { server, api, node } = cluster;
    node.stop().await;
    let url = format!("{}{}/log", server.url(), setup::path(&left));
    let answer = setup::reqwest_client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    let status: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let message = "Get \"https://n1:10250/containerLogs/default/left/main\": dial tcp: lookup n1: no such host";
    assert_eq!(status["message"], message);
    assert!(listed(&api).await);
    server.stop().await;
}

/// Whether discovery tells of `pods/log`.
async fn listed(api: &Api) -> bool {
    let found = api.get("/api/v1").await.unwrap();
    let log = json!({
        "name": "pods/log", "singularName": "", "namespaced": true, "group": "", "version": "v1", "kind": "Pod",
        "verbs": ["get"],
    });
    found["resources"].as_array().unwrap().contains(&log)
}

#[tokio::test]
async fn kubectl_shows_and_follows_logs() {
    let cluster = cluster().await;
    let Some(kubectl) = Kubectl::new(&cluster.server).await else {
        return;
    };
    let spoken = pod("spoken", shell("echo one; echo two"));
    cluster.pod(&spoken, "ends", is_phase("Succeeded")).await;
    assert_eq!(kubectl.run(&["logs", "spoken"]).await, "one\ntwo\n");
    assert_eq!(
        kubectl.run(&["logs", "-f", "pod/spoken", "--tail=1"]).await,
        "two\n"
    );
    let refused = kubectl.refused(&["logs", "spoken", "--previous"]).await;
    assert!(
        refused.starts_with("Error from server (BadRequest): previous is not supported"),
        "{refused}"
    );
    let refused = kubectl.refused(&["logs", "nobody"]).await;
    assert!(refused.contains("pods \"nobody\" not found"), "{refused}");
    cluster.stop().await;
}
