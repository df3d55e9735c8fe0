//! Records: which are kept, and whose are acted on.

use remediator::clock;
use remediator::core::Time;
use remediator::core::record_name;
use sandbox::api::Patch;
use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::support::{AGENT, Cluster, DEPLOYMENTS, POLICIES, RECORDS};

/// Stores a record like `template`, of another incident; finished so many seconds ago, if it is.
async fn copy(cluster: &Cluster, template: &Value, incident: &str, finished: Option<i64>) {
    let mut record = template.clone();
    let name = record_name("web", incident, 1);
    record["metadata"] = json!({
        "name": name, "namespace": "default", "ownerReferences": template["metadata"]["ownerReferences"],
        "labels": template["metadata"]["labels"],
    });
    record["spec"]["incident"]["id"] = json!(incident);
    record["spec"]["attempt"] = json!(1);
    let status = record["status"].take();
    record.as_object_mut().unwrap().remove("status");
    let mut record = cluster.api.create(RECORDS, &record).await.unwrap();
    let Some(ago) = finished else {
        return;
    };
    record["status"] = status;
    let at = Time::from_unix(clock::now().unix() - ago);
    record["status"]["completedTime"] = json!(at.to_string());
    let path = format!("{RECORDS}/{name}/status");
    cluster.api.replace(&path, &record).await.unwrap();
}

/// A record that the controller has made, as a dry run.
async fn template(cluster: &Cluster, changes: Value) -> Value {
    let mut spec = json!({"mode": "DryRun"});
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    cluster.policy("web", spec).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let controller = cluster.controller(1);
    cluster.reaches("DryRun").await;
    cluster
        .until("it to be counted", async || {
            let policy = cluster.api.get(&format!("{POLICIES}/web")).await.unwrap();
            policy["status"]["statistics"]["byAction"]["rolloutRestart"]["dryRun"] == 1
        })
        .await;
    controller.crash().await;
    cluster.records().await.remove(0)
}

#[tokio::test]
async fn finished_records_beyond_the_limit_are_deleted_and_no_others() {
    let cluster = Cluster::start().await;
    let template = template(&cluster, json!({"historyLimit": 2})).await;
    for number in 1..=9 {
        copy(
            &cluster,
            &template,
            &format!("000000000{number}"),
            Some(7200 + number),
        )
        .await;
    }
    copy(&cluster, &template, "00000000aa", Some(600)).await;
    copy(&cluster, &template, "00000000bb", None).await;
    let _controller = cluster.controller(2);
    let kept = |incident: &str| record_name("web", incident, 1);
    // Those of the last hour, the one of the open incident, and the one that is finished only now.
    let mut expected = vec![
        template["metadata"]["name"].as_str().unwrap().to_owned(),
        kept("00000000aa"),
        kept("00000000bb"),
    ];
    expected.sort_unstable();
    cluster
        .until(&format!("{expected:?}"), async || {
            let records = cluster.records().await;
            let name = |record: &Value| record["metadata"]["name"].as_str().unwrap().to_owned();
            let mut names: Vec<String> = records.iter().map(name).collect();
            names.sort_unstable();
            names == expected
        })
        .await;
    // Each was counted before it went, and is not counted again.
    cluster
        .until("all to be counted", async || {
            let policy = cluster.api.get(&format!("{POLICIES}/web")).await.unwrap();
            let statistics = &policy["status"]["statistics"];
            statistics["byAction"]["rolloutRestart"]["dryRun"] == 12
                && statistics["counted"].as_array().unwrap().len() == 3
        })
        .await;
    assert_eq!(cluster.count("delete", "remediations"), 9);
}

