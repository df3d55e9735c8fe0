//! StatefulSets and DaemonSets.

use std::time::Duration;

use sandbox::api::Patch;

use super::*;

fn of_kind(kind: &str, replicas: i64) -> Value {
    let mut set = web(replicas);
    set["kind"] = kind.into();
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statefulset_replaces_its_pods_one_by_one_from_the_last() {
    let cluster = cluster().await;
    let api = cluster.api();
    let sets = "/apis/apps/v1/namespaces/default/statefulsets";
    api.create(sets, &of_kind("StatefulSet", 2)).await.unwrap();
    let path = format!("{sets}/web");
    let settled = |set: &Value| {
        let status = &set["status"];
        status["observedGeneration"] == set["metadata"]["generation"]
            && ["updatedReplicas", "readyReplicas"].iter().all(|field| status[*field] == 2)
            && status["currentRevision"] == status["updateRevision"]
    };
    until(&api, &path, "ready", settled).await;
    let mut uids: Vec<Value> = Vec::new();
    for pod in items(&api, PODS).await {
        uids.push(pod["metadata"]["uid"].clone());
    }
    api.patch(&path, Patch::Merge, &restart("b")).await.unwrap();
    loop {
        let pods = items(&api, PODS).await;
        let stays = |at: usize| pods.iter().any(|pod| pod["metadata"]["uid"] == uids[at]);
        assert!(stays(0) || !stays(1), "the first went first");
        if settled(&api.get(&path).await.unwrap()) {
            assert!(!stays(0));
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let revisions = items(&api, "/apis/apps/v1/namespaces/default/controllerrevisions").await;
    let mut numbers: Vec<_> = revisions.iter().map(|revision| revision["revision"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [Some(1), Some(2)]);
    api.delete(&path).await.unwrap();
    until(&api, PODS, "collected", |list| list["items"] == json!([])).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemonset_has_one_pod_and_replaces_it() {
    let cluster = cluster().await;
    let api = cluster.api();
    let sets = "/apis/apps/v1/namespaces/default/daemonsets";
    api.create(sets, &of_kind("DaemonSet", 1)).await.unwrap();
    let path = format!("{sets}/web");
    let settled = |set: &Value| {
        let status = &set["status"];
        status["observedGeneration"] == set["metadata"]["generation"]
            && ["updatedNumberScheduled", "numberAvailable", "desiredNumberScheduled"]
                .iter()
                .all(|field| status[*field] == 1)
    };
    until(&api, &path, "ready", settled).await;
    let old = items(&api, PODS).await[0]["metadata"]["uid"].clone();
    api.patch(&path, Patch::Merge, &restart("b")).await.unwrap();
    until(&api, &path, "ready again", settled).await;
    let pods = items(&api, PODS).await;
    assert_eq!(pods.len(), 1);
    assert_ne!(pods[0]["metadata"]["uid"], old);
    cluster.stop().await;
}
