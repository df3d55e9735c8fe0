//! A policy that learns: what its status remembers decides, is told, and is written once.

use remediator::core::pattern;
use sandbox::api::Patch;
use serde_json::{Value, json};

use super::support::{Cluster, POLICIES, next_second};

/// What the policy remembers of the failure, step by step.
async fn learned(cluster: &Cluster) -> Vec<String> {
    let policy = cluster.api.get(&format!("{POLICIES}/web")).await.unwrap();
    let steps = policy["status"]["learned"][0]["steps"].as_array().cloned();
    let step = |step: &Value| {
        let text = |field: &str| step[field].as_str().unwrap().to_owned();
        format!("{} {}", text("step"), text("outcomes"))
    };
    steps.iter().flatten().map(step).collect()
}

#[tokio::test]
async fn what_helped_before_goes_first_and_says_why_and_is_remembered_once() {
    let cluster = Cluster::start().await;
    let steps = json!([{"scale": {"replicas": 3}}, {"rolloutRestart": {}}]);
    cluster
        .policy("web", json!({"strategy": "Adaptive", "steps": steps}))
        .await;
    let known = json!({"status": {"learned": [{
        "id": pattern(&["request 17 failed".to_owned()]).id, "lastTime": "2026-01-01T00:00:00Z",
        "steps": [
            {"step": "scale(to 3)", "outcomes": "FFF"},
            {"step": "rolloutRestart", "outcomes": "SSS"},
        ],
    }]}});
    let path = format!("{POLICIES}/web/status");
    cluster
        .api
        .patch(&path, Patch::Merge, &known)
        .await
        .unwrap();
    cluster.report("web", &[], 1, 60).await;
    let first = cluster.controller(1);
    cluster.report("web", &["request 4711 failed"], 2, 5).await;
    cluster.reaches("Applied").await;
    let record = cluster.records().await.remove(0);
    let why = "rolloutRestart first: it helped 3 of 3 times with this failure, scale(to 3) 0 of 3";
    let choice = &record["spec"]["choice"];
    assert_eq!(record["spec"]["step"], 1);
    assert_eq!(choice["message"], why);
    assert_eq!(choice["failureText"], "request # failed");
    assert_eq!(choice["steps"][0]["standing"], "Waiting");
    assert_eq!(choice["steps"][1]["standing"], "Chosen");
    cluster.tells("Deployment", &["Applied"]).await;
    let (_, note) = cluster.events("Deployment").await.remove(0);
    assert!(note.ends_with(why), "{note}");

    // The next leader goes on with the record, and the one after it counts nothing again.
    first.crash().await;
    let second = cluster.controller(2);
    cluster.roll_out("web").await;
    cluster.reaches("Verifying").await;
    next_second().await;
    cluster.report("web", &[], 3, 0).await;
    let expected = ["scale(to 3) FFF", "rolloutRestart SSSS"];
    cluster
        .until("the outcome to be remembered", async || {
            learned(&cluster).await == expected
        })
        .await;
    second.crash().await;
    let _third = cluster.controller(3);
    let others = json!({"mode": "DryRun", "target": {"kind": "Deployment", "name": "none"}});
    cluster.policy("zzz", others).await;
    cluster.says("zzz", "Accepted", "CheckNotFound").await;
    assert_eq!(learned(&cluster).await, expected);
    assert_eq!(cluster.writes(), 1);
}