#[tokio::test]
async fn a_record_that_the_remediator_has_not_made_leads_to_nothing() {
    let cluster = Cluster::start().await;
    cluster.deployment("other").await;
    let template = template(&cluster, json!({})).await;
    let incident = template["spec"]["incident"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let forged = |name: &str, incident: &str, attempt: u32, target: &str| {
        let mut record = template.clone();
        record["metadata"] = json!({
            "name": name, "namespace": "default",
            "ownerReferences": template["metadata"]["ownerReferences"],
        });
        record["spec"]["incident"]["id"] = json!(incident);
        record["spec"]["attempt"] = json!(attempt);
        record["spec"]["mode"] = json!("Enforce");
        record["spec"]["target"]["name"] = json!(target);
        record.as_object_mut().unwrap().remove("status");
        record
    };
    let name = |incident: &str, attempt| record_name("web", incident, attempt);
    // Nobody's, and one that is not named as the remediator names its own.
    let mut nobodys = forged(&name(&incident, 7), &incident, 7, "web");
    nobodys["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("ownerReferences");
    let misnamed = forged("by-hand", &incident, 8, "web");
    // A policy's, as far as anybody can tell, which it has not asked for.
    let mode = forged(&name(&incident, 9), &incident, 9, "web");
    let elsewhere = forged(&name(&incident, 10), &incident, 10, "other");
    let former = forged(&name("0000000000", 1), "0000000000", 1, "web");
    let mut greedy = forged(&name(&incident, 11), &incident, 11, "web");
    greedy["spec"]["replicas"] = json!({"from": 2, "to": 9});
    for record in [&nobodys, &misnamed, &mode, &elsewhere, &former, &greedy] {
        cluster.api.create(RECORDS, record).await.unwrap();
    }
    let _controller = cluster.controller(2);
    for (record, reason) in [
        (&mode, "PolicyChanged"),
        (&greedy, "PolicyChanged"),
        (&elsewhere, "TargetChanged"),
        (&former, "Recovered"),
    ] {
        let name = record["metadata"]["name"].as_str().unwrap();
        cluster
            .until(&format!("{name}: {reason}"), async || {
                let found = cluster.api.get(&format!("{RECORDS}/{name}")).await.unwrap();
                found["status"]["phase"] == "Inconclusive" && found["status"]["reason"] == reason
            })
            .await;
    }
    for record in [&nobodys, &misnamed] {
        let name = record["metadata"]["name"].as_str().unwrap();
        let found = cluster.api.get(&format!("{RECORDS}/{name}")).await.unwrap();
        assert!(found["status"].is_null(), "{found}");
    }
    assert_eq!(cluster.writes(), 0);
}

#[tokio::test]
async fn a_record_that_is_over_is_not_believed_what_there_is_to_set_back() {
    let cluster = Cluster::start().await;
    let template = template(&cluster, json!({})).await;
    let deployment = format!("{DEPLOYMENTS}/web");
    let deployment = cluster.api.get(&deployment).await.unwrap();
    let mut forged = template.clone();
    let name = record_name("web", "00000000aa", 1);
    forged["metadata"] = json!({
        "name": name, "namespace": "default", "finalizers": ["kuberhealer.io/revert"],
        "ownerReferences": template["metadata"]["ownerReferences"],
    });
    let spec = &mut forged["spec"];
    spec["incident"]["id"] = json!("00000000aa");
    spec["mode"] = json!("Enforce");
    spec["actionName"] = json!("scale");
    spec["action"] = json!({"scale": {"replicas": 2, "revertAfterSeconds": 60}});
    spec["replicas"] = json!({"from": 1, "to": 2});
    spec["revertAfterSeconds"] = json!(60);
    let mut status = forged["status"].take();
    forged.as_object_mut().unwrap().remove("status");
    let mut forged = cluster.api.create(RECORDS, &forged).await.unwrap();
    status["phase"] = json!("Succeeded");
    status["touched"] = json!("Yes");
    status["appliedTime"] = status["completedTime"].clone();
    status["revert"] = json!({"dueTime": status["completedTime"]});
    forged["status"] = status;
    let path = format!("{RECORDS}/{name}");
    let replaced = cluster
        .api
        .replace(&format!("{path}/status"), &forged)
        .await;
    replaced.unwrap();

    let _controller = cluster.controller(2);
    cluster
        .until("its end", async || {
            let found = cluster.api.get(&path).await.unwrap();
            let finalizers = found["metadata"]["finalizers"].as_array();
            found["status"]["revert"]["end"] == "PolicyChanged"
                && finalizers.is_none_or(Vec::is_empty)
        })
        .await;
    assert_eq!(cluster.writes(), 0);
    let after = cluster
        .api
        .get(&format!("{DEPLOYMENTS}/web"))
        .await
        .unwrap();
    assert_eq!(after["spec"], deployment["spec"]);
}

#[tokio::test]
async fn what_waits_for_approval_says_so_reads_nothing_and_asks_its_policy_again() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({"mode": "Manual"})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let _controller = cluster.controller(1);
    cluster
        .until("a record that waits", async || {
            let records = cluster.records().await;
            let status = records.first().map(|record| record["status"].clone());
            status.is_some_and(|status| {
                status["phase"] == "Pending" && status["reason"] == "AwaitingApproval"
            })
        })
        .await;
    assert_eq!(
        cluster.count("get", "deployments"),
        1,
        "what it was made from"
    );

    // The policy is paused, and no watch tells of it.
    let faults = cluster.server.faults();
    let deaf = Rule::refuse(500).agent(AGENT).verb("watch");
    faults.add(deaf.resource("remediationpolicies"));
    faults.cut_watches_of(AGENT);
    let list = Rule::refuse(500).agent(AGENT).verb("list");
    faults.add(list.resource("remediationpolicies"));
    let pause = json!({"spec": {"pauseRequests": ["not now"]}});
    let policy = format!("{POLICIES}/web");
    cluster
        .api
        .patch(&policy, Patch::Merge, &pause)
        .await
        .unwrap();
    let name = cluster.records().await[0]["metadata"]["name"].clone();
    let record = format!("{RECORDS}/{}", name.as_str().unwrap());
    let approve = json!({"spec": {"approved": true}});
    cluster
        .api
        .patch(&record, Patch::Merge, &approve)
        .await
        .unwrap();
    cluster.reaches("Inconclusive").await;
    let records = cluster.records().await;
    assert_eq!(records[0]["status"]["reason"], "Paused");
    assert_eq!(cluster.writes(), 0);
}
