//! Kinds defined by CustomResourceDefinitions.

use sandbox::api::Patch;
use serde_json::{Value, json};

use super::{next, start};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/example.com/v1/namespaces/default/things";

pub(super) fn definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1},
            "mode": {"type": "string", "enum": ["On", "Off"], "default": "On"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
    }}});
    let column = json!({"name": "Size", "type": "integer", "jsonPath": ".spec.size"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"]},
            "versions": [
                {"name": "v1beta1", "served": true, "storage": false, "schema": schema, "subresources": {"status": {}}},
                {"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"status": {}},
                 "additionalPrinterColumns": [column]},
            ],
        },
    })
}

fn thing(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec})
}

#[tokio::test]
async fn a_kind_comes_and_goes_with_its_definition() {
    let (_server, api) = start().await;
    assert!(api.get(THINGS).await.unwrap_err().is_not_found());
    let crd = api.create(CRDS, &definition()).await.unwrap();
    let established = &crd["status"]["conditions"][1];
    assert_eq!(
        (&established["type"], &established["status"]),
        (&json!("Established"), &json!("True"))
    );
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));

    api.create(THINGS, &thing(json!({"size": 1})))
        .await
        .unwrap();
    // The group's preferred version is the stable one; objects are the same under either.
    let group = api.get("/apis/example.com").await.unwrap();
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let beta = api.get("/apis/example.com/v1beta1/things").await.unwrap();
    assert_eq!(
        (&beta["kind"], &beta["items"][0]["apiVersion"]),
        (&json!("ThingList"), &json!("example.com/v1beta1"))
    );

    let mut watch = api.watch(THINGS, "").await.unwrap();
    next(&mut watch).await;
    api.delete(&format!("{CRDS}/things.example.com"))
        .await
        .unwrap();
    assert!(matches!(
        next(&mut watch).await,
        sandbox::api::WatchEvent::Deleted(_)
    ));
    assert!(api.get(THINGS).await.unwrap_err().is_not_found());
    api.create(CRDS, &definition()).await.unwrap();
    assert_eq!(api.list(THINGS).await.unwrap().items, Vec::<Value>::new());
}

#[tokio::test]
async fn objects_are_pruned_defaulted_and_validated() {
    let (_server, api) = start().await;
    api.create(CRDS, &definition()).await.unwrap();
    let mut full = thing(json!({"size": 2, "unknown": 1, "free": {"any": {"thing": 1}}}));
    full["extra"] = json!(1);
    full["status"] = json!({"ok": true});
    let created = api.create(THINGS, &full).await.unwrap();
    assert_eq!(
        created["spec"],
        json!({"size": 2, "mode": "On", "free": {"any": {"thing": 1}}})
    );
    assert!(created.get("extra").is_none() && created.get("status").is_none());

    let path = format!("{THINGS}/t");
    let status = json!({"status": {"ok": true, "unknown": 1}, "spec": {"size": 9}});
    let updated = api
        .patch(&format!("{path}/status"), Patch::Merge, &status)
        .await
        .unwrap();
    assert_eq!(
        (&updated["status"], &updated["spec"]["size"]),
        (&json!({"ok": true}), &json!(2))
    );
    assert_eq!(updated["metadata"]["generation"], 1);
    let changed = api
        .patch(&path, Patch::Merge, &json!({"spec": {"mode": "Off"}}))
        .await
        .unwrap();
    assert_eq!(changed["metadata"]["generation"], 2);

    let refused = api
        .patch(
            &path,
            Patch::Merge,
            &json!({"spec": {"size": 0, "mode": "Maybe"}}),
        )
        .await
        .unwrap_err();
    let status = refused.status().unwrap();
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        status.message,
        "Thing.example.com \"t\" is invalid: [spec.mode: Unsupported value: \"Maybe\": supported values: \"On\", \"Off\", \
         spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1]"
    );
    assert_eq!(status.details["causes"][1]["field"], "spec.size");
    assert_eq!(status.details["kind"], "Thing");
}

#[tokio::test]
async fn a_strict_client_hears_of_unknown_fields() {
    let (_server, api) = start().await;
    api.create(CRDS, &definition()).await.unwrap();
    let unknown = thing(json!({"size": 2, "unknown": 1}));
    let refused = api
        .create(&format!("{THINGS}?fieldValidation=Strict"), &unknown)
        .await
        .unwrap_err();
    assert_eq!(
        refused.status().unwrap().message,
        "Thing in version \"v1\" cannot be handled as a Thing: strict decoding error: unknown field \"spec.unknown\""
    );
}

#[tokio::test]
async fn an_update_has_to_say_which_version_it_updates() {
    let (_server, api) = start().await;
    api.create(CRDS, &definition()).await.unwrap();
    let created = api
        .create(THINGS, &thing(json!({"size": 1})))
        .await
        .unwrap();
    let path = format!("{THINGS}/t");
    let refused = api
        .replace(&path, &thing(json!({"size": 2})))
        .await
        .unwrap_err();
    assert_eq!(
        refused.status().unwrap().message,
        "Thing.example.com \"t\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    let mut changed = created;
    changed["spec"]["size"] = json!(2);
    api.replace(&path, &changed).await.unwrap();
    assert!(
        api.replace(&path, &changed)
            .await
            .unwrap_err()
            .is_conflict()
    );
}

#[tokio::test]
async fn a_definition_that_is_wrong_is_refused() {
    let (_server, api) = start().await;
    let mut wrong = definition();
    wrong["metadata"]["name"] = json!("other.example.com");
    let refused = api.create(CRDS, &wrong).await.unwrap_err();
    assert_eq!(
        refused.status().unwrap().details["causes"][0]["field"],
        "metadata.name"
    );
}
