//! A remediator that is restricted to namespaces does there all that it can do, and asks for nothing anywhere else.

use std::collections::BTreeSet;

use sandbox::apiserver::Request;
use serde_json::{Value, json};

use super::Permission;
use super::files::{kind, name};
use super::installed::{access, asked, assert_used, bound, given, install, is_binding, start};
use super::remediator::everything;
use crate::remediator::{POLICIES, Shop};

/// A namespace that it is not told of.
const ELSEWHERE: &str = "bank";

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_remediator_needs_the_permissions_of_its_namespaces_and_no_others() {
    let (shop, _files) = start().await;
    let mut objects = access();
    // As the component does.
    objects.retain(|object| kind(object) != "ClusterRoleBinding");
    objects.extend([
        bound("restricted/namespace", "shop"),
        bound("restricted/check-namespace", "kuberhealthy"),
        bound("opt-in", "shop"),
    ]);
    let namespaces = [("NAMESPACES", "shop"), ("CHECK_NAMESPACES", "kuberhealthy")];
    install(&shop, &objects, &namespaces).await;
    let unseen = policy_elsewhere(&shop).await;
    everything(&shop).await;

    let (refused, granted) = asked(&shop);
    assert!(refused.is_empty(), "refused: {refused:#?}");
    let bindings: Vec<&Value> = objects.iter().filter(is_binding).collect();
    assert_used(&objects, bindings.iter().copied(), &granted);
    let given: Vec<Permission> = bindings
        .into_iter()
        .flat_map(|binding| given(&objects, binding))
        .collect();
    for permission in &given {
        assert!(permission.namespace.is_some(), "everywhere: {permission:?}");
    }
    let (paths, resources): (Vec<Request>, Vec<Request>) = granted
        .into_iter()
        .partition(|request| request.resource.is_empty());
    let more: Vec<&Request> = resources
        .iter()
        .filter(|request| !given.iter().any(|permission| permission.is(request)))
        .collect();
    assert!(more.is_empty(), "by nobody's leave: {more:#?}");
    // Any account may ask what an API server knows.
    let paths: BTreeSet<&str> = paths.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, BTreeSet::from(["/apis/kuberhealer.io/v1alpha1"]));
    let unseen = shop.api.get(&unseen).await.unwrap();
    assert!(unseen["status"].is_null(), "{}: {unseen:#}", name(&unseen));
    shop.stop().await;
}

/// A policy whose check fails, in a namespace that the remediator is not told of. Returns its path.
async fn policy_elsewhere(shop: &Shop) -> String {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}});
    shop.api
        .create("/api/v1/namespaces", &namespace)
        .await
        .unwrap();
    let policy = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "metadata": {"name": "vault"},
        "spec": {
            "trigger": {"check": {"namespace": "kuberhealthy", "name": "web"}, "failureThreshold": 1},
            "target": {"kind": "Deployment", "name": "vault"}, "steps": [{"rolloutRestart": {}}],
        },
    });
    let policies = POLICIES.replace("shop", ELSEWHERE);
    shop.api.create(&policies, &policy).await.unwrap();
    format!("{policies}/vault")
}
