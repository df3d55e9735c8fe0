//! A check whose errors name something of another policy's target waits for that policy's check.

use serde_json::{Value, json};

use super::support::{Cluster, DEPLOYMENTS, POLICIES, next_second};

const SERVICES: &str = "/api/v1/namespaces/default/services";

impl Cluster {
    /// A Service that finds the pods of the Deployment of the same name.
    async fn service(&self, name: &str) {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
        });
        self.create(SERVICES, &service).await;
    }

    /// A check, a Deployment and a Service of this name.
    async fn application(&self, name: &str) {
        self.check(name).await;
        self.deployment(name).await;
        self.service(name).await;
    }

    /// The checks that the errors of a policy's incident lead to: name, what names it, and whether it is ignored.
    async fn upstreams(&self, policy: &str) -> Vec<(String, String, bool)> {
        let policy = self.api.get(&format!("{POLICIES}/{policy}")).await.unwrap();
        let upstreams = policy["status"]["upstreams"].as_array();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let upstreams = upstreams.into_iter().flatten();
        upstreams
            .map(|upstream| {
                let ignored = upstream["ignored"].as_bool().unwrap();
                (text(&upstream["name"]), text(&upstream["via"]), ignored)
            })
            .collect()
    }

    /// Which policies have records.
    async fn acted(&self) -> Vec<String> {
        let records = self.records().await;
        let policies = records.iter();
        let policies =
            policies.map(|record| &record["metadata"]["labels"]["kuberhealer.io/policy"]);
        let mut policies: Vec<String> = policies
            .map(|policy| policy.as_str().unwrap().to_owned())
            .collect();
        policies.sort();
        policies
    }
}

const NAMES_API: &str = "service default/api: expected at least 1 ready endpoint, got 0";

fn once(name: &str, via: &str, ignored: bool) -> Vec<(String, String, bool)> {
    vec![(name.to_owned(), via.to_owned(), ignored)]
}

#[tokio::test]
async fn who_names_the_service_of_another_policys_target_is_judged_by_fresh_runs_after_that_has_recovered()
 {
    let cluster = Cluster::start().await;
    cluster.application("api").await;
    cluster
        .policy("web", json!({"dependencyGraceSeconds": 0}))
        .await;
    cluster.policy("api", json!({})).await;
    cluster.report("api", &["got 503"], 1, 8).await;
    cluster.report("web", &[NAMES_API], 1, 5).await;
    let first = cluster.controller(1);
    let (status, message) = cluster
        .says("web", "RemediationAllowed", "UpstreamUnhealthy")
        .await;
    assert_eq!(status, "False");
    assert!(message.ends_with(": web <- api"), "{message}");
    let known = once("api", "service default/api", false);
    assert_eq!(cluster.upstreams("web").await, known);
    cluster.reaches("Applied").await;
    assert_eq!(cluster.acted().await, ["api"]);

    // The next leader knows from the status alone.
    first.crash().await;
    cluster
        .api
        .delete(&format!("{SERVICES}/api"))
        .await
        .unwrap();
    let read = cluster.count("get", "services");
    let _second = cluster.controller(2);
    cluster.roll_out("api").await;
    cluster.reaches("Verifying").await;
    next_second().await;
    cluster.report("api", &[], 2, 0).await;
    cluster.reaches("Succeeded").await;
    cluster.says("api", "CheckHealthy", "Healthy").await;
    assert_eq!(cluster.count("get", "services"), read);
    assert_eq!(cluster.acted().await, ["api"]);

    // It fails by itself as well, while the other one goes on passing.
    next_second().await;
    cluster.report("web", &["got 503"], 2, 0).await;
    next_second().await;
    cluster.report("api", &[], 3, 0).await;
    cluster
        .until("a remediation of web", async || {
            cluster.acted().await == ["api", "web"]
        })
        .await;
    assert_eq!(cluster.upstreams("web").await, known);
    cluster.roll_out("web").await;
    next_second().await;
    cluster.report("web", &[], 3, 0).await;
    cluster.says("web", "CheckHealthy", "Healthy").await;
    assert_eq!(cluster.upstreams("web").await, []);
}

