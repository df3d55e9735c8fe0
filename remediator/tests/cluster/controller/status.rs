//! Requests are made only for a reason.

use sandbox::api::Patch;
use serde_json::json;

use super::support::{CHECKS, Cluster, POLICIES};

/// Waits until what was queued before has been looked at.
async fn settled(cluster: &Cluster, round: usize) {
    let name = format!("zzz{round}");
    cluster.policy(&name, json!({})).await;
    cluster.says(&name, "Accepted", "CheckNotFound").await;
}

#[tokio::test]
async fn status_is_not_written_without_change() {
    let cluster = Cluster::start().await;
    let threshold =
        json!({"check": {"namespace": "default", "name": "web"}, "failureThreshold": 5});
    cluster.policy("web", json!({"trigger": threshold})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let first = cluster.controller(1);
    cluster.says("web", "CheckHealthy", "CheckFailing").await;
    settled(&cluster, 0).await;
    let written = || {
        let asked = cluster.asked();
        let own = asked.iter().filter(|(verb, resource, name)| {
            verb == "update" && resource == "remediationpolicies/status" && name == "web"
        });
        own.count()
    };
    let before = written();
    let version = async || {
        let policy = cluster.api.get(&format!("{POLICIES}/web")).await.unwrap();
        policy["status"].clone()
    };
    let status = version().await;
    for round in 0..5 {
        let touch = json!({"metadata": {"annotations": {"round": round.to_string()}}});
        for path in [format!("{CHECKS}/web"), format!("{POLICIES}/web")] {
            cluster
                .api
                .patch(&path, Patch::Merge, &touch)
                .await
                .unwrap();
        }
    }
    settled(&cluster, 1).await;
    first.crash().await;
    let _second = cluster.controller(2);
    settled(&cluster, 2).await;
    assert_eq!(written(), before);
    assert_eq!(version().await, status);

    // It would have been seen.
    cluster.report("web", &["broken"], 2, 0).await;
    cluster
        .until("another write", async || written() > before)
        .await;
}

#[tokio::test]
async fn nothing_is_read_while_nothing_fails() {
    let cluster = Cluster::start().await;
    let names: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    for name in &names {
        cluster.check(name).await;
        cluster.report(name, &[], 1, 5).await;
        cluster.policy(name, json!({})).await;
    }
    let _controller = cluster.controller(1);
    for name in &names {
        cluster.says(name, "CheckHealthy", "Healthy").await;
    }
    let gets = cluster.asked();
    let gets: Vec<_> = gets.iter().filter(|(verb, _, _)| verb == "get").collect();
    assert!(gets.is_empty(), "{gets:?}");
    let lists = cluster.asked().iter().filter(|a| a.0 == "list").count();
    assert!(lists <= 8, "{lists} lists");
}
