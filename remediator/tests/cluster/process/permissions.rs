//! A process that may not do what it needs says which permission is missing.

use std::time::Duration;

use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions, Token};
use serde_json::json;

use super::replica::{Replica, install};

fn token(token: &str, user: &str, group: &str) -> Token {
    Token {
        token: token.to_owned(),
        user: user.to_owned(),
        groups: vec![group.to_owned()],
    }
}

#[tokio::test]
async fn what_is_forbidden_is_named_by_verb_and_resource() {
    let server = ApiServer::start(ApiServerOptions {
        tokens: vec![
            token(
                "none",
                "system:serviceaccount:kuberhealer:remediator",
                "system:authenticated",
            ),
            token("all", "admin", "system:masters"),
        ],
        rbac: true,
        ..ApiServerOptions::default()
    })
    .await
    .unwrap();
    let api = Api::new(&server.url(), Some("all"), "test").unwrap();
    install(&api).await;
    let replica = Replica::start(&server, &[]);
    let line = replica.says("leases").await;
    let said = line["message"].as_str().unwrap();
    for part in [
        "\"kuberhealer-remediator\" is forbidden",
        "cannot get resource \"leases\"",
        "in the namespace \"default\"",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    replica
        .answers("/readyz", 503, "not listed yet: remediationpolicies")
        .await;
    let mut said = String::new();
    for _ in 0..1200 {
        said = format!("{:?}", replica.log());
        if said.contains("cannot list resource") && said.contains("remediationpolicies") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(said.contains("cannot list resource"), "{said}");

    // Once it is allowed, it goes on by itself.
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "remediator"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    });
    api.create(roles, &role).await.unwrap();
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "remediator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "remediator"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "kuberhealer", "name": "remediator"}],
    });
    api.create(bindings, &binding).await.unwrap();
    replica.answers("/readyz", 200, "ok").await;
    replica.leads().await;
}
