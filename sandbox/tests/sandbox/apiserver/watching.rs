//! Watches: what they tell, where they start, how they end.

use std::time::Duration;

use futures::StreamExt as _;
use sandbox::api::{ApiError, Patch, WatchEvent};
use sandbox::apiserver::ApiServerOptions;
use serde_json::{Value, json};

use super::{CONFIGMAPS, PODS, configmap, name, next, pod, start, start_with, version};

fn told(event: &WatchEvent) -> String {
    let kind = match event {
        WatchEvent::Added(_) => "added",
        WatchEvent::Modified(_) => "modified",
        WatchEvent::Deleted(_) => "deleted",
        WatchEvent::Bookmark(_) => "bookmark",
    };
    format!("{kind} {}", name(event.object()))
}

#[tokio::test]
async fn a_watch_continues_a_list_without_a_gap() {
    let (_server, api) = start().await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let list = api.list(CONFIGMAPS).await.unwrap();
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    let mut watch = api.watch(CONFIGMAPS, &list.resource_version).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added b");
    api.delete(&format!("{CONFIGMAPS}/a")).await.unwrap();
    let gone = next(&mut watch).await;
    assert_eq!(told(&gone), "deleted a");
    assert!(version(gone.object()) > version(&list.items[0]));
    // Another kind, another namespace: not told.
    api.create(PODS, &pod("p")).await.unwrap();
    api.create(
        "/api/v1/namespaces/kube-system/configmaps",
        &configmap("x", "1"),
    )
    .await
    .unwrap();
    api.create(CONFIGMAPS, &configmap("c", "1")).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added c");
}

#[tokio::test]
async fn a_watch_without_a_version_starts_with_what_is_there() {
    let (_server, api) = start().await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let mut watch = api.watch("/api/v1/configmaps", "").await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added a");
    api.replace(&format!("{CONFIGMAPS}/a"), &configmap("a", "2"))
        .await
        .unwrap();
    assert_eq!(told(&next(&mut watch).await), "modified a");
}

#[tokio::test]
async fn a_watch_can_do_without_what_is_there() {
    let (_server, api) = start().await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let asked = |query: &str| format!("{CONFIGMAPS}?{query}");
    let mut watch = api
        .watch(
            &asked("sendInitialEvents=false&resourceVersionMatch=NotOlderThan"),
            "",
        )
        .await
        .unwrap();
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added b");
    for query in [
        "sendInitialEvents=true",
        "sendInitialEvents=false",
        "resourceVersionMatch=NotOlderThan",
    ] {
        let refused = api.watch(&asked(query), "").await.err().unwrap();
        assert_eq!(refused.code(), Some(422), "{query}");
    }
}

#[tokio::test]
async fn entering_and_leaving_a_selector_is_added_and_deleted() {
    let (_server, api) = start().await;
    api.create(PODS, &pod("p")).await.unwrap();
    let path = format!("{PODS}/p");
    let label = async |value: Value| {
        let patch = json!({"metadata": {"labels": {"app": value}}});
        api.patch(&path, Patch::Merge, &patch).await.unwrap()
    };
    label(json!("api")).await;
    let list = api.list(PODS).await.unwrap();
    let mut watch = api
        .watch(
            &format!("{PODS}?labelSelector=app%3Dweb"),
            &list.resource_version,
        )
        .await
        .unwrap();
    label(json!("web")).await;
    assert_eq!(told(&next(&mut watch).await), "added p");
    api.patch(
        &path,
        Patch::Merge,
        &json!({"metadata": {"annotations": {"a": "b"}}}),
    )
    .await
    .unwrap();
    assert_eq!(told(&next(&mut watch).await), "modified p");
    let left = label(Value::Null).await;
    let event = next(&mut watch).await;
    assert_eq!(told(&event), "deleted p");
    // The state it was last seen in, at the version of the change that took it away.
    assert_eq!(event.object()["metadata"]["labels"]["app"], "web");
    assert_eq!(version(event.object()), version(&left));
    label(json!("web")).await;
    assert_eq!(told(&next(&mut watch).await), "added p");
    api.delete(&path).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "deleted p");
}

#[tokio::test]
async fn a_named_object_can_be_watched() {
    let (_server, api) = start().await;
    let mut watch = api.watch(&format!("{CONFIGMAPS}/a"), "1").await.unwrap();
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added a");
}

#[tokio::test]
async fn an_idle_watch_gets_bookmarks_and_ends_in_time() {
    let options = ApiServerOptions {
        bookmark_every: Duration::from_millis(20),
        ..ApiServerOptions::default()
    };
    let (_server, api) = start_with(options).await;
    let list = api.list(CONFIGMAPS).await.unwrap();
    let mut watch = api
        .watch(
            &format!("{CONFIGMAPS}?timeoutSeconds=1"),
            &list.resource_version,
        )
        .await
        .unwrap();
    api.create(PODS, &pod("p")).await.unwrap();
    let now = api.list(CONFIGMAPS).await.unwrap().resource_version;
    // Changes of other kinds move a bookmark on.
    loop {
        match watch.next().await.unwrap().unwrap() {
            WatchEvent::Bookmark(object) if object["metadata"]["resourceVersion"] == *now => break,
            WatchEvent::Bookmark(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    let end = tokio::time::timeout(Duration::from_secs(10), watch.collect::<Vec<_>>()).await;
    assert!(end.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_so() {
    let options = ApiServerOptions {
        history: 20,
        ..ApiServerOptions::default()
    };
    let (_server, api) = start_with(options).await;
    let list = api.list(CONFIGMAPS).await.unwrap();
    for at in 0..30 {
        api.create(CONFIGMAPS, &configmap(&format!("c{at}"), "1"))
            .await
            .unwrap();
    }
    let mut watch = api.watch(CONFIGMAPS, &list.resource_version).await.unwrap();
    let first = watch.next().await.unwrap();
    assert!(
        matches!(&first, Err(error @ ApiError::Refused { .. }) if error.is_expired()),
        "{first:?}"
    );
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn compaction_spares_a_watch_that_is_up_to_date() {
    let (server, api) = start().await;
    let mut watch = api.watch(CONFIGMAPS, "").await.unwrap();
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added a");
    server.compact();
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    assert_eq!(told(&next(&mut watch).await), "added b");
}