#[tokio::test]
async fn a_chain_is_followed_to_its_end() {
    let cluster = Cluster::start().await;
    for name in ["api", "db"] {
        cluster.application(name).await;
    }
    for name in ["web", "api", "db"] {
        cluster.policy(name, json!({})).await;
    }
    cluster.report("web", &[NAMES_API], 1, 5).await;
    let db = "service default/db: refused";
    cluster.report("api", &["elsewhere", db], 1, 8).await;
    cluster.report("db", &["disk full"], 1, 9).await;
    let _controller = cluster.controller(1);
    for (policy, chain) in [("web", ": web <- api <- db"), ("api", ": api <- db")] {
        cluster
            .until(&format!("{policy}{chain}"), async || {
                let (_, _, message) = cluster.condition(policy, "RemediationAllowed").await;
                message.ends_with(chain)
            })
            .await;
    }
    cluster.reaches("Applied").await;
    assert_eq!(cluster.acted().await, ["db"]);
}

#[tokio::test]
async fn of_two_that_blame_each_other_both_act() {
    let cluster = Cluster::start().await;
    cluster.service("web").await;
    cluster.application("api").await;
    for name in ["web", "api"] {
        cluster.policy(name, json!({"mode": "DryRun"})).await;
    }
    cluster.report("web", &[NAMES_API], 1, 5).await;
    cluster
        .report("api", &["service default/web: refused"], 1, 5)
        .await;
    let _controller = cluster.controller(1);
    cluster
        .until("a record of both", async || {
            cluster.acted().await == ["api", "web"]
        })
        .await;
    cluster
        .until("that it is said", async || {
            let web = once("api", "service default/api", true);
            let api = once("web", "service default/web", true);
            cluster.upstreams("web").await == web && cluster.upstreams("api").await == api
        })
        .await;
}

#[tokio::test]
async fn what_leads_nowhere_is_not_waited_for() {
    let own = "service default/web: refused";
    let workload = "deployment default/api: 0 of 2 ready";
    let elsewhere = "service kube-system/api: refused";
    for (why, error, changes) in [
        ("its own Service", own, json!({})),
        ("nobody's Service", "service default/other: x", json!({})),
        ("no such namespace", elsewhere, json!({})),
        ("nobody's pod", "pod default/web-1: not ready", json!({})),
        ("no such pod", "pod default/api-1: not ready", json!({})),
        (
            "not asked for",
            workload,
            json!({"inferDependencies": false}),
        ),
    ] {
        let cluster = Cluster::start().await;
        cluster.service("web").await;
        cluster.application("api").await;
        cluster.policy("api", json!({})).await;
        cluster.policy("web", changes).await;
        cluster.report("api", &[], 1, 5).await;
        cluster.report("web", &[error], 1, 5).await;
        let _controller = cluster.controller(1);
        cluster
            .until(&format!("{why}: web acts"), async || {
                cluster.acted().await == ["web"]
            })
            .await;
        assert_eq!(cluster.upstreams("web").await, [], "{why}");
        // What may be the target's own pod is not asked for.
        if error.starts_with("pod ") {
            let read = cluster.count("list", "pods");
            assert_eq!(read > 0, why == "no such pod", "{why}");
        }
        // Nobody may get one.
        assert_eq!(cluster.count("get", "pods"), 0, "{why}");
    }
}

