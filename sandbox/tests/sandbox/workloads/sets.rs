//! StatefulSets and DaemonSets from one template to the next.

use std::collections::BTreeMap;

use sandbox::api::Patch;

use super::*;

const STATEFUL: &str = "/apis/apps/v1/namespaces/default/statefulsets/web";
const DAEMON: &str = "/apis/apps/v1/namespaces/default/daemonsets/web";
const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";

/// All pods of the set serve, and are as its template asks.
fn is_settled(set: &Value) -> bool {
    let status = &set["status"];
    let replicas = &set["spec"]["replicas"];
    status["observedGeneration"] == set["metadata"]["generation"]
        && ["replicas", "readyReplicas", "availableReplicas"]
            .iter()
            .all(|field| status[*field] == *replicas)
        && status["updateRevision"] == status["currentRevision"]
}

async fn settled(api: &Api) -> Value {
    until(api, STATEFUL, "settled", is_settled).await
}

/// Names of the pods, with their uids and revisions.
async fn pods(api: &Api) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = items(api, PODS).await.into_iter();
    pods.map(|pod| {
        let metadata = &pod["metadata"];
        let revision = text(&metadata["labels"]["controller-revision-hash"]);
        (text(&metadata["name"]), (text(&metadata["uid"]), revision))
    })
    .collect()
}

