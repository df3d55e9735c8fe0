//! The remediator as its manifests install it, where roles decide: it does all that it can do, and needs each rule for it.

use std::path::PathBuf;

use futures::future::join_all;
use sandbox::Options;
use sandbox::api::Patch;
use sandbox::apiserver::{ApiServerOptions, Request, Token};
use sandbox::faults::Rule;
use sandbox::kuberhealthy::Speed;
use sandbox::node::{Image, Images};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::collection;
use super::files::{documents, folder, items, kind, name, text};
use super::{allowed, user_of};
use crate::line::Line;
use crate::remediator::{DEPLOYMENTS, POLICIES, RECORDS, Shop, rolled_out};

const ACCOUNT: &str = "system:serviceaccount:kuberhealer:remediator";
const TOKEN: &str = "remediator";
/// The namespace that has not opted in.
const CLOSED: &str = "bank";

#[tokio::test(flavor = "multi_thread")]
async fn the_remediator_needs_the_permissions_of_its_manifests_and_no_others() {
    let (shop, _files) = start().await;
    install(&shop).await;
    workloads(&shop).await;
    remediate(&shop).await;
    wait_for_what_an_error_names(&shop).await;
    recover_what_was_scaled(&shop).await;
    closed_namespace(&shop).await;

    let requests = shop.sandbox.api_server().requests();
    let own = requests.iter().filter(|request| request.user == ACCOUNT);
    let (refused, granted): (Vec<&Request>, Vec<&Request>) =
        own.partition(|request| matches!(request.code, Some(401 | 403)));
    let unexpected: Vec<_> = refused
        .iter()
        .filter(|request| request.namespace != CLOSED)
        .collect();
    assert!(unexpected.is_empty(), "refused: {unexpected:#?}");
    assert!(!refused.is_empty(), "{CLOSED} was not tried");

    let objects = access();
    for role in objects
        .iter()
        .filter(|object| kind(object).ends_with("Role"))
    {
        assert_eq!(user_of(&objects, role), ACCOUNT);
        let unused: Vec<String> = allowed(role)
            .into_iter()
            .filter(|permission| !granted.iter().any(|request| permission.is(request)))
            .map(|permission| format!("{permission:?}"))
            .collect();
        assert!(unused.is_empty(), "{}: unused: {unused:#?}", name(role));
    }
    shop.stop().await;
}

/// A cluster in which the image of the remediator is the program, with the token of its service account.
async fn start() -> (Shop, TempDir) {
    let token = |token: &str, user: &str, group: &str| Token {
        token: token.to_owned(),
        user: user.to_owned(),
        groups: vec![group.to_owned()],
    };
    let files = tempfile::tempdir().unwrap();
    let kubeconfig = files.path().join("kubeconfig");
    let program = remediator().env("KUBECONFIG", kubeconfig.to_str().unwrap());
    let mut options = Options {
        api_server: ApiServerOptions {
            tokens: vec![
                token("admin", "admin", "system:masters"),
                token(TOKEN, ACCOUNT, "system:authenticated"),
            ],
            rbac: true,
            request_log: 1_000_000,
            ..ApiServerOptions::default()
        },
        ..Options::default()
    };
    let check = Image::program([crate::program("http-check")]);
    options.node.images = Images::new()
        .with("kuberhealer/remediator", program)
        .with("http-check", check);
    options.v2.speed = Speed::times(20);
    let shop = Shop::start_with(options).await;
    let config = shop.sandbox.kubeconfig();
    let config = config.replace("\"admin\"", &format!("\"{TOKEN}\""));
    std::fs::write(kubeconfig, config).unwrap();
    (shop, files)
}

/// Service account, roles and bindings, with the binding of the namespace that opts in.
fn access() -> Vec<Value> {
    let mut objects = documents(&folder().join("remediator/access.yaml"));
    let mut opt_in = documents(&folder().join("remediator/opt-in/rolebinding.yaml"));
    for binding in &mut opt_in {
        binding["metadata"]["namespace"] = json!("shop");
    }
    objects.append(&mut opt_in);
    objects
}

