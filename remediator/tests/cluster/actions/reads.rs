//! What is read of a workload.

use remediator::core::execution::{Live, Refusal};
use remediator::core::{Autoscaler, FactsNeed, TargetKind};
use sandbox::faults::Rule;

use super::*;

#[tokio::test]
async fn only_owned_pods_are_owned_whatever_their_labels_say() {
    let stage = Stage::start().await;
    let web = stage
        .workload(TargetKind::Deployment, json!({"replicas": 2}))
        .await;
    let deployment = stage.get(&web).await;
    let set = async |name: &str, owners: Value| {
        let set = json!({
            "metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": owners},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template("one")},
        });
        stage.create(SETS, set).await
    };
    let own = set("web-1", owned_by("Deployment", &deployment)).await;
    let mut namesake = deployment.clone();
    namesake["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    let foreign = set("web-2", owned_by("Deployment", &namesake)).await;
    let mut reference = owned_by("ReplicaSet", &own);
    stage.pod("own", reference.clone()).await;
    stage.pod("own-ready", reference.clone()).await;
    stage.running("own-ready", true).await;
    stage
        .pod("of-a-namesake", owned_by("ReplicaSet", &foreign))
        .await;
    stage
        .pod(
            "of-the-deployment-itself",
            owned_by("Deployment", &deployment),
        )
        .await;
    stage.pod("of-nobody", json!([])).await;
    reference[0]["controller"] = json!(false);
    stage.pod("not-controlled", reference).await;
    // Its controller has replaced it already.
    stage.pod("ended", owned_by("ReplicaSet", &own)).await;
    stage
        .status(&format!("{PODS}/ended"), json!({"phase": "Failed"}))
        .await;

    let facts = stage.facts(&web, FactsNeed::Pods).await;
    let mut found: Vec<_> = facts
        .pods
        .iter()
        .map(|pod| (pod.name.as_str(), pod.owned, pod.ready))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("not-controlled", false, false),
            ("of-a-namesake", false, false),
            ("of-nobody", false, false),
            ("of-the-deployment-itself", false, false),
            ("own", true, false),
            ("own-ready", true, true),
        ]
    );
    let pod = stage.api.get(&format!("{PODS}/own")).await.unwrap();
    let own = facts.pods.iter().find(|pod| pod.name == "own").unwrap();
    assert_eq!(own.uid, text(&pod["metadata"]["uid"]));
    let created = text(&pod["metadata"]["creationTimestamp"]);
    assert_eq!(own.created, created.parse().unwrap());
    assert!(!own.deleting);
}

#[tokio::test]
async fn pods_of_the_other_kinds_are_owned_directly_and_read_page_by_page() {
    for kind in [TargetKind::StatefulSet, TargetKind::DaemonSet] {
        let stage = Stage::start().await;
        let web = stage.workload(kind, json!({})).await;
        let owner = owned_by("X", &stage.get(&web).await);
        let count = if kind == TargetKind::DaemonSet {
            501
        } else {
            2
        };
        for number in 0..count {
            stage.pod(&format!("web-{number}"), owner.clone()).await;
        }
        stage.pod("other", json!([])).await;
        let facts = stage.facts(&web, FactsNeed::Pods).await;
        let owned = facts.pods.iter().filter(|pod| pod.owned).count();
        assert_eq!((owned, facts.pods.len()), (count, count + 1), "{kind:?}");
        let requests = stage.server.requests();
        let lists = requests
            .iter()
            .filter(|request| request.agent == AGENT && request.verb == "list");
        assert_eq!(lists.count(), if count > 500 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn what_a_workload_says_of_itself_is_told() {
    let stage = Stage::start().await;
    let gone = TargetRef {
        kind: TargetKind::Deployment,
        name: "web".to_owned(),
        uid: String::new(),
    };
    assert_eq!(stage.live(&gone, FactsNeed::Target).await, Live::Gone);
    let web = stage
        .workload(TargetKind::Deployment, json!({"replicas": 3}))
        .await;
    let path = format!("{}/web", collection(web.kind));
    let plain = stage.facts(&web, FactsNeed::Target).await;
    assert_eq!(
        (&plain.uid, plain.replicas, plain.generation),
        (&web.uid, 3, 1)
    );
    assert_eq!(
        plain.resource_version,
        stage.claim(&web).await.resource_version
    );
    assert!(
        !(plain.paused || plain.controlled || plain.excluded || plain.deleting || plain.stalled)
    );
    assert_eq!((plain.restarted_at, plain.current_revision), (None, None));

    let patch = json!({
        "metadata": {
            "labels": {"kuberhealer.io/exclude": "true"}, "finalizers": ["example.org/hold"],
            "ownerReferences": [{"apiVersion": "x/v1", "kind": "App", "name": "a", "uid": "u", "controller": true}],
        },
        "spec": {"paused": true, "template": {"metadata": {"annotations": {RESTARTED: "2026-01-31T12:00:00Z"}}}},
    });
    stage.api.patch(&path, Patch::Merge, &patch).await.unwrap();
    let status = json!({
        "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 1,
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
    });
    stage.status(&path, status).await;
    stage.api.delete(&path).await.unwrap();
    let marked = stage.facts(&web, FactsNeed::Target).await;
    assert!(
        marked.paused && marked.controlled && marked.excluded && marked.deleting && marked.stalled
    );
    assert_eq!(
        marked.restarted_at,
        Some("2026-01-31T12:00:00Z".parse().unwrap())
    );
    assert_eq!(
        (marked.observed_generation, marked.updated, marked.ready),
        (2, 3, 1)
    );
}

#[tokio::test]
async fn the_autoscaler_is_the_one_that_names_the_target() {
    let stage = Stage::start().await;
    let web = stage
        .workload(TargetKind::Deployment, json!({"replicas": 3}))
        .await;
    let hpa = async |name: &str, kind: &str, target: &str, annotations: Value| {
        let reference = json!({"apiVersion": "apps/v1", "kind": kind, "name": target});
        let hpa = json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 7},
        });
        stage.create(HPAS, hpa).await
    };
    hpa("a", "StatefulSet", "web", json!({})).await;
    hpa("b", "Deployment", "api", json!({})).await;
    assert_eq!(
        stage.facts(&web, FactsNeed::Autoscaler).await.autoscaler,
        None
    );
    let created = hpa(
        "c",
        "Deployment",
        "web",
        json!({"kuberhealer.io/raised-by": "web-1"}),
    )
    .await;
    let expected = Autoscaler {
        name: "c".to_owned(),
        resource_version: text(&created["metadata"]["resourceVersion"]),
        min: 2,
        max: 7,
        raised_by: Some("web-1".to_owned()),
    };
    let found = stage.facts(&web, FactsNeed::Autoscaler).await.autoscaler;
    assert_eq!(found, Some(expected));
    // A cluster that does not know the kind has none.
    stage
        .server
        .faults()
        .add(Rule::refuse(404).resource("horizontalpodautoscalers"));
    assert_eq!(
        stage.facts(&web, FactsNeed::Autoscaler).await.autoscaler,
        None
    );
}

