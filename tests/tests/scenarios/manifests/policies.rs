//! Policies of the samples, and the admission policy that limits the remediator.

use std::fs;

use kube::core::cel::Validator;
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use super::cluster::collection;
use super::files::{documents, files, folder, items, kind, name, pasted, text};

/// Messages of the rules of `schema` that refuse `object`, a change of `old` if there is one.
fn refusals(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate_with_defaults(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| error.message)
            .collect(),
    }
}

#[tokio::test]
async fn policies_of_samples_and_guide_are_accepted() {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    let mut schema = Value::Null;
    for definition in files("crds").iter().flat_map(|file| documents(file)) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        api.create(path, &definition).await.unwrap();
        if definition["spec"]["names"]["kind"] == "RemediationPolicy" {
            schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        }
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    api.create("/api/v1/namespaces", &namespace).await.unwrap();
    let path = "/apis/kuberhealer.io/v1alpha1/namespaces/shop/remediationpolicies";
    let samples = ["samples/policies", "samples/shop/app"]
        .into_iter()
        .flat_map(files);
    let mut seen = 0;
    for policy in samples
        .flat_map(|file| documents(&file))
        .chain(pasted("remediation.md"))
    {
        if kind(&policy) != "RemediationPolicy" {
            continue;
        }
        seen += 1;
        let created = api
            .create(&format!("{path}?fieldValidation=Strict"), &policy)
            .await;
        created.unwrap_or_else(|why| panic!("{}: {why}", name(&policy)));
        assert_eq!(
            refusals(&schema, &policy, None),
            [""; 0],
            "{}",
            name(&policy)
        );
    }
    assert!(seen > 1);
    server.stop().await;
}

/// The check of the guide that writes one, by the definitions of Kuberhealthy.
#[tokio::test]
async fn the_check_of_the_guide_is_accepted() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let document = folder().join("../docs/write-a-check.md");
    let text = fs::read_to_string(document).unwrap();
    let blocks: Vec<&str> = text.split("\n```yaml\n").skip(1).collect();
    assert_eq!(blocks.len(), 1);
    let (check, _) = blocks[0].split_once("\n```").unwrap();
    let check: Value = serde_saphyr::from_str(check).unwrap();
    let path = format!("{}?fieldValidation=Strict", collection(&check));
    sandbox.api().create(&path, &check).await.unwrap();
    sandbox.stop().await;
}

/// The admission policy of this name.
fn policy(named: &str) -> Value {
    let documents = documents(&folder().join("remediator/admission.yaml"));
    let bound = |object: &Value| kind(object) == "ValidatingAdmissionPolicyBinding";
    let binding = documents
        .iter()
        .find(|object| bound(object) && name(object) == named)
        .unwrap();
    assert_eq!(binding["spec"]["policyName"], named);
    let policy = |object: &Value| kind(object) == "ValidatingAdmissionPolicy";
    let mut documents = documents.iter();
    let found = documents.find(|object| policy(object) && name(object) == named);
    found.unwrap().clone()
}

/// The admission policy as rules of a schema, which are written the same but for the names of the two objects.
fn admission(named: &str) -> Value {
    let policy = policy(named);
    let spec = &policy["spec"];
    let rule = |expression: &Value| {
        let mut rule = text(expression).to_owned();
        for variable in items(&spec["variables"]) {
            let name = format!("variables.{}", text(&variable["name"]));
            rule = rule.replace(&name, &format!("({})", text(&variable["expression"])));
        }
        rule.replace("oldObject", "oldSelf")
            .replace("object.", "self.")
    };
    let rules: Vec<Value> = items(&spec["validations"])
        .iter()
        .map(|validation| json!({"rule": rule(&validation["expression"]), "message": validation["message"]}))
        .collect();
    assert!(!rules.is_empty());
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let metadata = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"labels": texts, "annotations": texts},
    });
    let template = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"metadata": metadata},
    });
    let spec = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"template": template},
    });
    json!({
        "type": "object", "properties": {"metadata": metadata, "spec": spec}, "x-kubernetes-validations": rules,
    })
}

/// What is tried, on what, which values are set at which JSON pointers, and part of the refusal if it is refused.
type Case<'a> = (&'a str, Value, &'a [(&'a str, Value)], Option<&'a str>);

