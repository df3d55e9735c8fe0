//! From an alert to a restart and its verification.

use nix::sys::signal::Signal;
use remediator::clock;
use sandbox::api::Patch;
use serde_json::{Value, json};

use super::support::{HEALTH, Scene, after, grafana_firing, grafana_resolved, time};

#[tokio::test]
async fn a_firing_alert_restarts_the_workload_once_and_its_end_verifies_that() {
    let scene = Scene::new().await;
    let hooked = scene.replica(&[]).await;
    let health = hooked.get(HEALTH).await;
    let unknown = health.head.contains("x-kuberhealer-known: false");
    assert!(health.code == 200 && unknown, "{health:?}");

    let starts = clock::now();
    let firing = grafana_firing(starts);
    assert_eq!(hooked.deliver(&firing).await, [1, 0, 0]);
    // What was answered is written down.
    let kept = scene.status().await["alerts"].clone();
    assert_eq!(kept.as_array().unwrap().len(), 1, "{kept:#}");
    assert_eq!(
        kept[0]["summary"],
        "pod default/web-1: panic in the log of checkout"
    );
    hooked.health(503, "x-kuberhealer-known: true").await;
    assert_eq!(hooked.deliver(&firing).await, [0, 0, 1], "a replay");
    scene.restarted().await;
    let verifying = scene.remediation("Verifying").await;
    assert_eq!(
        verifying["spec"]["errors"],
        json!(["pod default/web-1: panic in the log of checkout"])
    );

    let ends = after(time(&verifying["status"]["rolledOutTime"])).await;
    let resolved = grafana_resolved(starts, ends);
    assert_eq!(hooked.deliver(&resolved).await, [1, 0, 0]);
    let ended = scene.remediation("Succeeded").await;
    assert_eq!(ended["status"]["reason"], "Verified");
    hooked.health(200, "x-kuberhealer-known: true").await;

    // Late and repeated deliveries of what is over.
    assert_eq!(hooked.deliver(&firing).await, [0, 0, 1]);
    assert_eq!(hooked.deliver(&resolved).await, [0, 0, 1]);
    let policy = scene
        .becomes(
            &format!("{}/web", super::super::replica::POLICIES),
            |found| {
                found["status"]["statistics"]["byAction"]["rolloutRestart"]["succeeded"] == json!(1)
            },
        )
        .await;
    assert_eq!(policy["status"]["successPercent"], 100);
    assert_eq!(
        policy["status"]["alerts"][0]["count"], 1,
        "{:#}",
        policy["status"]
    );
    scene.remediation("Succeeded").await;
    assert_eq!(scene.restarts(), 1);
    let series = "\nkuberhealer_alerts_received_total{outcome=\"taken\"} 2\n";
    hooked.replica.answers("/metrics", 200, series).await;
    let series = "\nkuberhealer_alerts_received_total{outcome=\"known\"} 3\n";
    hooked.replica.answers("/metrics", 200, series).await;
}

#[tokio::test]
async fn what_was_received_for_other_labels_does_not_count() {
    let scene = Scene::new().await;
    let policy = format!("{}/web", super::super::replica::POLICIES);
    let paused = scene.replica(&["--pause"]).await;
    paused.deliver(&grafana_firing(clock::now())).await;
    paused.health(200, "x-kuberhealer-held").await;
    let other = json!({"spec": {"trigger": {"alert": {"matchLabels": {"alertname": "Other"}}}}});
    scene
        .api
        .patch(&policy, Patch::Merge, &other)
        .await
        .unwrap();
    drop(paused);
    let hooked = scene.replica(&[]).await;
    let never = |found: &Value| {
        let conditions = found["status"]["conditions"].as_array();
        let generation = &found["metadata"]["generation"];
        conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "CheckHealthy"
                && condition["reason"] == "NeverRun"
                && condition["observedGeneration"] == *generation
        })
    };
    scene.becomes(&policy, never).await;
    hooked.health(200, "x-kuberhealer-known: false").await;
    assert_eq!(scene.restarts(), 0);
}

#[tokio::test]
async fn an_alert_that_was_taken_is_acted_on_after_a_restart() {
    let scene = Scene::new().await;
    // It takes alerts in, and does nothing about them.
    let mut first = scene.replica(&["--pause"]).await;
    assert_eq!(
        first.deliver(&grafana_firing(clock::now())).await,
        [1, 0, 0]
    );
    first.replica.signal(Signal::SIGKILL);
    first.replica.ended().await;
    assert_eq!(scene.restarts(), 0);
    let second = scene.replica(&[]).await;
    scene.restarted().await;
    scene.remediation("Verifying").await;
    second.health(503, "x-kuberhealer-known: true").await;
    assert_eq!(scene.restarts(), 1);
}
