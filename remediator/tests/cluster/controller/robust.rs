//! Whatever the cluster holds and however it answers.

use std::time::Duration;

use remediator::clock;
use remediator::controller::Settings;
use remediator::crd::definitions;
use sandbox::api::Patch;
use sandbox::apiserver::ApiServerOptions;
use sandbox::faults::Rule;
use serde_json::json;

use super::support::{
    AGENT, CHECKS, Cluster, DEFINITIONS, POLICIES, RECORDS, health_checks, policy,
};

/// Has the API server take any object of our kinds, as one with an older definition might.
async fn loosen(cluster: &Cluster) {
    for definition in definitions().unwrap() {
        let name = definition.value["metadata"]["name"].as_str().unwrap();
        let path = format!("{DEFINITIONS}/{name}");
        let mut found = cluster.api.get(&path).await.unwrap();
        found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        cluster.api.replace(&path, &found).await.unwrap();
    }
}

#[tokio::test]
async fn a_malformed_object_stops_nothing() {
    let cluster = Cluster::start().await;
    loosen(&cluster).await;
    for (path, kind) in [(POLICIES, "RemediationPolicy"), (RECORDS, "Remediation")] {
        let object = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": kind, "metadata": {"name": "bad"},
            "spec": {"trigger": 7, "policy": [], "steps": "x".repeat(1_000_000)},
        });
        cluster.create(path, &object).await;
    }
    let mut damaged = policy("damaged", json!({"mode": "DryRun"}));
    damaged["status"] = json!({"failures": "many"});
    cluster.create(POLICIES, &damaged).await;
    let path = format!("{POLICIES}/damaged/status");
    let status = json!({"status": {"failures": "many"}});
    cluster
        .api
        .patch(&path, Patch::Merge, &status)
        .await
        .unwrap();
    cluster.check("mad").await;
    let mad = json!({"status": {"ok": "perhaps", "errors": 3}});
    let path = format!("{CHECKS}/mad/status");
    cluster.api.patch(&path, Patch::Merge, &mad).await.unwrap();
    cluster.policy("mad", json!({})).await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &["broken"], 1, 5).await;

    let _controller = cluster.controller(1);
    cluster
        .until("web to be restarted", async || {
            cluster.restarted("web").await
        })
        .await;
    let (status, message) = cluster.says("bad", "Accepted", "InvalidPolicy").await;
    assert_eq!(status, "False");
    assert!(message.contains("invalid type"), "{message}");
    let (_, message) = cluster
        .says("mad", "RemediationAllowed", "Inconclusive")
        .await;
    assert!(message.contains("status."), "{message}");
    // It exists, and so no condition says that it does not.
    for name in ["Accepted", "CheckHealthy"] {
        let (_, said) = cluster.says("mad", name, "Inconclusive").await;
        assert_eq!(said, message, "{name}");
    }
    cluster.says("damaged", "Accepted", "CheckNotFound").await;
    assert_eq!(cluster.writes(), 1);

    // What is put right is used.
    cluster.report("mad", &["broken"], 1, 5).await;
    cluster.says("mad", "CheckHealthy", "CheckFailing").await;
}

#[tokio::test]
async fn kinds_may_come_and_go() {
    let cluster = Cluster::bare(ApiServerOptions::default()).await;
    cluster.deployment("web").await;
    cluster.policy("web", json!({})).await;
    let _controller = cluster.controller(1);
    cluster.says("web", "Accepted", "CheckNotFound").await;
    cluster.create(DEFINITIONS, &health_checks()).await;
    cluster.check("web").await;
    cluster.report("web", &["broken"], 1, 5).await;
    cluster.reaches("Applied").await;
    let path = format!("{DEFINITIONS}/healthchecks.kuberhealthy.github.io");
    cluster.api.delete(&path).await.unwrap();
    cluster.says("web", "Accepted", "CheckNotFound").await;
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn only_the_given_namespaces_are_worked_on() {
    let cluster = Cluster::start().await;
    let namespaces = "/api/v1/namespaces";
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "else"}});
    cluster.create(namespaces, &namespace).await;
    let mut other = policy("web", json!({}));
    other["metadata"]["namespace"] = json!("else");
    let elsewhere = POLICIES.replace("/default/", "/else/");
    cluster.create(&elsewhere, &other).await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let settings = Settings {
        namespaces: vec!["default".to_owned()],
        check_namespaces: vec!["default".to_owned(), "else".to_owned()],
        ..Settings::default()
    };
    let _controller = cluster.controller_with(1, settings);
    cluster.reaches("Applied").await;
    let other = cluster.api.get(&format!("{elsewhere}/web")).await.unwrap();
    assert!(other["status"].is_null(), "{other}");
    let wide = cluster.server.requests().into_iter().filter(|request| {
        request.agent == AGENT
            && request.namespace.is_empty()
            && matches!(request.verb.as_str(), "list" | "watch")
    });
    assert_eq!(wide.count(), 0);
}

#[tokio::test]
async fn requests_per_minute_are_bounded() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &[], 1, 60).await;
    let _controller = cluster.controller(1);
    cluster.says("web", "CheckHealthy", "Healthy").await;
    let before = cluster.asked().len();
    // From now on each request fails, one way or another, and each watch ends at once.
    let faults = cluster.server.faults();
    for (rule, verb) in [
        (Rule::refuse(503), "update"),
        (Rule::refuse(409), "create"),
        (Rule::hang_up(), "get"),
        (Rule::refuse(500), "list"),
        (Rule::hang_up(), "watch"),
    ] {
        faults.add(rule.agent(AGENT).verb(verb));
    }
    cluster.report("web", &["broken"], 1, 0).await;
    faults.cut_watches();
    let (start, window) = (clock::instant(), Duration::from_secs(20));
    cluster
        .until("the window to end", async || {
            start + window < clock::instant()
        })
        .await;
    let asked = cluster.asked().split_off(before);
    // Five kinds, each listed or watched again a few times; a status; a few events.
    assert!(asked.len() <= 60, "{}: {asked:?}", asked.len());
    assert!(asked.len() >= 5, "it goes on trying: {asked:?}");
    faults.clear();
    cluster.reaches("Applied").await;
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn a_watch_that_ends_at_once_is_not_begun_again_and_again() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    let _controller = cluster.controller(1);
    cluster.says("web", "CheckHealthy", "NeverRun").await;
    // Nothing is said to be wrong: the connection ends as at the end of a watch.
    let faults = cluster.server.faults();
    let (start, window) = (clock::instant(), Duration::from_secs(5));
    cluster
        .until("the window to end", async || {
            faults.cut_watches();
            start + window < clock::instant()
        })
        .await;
    let watches = cluster.count("watch", "remediationpolicies");
    assert!(watches <= 12, "{watches} watches");
    // Nothing that happened meanwhile is lost.
    cluster.report("web", &["broken"], 1, 5).await;
    cluster.reaches("Applied").await;
}