#[tokio::test]
async fn a_pod_leads_to_the_workload_that_owns_it() {
    let cluster = Cluster::start().await;
    cluster.application("api").await;
    let owner = |kind: &str, object: &Value| {
        let (name, uid) = (&object["metadata"]["name"], &object["metadata"]["uid"]);
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true}])
    };
    let deployment = format!("{DEPLOYMENTS}/api");
    let deployment = cluster.api.get(&deployment).await.unwrap();
    let labels = json!({"app": "api"});
    let containers = json!([{"name": "main", "image": "none"}]);
    let set = json!({
        "metadata": {"name": "api-1", "labels": labels, "ownerReferences": owner("Deployment", &deployment)},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    });
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    let set = cluster.api.create(sets, &set).await.unwrap();
    let pod = json!({
        "metadata": {"name": "api-1-x", "labels": labels, "ownerReferences": owner("ReplicaSet", &set)},
        "spec": {"containers": containers},
    });
    cluster
        .create("/api/v1/namespaces/default/pods", &pod)
        .await;
    cluster.policy("api", json!({"steps": []})).await;
    cluster.policy("web", json!({})).await;
    cluster.report("api", &["got 503"], 1, 8).await;
    let error = "pod default/api-1-x: not ready";
    cluster.report("web", &[error], 1, 5).await;
    let _controller = cluster.controller(1);
    cluster
        .says("web", "RemediationAllowed", "UpstreamUnhealthy")
        .await;
    let known = once("api", "pod default/api-1-x", false);
    assert_eq!(cluster.upstreams("web").await, known);
    assert_eq!(cluster.writes(), 0);
}

#[tokio::test]
async fn an_upstream_that_passes_after_the_failure_is_no_reason_to_wait() {
    let cluster = Cluster::start().await;
    cluster.application("api").await;
    cluster.policy("api", json!({})).await;
    cluster.policy("web", json!({})).await;
    cluster.report("api", &[], 1, 30).await;
    let error = "deployment default/api: 0 of 2 ready";
    cluster.report("web", &[error], 1, 5).await;
    let _controller = cluster.controller(1);
    // It passed, but that was before.
    let (_, message) = cluster
        .says("web", "RemediationAllowed", "UpstreamUnknown")
        .await;
    assert!(message.ends_with(": api"), "{message}");
    next_second().await;
    cluster.report("api", &[], 2, 0).await;
    cluster.reaches("Applied").await;
    assert_eq!(cluster.acted().await, ["web"]);
}

#[tokio::test]
async fn who_may_not_read_services_goes_by_what_is_declared() {
    let cluster = Cluster::with_roles().await;
    cluster
        .allow("kuberhealer.io", "remediations", &["create"])
        .await;
    cluster
        .allow("kuberhealer.io", "remediations/status", &["update"])
        .await;
    cluster.application("api").await;
    cluster.policy("api", json!({})).await;
    cluster.policy("web", json!({})).await;
    cluster.report("api", &["got 503"], 1, 5).await;
    cluster.report("web", &[NAMES_API], 1, 5).await;
    let _controller = cluster.controller(1);
    cluster
        .until("both have acted or wait for their turn", async || {
            let mut policies = Vec::new();
            for name in ["web", "api"] {
                policies.push(cluster.condition(name, "RemediationAllowed").await.1);
            }
            policies.contains(&"TooManyInFlight".to_owned()) && !cluster.acted().await.is_empty()
        })
        .await;
    assert_eq!(cluster.upstreams("web").await, []);
    assert!(cluster.count("get", "services") > 0);
}

#[tokio::test]
async fn a_policy_that_is_gone_is_not_waited_for() {
    let cluster = Cluster::start().await;
    cluster.application("api").await;
    cluster.policy("api", json!({"steps": []})).await;
    cluster.policy("web", json!({})).await;
    cluster.report("api", &["got 503"], 1, 8).await;
    cluster.report("web", &[NAMES_API], 1, 5).await;
    let _controller = cluster.controller(1);
    cluster
        .says("web", "RemediationAllowed", "UpstreamUnhealthy")
        .await;
    cluster
        .api
        .delete(&format!("{POLICIES}/api"))
        .await
        .unwrap();
    cluster.reaches("Applied").await;
    assert!(cluster.restarted("web").await);
    let path = format!("{DEPLOYMENTS}/api");
    assert!(cluster.api.get(&path).await.is_ok());
}
