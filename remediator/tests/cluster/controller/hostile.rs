//! What somebody may write to do harm.

use serde_json::{Value, json};

use super::support::{Cluster, POLICIES};

#[tokio::test]
async fn errors_of_any_size_and_shape_are_bounded_everywhere() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    let bad = format!(
        "pod kube-system/\u{1b}[2Jetcd: \n\u{0}{}",
        "é".repeat(40_000)
    );
    let errors: Vec<&str> = std::iter::repeat_n(bad.as_str(), 20).collect();
    cluster.report("web", &errors, 1, 5).await;
    let _controller = cluster.controller(1);
    cluster.reaches("Applied").await;
    cluster.tells("Deployment", &["Applied"]).await;
    let policy = cluster.api.get(&format!("{POLICIES}/web")).await.unwrap();
    let record = cluster.records().await.remove(0);
    let events = Value::Array(cluster.list(super::support::EVENTS).await);
    for object in [policy, record, events] {
        let text = object.to_string();
        assert!(text.len() < 64_000, "{} bytes", text.len());
        let control = ["\\u001b", "\\u0000", "\\n"];
        assert!(control.iter().all(|c| !text.contains(c)), "{text}");
    }
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn policies_that_depend_on_each_other_are_refused() {
    let cluster = Cluster::start().await;
    let on = |name: &str| json!([{"namespace": "default", "name": name}]);
    for (name, other) in [("a", "b"), ("b", "a")] {
        cluster.check(name).await;
        cluster.deployment(name).await;
        cluster.policy(name, json!({"dependsOn": on(other)})).await;
        cluster.report(name, &["broken"], 1, 5).await;
    }
    let _controller = cluster.controller(1);
    for name in ["a", "b"] {
        let (status, message) = cluster.says(name, "Accepted", "DependencyCycle").await;
        assert_eq!(status, "False");
        assert!(
            message.contains("a <- b") || message.contains("b <- a"),
            "{message}"
        );
    }
    assert_eq!(cluster.writes(), 0);
}

#[tokio::test]
async fn of_many_policies_with_one_target_one_acts() {
    let cluster = Cluster::start().await;
    cluster.report("web", &["broken"], 1, 5).await;
    let check = json!({"check": {"namespace": "default", "name": "web"}, "failureThreshold": 1});
    let target = json!({"kind": "Deployment", "name": "web"});
    let names: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
    for name in &names {
        let spec = json!({"trigger": check, "target": target});
        cluster.policy(name, spec).await;
    }
    let _controller = cluster.controller(1);
    cluster.reaches("Applied").await;
    let records = cluster.records().await;
    assert_eq!(records.len(), 1);
    // Of several of the same second any one may be taken for the oldest, but always the same.
    let oldest = records[0]["spec"]["policy"].as_str().unwrap();
    for name in names.iter().filter(|name| *name != oldest) {
        cluster.says(name, "Accepted", "TargetConflict").await;
    }
    assert_eq!(cluster.records().await.len(), 1);
    assert_eq!(cluster.writes(), 1);
}

#[tokio::test]
async fn a_pattern_that_blows_up_is_refused_by_name() {
    let cluster = Cluster::start().await;
    let check = json!({"namespace": "default", "name": "web"});
    let trigger = json!({"check": check, "matchErrors": ["(a{1000}){1000}"]});
    cluster.policy("web", json!({"trigger": trigger})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let _controller = cluster.controller(1);
    let (status, message) = cluster.says("web", "Accepted", "InvalidPolicy").await;
    assert_eq!(status, "False");
    assert!(message.contains("spec.trigger.matchErrors"), "{message}");
    cluster.tells("RemediationPolicy", &["InvalidPolicy"]).await;
    assert_eq!(cluster.writes(), 0);
}
