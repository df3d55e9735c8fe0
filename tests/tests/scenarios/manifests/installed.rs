//! The remediator as its manifests install it, in a cluster where roles decide.

use std::path::PathBuf;

use sandbox::Options;
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServerOptions, Request, Token};
use sandbox::kuberhealthy::Speed;
use sandbox::node::{Image, Images};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::collection;
use super::files::{documents, folder, items, kind, name, text};
use super::{Permission, allowed};
use crate::remediator::{RECORDS, Shop, rolled_out};

const ACCOUNT: &str = "system:serviceaccount:kuberhealer:remediator";
const TOKEN: &str = "remediator";

/// A cluster in which the image of the remediator is the program, with the token of its service account.
pub(super) async fn start() -> (Shop, TempDir) {
    let token = |token: &str, user: &str, group: &str| Token {
        token: token.to_owned(),
        user: user.to_owned(),
        groups: vec![group.to_owned()],
    };
    let files = tempfile::tempdir().unwrap();
    let kubeconfig = files.path().join("kubeconfig");
    let program = image().env("KUBECONFIG", kubeconfig.to_str().unwrap());
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

/// The image of the remediator. Pods share the network of this machine, so that each has to listen on its own address.
pub(super) fn image() -> Image {
    let listen = "KUBERHEALER_LISTEN=$(SANDBOX_POD_IP):8080";
    Image::program(["env", listen, &crate::program("remediator")])
}

/// Service account, roles and bindings, without those of namespaces.
pub(super) fn access() -> Vec<Value> {
    documents(&folder().join("remediator/access.yaml"))
}

/// The binding that a namespace has by a component.
pub(super) fn bound(component: &str, namespace: &str) -> Value {
    let file = format!("remediator/{component}/rolebinding.yaml");
    let mut binding = documents(&folder().join(file)).remove(0);
    binding["metadata"]["namespace"] = json!(namespace);
    binding
}

/// What `kubectl apply -k manifests/remediator` creates, with this access, and variables beside its own.
pub(super) async fn install(shop: &Shop, access: &[Value], variables: &[(&str, &str)]) {
    let kustomization = documents(&folder().join("remediator/kustomization.yaml")).remove(0);
    let files = items(&kustomization["resources"]).iter().map(text);
    // The definitions are there, and so is the namespace.
    let files = files.filter(|file| !["../crds", "access.yaml", "namespace.yaml"].contains(file));
    let files: Vec<PathBuf> = files
        .map(|file| folder().join("remediator").join(file))
        .collect();
    let objects = files.iter().flat_map(|file| documents(file));
    let mut seen = 0;
    for mut object in access.iter().cloned().chain(objects) {
        if kind(&object) == "Deployment" {
            adapt(&mut object, variables);
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
fn adapt(deployment: &mut Value, variables: &[(&str, &str)]) {
    let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let env = env.as_array_mut().unwrap();
    let at_once = [
        ("MAX_IN_FLIGHT", "20"),
        ("MAX_PER_HOUR", "100"),
        ("STORM_PERCENT", "100"),
    ];
    for (name, value) in at_once.iter().chain(variables) {
        env.push(json!({"name": format!("KUBERHEALER_{name}"), "value": value}));
    }
}

/// What the remediator asked for: what was refused, and all the rest.
pub(super) fn asked(shop: &Shop) -> (Vec<Request>, Vec<Request>) {
    let requests = shop.sandbox.api_server().requests();
    let own = requests
        .into_iter()
        .filter(|request| request.user == ACCOUNT);
    own.partition(|request| matches!(request.code, Some(401 | 403)))
}

/// What a binding of these objects gives the remediator: the rules of its role, where it binds them.
pub(super) fn given(objects: &[Value], binding: &Value) -> Vec<Permission> {
    let subject =
        json!({"kind": "ServiceAccount", "name": "remediator", "namespace": "kuberhealer"});
    assert_eq!(binding["subjects"], json!([subject]), "{}", name(binding));
    let role = &binding["roleRef"];
    let named = |object: &&Value| {
        object["kind"] == role["kind"] && object["metadata"]["name"] == role["name"]
    };
    let role = objects.iter().find(named);
    let role = role.unwrap_or_else(|| panic!("{}: no such role", name(binding)));
    let mut permissions = allowed(role);
    for permission in &mut permissions {
        permission.namespace = binding["metadata"]["namespace"].as_str().map(str::to_owned);
    }
    permissions
}

/// Asserts that each permission of each binding was used.
pub(super) fn assert_used<'a>(
    objects: &[Value],
    bindings: impl IntoIterator<Item = &'a Value>,
    granted: &[Request],
) {
    for binding in bindings {
        let unused: Vec<Permission> = given(objects, binding)
            .into_iter()
            .filter(|permission| !granted.iter().any(|request| permission.is(request)))
            .collect();
        assert!(unused.is_empty(), "{}: unused: {unused:#?}", name(binding));
    }
}

/// Whether an object gives a role to somebody.
pub(super) fn is_binding(object: &&Value) -> bool {
    kind(object).ends_with("RoleBinding")
}

/// Whether the API server would let the remediator do this.
pub(super) async fn may(shop: &Shop, permission: &Permission) -> bool {
    let api = Api::new(&shop.sandbox.api_url(), Some(TOKEN), "test").unwrap();
    let (resource, subresource) = permission
        .resource
        .split_once('/')
        .unwrap_or((&permission.resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": permission.verb, "group": permission.group, "resource": resource,
            "subresource": subresource, "namespace": permission.namespace, "name": permission.name,
        }},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = api.create(path, &review).await.unwrap();
    answer["status"]["allowed"] == true
}

/// Makes the records of a policy that are over older than the hour for which they are kept in any case.
pub(super) async fn age(shop: &Shop, policy: &str) {
    let long_ago = json!({"status": {"completedTime": "2026-01-01T00:00:00Z"}});
    for record in shop.records().await {
        if record["spec"]["policy"] == policy && record["status"]["completedTime"].is_string() {
            let path = format!("{RECORDS}/{}/status", name(&record));
            let aged = shop.api.patch(&path, Patch::Merge, &long_ago).await;
            aged.unwrap();
        }
    }
}

/// Waits until a record has been deleted by the remediator: no policy may have gone until then.
pub(super) async fn until_pruned(shop: &Shop, policy: &str) {
    let deleted = |request: &Request| {
        (request.verb.as_str(), request.code) == ("delete", Some(200))
            && request.resource == "remediations"
    };
    let path = format!("{}/{policy}", crate::remediator::POLICIES);
    shop.until(&path, "history is limited", |_| {
        let requests = shop.sandbox.api_server().requests();
        requests.iter().any(deleted)
    })
    .await;
}

/// Reason of a condition of a policy; empty if it has none of this type.
pub(super) fn condition<'a>(policy: &'a Value, of: &str) -> &'a str {
    let mut conditions = items(&policy["status"]["conditions"]).iter();
    let found = conditions.find(|condition| condition["type"] == of);
    found.map_or("", |condition| text(&condition["reason"]))
}
