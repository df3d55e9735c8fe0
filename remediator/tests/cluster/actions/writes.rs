//! Each write: its effect, that it has it once, and what it refuses.

use remediator::core::TargetKind::{DaemonSet, Deployment, StatefulSet};
use remediator::core::Time;
use remediator::core::execution::Refusal;

use super::*;

fn refused(answer: &Answer) -> (u16, &str) {
    match answer {
        Answer::Refused(Refusal { code, message, .. }) => (*code, message),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test]
async fn a_pod_is_evicted_once_and_only_if_it_is_the_one_that_was_meant() {
    let stage = Stage::start().await;
    let web = stage.workload(Deployment, json!({})).await;
    let pod = stage.pod("a", json!([])).await;
    stage.running("a", true).await;
    let evict = |uid: &str| TargetWrite::Evict {
        pod: "a".to_owned(),
        uid: uid.to_owned(),
    };
    let wrong = evict("00000000-0000-0000-0000-000000000000");
    assert_eq!(stage.write(&web, &wrong).await, Answer::Conflict);
    let path = format!("{PODS}/a");
    let found = stage.api.get(&path).await.unwrap();
    assert!(found["metadata"]["deletionTimestamp"].is_null());

    let right = evict(&text(&pod["metadata"]["uid"]));
    assert_eq!(stage.write(&web, &right).await, Answer::Done);
    stage.api.delete_now(&path).await.ok();
    assert!(stage.api.get(&path).await.unwrap_err().is_not_found());
    assert_eq!(stage.write(&web, &right).await, Answer::Gone);
    // A StatefulSet's pod comes back with the same name.
    stage.pod("a", json!([])).await;
    assert_eq!(stage.write(&web, &right).await, Answer::Conflict);
    assert!(stage.api.get(&path).await.is_ok());
}

#[tokio::test]
async fn a_disruption_budget_is_not_forced() {
    let stage = Stage::start().await;
    let web = stage.workload(Deployment, json!({})).await;
    let pod = stage.pod("a", json!([])).await;
    stage.running("a", true).await;
    let budget = async |name: &str| {
        let budget = json!({
            "metadata": {"name": name},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        });
        stage.create(BUDGETS, budget).await;
        let status = json!({
            "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1,
        });
        stage.status(&format!("{BUDGETS}/{name}"), status).await;
    };
    let evict = TargetWrite::Evict {
        pod: "a".to_owned(),
        uid: text(&pod["metadata"]["uid"]),
    };
    budget("one").await;
    let answer = stage.write(&web, &evict).await;
    let words = "The disruption budget one needs 1 healthy pods and has 1 currently";
    assert_eq!(answer, Answer::Budget(words.to_owned()));
    budget("two").await;
    let answer = stage.write(&web, &evict).await;
    assert!(
        matches!(&answer, Answer::Budget(words) if words.contains("more than one")),
        "{answer:?}"
    );
    let pod = stage.api.get(&format!("{PODS}/a")).await.unwrap();
    assert!(pod["metadata"]["deletionTimestamp"].is_null());
}

#[tokio::test]
async fn a_restart_leaves_its_time_in_the_template_once() {
    let at: Time = "2026-01-31T12:00:00Z".parse().unwrap();
    for kind in [Deployment, StatefulSet, DaemonSet] {
        let stage = Stage::start().await;
        let web = stage.workload(kind, json!({})).await;
        let before = stage.get(&web).await;
        let claim = stage.claim(&web).await;
        let restart = TargetWrite::Restart { claim, at };
        assert_eq!(stage.write(&web, &restart).await, Answer::Done, "{kind:?}");
        let after = stage.get(&web).await;
        let mut expected = before["spec"].clone();
        expected["template"]["metadata"]["annotations"] =
            json!({RESTARTED: "2026-01-31T12:00:00Z"});
        assert_eq!(after["spec"], expected);
        assert_eq!(
            stage.facts(&web, FactsNeed::Target).await.restarted_at,
            Some(at)
        );

        assert_eq!(stage.write(&web, &restart).await, Answer::Conflict);
        assert_eq!(stage.get(&web).await, after, "{kind:?}");
    }
}

#[tokio::test]
async fn a_template_that_would_reach_no_pod_is_not_changed() {
    let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
    let partition = json!({
        "replicas": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
    });
    for (kind, spec, why) in [
        (StatefulSet, on_delete.clone(), "OnDelete"),
        (DaemonSet, on_delete, "OnDelete"),
        (StatefulSet, partition, "partition 2"),
    ] {
        let stage = Stage::start().await;
        let web = stage.workload(kind, spec).await;
        let claim = stage.claim(&web).await;
        let revision = ("web-1".to_owned(), "u".to_owned(), 1);
        let at = Time::from_unix(0);
        for write in [
            TargetWrite::Restart {
                claim: claim.clone(),
                at,
            },
            TargetWrite::Rollback { claim, revision },
        ] {
            let answer = stage.write(&web, &write).await;
            let (code, message) = refused(&answer);
            assert!(code == 422 && message.contains(why), "{answer:?}");
        }
        assert_eq!(stage.writes(), []);
    }
}

#[tokio::test]
async fn replicas_are_set_once_and_never_to_none() {
    for kind in [Deployment, StatefulSet] {
        let stage = Stage::start().await;
        let web = stage.workload(kind, json!({"replicas": 2})).await;
        let before = stage.get(&web).await;
        let claim = stage.claim(&web).await;
        let scale = |replicas: i32| TargetWrite::Scale {
            claim: claim.clone(),
            replicas,
        };
        for none in [0, -1] {
            assert_eq!(refused(&stage.write(&web, &scale(none)).await).0, 422);
        }
        assert_eq!(stage.writes(), []);
        assert_eq!(stage.write(&web, &scale(5)).await, Answer::Done, "{kind:?}");
        let after = stage.get(&web).await;
        let mut expected = before["spec"].clone();
        expected["replicas"] = json!(5);
        assert_eq!(after["spec"], expected);
        for replicas in [5, 4] {
            assert_eq!(stage.write(&web, &scale(replicas)).await, Answer::Conflict);
        }
        assert_eq!(stage.get(&web).await, after);
        let resource = format!("{}/scale", plural(kind));
        assert_eq!(stage.writes(), vec![("update".to_owned(), resource); 3]);
    }
    let stage = Stage::start().await;
    let web = stage.workload(DaemonSet, json!({})).await;
    let claim = stage.claim(&web).await;
    let answer = stage
        .write(&web, &TargetWrite::Scale { claim, replicas: 3 })
        .await;
    assert!(refused(&answer).1.contains("DaemonSet"), "{answer:?}");
    assert_eq!(stage.writes(), []);
}

#[tokio::test]
async fn a_namesake_of_the_target_is_not_scaled() {
    let stage = Stage::start().await;
    let web = stage.workload(Deployment, json!({"replicas": 2})).await;
    let claim = stage.claim(&web).await;
    let former = TargetRef {
        uid: "00000000-0000-0000-0000-000000000000".to_owned(),
        ..web.clone()
    };
    let answer = stage
        .write(&former, &TargetWrite::Scale { claim, replicas: 5 })
        .await;
    assert_eq!(answer, Answer::Conflict);
    assert_eq!(stage.get(&web).await["spec"]["replicas"], 2);
}

#[tokio::test]
async fn a_former_template_is_put_in_place_as_a_whole_and_nothing_else() {
    for (kind, name) in [(StatefulSet, "StatefulSet"), (DaemonSet, "DaemonSet")] {
        let stage = Stage::start().await;
        let web = stage.workload(kind, json!({})).await;
        let former = stage.get(&web).await;
        let mut first = history(&former, name, 1, &former["spec"]["template"]);
        // Whoever may write revisions must not scale with them.
        first["data"]["spec"]["replicas"] = json!(0);
        let first = stage.create(HISTORY, first).await;
        let change = json!({"spec": {"template": {
            "metadata": {"annotations": {"new": "yes"}},
            "spec": {"containers": [
                {"name": "main", "image": "two", "env": [{"name": "NEW", "value": "1"}]}, {"name": "more", "image": "x"},
            ]},
        }}});
        let path = format!("{}/web", collection(kind));
        stage.api.patch(&path, Patch::Merge, &change).await.unwrap();
        let second = history(&former, name, 5, &stage.get(&web).await["spec"]["template"]);
        let second = stage.create(HISTORY, second).await;
        // Of somebody else.
        let mut other = history(&former, name, 4, &template("other"));
        other["metadata"]["ownerReferences"][0]["uid"] =
            json!("00000000-0000-0000-0000-000000000000");
        let other = stage.create(HISTORY, other).await;

        let facts = stage.facts(&web, FactsNeed::Revision).await;
        assert_eq!(
            facts.current_revision,
            Some(text(&second["metadata"]["uid"]))
        );
        let previous = facts.revision.unwrap();
        let uid = text(&first["metadata"]["uid"]);
        assert_eq!(
            (previous.name.as_str(), &previous.uid, previous.number),
            ("web-1", &uid, 1)
        );

        let claim = stage.claim(&web).await;
        let roll_back = |name: &str, uid: &str| TargetWrite::Rollback {
            claim: claim.clone(),
            revision: (name.to_owned(), uid.to_owned(), 1),
        };
        let anew = stage.write(&web, &roll_back("web-1", "another")).await;
        assert_eq!(refused(&anew).0, 409, "{anew:?}");
        let gone = stage.write(&web, &roll_back("web-7", &uid)).await;
        assert_eq!(refused(&gone).0, 404, "{gone:?}");
        // A record may name any revision; one of another workload is not put in place.
        let foreign = roll_back("web-4", &text(&other["metadata"]["uid"]));
        let foreign = stage.write(&web, &foreign).await;
        assert_eq!(refused(&foreign).0, 422, "{foreign:?}");
        assert_eq!(stage.writes(), []);

        let right = roll_back("web-1", &uid);
        assert_eq!(stage.write(&web, &right).await, Answer::Done);
        let after = stage.get(&web).await;
        assert_eq!(after["spec"], former["spec"], "{kind:?}");
        assert_eq!(
            stage
                .facts(&web, FactsNeed::Revision)
                .await
                .current_revision,
            Some(uid)
        );
        assert_eq!(stage.write(&web, &right).await, Answer::Conflict);
        assert_eq!(stage.get(&web).await, after);
    }
}

#[tokio::test]
async fn an_autoscalers_minimum_is_raised_once_and_signed() {
    let stage = Stage::start().await;
    let web = stage.workload(Deployment, json!({"replicas": 2})).await;
    let hpa = json!({
        "metadata": {"name": "web", "annotations": {"kept": "yes"}},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 9},
    });
    stage.create(HPAS, hpa).await;
    let autoscaler = stage
        .facts(&web, FactsNeed::Autoscaler)
        .await
        .autoscaler
        .unwrap();
    let raise = |minimum: i32| TargetWrite::RaiseMinimum {
        autoscaler: "web".to_owned(),
        resource_version: autoscaler.resource_version.clone(),
        minimum,
        record: "web-1234567890-1".to_owned(),
    };
    assert_eq!(refused(&stage.write(&web, &raise(0)).await).0, 422);
    assert_eq!(stage.writes(), []);
    assert_eq!(stage.write(&web, &raise(4)).await, Answer::Done);
    let raised = stage
        .facts(&web, FactsNeed::Autoscaler)
        .await
        .autoscaler
        .unwrap();
    assert_eq!(
        (raised.min, raised.raised_by.as_deref()),
        (4, Some("web-1234567890-1"))
    );
    let after = stage.api.get(&format!("{HPAS}/web")).await.unwrap();
    assert_eq!(after["metadata"]["annotations"]["kept"], "yes");
    assert_eq!(after["spec"]["maxReplicas"], 9);
    assert_eq!(stage.write(&web, &raise(5)).await, Answer::Conflict);
    assert_eq!(stage.api.get(&format!("{HPAS}/web")).await.unwrap(), after);
    assert_eq!(stage.get(&web).await["spec"]["replicas"], 2);
}
