//! The remediator as its manifests install it, where roles decide: it does all that it can do, and needs each rule for it.

use futures::future::join_all;
use sandbox::api::Patch;
use sandbox::apiserver::Request;
use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::cluster::collection;
use super::files::{items, kind, text};
use super::installed::{
    access, age, asked, assert_used, bound, condition, install, is_binding, start, until_pruned,
};
use crate::line::Line;
use crate::remediator::{DEPLOYMENTS, POLICIES, RECORDS, Shop, rolled_out};

/// The namespace that has not opted in.
const CLOSED: &str = "bank";

#[tokio::test(flavor = "multi_thread")]
async fn the_remediator_needs_the_permissions_of_its_manifests_and_no_others() {
    let (shop, _files) = start().await;
    let mut objects = access();
    objects.push(bound("opt-in", "shop"));
    install(&shop, &objects, &[]).await;
    everything(&shop).await;
    closed_namespace(&shop).await;

    let (refused, granted) = asked(&shop);
    let unexpected: Vec<&Request> = refused
        .iter()
        .filter(|request| request.namespace != CLOSED)
        .collect();
    assert!(unexpected.is_empty(), "refused: {unexpected:#?}");
    assert!(!refused.is_empty(), "{CLOSED} was not tried");
    assert_used(&objects, objects.iter().filter(is_binding), &granted);
    shop.stop().await;
}

/// All that it does in a namespace that has opted in.
pub(super) async fn everything(shop: &Shop) {
    workloads(shop).await;
    remediate(shop).await;
    wait_for_what_an_error_names(shop).await;
    recover_what_was_scaled(shop).await;
}

/// A workload for each kind of target and action beside the Deployment `web`.
pub(super) async fn workloads(shop: &Shop) {
    for deployment in ["wide", "bound", "release"] {
        shop.create_deployment(deployment, 2).await;
    }
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "bound", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bound"},
            "minReplicas": 2, "maxReplicas": 5,
        },
    });
    let path = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers";
    shop.api.create(path, &scaler).await.unwrap();
    let label = json!({"metadata": {"labels": {"kuberhealer.io/allow-rollback": "true"}}});
    let path = format!("{DEPLOYMENTS}/release");
    shop.api.patch(&path, Patch::Merge, &label).await.unwrap();
    shop.roll_out("release", "2").await;

    for (kind, name) in [
        ("StatefulSet", "db"),
        ("StatefulSet", "queue"),
        ("DaemonSet", "agent"),
    ] {
        let template = |revision: &str| {
            json!({
                "metadata": {"labels": {"app": name}, "annotations": {"revision": revision}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "web"}]},
            })
        };
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": template("1")},
        });
        if kind == "StatefulSet" {
            object["spec"]["serviceName"] = json!(name);
            object["spec"]["replicas"] = json!(2);
        }
        let collection = collection(&object);
        shop.api.create(&collection, &object).await.unwrap();
        let path = format!("{collection}/{name}");
        shop.until(&path, "ready", ready).await;
        if kind == "DaemonSet" {
            let patch = json!({"spec": {"template": template("2")}});
            shop.api.patch(&path, Patch::Merge, &patch).await.unwrap();
            shop.until(&path, "ready", ready).await;
        }
    }
}

/// A StatefulSet or DaemonSet has all its pods, and they are of its last revision.
fn ready(object: &Value) -> bool {
    let status = &object["status"];
    let (wanted, ready, new) = match kind(object) {
        "DaemonSet" => (
            &status["desiredNumberScheduled"],
            &status["numberAvailable"],
            &status["updatedNumberScheduled"],
        ),
        _ => (
            &object["spec"]["replicas"],
            &status["readyReplicas"],
            &status["updatedReplicas"],
        ),
    };
    status["observedGeneration"] == object["metadata"]["generation"]
        && wanted.as_u64().is_some_and(|wanted| wanted > 0)
        && wanted == ready
        && wanted == new
}

/// Every action, each on a target and for a check of its own: their name, the kind of target, and the step.
pub(super) fn policies() -> [(&'static str, &'static str, Value); 7] {
    [
        // Again in a second incident, after which the first record is one too many.
        ("web", "Deployment", json!({"restartPods": {"pods": "All"}})),
        (
            "wide",
            "Deployment",
            json!({"scale": {"replicas": 3, "revertAfterSeconds": 3600}}),
        ),
        ("bound", "Deployment", json!({"scale": {"replicas": 3}})),
        ("release", "Deployment", json!({"rollback": {}})),
        ("db", "StatefulSet", json!({"rolloutRestart": {}})),
        ("queue", "StatefulSet", json!({"scale": {"replicas": 3}})),
        ("agent", "DaemonSet", json!({"rollback": {}})),
    ]
}

/// What policies have in common that are to act again at once, and on a target of any kind.
pub(super) fn eager(kind: &str, name: &str) -> Value {
    json!({
        "target": {"kind": kind, "name": name}, "historyLimit": 1,
        "retry": {"cooldownSeconds": 0, "minHealthySeconds": 0},
        "safety": {"allowStateful": true, "autoscaler": "RaiseMinimum", "minReplicas": 1},
    })
}