#[tokio::test]
async fn a_missing_permission_is_named_and_never_taken_for_nothing() {
    let needed = [
        ("apps", "deployments", "get"),
        ("autoscaling", "horizontalpodautoscalers", "list"),
        ("", "pods", "list"),
        ("apps", "replicasets", "list"),
    ];
    let of = |need: FactsNeed| match need {
        FactsNeed::Target => vec![0],
        FactsNeed::Autoscaler => vec![0, 1],
        FactsNeed::Pods => vec![0, 2, 3],
        FactsNeed::Revision => vec![0, 3],
        FactsNeed::All => vec![0, 1, 2, 3],
    };
    let rule = |at: usize| {
        let (group, resource, verb) = needed[at];
        json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]})
    };
    for need in [
        FactsNeed::Target,
        FactsNeed::Autoscaler,
        FactsNeed::Pods,
        FactsNeed::Revision,
        FactsNeed::All,
    ] {
        let rules: Vec<Value> = of(need).into_iter().map(rule).collect();
        let stage = Stage::restricted(Value::from(rules)).await;
        let web = stage.workload(TargetKind::Deployment, json!({})).await;
        // Nothing more than these is needed.
        stage.facts(&web, need).await;
        for missing in of(need) {
            let rules: Vec<Value> = of(need)
                .into_iter()
                .filter(|at| *at != missing)
                .map(rule)
                .collect();
            let stage = Stage::restricted(Value::from(rules)).await;
            let web = stage.workload(TargetKind::Deployment, json!({})).await;
            let Live::Unreadable(Refusal { code, message, .. }) = stage.live(&web, need).await
            else {
                panic!("read without permission {:?}", needed[missing]);
            };
            let (_, resource, verb) = needed[missing];
            assert_eq!(code, 403);
            let names = format!("cannot {verb} resource \"{resource}\"");
            assert!(message.contains(&names), "{message}");
        }
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_not_believed() {
    let stage = Stage::start().await;
    let web = stage.workload(TargetKind::Deployment, json!({})).await;
    for (resource, need) in [
        ("deployments", FactsNeed::Target),
        ("horizontalpodautoscalers", FactsNeed::Autoscaler),
        ("pods", FactsNeed::Pods),
        ("replicasets", FactsNeed::Pods),
        ("replicasets", FactsNeed::Revision),
    ] {
        for fault in [
            Rule::refuse(500),
            Rule::refuse(429),
            Rule::refuse(410),
            Rule::hang_up(),
        ] {
            let rule = stage
                .server
                .faults()
                .add(fault.clone().agent(AGENT).resource(resource));
            let target = (web.kind, web.name.as_str());
            let found = stage.cluster.facts("default", target, need).await;
            assert!(found.is_err(), "{resource} {fault:?}: {found:?}");
            assert_eq!(
                stage.server.faults().strikes(rule),
                1,
                "no retry of its own"
            );
            stage.server.faults().remove(rule);
        }
    }
}
