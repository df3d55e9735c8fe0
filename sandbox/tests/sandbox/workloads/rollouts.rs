//! Deployments from one template to the next, compared with a recorded cluster where it was recorded.

use std::time::Duration;

use sandbox::api::Patch;
use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::*;
use crate::apiserver::recorded::recording;

/// An object's times, names and identities replaced by their JSON types.
fn shape(value: &Value) -> Value {
    let mut value = value.clone();
    for field in ["lastUpdateTime", "lastTransitionTime"] {
        if value[field].is_string() {
            value[field] = json!("");
        }
    }
    value
}

fn conditions(deployment: &Value) -> Vec<Value> {
    let name = deployment["status"]["conditions"][0]["message"]
        .as_str()
        .unwrap()
        .split('"')
        .nth(1)
        .unwrap()
        .to_owned();
    let conditions = deployment["status"]["conditions"].as_array().unwrap();
    conditions
        .iter()
        .map(|condition| {
            serde_json::from_str(&shape(condition).to_string().replace(&name, "SET")).unwrap()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replaces_the_pods_without_a_gap_as_recorded() {
    let cluster = cluster().await;
    let api = cluster.api();
    setup::create(&api, &service()).await;
    setup::create(&api, &web(3)).await;
    rolled_out(&api).await;
    let old: Vec<Value> = items(&api, PODS).await;

    let patched = api
        .patch(DEPLOYMENT, Patch::Merge, &restart("2026-11-21T00:00:00Z"))
        .await
        .unwrap();
    let recorded = recording("deployment-during-rollout");
    let mut status = patched["status"].clone();
    status["conditions"] = conditions(&patched).into();
    let mut expected = recorded["status"].clone();
    expected["conditions"] = conditions(&recorded).into();
    // This one had not been scaled before.
    expected["observedGeneration"] = 1.into();
    assert_eq!(status, expected);
    let mut least = i64::MAX;
    let done = loop {
        let deployment = api.get(DEPLOYMENT).await.unwrap();
        least = least.min(
            deployment["status"]["availableReplicas"]
                .as_i64()
                .unwrap_or(0),
        );
        let pods = items(&api, PODS).await;
        let active = pods
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        assert!(active.count() <= 4, "more pods than the surge allows");
        if is_rolled_out(&deployment) {
            break deployment;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(least >= 3, "{least} available");
    let new: Vec<Value> = items(&api, PODS).await;
    assert_eq!(new.len(), 3);
    assert!(new.iter().all(|pod| {
        !old.iter()
            .any(|old| old["metadata"]["uid"] == pod["metadata"]["uid"])
    }));
    assert_eq!(
        new[0]["metadata"]["annotations"],
        json!({"kubectl.kubernetes.io/restartedAt": "2026-11-21T00:00:00Z"})
    );

    let recorded = recording("deployment-after-rollout");
    assert_eq!(conditions(&done), conditions(&recorded));
    assert_eq!(keys(&done["status"]), keys(&recorded["status"]));
    assert_eq!(
        done["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    sets_are_as_recorded(items(&api, SETS).await);
    let slices = recording("endpointslices-after-rollout")["items"].clone();
    slice_is_as_recorded(&items(&api, SLICES).await[0], &slices[1]);
    cluster.stop().await;
}

fn sets_are_as_recorded(mut sets: Vec<Value>) {
    let revision = |set: &Value| {
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].to_string()
    };
    sets.sort_by_key(revision);
    let recorded = recording("replicasets-after-rollout")["items"].clone();
    assert_eq!(sets.len(), 2);
    for (set, recorded) in sets.iter().zip(recorded.as_array().unwrap()) {
        let hash = |set: &Value| {
            set["metadata"]["labels"]["pod-template-hash"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let (own, other) = (hash(set), hash(recorded));
        assert_eq!(set["metadata"]["name"], format!("web-{own}"));
        assert_eq!(keys(&set["metadata"]), keys(&recorded["metadata"]));
        assert_eq!(
            set["metadata"]["annotations"],
            recorded["metadata"]["annotations"]
        );
        assert_eq!(
            keys(&set["metadata"]["ownerReferences"][0]),
            keys(&recorded["metadata"]["ownerReferences"][0])
        );
        for field in ["selector", "replicas"] {
            let own = set["spec"][field].to_string().replace(&own, &other);
            assert_eq!(own, recorded["spec"][field].to_string());
        }
        let metadata = set["spec"]["template"]["metadata"]
            .to_string()
            .replace(&own, &other);
        assert_eq!(
            metadata,
            recorded["spec"]["template"]["metadata"].to_string()
        );
        let mut status = set["status"].clone();
        assert_eq!(status["observedGeneration"], set["metadata"]["generation"]);
        status["observedGeneration"] = recorded["status"]["observedGeneration"].clone();
        assert_eq!(status, recorded["status"]);
    }
}

fn slice_is_as_recorded(slice: &Value, recorded: &Value) {
    let named = |slice: &Value| {
        let mut names = keys(&slice["metadata"]);
        // The time of the last change, which a pod's end does not have.
        names.remove("annotations");
        names
    };
    assert_eq!(named(slice), named(recorded));
    assert_eq!(slice["metadata"]["labels"], recorded["metadata"]["labels"]);
    assert_eq!(slice["ports"], recorded["ports"]);
    assert_eq!(slice["addressType"], recorded["addressType"]);
    let endpoints = |slice: &Value| slice["endpoints"].as_array().unwrap().clone();
    assert_eq!(endpoints(slice).len(), endpoints(recorded).len());
    for (own, other) in endpoints(slice).iter().zip(endpoints(recorded)) {
        assert_eq!(
            (keys(own), keys(&own["targetRef"])),
            (keys(&other), keys(&other["targetRef"]))
        );
        assert_eq!(own["conditions"], other["conditions"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_follows_its_pods_as_recorded() {
    let cluster = cluster().await;
    let api = cluster.api();
    setup::create(&api, &service()).await;
    let mut nothing = service();
    nothing["metadata"]["name"] = "nothing".into();
    nothing["spec"]["selector"] = json!({"app": "nothing"});
    setup::create(&api, &nothing).await;
    let mut deployment = web(3);
    // Ends only when it is killed, so that its end can be seen.
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    let script = format!(
        "trap '' TERM; {} serve:$IP:8080 & wait; wait",
        setup::checker()
    );
    container["command"] = json!(["/bin/sh", "-c", script]);
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2.into();
    setup::create(&api, &deployment).await;
    rolled_out(&api).await;
    let recorded = recording("endpointslices-while-terminating")["items"].clone();
    let empty = items(&api, SLICES).await[0].clone();
    assert_eq!(
        (&empty["endpoints"], &empty["ports"]),
        (&recorded[0]["endpoints"], &recorded[0]["ports"])
    );
    assert_eq!(keys(&empty["metadata"]), keys(&recorded[0]["metadata"]));

    let pods = items(&api, PODS).await;
    let name = pods[1]["metadata"]["name"].as_str().unwrap();
    let eviction = json!({"metadata": {"name": name}});
    api.create(&format!("{PODS}/{name}/eviction"), &eviction)
        .await
        .unwrap();
    let going = |list: &Value| {
        let endpoints = list["items"][1]["endpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        endpoints
            .into_iter()
            .find(|endpoint| endpoint["targetRef"]["name"] == name)
    };
    let list = until(&api, SLICES, "tell of the end", |list| {
        going(list).is_some_and(|endpoint| endpoint["conditions"]["terminating"] == true)
    })
    .await;
    assert_eq!(
        going(&list).unwrap()["conditions"],
        recorded[1]["endpoints"][1]["conditions"]
    );
    let three = |list: &Value| {
        let endpoints = list["items"][1]["endpoints"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        going(list).is_none()
            && endpoints.len() == 3
            && endpoints
                .iter()
                .all(|one| one["conditions"]["ready"] == true)
    };
    until(&api, SLICES, "have the replacement", three).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recreate_ends_all_old_pods_first() {
    let cluster = cluster().await;
    let api = cluster.api();
    let mut deployment = web(2);
    deployment["spec"]["strategy"] = json!({"type": "Recreate"});
    setup::create(&api, &deployment).await;
    rolled_out(&api).await;
    api.patch(DEPLOYMENT, Patch::Merge, &restart("b"))
        .await
        .unwrap();
    loop {
        let pods = items(&api, PODS).await;
        let new = pods
            .iter()
            .filter(|pod| pod["metadata"]["annotations"].is_object())
            .count();
        assert!(new == 0 || new == pods.len(), "both at once: {pods:#?}");
        if is_rolled_out(&api.get(DEPLOYMENT).await.unwrap()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_does_not_get_on_is_called_so_and_keeps_the_old_pods() {
    let cluster = cluster().await;
    let api = cluster.api();
    let mut deployment = web(2);
    deployment["spec"]["progressDeadlineSeconds"] = 1.into();
    setup::create(&api, &deployment).await;
    rolled_out(&api).await;
    let broken = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "checker", "args": ["exit:1"]}]}}}});
    api.patch(DEPLOYMENT, Patch::Strategic, &broken)
        .await
        .unwrap();
    let stalled = until(&api, DEPLOYMENT, "stalled", |deployment| {
        deployment["status"]["conditions"][0]["reason"] == "ProgressDeadlineExceeded"
    })
    .await;
    assert_eq!(stalled["status"]["conditions"][0]["status"], "False");
    assert_eq!(
        (
            &stalled["status"]["availableReplicas"],
            &stalled["status"]["updatedReplicas"]
        ),
        (&json!(2), &json!(1))
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_deployment_is_scaled_but_not_rolled_out_and_keeps_little_history() {
    let cluster = cluster().await;
    let api = cluster.api();
    let mut deployment = web(1);
    deployment["spec"]["revisionHistoryLimit"] = 1.into();
    setup::create(&api, &deployment).await;
    rolled_out(&api).await;
    let mut paused = restart("b");
    paused["spec"]["paused"] = true.into();
    paused["spec"]["replicas"] = 2.into();
    api.patch(DEPLOYMENT, Patch::Merge, &paused).await.unwrap();
    until(&api, DEPLOYMENT, "scaled while paused", |deployment| {
        deployment["status"]["availableReplicas"] == 2
            && deployment["status"]["observedGeneration"] == 2
    })
    .await;
    assert_eq!(items(&api, SETS).await.len(), 1);
    api.patch(
        DEPLOYMENT,
        Patch::Merge,
        &json!({"spec": {"paused": false}}),
    )
    .await
    .unwrap();
    rolled_out(&api).await;
    api.patch(DEPLOYMENT, Patch::Merge, &restart("c"))
        .await
        .unwrap();
    rolled_out(&api).await;
    until(&api, SETS, "forget the first template", |list| {
        list["items"].as_array().unwrap().len() == 2
    })
    .await;

    api.delete(DEPLOYMENT).await.unwrap();
    for path in [PODS, SETS] {
        until(&api, path, "collected", |list| list["items"] == json!([])).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_fail_or_whose_answers_are_lost_leave_nothing_twice() {
    let cluster = cluster().await;
    let api = cluster.api();
    for rule in [Rule::refuse(503), Rule::hang_up().after_commit()] {
        let rule = rule.agent("workloads").verb("create").times(2);
        cluster.api_server().faults().add(rule);
    }
    setup::create(&api, &web(2)).await;
    rolled_out(&api).await;
    assert_eq!(
        (items(&api, PODS).await.len(), items(&api, SETS).await.len()),
        (2, 1)
    );
    cluster.stop().await;
}
