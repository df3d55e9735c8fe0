//! From a failing check to the outcome.

use serde_json::json;

use super::support::{Cluster, next_second};

#[tokio::test]
async fn a_failing_check_restarts_its_deployment_once_and_a_passing_run_verifies_it() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &[], 1, 60).await;
    let first = cluster.controller(1);
    cluster.report("web", &["broken"], 2, 5).await;
    cluster.reaches("Applied").await;
    assert!(cluster.restarted("web").await);

    // The next leader goes on with the record.
    first.crash().await;
    let _second = cluster.controller(2);
    cluster.roll_out("web").await;
    cluster.reaches("Verifying").await;
    next_second().await;
    cluster.report("web", &[], 3, 0).await;
    cluster.reaches("Succeeded").await;
    assert_eq!(cluster.records().await.len(), 1);
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn a_dry_run_is_recorded_and_touches_nothing() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({"mode": "DryRun"})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let _controller = cluster.controller(1);
    cluster.reaches("DryRun").await;
    assert_eq!(cluster.writes(), 0);
    assert!(!cluster.restarted("web").await);
}

#[tokio::test]
async fn a_policy_that_comes_after_its_check_has_it_read() {
    let cluster = Cluster::start().await;
    // One that nobody names is known by name alone.
    cluster.report("web", &["broken"], 1, 5).await;
    cluster.check("other").await;
    cluster.policy("other", json!({"mode": "DryRun"})).await;
    let _controller = cluster.controller(1);
    cluster.says("other", "CheckHealthy", "NeverRun").await;
    assert_eq!(cluster.count("get", "healthchecks"), 0);
    cluster.policy("web", json!({"mode": "DryRun"})).await;
    cluster.reaches("DryRun").await;
}

#[tokio::test]
async fn an_upstream_failure_is_told_with_the_way_to_it() {
    let cluster = Cluster::start().await;
    for name in ["api", "db"] {
        cluster.check(name).await;
    }
    let on = |name: &str| json!([{"namespace": "default", "name": name}]);
    cluster.policy("web", json!({"dependsOn": on("api")})).await;
    cluster.policy("api", json!({"dependsOn": on("db")})).await;
    cluster.report("db", &["disk full"], 1, 9).await;
    cluster.report("api", &["no database"], 1, 8).await;
    cluster.report("web", &["no api"], 1, 5).await;
    let _controller = cluster.controller(1);
    let (status, message) = cluster
        .says("web", "RemediationAllowed", "UpstreamUnhealthy")
        .await;
    assert_eq!(status, "False");
    assert!(message.ends_with(": web <- api <- db"), "{message}");
    assert_eq!(cluster.writes(), 0);
}
