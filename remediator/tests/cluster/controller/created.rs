//! What is begun with the creation of its record, and what only says so.

use remediator::controller::Settings;
use remediator::core::Limits;
use sandbox::api::Patch;
use sandbox::faults::{Gate, Rule};
use serde_json::{Value, json};

use super::support::{AGENT, Cluster, DEPLOYMENTS, POLICIES, RECORDS, next_second};

/// A record for the policy web as anybody may write it who may create records.
async fn forge(cluster: &Cluster, incident: &str, begun: &Value) -> String {
    let policy = cluster.api.get(&format!("{POLICIES}/web")).await.unwrap();
    let target = cluster
        .api
        .get(&format!("{DEPLOYMENTS}/web"))
        .await
        .unwrap();
    let (uid, now) = (&policy["metadata"]["uid"], "2027-01-15T08:00:00Z");
    let name = format!("web-{incident}-1");
    let record = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "Remediation",
        "metadata": {
            "name": name,
            "ownerReferences": [{
                "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "name": "web", "uid": uid,
                "controller": true,
            }],
        },
        "spec": {
            "policy": "web", "policyUID": uid, "attempt": 1, "step": 0, "mode": "Enforce", "run": "r", "time": now,
            "incident": {"id": incident, "openedTime": now, "firstRun": "r"},
            "actionName": "rolloutRestart", "action": {"rolloutRestart": {}},
            "target": {"kind": "Deployment", "name": "web", "uid": target["metadata"]["uid"]},
            "claim": {
                "resourceVersion": target["metadata"]["resourceVersion"], "generation": target["metadata"]["generation"],
            },
            "verify": {"seconds": 0, "successThreshold": 1, "failureThreshold": 1},
            "begun": begun,
        },
    });
    cluster.create(RECORDS, &record).await;
    name
}

async fn status(cluster: &Cluster, record: &str) -> Value {
    let record = cluster.api.get(&format!("{RECORDS}/{record}")).await;
    record.unwrap()["status"].clone()
}

/// The only record of this policy, once it has one.
async fn record_of(cluster: &Cluster, policy: &str) -> Option<Value> {
    let records = cluster.records().await;
    let mut records = records.into_iter();
    records.find(|record| record["spec"]["policy"] == policy)
}

#[tokio::test]
async fn forged_records_use_up_nothing() {
    let cluster = Cluster::start().await;
    let at_once = json!({"retry": {"cooldownSeconds": 0}});
    cluster.policy("web", at_once).await;
    let settings = Settings {
        limits: Limits {
            per_hour: 3,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let _controller = cluster.controller_with(7, settings);
    cluster.says("web", "Accepted", "Accepted").await;
    for (number, term) in [1, 6, 7, 7, i64::MAX].into_iter().enumerate() {
        let begun = json!({"term": term, "number": 1_000_000});
        let record = forge(&cluster, &format!("000000000{number}"), &begun).await;
        cluster
            .until("the forged record to end", async || {
                status(&cluster, &record).await["completedTime"].is_string()
            })
            .await;
        let status = status(&cluster, &record).await;
        assert_eq!(status["touched"], "No", "{status}");
        assert!(status["claim"].is_null(), "{status}");
    }
    assert_eq!(cluster.writes(), 0);
    cluster.report("web", &["broken"], 1, 5).await;
    cluster
        .until("a restart", async || cluster.restarted("web").await)
        .await;
}

#[tokio::test]
async fn what_was_created_and_never_acted_on_has_touched_nothing() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    let gate = Gate::new();
    let created = Rule::hold(&gate).agent(AGENT).verb("create");
    let created = created.resource("remediations").after_commit().times(1);
    cluster.server.faults().add(created);
    let _controller = cluster.controller(1);
    cluster.report("web", &["broken"], 1, 5).await;
    gate.held().await;
    // Edited before the answer: it is not to be done any more.
    let edit = json!({"spec": {"mode": "DryRun"}});
    let path = format!("{POLICIES}/web");
    cluster.api.patch(&path, Patch::Merge, &edit).await.unwrap();
    cluster
        .until("the record to end", async || {
            let record = record_of(&cluster, "web").await;
            record.is_some_and(|record| record["status"]["completedTime"].is_string())
        })
        .await;
    let record = record_of(&cluster, "web").await.unwrap();
    assert!(record["spec"]["begun"].is_object(), "{record}");
    assert_eq!(record["status"]["touched"], "No", "{record}");
    assert_eq!(cluster.writes(), 0);
}

#[tokio::test]
async fn a_write_that_hangs_is_gone_on_with() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    let gate = Gate::new();
    let write = Rule::hold(&gate).agent(AGENT).verb("patch");
    cluster
        .server
        .faults()
        .add(write.resource("deployments").times(1));
    let _controller = cluster.controller(1);
    cluster.report("web", &["broken"], 1, 5).await;
    gate.held().await;
    cluster.reaches("Applied").await;
    let record = record_of(&cluster, "web").await.unwrap();
    assert!(record["spec"]["begun"].is_object(), "{record}");
    assert_eq!(record["status"]["touched"], "Yes", "{record}");
    let target = cluster.api.get(&format!("{DEPLOYMENTS}/web")).await;
    assert_eq!(target.unwrap()["metadata"]["generation"], 2);
}

