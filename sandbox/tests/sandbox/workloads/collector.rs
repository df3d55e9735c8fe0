//! The garbage collector, over kinds that nobody has built in.

use sandbox::api::Patch;

use super::*;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const POLICIES: &str = "/apis/example.com/v1/namespaces/default/policies";
const RECORDS: &str = "/apis/example.com/v1/namespaces/default/records";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn definition(kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    })
}

fn object(kind: &str, name: &str, owners: &[&Value]) -> Value {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({
                "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
            })
        })
        .collect();
    json!({"kind": kind, "metadata": {"name": name, "ownerReferences": references}})
}

async fn gone(api: &Api, path: &str) {
    until(api, path, "gone", Value::is_null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_custom_object_owns_goes_with_it() {
    let cluster = cluster().await;
    let api = cluster.api();
    for (kind, plural) in [("Policy", "policies"), ("Record", "records")] {
        api.create(DEFINITIONS, &definition(kind, plural))
            .await
            .unwrap();
        until(
            &api,
            &format!("/apis/example.com/v1/{plural}"),
            "served",
            |list| !list.is_null(),
        )
        .await;
    }
    let policy = api
        .create(POLICIES, &object("Policy", "one", &[]))
        .await
        .unwrap();
    let other = api
        .create(POLICIES, &object("Policy", "two", &[]))
        .await
        .unwrap();
    let record = object("Record", "of-one", &[&policy]);
    let record = api.create(RECORDS, &record).await.unwrap();
    let map = object("ConfigMap", "of-record", &[&record]);
    api.create(MAPS, &map).await.unwrap();
    let shared = object("Record", "of-both", &[&policy, &other]);
    api.create(RECORDS, &shared).await.unwrap();
    let mut held = object("Record", "held", &[&policy]);
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    api.create(RECORDS, &held).await.unwrap();

    api.delete(&format!("{POLICIES}/one")).await.unwrap();
    gone(&api, &format!("{RECORDS}/of-one")).await;
    gone(&api, &format!("{MAPS}/of-record")).await;
    // One with another owner stays, and forgets the first.
    let shared = until(
        &api,
        &format!("{RECORDS}/of-both"),
        "let go of one",
        |record| {
            record["metadata"]["ownerReferences"]
                .as_array()
                .is_some_and(|owners| owners.len() == 1)
        },
    )
    .await;
    assert_eq!(
        shared["metadata"]["ownerReferences"][0]["uid"],
        other["metadata"]["uid"]
    );
    // One with a finalizer is on its way out until the finalizer goes.
    let path = format!("{RECORDS}/held");
    until(&api, &path, "terminating", |record| {
        record["metadata"]["deletionTimestamp"].is_string()
    })
    .await;
    let released = json!({"metadata": {"finalizers": null}});
    api.patch(&path, Patch::Merge, &released).await.unwrap();
    gone(&api, &path).await;
    assert!(api.get(&format!("{POLICIES}/two")).await.is_ok());

    // Its dependents are left if that is asked for, and are nobody's then.
    let path = format!("{POLICIES}/two?propagationPolicy=Orphan");
    let terminating = api.delete(&path).await.unwrap();
    assert_eq!(terminating["metadata"]["finalizers"], json!(["orphan"]));
    gone(&api, &format!("{POLICIES}/two")).await;
    let left = orphaned(&api, &format!("{RECORDS}/of-both"), &other).await;
    assert_eq!(left["metadata"]["uid"], shared["metadata"]["uid"]);
    cluster.stop().await;
}

/// The object at `path`, which has been let go of by `owner`, once the collector has looked at what that one owned.
async fn orphaned(api: &Api, path: &str, owner: &Value) -> Value {
    let late = object("ConfigMap", "late", &[owner]);
    api.create(MAPS, &late).await.unwrap();
    gone(api, &format!("{MAPS}/late")).await;
    let left = api.get(path).await.unwrap();
    let metadata = &left["metadata"];
    assert!(metadata["ownerReferences"].is_null(), "{left:#}");
    assert!(metadata["deletionTimestamp"].is_null(), "{left:#}");
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_are_left_as_the_request_says() {
    let cluster = cluster().await;
    let api = cluster.api();
    let client = setup::reqwest_client();
    let orphan = json!({"propagationPolicy": "Orphan"});
    for (name, query, body, left) in [
        ("body", "", orphan.clone(), true),
        ("deprecated", "?orphanDependents=true", Value::Null, true),
        ("in-body", "", json!({"orphanDependents": true}), true),
        ("query", "?propagationPolicy=Background", orphan, false),
        ("front", "?propagationPolicy=Foreground", Value::Null, false),
    ] {
        let mut owner = object("ConfigMap", name, &[]);
        owner["metadata"]["finalizers"] = json!(["example.com/held"]);
        let owner = api.create(MAPS, &owner).await.unwrap();
        let dependent = format!("of-{name}");
        let dependent = object("ConfigMap", &dependent, &[&owner]);
        let dependent = api.create(MAPS, &dependent).await.unwrap();
        let path = format!("{MAPS}/{name}");
        let request = client.delete(format!("{}{path}{query}", cluster.api_url()));
        let request = match body {
            Value::Null => request,
            body => request
                .header("content-type", "application/json")
                .body(body.to_string()),
        };
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
        // The collector takes away nothing but its own finalizer.
        let held = json!(["example.com/held"]);
        until(&api, &path, "held", |owner| {
            owner["metadata"]["finalizers"] == held
        })
        .await;
        let released = json!({"metadata": {"finalizers": null}});
        api.patch(&path, Patch::Merge, &released).await.unwrap();
        gone(&api, &path).await;
        let path = format!("{MAPS}/of-{name}");
        match left {
            true => {
                let left = orphaned(&api, &path, &owner).await;
                assert_eq!(left["metadata"]["uid"], dependent["metadata"]["uid"]);
            }
            false => gone(&api, &path).await,
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_another_object_of_that_name_is_none() {
    let cluster = cluster().await;
    let api = cluster.api();
    let owner = json!({"metadata": {"name": "owner"}});
    let first = api.create(MAPS, &owner).await.unwrap();
    api.delete(&format!("{MAPS}/owner")).await.unwrap();
    let second = api.create(MAPS, &owner).await.unwrap();
    let of_first = object("ConfigMap", "of-first", &[&first]);
    let of_second = object("ConfigMap", "of-second", &[&second]);
    // Of a kind that nobody serves: nothing can be said about it.
    let mut foreign = object("ConfigMap", "of-unknown", &[&first]);
    foreign["metadata"]["ownerReferences"][0]["apiVersion"] = "unknown.example.com/v1".into();
    for dependent in [&of_second, &foreign, &of_first] {
        api.create(MAPS, dependent).await.unwrap();
    }
    gone(&api, &format!("{MAPS}/of-first")).await;
    for kept in ["of-second", "of-unknown"] {
        assert!(api.get(&format!("{MAPS}/{kept}")).await.is_ok(), "{kept}");
    }
    cluster.stop().await;
}
