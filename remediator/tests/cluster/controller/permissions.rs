//! What the API server does not allow is said in the policy.

use serde_json::json;

use super::support::Cluster;

#[tokio::test]
async fn a_missing_permission_is_named_and_once_it_is_given_things_go_on() {
    let cluster = Cluster::with_roles().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let _controller = cluster.controller(1);
    let (status, message) = cluster.says("web", "Permitted", "Forbidden").await;
    assert_eq!(status, "False");
    let named = "cannot create resource \"remediations\"";
    assert!(message.contains(named), "{message}");
    let (status, message) = cluster.says("web", "RemediationAllowed", "Forbidden").await;
    assert!(status == "False" && message.contains(named), "{message}");
    cluster
        .tells("RemediationPolicy", &["CheckFailing", "Forbidden"])
        .await;
    let blocked = "remediations_blocked_total{reason=\"Forbidden\"} 1";
    assert!(cluster.metrics().contains(blocked), "{}", cluster.metrics());
    assert_eq!(cluster.writes(), 0);

    cluster
        .allow("kuberhealer.io", "remediations", &["create"])
        .await;
    cluster
        .allow("kuberhealer.io", "remediations/status", &["update"])
        .await;
    cluster.reaches("Applied").await;
    cluster.says("web", "Permitted", "Permitted").await;
    assert_eq!(cluster.writes(), 1);
}
