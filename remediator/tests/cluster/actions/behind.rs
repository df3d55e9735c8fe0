//! What is behind a Service or a pod.

use remediator::core::cascade::{Behind, Named, Subject, Target};
use remediator::core::execution::Refusal;

use super::*;

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn subject(kind: Named, name: &str) -> Subject {
    Subject {
        kind,
        namespace: "default".into(),
        name: name.into(),
    }
}

impl Stage {
    async fn service(&self, name: &str, spec: Value) {
        let service = json!({"metadata": {"name": name}, "spec": spec});
        self.create(SERVICES, service).await;
    }

    async fn behind(&self, kind: Named, name: &str, candidates: &[Target]) -> Vec<Target> {
        let subject = subject(kind, name);
        match self.cluster.behind(&subject, candidates).await.unwrap() {
            Behind::Workloads(found) => found,
            refused => panic!("expected workloads, found {refused:?}"),
        }
    }

    fn lists(&self) -> usize {
        let requests = self.server.requests().into_iter();
        requests
            .filter(|request| request.agent == AGENT && request.verb == "list")
            .count()
    }
}

fn target(kind: TargetKind) -> Target {
    (kind, "web".into())
}

#[tokio::test]
async fn the_owners_of_its_pods_are_behind_a_service() {
    let stage = Stage::start().await;
    let ports = json!([{"port": 80}]);
    let selecting = json!({"selector": {"app": "web"}, "ports": ports});
    stage.service("web", selecting).await;
    let mut expected = Vec::new();
    let deployment = stage.workload(TargetKind::Deployment, json!({})).await;
    let set = json!({
        "metadata": {"name": "web-1", "ownerReferences": owned_by("Deployment", &stage.get(&deployment).await)},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template("one")},
    });
    let set = stage.create(SETS, set).await;
    for number in 0..3 {
        let name = format!("web-1-{number}");
        stage.pod(&name, owned_by("ReplicaSet", &set)).await;
    }
    stage.pod("of-nobody", json!([])).await;
    // A ReplicaSet of the name that the pods' own one had.
    let mut former = set.clone();
    former["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    stage.pod("former", owned_by("ReplicaSet", &former)).await;
    expected.push(target(TargetKind::Deployment));
    assert_eq!(stage.behind(Named::Service, "web", &[]).await, expected);
    assert_eq!(stage.behind(Named::Pod, "web-1-0", &[]).await, expected);
    assert_eq!(stage.behind(Named::Pod, "of-nobody", &[]).await, []);
    assert_eq!(stage.behind(Named::Pod, "gone", &[]).await, []);

    // Several share it.
    for kind in [TargetKind::StatefulSet, TargetKind::DaemonSet] {
        let owner = stage.workload(kind, json!({})).await;
        let owner = stage.get(&owner).await;
        let name = format!("{kind:?}").to_lowercase();
        stage.pod(&name, owned_by(kind.as_str(), &owner)).await;
        assert_eq!(stage.behind(Named::Pod, &name, &[]).await, [target(kind)]);
        expected.push(target(kind));
    }
    assert_eq!(stage.behind(Named::Service, "web", &[]).await, expected);
}

#[tokio::test]
async fn a_service_without_pods_is_that_of_the_workload_whose_pods_it_would_find() {
    let stage = Stage::start().await;
    stage.workload(TargetKind::Deployment, json!({})).await;
    let ports = json!([{"port": 80}]);
    for (name, selector) in [
        ("web", json!({"app": "web"})),
        ("more", json!({"app": "web", "tier": "front"})),
        ("other", json!({"app": "other"})),
    ] {
        let spec = json!({"selector": selector, "ports": ports});
        stage.service(name, spec).await;
    }
    let candidates = [
        (TargetKind::Deployment, "gone".into()),
        target(TargetKind::StatefulSet),
        target(TargetKind::Deployment),
    ];
    for (name, expected) in [
        ("web", vec![target(TargetKind::Deployment)]),
        ("more", vec![]),
        ("other", vec![]),
        ("gone", vec![]),
    ] {
        let found = stage.behind(Named::Service, name, &candidates).await;
        assert_eq!(found, expected, "{name}");
    }
    let mut many = vec![(TargetKind::Deployment, "gone".into()); 16];
    many.push(target(TargetKind::Deployment));
    let web = subject(Named::Service, "web");
    let found = stage.cluster.behind(&web, &many).await.unwrap();
    let Behind::Refused(Refusal { code, message, .. }) = found else {
        panic!("expected a refusal, found {found:?}");
    };
    assert!(
        code == 413 && message.contains("expected at most 16 targets") && message.contains("17"),
        "{message}"
    );
    many.swap(15, 16);
    let found = stage.behind(Named::Service, "web", &many).await;
    assert_eq!(found, [target(TargetKind::Deployment)]);
}