/// Every action once, for each kind of target that it takes, and one more for a check of v2 whose policy is a dry run.
async fn remediate(shop: &Shop) {
    let policies = policies();
    // The answer to the first record is lost: it is met again.
    let faults = shop.sandbox.api_server().faults();
    let lost = Rule::hang_up()
        .after_commit()
        .verb("create")
        .resource("remediations");
    let lost = faults.add(lost.times(1));
    for (name, kind, step) in &policies {
        if *name != "web" {
            shop.create_check(name).await;
        }
        shop.report(name, &[]).await;
        shop.create_policy(name, json!([step]), eager(kind, name))
            .await;
    }
    // Every five seconds at the speed of this cluster, so that one run is over before the next begins.
    let closed = [("CHECK_URL", "http://127.0.0.1:9/")];
    Line::V2
        .create_check(&shop.api, "old", "100s", &closed)
        .await;
    let dry = json!({"mode": "DryRun", "target": {"kind": "Deployment", "name": "old"}});
    shop.create_deployment("old", 2).await;
    shop.create_policy("old", json!([{"rolloutRestart": {}}]), dry)
        .await;

    let all = policies.iter().map(|(name, ..)| heal(shop, name, 1));
    join_all(all).await;
    age(shop, "web").await;
    heal(shop, "web", 2).await;
    assert_eq!(faults.strikes(lost), 1);
    let path = format!("{POLICIES}/old");
    shop.until(&path, "the dry run is recorded", |policy| {
        condition(policy, "RemediationAllowed") == "DryRun"
    })
    .await;
    until_pruned(shop, "web").await;
}

/// Lets the check fail until its policy has acted so many times, and pass then, until as many have succeeded.
async fn heal(shop: &Shop, name: &str, number: usize) {
    let path = format!("{POLICIES}/{name}");
    let acted = async || {
        let acted = |record: &&Value| {
            record["spec"]["policy"] == name
                && ["Applied", "Verifying", "Succeeded"].contains(&text(&record["status"]["phase"]))
        };
        shop.records().await.iter().filter(acted).count() >= number
    };
    let succeeded = async || {
        let policy = shop.api.get(&path).await.unwrap();
        let by_action = policy["status"]["statistics"]["byAction"].as_object();
        let mut all = by_action.into_iter().flat_map(|actions| actions.values());
        all.any(|action| action["succeeded"].as_u64() >= u64::try_from(number).ok())
    };
    shop.run_checks(name, acted, succeeded).await;
}

/// An error names a Service, and its pods are those of another policy's target, whose check is waited for. Behind another
/// that it names is nobody's target that is known of.
async fn wait_for_what_an_error_names(shop: &Shop) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    let created = shop.api.create(&collection(&service), &service).await;
    created.unwrap();
    shop.create_deployment("front", 2).await;
    shop.create_check("front").await;
    shop.create_policy("front", json!([{"rolloutRestart": {}}]), json!({}))
        .await;
    let errors = [
        "service bank/vault: no endpoint is ready",
        "service shop/web: no endpoint is ready",
    ];
    shop.report("front", &errors).await;
    let path = format!("{POLICIES}/front");
    shop.until(&path, "the check of web is waited for", |policy| {
        let mut upstreams = items(&policy["status"]["upstreams"]).iter();
        upstreams.any(|upstream| upstream["name"] == "web")
    })
    .await;
}

/// A policy that is deleted leaves no replicas behind that were to be for a while.
async fn recover_what_was_scaled(shop: &Shop) {
    assert_eq!(shop.deployment("wide").await["spec"]["replicas"], 3);
    let path = format!("{POLICIES}/wide");
    shop.api.delete(&path).await.unwrap();
    let path = format!("{DEPLOYMENTS}/wide");
    shop.until(&path, "set back", |deployment| {
        deployment["spec"]["replicas"] == 2
    })
    .await;
    let path = format!("{RECORDS}?labelSelector=kuberhealer.io/policy=wide");
    shop.until(&path, "no record waits any more", |records| {
        items(&records["items"]).is_empty()
    })
    .await;
}

/// Where nobody has opted in the remediator changes nothing but the policy's status, which says so.
async fn closed_namespace(shop: &Shop) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLOSED}});
    shop.api
        .create("/api/v1/namespaces", &namespace)
        .await
        .unwrap();
    let deployments = DEPLOYMENTS.replace("shop", CLOSED);
    let mut deployment = shop.deployment("old").await;
    deployment["metadata"] = json!({"name": "teller"});
    shop.api.create(&deployments, &deployment).await.unwrap();
    let path = format!("{deployments}/teller");
    shop.until(&path, "rolled out", rolled_out).await;
    shop.create_check("teller").await;
    shop.report("teller", &[]).await;
    let policies = POLICIES.replace("shop", CLOSED);
    let mut policy = shop.api.get(&format!("{POLICIES}/old")).await.unwrap();
    policy["metadata"] = json!({"name": "teller"});
    policy["status"] = Value::Null;
    policy["spec"]["mode"] = json!("Enforce");
    policy["spec"]["target"]["name"] = json!("teller");
    policy["spec"]["trigger"]["check"]["name"] = json!("teller");
    shop.api.create(&policies, &policy).await.unwrap();
    let path = format!("{policies}/teller");
    let told = async || {
        let policy = shop.api.get(&path).await.unwrap();
        condition(&policy, "Permitted") == "Forbidden"
    };
    shop.run_checks("teller", async || false, told).await;
    let records = shop.api.list(&RECORDS.replace("shop", CLOSED)).await;
    assert_eq!(records.unwrap().items, [Value::Null; 0]);
}