#[tokio::test]
async fn what_is_acted_on_meanwhile_is_looked_at_anew() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    let (created, read) = (Gate::new(), Gate::new());
    let faults = cluster.server.faults();
    let creation = Rule::hold(&created).agent(AGENT).verb("create");
    faults.add(creation.resource("remediations").after_commit());
    // The first is read to decide, the second for the record that the watch tells of before its creation is answered.
    let second = Rule::hold(&read).agent(AGENT).verb("get");
    faults.add(second.resource("deployments").name("web").nth(2));
    let lost = Rule::refuse(500).agent(AGENT).verb("update");
    let lost = faults.add(lost.resource("remediations/status").times(1));
    let _controller = cluster.controller(1);
    cluster.report("web", &["broken"], 1, 5).await;
    created.held().await;
    read.held().await;
    created.release();
    cluster
        .until("a status that is not written", async || {
            cluster.server.faults().strikes(lost) > 0
        })
        .await;
    assert!(cluster.restarted("web").await);
    read.release();
    cluster.reaches("Applied").await;
    let record = record_of(&cluster, "web").await.unwrap();
    assert_eq!(record["status"]["touched"], "Yes", "{record}");
}

#[tokio::test]
async fn a_status_that_cannot_be_written_takes_one_place() {
    let cluster = Cluster::start().await;
    for name in ["api", "db"] {
        cluster.check(name).await;
        cluster.deployment(name).await;
        cluster.policy(name, json!({})).await;
    }
    cluster.policy("web", json!({})).await;
    let denied = Rule::refuse(403).agent(AGENT).verb("update");
    let denied = denied.resource("remediations/status");
    let all = cluster.server.faults().add(denied.clone());
    let settings = Settings {
        limits: Limits {
            in_flight: 2,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let _controller = cluster.controller_with(1, settings);
    cluster.report("web", &["broken"], 1, 5).await;
    cluster
        .until("a refusal", async || {
            cluster.server.faults().strikes(all) > 0
        })
        .await;
    assert!(cluster.restarted("web").await);
    let stuck = record_of(&cluster, "web").await.unwrap();
    let name = stuck["metadata"]["name"].as_str().unwrap().to_owned();
    let one = cluster.server.faults().add(denied.name(&name));
    cluster.server.faults().remove(all);

    // The second place is free, but nothing takes it with its creation.
    cluster.report("api", &["broken"], 1, 5).await;
    cluster
        .until("the other restart", async || cluster.restarted("api").await)
        .await;
    let record = record_of(&cluster, "api").await.unwrap();
    assert!(record["spec"]["begun"].is_null(), "{record}");
    assert!(status(&cluster, &name).await.is_null());
    // And no third one.
    cluster.report("db", &["broken"], 1, 5).await;
    cluster
        .says("db", "RemediationAllowed", "TooManyInFlight")
        .await;

    cluster.server.faults().remove(one);
    cluster
        .until("the first to be told", async || {
            status(&cluster, &name).await["phase"] == "Applied"
        })
        .await;
    assert_eq!(status(&cluster, &name).await["touched"], "Yes");
    assert_eq!(cluster.writes(), 2);
}

#[tokio::test]
async fn a_pass_that_no_watch_tells_of_is_seen_before_acting() {
    let cluster = Cluster::start().await;
    let pause = json!({"pauseRequests": ["upgrade"]});
    cluster.policy("web", pause).await;
    let _controller = cluster.controller(1);
    cluster.report("web", &["broken"], 1, 5).await;
    cluster.says("web", "RemediationAllowed", "Paused").await;
    let faults = cluster.server.faults();
    let list = Rule::refuse(500).agent(AGENT).verb("list");
    faults.add(list.resource("healthchecks"));
    let deaf = Rule::refuse(500).agent(AGENT).verb("watch");
    let deaf = faults.add(deaf.resource("healthchecks"));
    faults.cut_watches_of(AGENT);
    cluster
        .until("the watch to be refused", async || faults.strikes(deaf) > 0)
        .await;
    next_second().await;
    cluster.report("web", &[], 2, 0).await;
    // What is known says that the check fails, and nothing holds the policy any more.
    let go_on = json!({"spec": {"pauseRequests": []}});
    let path = format!("{POLICIES}/web");
    let patched = cluster.api.patch(&path, Patch::Merge, &go_on);
    patched.await.unwrap();
    cluster
        .until("the pass to be counted", async || {
            let policy = cluster.api.get(&path).await.unwrap();
            policy["status"]["successes"].as_i64() > Some(0)
        })
        .await;
    assert_eq!((cluster.writes(), cluster.records().await.len()), (0, 0));
}