#[tokio::test]
async fn a_service_that_finds_no_pods_by_itself_is_nobodys() {
    let stage = Stage::start().await;
    let web = stage.workload(TargetKind::StatefulSet, json!({})).await;
    let owner = stage.get(&web).await;
    stage.pod("web-0", owned_by("StatefulSet", &owner)).await;
    let ports = json!([{"port": 80}]);
    let selector = json!({"app": "web"});
    for (name, spec) in [
        ("by-hand", json!({"ports": ports})),
        ("empty", json!({"selector": {}, "ports": ports})),
        (
            "elsewhere",
            json!({"type": "ExternalName", "externalName": "a.example", "selector": selector}),
        ),
    ] {
        stage.service(name, spec).await;
        let candidates = [target(TargetKind::StatefulSet)];
        let found = stage.behind(Named::Service, name, &candidates).await;
        assert_eq!(found, [], "{name}");
    }
    assert_eq!(stage.lists(), 0);
    let kind = Named::Workload(TargetKind::DaemonSet);
    let found = stage.behind(kind, "web", &[]).await;
    assert_eq!(found, [target(TargetKind::DaemonSet)]);
}

#[tokio::test]
async fn a_service_that_may_not_be_read_is_refused_in_the_servers_words() {
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    let stage = Stage::restricted(rules).await;
    let subject = subject(Named::Service, "web");
    let found = stage.cluster.behind(&subject, &[]).await.unwrap();
    let Behind::Refused(Refusal { code, message, .. }) = found else {
        panic!("expected a refusal, found {found:?}");
    };
    assert_eq!(code, 403);
    assert!(
        message.contains("cannot get resource \"services\""),
        "{message}"
    );
}

/// What the remediator may read where policies are.
fn granted() -> Value {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../manifests/remediator/access.yaml"
    );
    let text = std::fs::read_to_string(file).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let named = |object: &&Value| {
        object["kind"] == "ClusterRole"
            && object["metadata"]["name"] == "kuberhealer-remediator-read"
    };
    objects.iter().find(named).unwrap()["rules"].clone()
}

#[tokio::test]
async fn what_is_granted_is_enough_for_each_kind_of_subject() {
    let stage = Stage::restricted(granted()).await;
    let ports = json!([{"port": 80}]);
    for name in ["web", "none"] {
        let spec = json!({"selector": {"app": "web"}, "ports": ports});
        stage.service(name, spec).await;
    }
    let candidates = [target(TargetKind::Deployment)];
    let deployment = stage.workload(TargetKind::Deployment, json!({})).await;
    let found = stage.behind(Named::Service, "none", &candidates).await;
    assert_eq!(found, candidates);
    let set = json!({
        "metadata": {"name": "web-1", "ownerReferences": owned_by("Deployment", &stage.get(&deployment).await)},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template("one")},
    });
    let set = stage.create(SETS, set).await;
    for name in ["web-1-0", "web-1-1"] {
        stage.pod(name, owned_by("ReplicaSet", &set)).await;
    }
    for (kind, name) in [(Named::Service, "web"), (Named::Pod, "web-1-1")] {
        let found = stage.behind(kind, name, &[]).await;
        assert_eq!(found, candidates, "{kind:?}");
    }
    assert_eq!(stage.behind(Named::Pod, "web-1", &[]).await, []);
}
