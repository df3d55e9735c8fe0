//! What receivers are told of what concerns many policies, and of a policy's own receivers.

use std::path::Path;

use remediator::clock;
use remediator::controller::Settings;
use remediator::core::Limits;
use remediator::notify::{Config, Notify};
use sandbox::api::Patch;
use serde_json::{Value, json};

use super::support::{CHECKS, Cluster, POLICIES, next_second};
use crate::notify::receiver::{Receiver, Request};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn settings(cluster: &Cluster, receivers: &Value, limits: Limits) -> Settings {
    let config = json!({"receivers": receivers}).to_string();
    let config = Config::parse(&config, Path::new("/")).unwrap();
    Settings {
        limits,
        notify: Notify::new(config, cluster.metrics.clone()),
        ..Settings::default()
    }
}

fn hook(receiver: &Receiver) -> Value {
    json!([{"name": "hook", "webhook": {"url": receiver.url()}}])
}

fn types(requests: &[Request]) -> Vec<String> {
    let events = requests.iter().map(Request::json);
    let kind = |event: Value| event["type"].as_str().unwrap().to_owned();
    events
        .map(kind)
        .map(|kind| kind.trim_start_matches("io.kuberhealer.").to_owned())
        .collect()
}

async fn failing(cluster: &Cluster, changes: Value) {
    for name in NAMES {
        cluster.check(name).await;
        cluster.deployment(name).await;
        cluster.policy(name, changes.clone()).await;
        cluster.report(name, &["broken"], 1, 5).await;
    }
}

#[tokio::test]
async fn a_storm_is_told_by_the_first_leader_and_its_end_by_the_next() {
    let cluster = Cluster::start().await;
    failing(&cluster, json!({})).await;
    let receiver = Receiver::start().await;
    let limits = Limits {
        storm_cooldown: 1,
        ..Limits::default()
    };
    let receivers =
        json!([{"name": "hook", "severity": "critical", "webhook": {"url": receiver.url()}}]);
    let first = cluster.controller_with(1, settings(&cluster, &receivers, limits));
    let told = receiver.until(|told| types(told) == ["storm.began"]).await;
    let message = told[0].json()["data"]["message"].clone();
    assert!(message.as_str().unwrap().starts_with("4 of 4"), "{message}");
    for name in NAMES {
        cluster
            .says(name, "RemediationAllowed", "StormActive")
            .await;
    }
    first.crash().await;
    for name in ["c", "d"] {
        cluster.report(name, &[], 1, 0).await;
    }
    let _second = cluster.controller_with(2, settings(&cluster, &receivers, limits));
    receiver
        .until(|told| types(told) == ["storm.began", "storm.ended"])
        .await;
}

#[tokio::test]
async fn a_storm_is_told_to_be_over_when_no_policy_is_left() {
    let cluster = Cluster::start().await;
    failing(&cluster, json!({})).await;
    let receiver = Receiver::start().await;
    let receivers =
        json!([{"name": "hook", "severity": "critical", "webhook": {"url": receiver.url()}}]);
    let settings = settings(&cluster, &receivers, Limits::default());
    let _controller = cluster.controller_with(1, settings);
    receiver.until(|told| types(told) == ["storm.began"]).await;
    for name in NAMES {
        let path = format!("{POLICIES}/{name}");
        cluster.api.delete(&path).await.unwrap();
    }
    receiver
        .until(|told| types(told) == ["storm.began", "storm.ended"])
        .await;
}

#[tokio::test]
async fn an_incident_is_told_once_the_check_has_failed_as_often_as_the_policy_asks_for() {
    let cluster = Cluster::start().await;
    let receiver = Receiver::start().await;
    let check = json!({"namespace": "default", "name": "web"});
    let trigger = json!({"check": check, "failureThreshold": 2});
    let changes = json!({"trigger": trigger, "pauseRequests": ["upgrade"]});
    cluster.policy("web", changes).await;
    // A minute ago, as failures in quick succession count once.
    let before = clock::now().unix() - 60;
    let failed = json!({"status": {
        "ok": false, "errors": ["broken"], "currentUUID": "", "lastRunUnix": before - 5, "successCount": 0,
        "failureCount": 1, "lastFailureUnix": before,
    }});
    let path = format!("{CHECKS}/web/status");
    cluster
        .api
        .patch(&path, Patch::Merge, &failed)
        .await
        .unwrap();
    let settings = settings(&cluster, &hook(&receiver), Limits::default());
    let _controller = cluster.controller_with(1, settings);
    cluster.says("web", "RemediationAllowed", "Paused").await;
    cluster
        .tells("RemediationPolicy", &["CheckFailing", "Paused"])
        .await;
    assert_eq!(types(&receiver.requests()), Vec::<String>::new());
    cluster.report("web", &["broken"], 2, 5).await;
    receiver.until(|told| !told.is_empty()).await;
    assert_eq!(types(&receiver.taken())[0], "incident.opened");
}

#[tokio::test]
async fn policies_that_one_check_holds_are_told_of_as_one_and_so_is_their_end() {
    let cluster = Cluster::start().await;
    cluster.check("db").await;
    cluster.report("db", &["down"], 1, 5).await;
    let on = json!([{"namespace": "default", "name": "db"}]);
    failing(&cluster, json!({"dependsOn": on})).await;
    let receiver = Receiver::start().await;
    let limits = Limits {
        storm_percent: 100,
        ..Limits::default()
    };
    let settings = settings(&cluster, &hook(&receiver), limits);
    let _controller = cluster.controller_with(1, settings);
    let told = receiver.until(|told| !told.is_empty()).await;
    assert_eq!(types(&told), ["cascade.began"]);
    let event = told[0].json();
    assert_eq!(event["data"]["cause"], "db");
    assert_eq!(
        event["data"]["message"],
        "4 policies wait for the check db: default/a, default/b, default/c, default/d"
    );
    next_second().await;
    cluster.report("db", &[], 1, 0).await;
    for name in NAMES {
        cluster.report(name, &[], 1, 0).await;
    }
    let told = receiver.until(|told| told.len() > 1).await;
    assert_eq!(types(&told), ["cascade.began", "cascade.ended"]);
}

#[tokio::test]
async fn a_policy_has_receivers_of_its_own() {
    let cluster = Cluster::start().await;
    let (own, others) = (Receiver::start().await, Receiver::start().await);
    let receivers = json!([
        {"name": "others", "severity": "info", "webhook": {"url": others.url()}},
        {"name": "own", "severity": "critical", "default": false, "webhook": {"url": own.url()}},
    ]);
    let notify = json!({"receivers": ["own", "nobody"], "severity": "info"});
    cluster
        .policy("web", json!({"notify": notify, "mode": "DryRun"}))
        .await;
    cluster.report("web", &["broken"], 1, 5).await;
    let settings = settings(&cluster, &receivers, Limits::default());
    let _controller = cluster.controller_with(1, settings);
    own.until(|told| types(told).contains(&"remediation.simulated".to_owned()))
        .await;
    assert_eq!(types(&own.taken())[0], "incident.opened");
    assert!(others.requests().is_empty());
    assert!(cluster.metrics().contains("outcome=\"unknown_receiver\""));
}