/// The image of the remediator. Pods share the network of this machine, so that each has to listen on its own address.
pub(super) fn remediator() -> Image {
    let listen = "KUBERHEALER_LISTEN=$(SANDBOX_POD_IP):8080";
    Image::program(["env", listen, &crate::program("remediator")])
}

/// What `kubectl apply -k manifests/remediator` creates.
async fn install(shop: &Shop) {
    let kustomization = documents(&folder().join("remediator/kustomization.yaml")).remove(0);
    let files = items(&kustomization["resources"]).iter().map(text);
    // The definitions are there, and so is the namespace.
    let files = files.filter(|file| !["../crds", "access.yaml", "namespace.yaml"].contains(file));
    let files: Vec<PathBuf> = files
        .map(|file| folder().join("remediator").join(file))
        .collect();
    let objects = files.iter().flat_map(|file| documents(file));
    let mut seen = 0;
    for mut object in access().into_iter().chain(objects) {
        if kind(&object) == "Deployment" {
            adapt(&mut object);
            seen += 1;
        }
        let path = format!("{}?fieldValidation=Strict", collection(&object));
        let created = shop.api.create(&path, &object).await;
        created.unwrap_or_else(|why| panic!("{} {}: {why}", kind(&object), name(&object)));
    }
    assert_eq!(seen, 1);
    let path = "/apis/apps/v1/namespaces/kuberhealer/deployments/remediator";
    shop.until(path, "both replicas are ready", rolled_out)
        .await;
}

/// Lets everything be done at once.
fn adapt(deployment: &mut Value) {
    let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let env = env.as_array_mut().unwrap();
    for (name, value) in [
        ("MAX_IN_FLIGHT", "20"),
        ("MAX_PER_HOUR", "100"),
        ("STORM_PERCENT", "100"),
    ] {
        env.push(json!({"name": format!("KUBERHEALER_{name}"), "value": value}));
    }
}

/// A workload for each kind of target and action beside the Deployment `web`.
async fn workloads(shop: &Shop) {
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

/// Every action once, for each kind of target that it takes, and one more for a check of v2 whose policy is a dry run.
async fn remediate(shop: &Shop) {
    let retry = json!({"cooldownSeconds": 0, "minHealthySeconds": 0});
    let policies = [
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
    ];
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
        let spec = json!({
            "target": {"kind": kind, "name": name}, "retry": retry, "historyLimit": 1,
            "safety": {"allowStateful": true, "autoscaler": "RaiseMinimum", "minReplicas": 1},
        });
        shop.create_policy(name, json!([step]), spec).await;
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
    // What is deleted is deleted by the remediator: no policy has gone yet.
    let deleted = |request: &Request| {
        (request.verb.as_str(), request.code) == ("delete", Some(200))
            && request.resource == "remediations"
    };
    shop.until(&format!("{POLICIES}/web"), "history is limited", |_| {
        let requests = shop.sandbox.api_server().requests();
        requests.iter().any(deleted)
    })
    .await;
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

/// Makes the records of a policy older than the hour for which they are kept in any case.
async fn age(shop: &Shop, policy: &str) {
    let long_ago = json!({"status": {"completedTime": "2026-01-01T00:00:00Z"}});
    for record in shop.records().await {
        if record["spec"]["policy"] == policy && record["status"]["phase"] == "Succeeded" {
            let path = format!("{RECORDS}/{}/status", name(&record));
            let aged = shop.api.patch(&path, Patch::Merge, &long_ago).await;
            aged.unwrap();
        }
    }
}

/// An error names a Service, and its pods are those of another policy's target, whose check is waited for.
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
    shop.report("front", &["service shop/web: no endpoint is ready"])
        .await;
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

/// Reason of a condition of a policy; empty if it has none of this type.
fn condition<'a>(policy: &'a Value, of: &str) -> &'a str {
    let mut conditions = items(&policy["status"]["conditions"]).iter();
    let found = conditions.find(|condition| condition["type"] == of);
    found.map_or("", |condition| text(&condition["reason"]))
}
