//! The client of the crate kube, which knows nothing of this server.

use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Config, Discovery};
use serde_json::json;

use super::{custom, start};

fn client(url: &str) -> Client {
    // It asks for a crypto provider of the process, even for plain http.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::new(url.parse().unwrap());
    config.default_namespace = "default".to_owned();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn kube_creates_lists_patches_and_deletes() {
    let (server, _) = start().await;
    let client = client(&server.url());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = serde_json::from_value(super::pod("p")).unwrap();
    let created = pods.create(&PostParams::default(), &pod).await.unwrap();
    assert_eq!(
        created.spec.unwrap().dns_policy.as_deref(),
        Some("ClusterFirst")
    );
    let patch = json!({"spec": {"containers": [{"name": "main", "image": "two"}]}});
    let patched = pods
        .patch("p", &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .unwrap();
    assert_eq!(
        patched.spec.unwrap().containers[0].image.as_deref(),
        Some("two")
    );
    let status = json!({"status": {"phase": "Running"}});
    let patched = pods
        .patch_status("p", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Running"));
    let listed = pods
        .list(&ListParams::default().labels("app=web").limit(1))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    let meta = pods.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(meta.items[0].metadata.name.as_deref(), Some("p"));
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    assert!(pods.get_opt("p").await.unwrap().is_none());

    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let parameters = PatchParams::apply("test").force();
    maps.patch("c", &parameters, &Patch::Apply(&applied))
        .await
        .unwrap();
    maps.patch("c", &parameters, &Patch::Apply(&applied))
        .await
        .unwrap();
    let refused = maps
        .create(
            &PostParams::default(),
            &serde_json::from_value(applied).unwrap(),
        )
        .await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.reason == "AlreadyExists"));
    let deleted = maps
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    assert_eq!(deleted.left().unwrap().items.len(), 1);

    let namespaces: Api<Namespace> = Api::all(client);
    let phase = namespaces
        .get("default")
        .await
        .unwrap()
        .status
        .unwrap()
        .phase;
    assert_eq!(phase.as_deref(), Some("Active"));
}

#[tokio::test]
async fn kube_watches() {
    let (server, api) = start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server.url()));
    let version = maps
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let mut events = pin!(
        maps.watch(&WatchParams::default(), &version)
            .await
            .unwrap()
            .boxed()
    );
    api.create(super::CONFIGMAPS, &super::configmap("a", "1"))
        .await
        .unwrap();
    api.delete(&format!("{}/a", super::CONFIGMAPS))
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = tokio::time::timeout(Duration::from_secs(10), events.try_next())
            .await
            .unwrap();
        match event.unwrap().unwrap() {
            WatchEvent::Added(_) => seen.push("added"),
            WatchEvent::Deleted(_) => seen.push("deleted"),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(seen, ["added", "deleted"]);
    // The list that comes as a watch.
    let streaming = WatchParams::default().initial_events();
    api.create(super::CONFIGMAPS, &super::configmap("b", "1"))
        .await
        .unwrap();
    let mut events = pin!(maps.watch(&streaming, "0").await.unwrap().boxed());
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(WatchEvent::Added(_))
    ));
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(WatchEvent::Bookmark(_))
    ));
}

#[tokio::test]
async fn kube_discovers_and_uses_a_custom_kind() {
    let (server, api) = start().await;
    api.create(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        &custom::definition(),
    )
    .await
    .unwrap();
    let client = client(&server.url());
    let kind = GroupVersionKind::gvk("example.com", "v1", "Thing");
    for discovery in [
        Discovery::new(client.clone()).run().await.unwrap(),
        Discovery::new(client.clone())
            .run_aggregated()
            .await
            .unwrap(),
    ] {
        let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap();
        assert_eq!(resource.plural, "things");
        assert!(
            capabilities
                .subresources
                .iter()
                .any(|(part, _)| part.plural.ends_with("status"))
        );
    }
    let things: Api<DynamicObject> =
        Api::default_namespaced_with(client, &ApiResource::from_gvk(&kind));
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": 1}});
    let thing = serde_json::from_value(thing).unwrap();
    things.create(&PostParams::default(), &thing).await.unwrap();
    assert_eq!(things.get("t").await.unwrap().data["spec"]["mode"], "On");
}
