//! Limits of all policies together.

use remediator::controller::Settings;
use remediator::core::Limits;
use sandbox::api::Patch;
use serde_json::json;

use super::support::{Cluster, POLICIES, RECORDS, next_second};

async fn failing(cluster: &Cluster, names: &[&str]) {
    for name in names {
        cluster.check(name).await;
        cluster.deployment(name).await;
        cluster.policy(name, json!({})).await;
        cluster.report(name, &["broken"], 1, 5).await;
    }
}

#[tokio::test]
async fn a_storm_is_told_once_and_outlives_its_leader() {
    let cluster = Cluster::start().await;
    let names = ["a", "b", "c", "d"];
    failing(&cluster, &names).await;
    let first = cluster.controller(1);
    for name in names {
        cluster
            .says(name, "RemediationAllowed", "StormActive")
            .await;
    }
    cluster
        .until("an event", async || {
            let events = cluster.events("RemediationPolicy").await;
            events.iter().any(|(reason, _)| reason == "StormActive")
        })
        .await;
    let events = cluster.events("RemediationPolicy").await;
    let storms = events.iter().filter(|(reason, _)| reason == "StormActive");
    let notes: Vec<&str> = storms.map(|(_, note)| note.as_str()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("4 of 4"), "{notes:?}");
    first.crash().await;

    // Two recover while nobody looks. To who leads next this is no storm, but the time after one.
    for name in ["c", "d"] {
        cluster.report(name, &[], 1, 0).await;
    }
    let _second = cluster.controller(2);
    for name in ["a", "b"] {
        cluster
            .says(name, "RemediationAllowed", "StormCooldown")
            .await;
    }
    assert_eq!(cluster.writes(), 0);
    assert!(cluster.records().await.is_empty());
}

#[tokio::test]
async fn who_waits_for_a_place_gets_it_as_soon_as_it_is_free() {
    let cluster = Cluster::start().await;
    failing(&cluster, &["a", "b"]).await;
    let _controller = cluster.controller(1);
    cluster.reaches("Applied").await;
    let records = cluster.records().await;
    assert_eq!(records.len(), 1);
    let first = records[0]["spec"]["policy"].as_str().unwrap();
    let second = if first == "a" { "b" } else { "a" };
    cluster
        .says(second, "RemediationAllowed", "TooManyInFlight")
        .await;
    cluster.roll_out(first).await;
    cluster.reaches("Verifying").await;
    next_second().await;
    cluster.report(first, &[], 1, 0).await;
    cluster
        .until("the other one", async || cluster.restarted(second).await)
        .await;
    assert_eq!(cluster.writes(), 2);
}

fn once_an_hour() -> Settings {
    Settings {
        limits: Limits {
            per_hour: 1,
            in_flight: 2,
            ..Limits::default()
        },
        ..Settings::default()
    }
}

#[tokio::test]
async fn an_approval_does_not_get_around_the_limit_of_an_hour() {
    let cluster = Cluster::start().await;
    let names = ["a", "b"];
    for name in names {
        cluster.check(name).await;
        cluster.deployment(name).await;
        cluster.policy(name, json!({"mode": "Manual"})).await;
        cluster.report(name, &["broken"], 1, 5).await;
    }
    let _controller = cluster.controller_with(1, once_an_hour());
    cluster
        .until("two records", async || cluster.records().await.len() == 2)
        .await;
    let approve = json!({"spec": {"approved": true}});
    for record in cluster.records().await {
        let name = record["metadata"]["name"].as_str().unwrap();
        let path = format!("{RECORDS}/{name}");
        let approved = cluster.api.patch(&path, Patch::Merge, &approve).await;
        approved.unwrap();
    }
    let restarted = async || {
        let (a, b) = (cluster.restarted("a").await, cluster.restarted("b").await);
        a || b
    };
    cluster.until("a restart", restarted).await;
    let first = if cluster.restarted("a").await {
        "a"
    } else {
        "b"
    };
    cluster.roll_out(first).await;
    cluster
        .until("the other to wait", async || {
            let records = cluster.records().await;
            let mut reasons = records.iter().map(|record| &record["status"]["reason"]);
            reasons.any(|reason| reason == "RateLimited")
        })
        .await;
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn a_policy_made_anew_does_not_get_around_the_limit_of_an_hour() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let _controller = cluster.controller_with(1, once_an_hour());
    cluster.reaches("Applied").await;
    cluster.roll_out("web").await;
    // The collector of garbage deletes its records.
    let policy = format!("{POLICIES}/web");
    cluster.api.delete(&policy).await.unwrap();
    for record in cluster.records().await {
        let name = record["metadata"]["name"].as_str().unwrap();
        let path = format!("{RECORDS}/{name}");
        cluster.api.delete(&path).await.unwrap();
    }
    next_second().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &["broken"], 2, 0).await;
    cluster
        .says("web", "RemediationAllowed", "RateLimited")
        .await;
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn a_paused_remediator_says_so_and_does_nothing() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let settings = Settings {
        limits: Limits {
            paused: true,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let _controller = cluster.controller_with(1, settings);
    cluster
        .says("web", "RemediationAllowed", "GloballyPaused")
        .await;
    assert!(cluster.records().await.is_empty());
}