/// Numbers of the revisions by name.
async fn revisions(api: &Api) -> BTreeMap<String, i64> {
    let revisions = items(api, REVISIONS).await.into_iter();
    revisions
        .map(|revision| {
            let name = revision["metadata"]["name"].as_str().unwrap().to_owned();
            (name, revision["revision"].as_i64().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stateful_pods_keep_their_names_over_restart_and_rollback() {
    let cluster = cluster().await;
    let api = cluster.api();
    setup::create(&api, &set("StatefulSet", 2)).await;
    let first = settled(&api).await;
    let old = pods(&api).await;
    assert_eq!(old.keys().collect::<Vec<_>>(), ["web-0", "web-1"]);
    let one = api.get(&format!("{PODS}/web-1")).await.unwrap();
    let labels = &one["metadata"]["labels"];
    assert_eq!(
        (
            &labels["apps.kubernetes.io/pod-index"],
            &labels["statefulset.kubernetes.io/pod-name"],
            &labels["controller-revision-hash"],
            &one["spec"]["hostname"],
            &one["spec"]["subdomain"],
        ),
        (
            &json!("1"),
            &json!("web-1"),
            &first["status"]["updateRevision"],
            &json!("web-1"),
            &json!("web"),
        )
    );
    let owner = &one["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"], &owner["controller"]),
        (
            &json!("StatefulSet"),
            &first["metadata"]["uid"],
            &json!(true)
        )
    );
    // The first was ready before the second was made.
    let zero = api.get(&format!("{PODS}/web-0")).await.unwrap();
    let since = zero["status"]["conditions"].as_array().unwrap().iter();
    let since = since.clone().find(|condition| condition["type"] == "Ready");
    assert!(
        since.unwrap()["lastTransitionTime"].as_str()
            <= one["metadata"]["creationTimestamp"].as_str()
    );

    // From the top, and only down to the partition.
    let partition =
        |number: i64| json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": number}}}});
    api.patch(STATEFUL, Patch::Merge, &partition(1))
        .await
        .unwrap();
    api.patch(STATEFUL, Patch::Merge, &restart("2026-11-21T00:00:00Z"))
        .await
        .unwrap();
    let half = until(&api, STATEFUL, "updated above the partition", |set| {
        let status = &set["status"];
        status["updatedReplicas"] == 1 && status["readyReplicas"] == 2
    })
    .await;
    let between = pods(&api).await;
    assert_eq!(between["web-0"], old["web-0"]);
    assert_ne!(between["web-1"].0, old["web-1"].0);
    assert_eq!(between["web-1"].1, half["status"]["updateRevision"]);
    assert_eq!(
        (
            &half["status"]["currentRevision"],
            &half["status"]["currentReplicas"]
        ),
        (&first["status"]["currentRevision"], &json!(1))
    );
    // One below the partition comes back as it was.
    api.delete(&format!("{PODS}/web-0")).await.unwrap();
    until(&api, &format!("{PODS}/web-0"), "made anew", |pod| {
        pod["metadata"]["uid"].is_string() && pod["metadata"]["uid"] != old["web-0"].0
    })
    .await;
    assert_eq!(pods(&api).await["web-0"].1, old["web-0"].1);
    api.patch(STATEFUL, Patch::Merge, &partition(0))
        .await
        .unwrap();
    let second = settled(&api).await;
    assert_eq!(second["status"]["updatedReplicas"], 2);
    let name = |set: &Value| set["status"]["updateRevision"].as_str().unwrap().to_owned();
    assert_eq!(
        revisions(&api).await,
        BTreeMap::from([(name(&first), 1), (name(&second), 2)])
    );

    // The data of a revision is the patch that brings it back; its number then is a new one.
    let revision = api
        .get(&format!("{REVISIONS}/{}", name(&first)))
        .await
        .unwrap();
    assert_eq!(revision["data"]["spec"]["template"]["$patch"], "replace");
    api.patch(STATEFUL, Patch::Strategic, &revision["data"])
        .await
        .unwrap();
    let back = settled(&api).await;
    assert_eq!(back["spec"]["template"], first["spec"]["template"]);
    assert_eq!(
        revisions(&api).await,
        BTreeMap::from([(name(&first), 3), (name(&second), 2)])
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_pods_start_together_and_go_from_the_top() {
    let cluster = cluster().await;
    let api = cluster.api();
    let mut parallel = set("StatefulSet", 2);
    parallel["spec"]["podManagementPolicy"] = "Parallel".into();
    // Never ready.
    parallel["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] =
        1.into();
    setup::create(&api, &parallel).await;
    until(&api, STATEFUL, "have both", |set| {
        set["status"]["replicas"] == 2
    })
    .await;
    api.patch(
        &format!("{STATEFUL}/scale"),
        Patch::Merge,
        &json!({"spec": {"replicas": 1}}),
    )
    .await
    .unwrap();
    until(&api, STATEFUL, "have one", |set| {
        set["status"]["replicas"] == 1
    })
    .await;
    assert_eq!(pods(&api).await.keys().collect::<Vec<_>>(), ["web-0"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_has_a_pod_on_the_node_and_replaces_it() {
    let cluster = cluster().await;
    let api = cluster.api();
    let created = setup::create(&api, &set("DaemonSet", 1)).await;
    assert_eq!(
        created["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    );
    let rolled_out = |generation: i64| {
        move |set: &Value| {
            let status = &set["status"];
            status["observedGeneration"] == generation
                && status["updatedNumberScheduled"] == 1
                && status["numberAvailable"] == 1
        }
    };
    let first = until(&api, DAEMON, "rolled out", rolled_out(1)).await;
    assert_eq!(
        first["status"],
        json!({
            "observedGeneration": 1, "currentNumberScheduled": 1, "desiredNumberScheduled": 1,
            "numberMisscheduled": 0, "numberReady": 1, "numberAvailable": 1, "updatedNumberScheduled": 1,
        })
    );
    let old = pods(&api).await;
    assert_eq!(old.len(), 1);
    let (name, (_, hash)) = old.first_key_value().unwrap();
    let pod = api.get(&format!("{PODS}/{name}")).await.unwrap();
    assert_eq!(
        pod["metadata"]["ownerReferences"][0]["uid"],
        first["metadata"]["uid"]
    );
    // Its pods name the hash alone, those of a StatefulSet the whole revision.
    let revision = format!("web-{hash}");
    assert_eq!(
        revisions(&api).await,
        BTreeMap::from([(revision.clone(), 1)])
    );
    let found = api.get(&format!("{REVISIONS}/{revision}")).await.unwrap();
    assert_eq!(
        found["metadata"]["labels"],
        json!({"app": "web", "controller-revision-hash": hash})
    );

    api.patch(DAEMON, Patch::Merge, &restart("2026-11-21T00:00:00Z"))
        .await
        .unwrap();
    until(&api, DAEMON, "rolled out again", rolled_out(2)).await;
    let new = pods(&api).await;
    assert_eq!(new.len(), 1);
    assert_ne!(new.first_key_value(), old.first_key_value());

    // One that is evicted comes back.
    let (name, (uid, _)) = new.first_key_value().unwrap();
    let eviction =
        json!({"metadata": {"name": name}, "deleteOptions": {"preconditions": {"uid": uid}}});
    api.create(&format!("{PODS}/{name}/eviction"), &eviction)
        .await
        .unwrap();
    until(&api, PODS, "have another", |list| {
        let items = list["items"].as_array().unwrap();
        items.len() == 1 && items[0]["metadata"]["uid"] != **uid
    })
    .await;

    // Where no node fits there is none.
    let selector = json!({"spec": {"template": {"spec": {"nodeSelector": {"disk": "none"}}}}});
    api.patch(DAEMON, Patch::Merge, &selector).await.unwrap();
    let none = until(&api, DAEMON, "have none", |set| {
        set["status"]["observedGeneration"] == 3 && set["status"]["numberMisscheduled"] == 0
    })
    .await;
    assert_eq!(none["status"]["desiredNumberScheduled"], 0);
    assert!(pods(&api).await.is_empty());
    cluster.stop().await;
}
