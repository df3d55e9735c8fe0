//! Where a namespace has opted in to dry runs alone: all of them are recorded, and nothing else may be done there.

use futures::future::join_all;
use sandbox::api::Patch;
use serde_json::{Value, json};

use super::Permission;
use super::files::items;
use super::installed::{
    access, age, asked, assert_used, bound, condition, given, install, may, start, until_pruned,
};
use super::remediator::{eager, policies, workloads};
use crate::remediator::{POLICIES, RECORDS, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn dry_runs_need_the_permissions_of_their_opt_in_and_no_others() {
    let (shop, _files) = start().await;
    let mut objects = access();
    let opt_in = bound("opt-in-dry-run", "shop");
    objects.push(opt_in.clone());
    install(&shop, &objects, &[]).await;
    workloads(&shop).await;
    let pods = shop.pods("web").await;
    let policies = policies();
    for (name, kind, step) in &policies {
        if *name != "web" {
            shop.create_check(name).await;
        }
        shop.report(name, &[]).await;
        let mut spec = eager(kind, name);
        spec["mode"] = json!("DryRun");
        shop.create_policy(name, json!([step]), spec).await;
    }
    join_all(policies.iter().map(|(name, ..)| rehearse(&shop, name, 1))).await;
    age(&shop, "web").await;
    rehearse(&shop, "web", 2).await;
    until_pruned(&shop, "web").await;
    let path = format!("{RECORDS}?labelSelector=kuberhealer.io/policy=wide");
    shop.until(&path, "nothing is to be set back", |records| {
        let records = items(&records["items"]);
        let mut finalizers = records
            .iter()
            .map(|record| &record["metadata"]["finalizers"]);
        !records.is_empty() && finalizers.all(|finalizers| items(finalizers).is_empty())
    })
    .await;

    let (refused, granted) = asked(&shop);
    assert!(refused.is_empty(), "refused: {refused:#?}");
    assert_used(&objects, [&opt_in], &granted);
    let writes = shop.writes();
    assert!(writes.is_empty(), "{writes:#?}");

    only_records_are_allowed(&shop, &given(&objects, &opt_in)).await;
    act_in_vain(&shop).await;
    assert_eq!(shop.pods("web").await, pods);
    shop.stop().await;
}

/// Lets the check fail until its policy has recorded so many dry runs, and pass then, until the incident is over.
async fn rehearse(shop: &Shop, name: &str, number: usize) {
    let path = format!("{POLICIES}/{name}");
    let recorded = async || {
        let policy = shop.api.get(&path).await.unwrap();
        let by_action = policy["status"]["statistics"]["byAction"].as_object();
        let mut all = by_action.into_iter().flat_map(|actions| actions.values());
        all.any(|action| action["dryRun"].as_u64() >= u64::try_from(number).ok())
    };
    let over = async || {
        let policy = shop.api.get(&path).await.unwrap();
        recorded().await && policy["status"]["incident"].is_null()
    };
    shop.run_checks(name, recorded, over).await;
}

/// Of what the other opt-in allows in a namespace these are allowed in this one, and nothing else.
async fn only_records_are_allowed(shop: &Shop, these: &[Permission]) {
    let acting = given(&access(), &bound("opt-in", "shop"));
    for permission in these {
        assert!(
            acting.contains(permission),
            "only for dry runs: {permission:?}"
        );
    }
    assert!(these.len() < acting.len());
    for permission in acting {
        let allowed = may(shop, &permission).await;
        assert_eq!(allowed, these.contains(&permission), "{permission:?}");
    }
}

/// A policy that is to act is refused that, and says so, as does its record.
async fn act_in_vain(shop: &Shop) {
    let path = format!("{POLICIES}/web");
    let enforce = json!({"spec": {"mode": "Enforce"}});
    shop.api.patch(&path, Patch::Merge, &enforce).await.unwrap();
    let told = async || {
        let policy: Value = shop.api.get(&path).await.unwrap();
        condition(&policy, "Permitted") == "Forbidden"
    };
    shop.run_checks("web", async || false, told).await;
    shop.until(RECORDS, "a record of the refusal", |records| {
        let mut records = items(&records["items"]).iter();
        records.any(|record| {
            record["spec"]["mode"] == "Enforce" && record["status"]["reason"] == "Forbidden"
        })
    })
    .await;
}