#[test]
fn the_remediator_may_only_set_the_restart_annotation() {
    let schema = admission("kuberhealer-remediator");
    let deployment = || {
        json!({
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {
                "replicas": 3,
                "template": {
                    "metadata": {"labels": {"app": "web"}, "annotations": {"team": "a"}},
                    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
                },
            },
        })
    };
    let bare =
        || json!({"metadata": {"name": "cni"}, "spec": {"template": {"metadata": {}, "spec": {}}}});
    let may_roll_back = || {
        let mut object = deployment();
        object["metadata"]["labels"]["kuberhealer.io/allow-rollback"] = json!("true");
        object
    };
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    let cases: &[Case<'_>] = &[
        ("nothing", deployment(), &[], None),
        (
            "a restart",
            deployment(),
            &[(restarted, json!("2026-01-01T00:00:00Z"))],
            None,
        ),
        (
            "the first annotation of all",
            bare(),
            &[(
                "/spec/template/metadata/annotations",
                json!({"kubectl.kubernetes.io/restartedAt": "now"}),
            )],
            None,
        ),
        (
            "an image",
            deployment(),
            &[("/spec/template/spec/containers/0/image", json!("web:2"))],
            Some("may not change what pods run"),
        ),
        (
            "an image, where a rollback is allowed",
            may_roll_back(),
            &[("/spec/template/spec/containers/0/image", json!("web:2"))],
            None,
        ),
        (
            "the permission itself",
            deployment(),
            &[(
                "/metadata/labels/kuberhealer.io~1allow-rollback",
                json!("true"),
            )],
            Some("may not change labels of a workload"),
        ),
        (
            "another annotation",
            deployment(),
            &[("/spec/template/metadata/annotations/team", json!("b"))],
            Some("may change no annotation"),
        ),
        (
            "an annotation that goes",
            deployment(),
            &[("/spec/template/metadata/annotations", json!({}))],
            Some("may change no annotation"),
        ),
        (
            "a label of the pods",
            deployment(),
            &[("/spec/template/metadata/labels/app", json!("db"))],
            Some("may not change labels of a pod template"),
        ),
        (
            "replicas",
            deployment(),
            &[("/spec/replicas", json!(0))],
            Some("by the scale subresource only"),
        ),
        (
            "replicas, where a rollback is allowed",
            may_roll_back(),
            &[("/spec/replicas", json!(0))],
            Some("by the scale subresource only"),
        ),
    ];
    for (what, old, changes, expected) in cases {
        let mut new = old.clone();
        for (path, value) in *changes {
            set(&mut new, path, value.clone());
        }
        let refusals = refusals(&schema, &new, Some(old));
        match expected {
            None => assert_eq!(refusals, [""; 0], "{what}"),
            Some(expected) => {
                assert_eq!(refusals.len(), 1, "{what}: {refusals:?}");
                assert!(refusals[0].contains(expected), "{what}: {refusals:?}");
            }
        }
    }
}

#[test]
fn only_the_remediator_begins_a_remediation_with_its_creation() {
    let policy = policy("kuberhealer-remediations");
    let conditions: Vec<&str> = items(&policy["spec"]["matchConditions"])
        .iter()
        .map(|condition| text(&condition["expression"]))
        .collect();
    let others = "request.userInfo.username != 'system:serviceaccount:kuberhealer:remediator'";
    assert_eq!(conditions, [others]);
    let rules = items(&policy["spec"]["matchConstraints"]["resourceRules"]);
    assert_eq!(rules[0]["apiGroups"], json!(["kuberhealer.io"]));
    assert_eq!(rules[0]["resources"], json!(["remediations"]));
    assert_eq!(rules[0]["operations"], json!(["CREATE"]));

    let schema = admission("kuberhealer-remediations");
    let plain = json!({"metadata": {"name": "web-0123456789-1"}, "spec": {"policy": "web"}});
    assert_eq!(refusals(&schema, &plain, None), [""; 0]);
    let mut begun = plain;
    begun["spec"]["begun"] = json!({"term": 1, "number": 1});
    let refusals = refusals(&schema, &begun, None);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].contains("only the remediator"), "{refusals:?}");
}

/// Sets the value at a JSON pointer whose parent is there.
fn set(object: &mut Value, path: &str, value: Value) {
    let (parent, key) = path.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    match object.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
}
