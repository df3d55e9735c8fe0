//! Deployments with the sandbox's own controllers.

use remediator::core::PodFact;
use sandbox::Sandbox;

use super::*;

struct Whole {
    sandbox: Sandbox,
    cluster: Cluster,
    web: TargetRef,
    _keeper: Keeper,
    fence: Fence,
}

impl Whole {
    /// A sandbox with a Deployment `web` of two pods. Nothing runs in them.
    async fn start() -> Whole {
        khclient::install_crypto_provider();
        let sandbox = Sandbox::start(sandbox::Options::default()).await.unwrap();
        let created = json!({
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("one")},
        });
        let path = collection(TargetKind::Deployment);
        let created = sandbox.api().create(&path, &created).await.unwrap();
        let (keeper, fence) = open();
        Whole {
            cluster: Cluster::new(client(&sandbox.api_url(), None)),
            sandbox,
            web: TargetRef {
                kind: TargetKind::Deployment,
                name: "web".to_owned(),
                uid: text(&created["metadata"]["uid"]),
            },
            _keeper: keeper,
            fence,
        }
    }

    async fn until(&self, need: FactsNeed, what: &str, holds: impl Fn(&Facts) -> bool) -> Facts {
        let mut last = None;
        for _ in 0..1200 {
            let target = (self.web.kind, self.web.name.as_str());
            if let Live::Target(facts) = self.cluster.facts("default", target, need).await.unwrap()
            {
                if facts.observed_generation == facts.generation && holds(&facts) {
                    return *facts;
                }
                last = Some(facts);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("not {what}: {last:?}");
    }

    async fn image(&self, image: &str) {
        let path = format!("{}/web", collection(TargetKind::Deployment));
        let change = json!({"spec": {"template": template(image)}});
        let api = self.sandbox.api();
        api.patch(&path, Patch::Strategic, &change).await.unwrap();
    }

    async fn write(&self, write: &TargetWrite) -> Answer {
        self.cluster
            .write(&self.fence, "default", &self.web, write)
            .await
    }
}

fn claim(facts: &Facts) -> Claim {
    Claim {
        resource_version: facts.resource_version.clone(),
        generation: facts.generation,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_back_to_its_previous_revision_and_knows_it_again() {
    let whole = Whole::start().await;
    let known = |facts: &Facts| facts.current_revision.is_some();
    let first = whole.until(FactsNeed::Revision, "known", known).await;
    assert_eq!(first.revision, None);
    let uid = first.current_revision.clone();
    whole.image("two").await;
    let changed = |facts: &Facts| facts.current_revision.is_some() && facts.current_revision != uid;
    let second = whole.until(FactsNeed::Revision, "changed", changed).await;
    let previous = second.revision.clone().unwrap();
    assert_eq!((Some(&previous.uid), previous.number), (uid.as_ref(), 1));

    // Its controller goes on writing the Deployment's status: what was read may be old by now.
    let mut read = second.clone();
    let mut write;
    loop {
        let revision = (previous.name.clone(), previous.uid.clone(), previous.number);
        write = TargetWrite::Rollback {
            claim: claim(&read),
            revision,
        };
        match whole.write(&write).await {
            Answer::Done => break,
            Answer::Conflict => read = whole.until(FactsNeed::Revision, "changed", changed).await,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(whole.write(&write).await, Answer::Conflict);
    let path = format!("{}/web", collection(TargetKind::Deployment));
    let template = whole.sandbox.api().get(&path).await.unwrap()["spec"]["template"].clone();
    assert_eq!(template["spec"]["containers"][0]["image"], "one");
    assert_eq!(
        template["metadata"]["labels"],
        json!({"app": "web"}),
        "without the hash"
    );

    // The same ReplicaSet, under a new number.
    let third = whole
        .until(FactsNeed::Revision, "back", |facts| {
            facts.current_revision == uid
                && facts.revision.as_ref().is_some_and(|one| one.number == 2)
        })
        .await;
    assert_eq!(
        third.revision.map(|revision| revision.uid),
        second.current_revision
    );
    assert_eq!(third.generation, second.generation + 1);
    let sets = whole.sandbox.api().list(SETS).await.unwrap().items;
    assert_eq!(sets.len(), 2);
    whole.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_deployment_are_owned_through_every_replica_set_and_replaced_when_evicted() {
    let whole = Whole::start().await;
    let two = |facts: &Facts| {
        facts
            .pods
            .iter()
            .filter(|pod| pod.owned && !pod.deleting)
            .count()
            >= 2
    };
    whole.until(FactsNeed::Pods, "started", two).await;
    whole.image("two").await;
    // No new pod is ever ready: pods of both revisions stay.
    let both = |facts: &Facts| facts.pods.len() > 2;
    let facts = whole.until(FactsNeed::Pods, "rolling out", both).await;
    assert!(facts.pods.iter().all(|pod| pod.owned), "{facts:?}");
    assert!(
        facts.updated < facts.replicas,
        "a rollout is in progress: {facts:?}"
    );

    let PodFact { name, uid, .. } = facts.pods[0].clone();
    let evict = TargetWrite::Evict {
        pod: name,
        uid: uid.clone(),
    };
    assert_eq!(whole.write(&evict).await, Answer::Done);
    let replaced = |facts: &Facts| two(facts) && facts.pods.iter().all(|pod| pod.uid != uid);
    whole.until(FactsNeed::Pods, "replaced", replaced).await;
    let again = whole.write(&evict).await;
    assert_eq!(again, Answer::Gone);
    whole.sandbox.stop().await;
}
