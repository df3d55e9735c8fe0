//! What one may do, as the server tells.

use sandbox::api::Api;
use sandbox::apiserver::{ApiServerOptions, Token};
use serde_json::json;

use super::start_with;

#[tokio::test]
async fn one_may_ask_what_one_may() {
    const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let token = |token: &str, user: &str, group: &str| Token {
        token: token.to_owned(),
        user: user.to_owned(),
        groups: vec![group.to_owned()],
    };
    let options = ApiServerOptions {
        tokens: vec![
            token("root", "root", "system:masters"),
            token("user", "u", "users"),
        ],
        rbac: true,
        ..ApiServerOptions::default()
    };
    let (server, _) = start_with(options).await;
    let client = |token: &str| Api::new(&server.url(), Some(token), "test/1").unwrap();
    let (root, user) = (client("root"), client("user"));
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}],
    });
    root.create(&format!("{roles}/roles"), &role).await.unwrap();
    let binding = json!({
        "metadata": {"name": "r"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"}],
    });
    root.create(&format!("{roles}/rolebindings"), &binding)
        .await
        .unwrap();
    for (api, verb, resource, part, namespace, allowed) in [
        (&user, "create", "pods", "eviction", "default", true),
        (&user, "create", "pods", "eviction", "other", false),
        (&user, "create", "pods", "eviction", "", false),
        (&user, "delete", "pods", "", "default", false),
        (&user, "*", "*", "", "default", false),
        (&root, "*", "*", "", "", true),
    ] {
        let attributes = json!({"verb": verb, "resource": resource, "subresource": part, "namespace": namespace});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let answer = api.create(REVIEWS, &review).await.unwrap();
        assert_eq!(answer["status"]["allowed"], allowed, "{attributes}");
        assert_eq!(answer["spec"], review["spec"]);
    }
    let nothing = user.create(REVIEWS, &json!({"spec": {}})).await;
    assert_eq!(nothing.unwrap_err().code(), Some(422));
    assert_eq!(user.list(REVIEWS).await.unwrap_err().code(), Some(403));
    assert_eq!(root.list(REVIEWS).await.unwrap_err().code(), Some(405));
}
