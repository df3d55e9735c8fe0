//! From a failing check to the outcome.

use serde_json::json;

use super::support::{Cluster, DEFINITIONS, STATES, next_second, states};

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
    let record = cluster.records().await.remove(0);
    let waits = "waits for a run of the check that began after the rollout";
    assert_eq!(record["status"]["message"], waits);
    let (_, said) = cluster.says("web", "RemediationAllowed", "Verifying").await;
    assert!(
        said.starts_with("a remediation is not finished: "),
        "{said}"
    );
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
async fn a_check_that_is_not_there_is_named() {
    let cluster = Cluster::start().await;
    let of = |kind: Option<&str>| {
        let mut check = json!({"namespace": "kuberhealthy", "name": "nope"});
        if let Some(kind) = kind {
            check["kind"] = json!(kind);
        }
        json!({"mode": "DryRun", "trigger": {"check": check}})
    };
    let kinds = [
        (
            "any",
            None,
            "KuberhealthyState or HealthCheck kuberhealthy/nope",
        ),
        (
            "old",
            Some("KuberhealthyState"),
            "KuberhealthyState kuberhealthy/nope",
        ),
        ("new", Some("HealthCheck"), "HealthCheck kuberhealthy/nope"),
    ];
    for (name, kind, _) in kinds {
        cluster.policy(name, of(kind)).await;
    }
    let _controller = cluster.controller(1);
    for (name, _, expected) in kinds {
        let expected = format!("there is no such check: {expected}");
        for (condition, status) in [
            ("Accepted", "False"),
            ("CheckHealthy", "Unknown"),
            ("RemediationAllowed", "False"),
        ] {
            let said = cluster.says(name, condition, "CheckNotFound").await;
            assert_eq!(said, (status.to_owned(), expected.clone()), "{condition}");
        }
        let told = ("CheckNotFound".to_owned(), expected);
        cluster
            .until("the event", async || {
                cluster.events("RemediationPolicy").await.contains(&told)
            })
            .await;
    }
}

#[tokio::test]
async fn a_check_of_both_kinds_is_told_alike_by_each_condition() {
    let cluster = Cluster::start().await;
    cluster.create(DEFINITIONS, &states()).await;
    let state = json!({
        "apiVersion": "comcast.github.io/v1", "kind": "KuberhealthyState", "metadata": {"name": "web"},
        "spec": {"OK": true, "Errors": []},
    });
    cluster.create(STATES, &state).await;
    cluster.policy("web", json!({})).await;
    let _controller = cluster.controller(1);
    let mut messages = Vec::new();
    for (condition, status) in [
        ("Accepted", "False"),
        ("CheckHealthy", "Unknown"),
        ("RemediationAllowed", "False"),
    ] {
        let (found, message) = cluster.says("web", condition, "AmbiguousCheck").await;
        assert_eq!(found, status, "{condition}");
        messages.push(message);
    }
    assert!(messages[0].contains("trigger.check.kind"), "{messages:?}");
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
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
