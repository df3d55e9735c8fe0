//! Writes that are refused, whose answers are lost, or that must not be made.

use remediator::core::Time;
use remediator::core::execution::Refusal;
use sandbox::faults::{Effect, Rule};

use super::*;

/// A write, the object it changes, and its request.
struct Case {
    write: TargetWrite,
    path: String,
    verb: &'static str,
    resource: &'static str,
}

const EVICTION: usize = 0;

/// One of each kind on a Deployment that has all of it. They are made one at a time, as each moves what the others claim.
async fn cases(stage: &Stage) -> (TargetRef, Vec<Case>) {
    let web = stage
        .workload(TargetKind::Deployment, json!({"replicas": 2}))
        .await;
    let deployment = stage.get(&web).await;
    let set = stage.create(SETS, json!({
        "metadata": {
            "name": "web-1", "labels": {"app": "web"}, "ownerReferences": owned_by("Deployment", &deployment),
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template("former")},
    })).await;
    let pod = stage.pod("a", owned_by("ReplicaSet", &set)).await;
    let hpa = stage.create(HPAS, json!({
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 9},
    })).await;
    let claim = stage.claim(&web).await;
    let path = format!("{}/web", collection(web.kind));
    let case = |write, path: &str, verb, resource| Case {
        write,
        path: path.to_owned(),
        verb,
        resource,
    };
    let uid = text(&pod["metadata"]["uid"]);
    let evict = TargetWrite::Evict {
        pod: "a".to_owned(),
        uid,
    };
    let restart = TargetWrite::Restart {
        claim: claim.clone(),
        at: Time::from_unix(0),
    };
    let scale = TargetWrite::Scale {
        claim: claim.clone(),
        replicas: 5,
    };
    let revision = ("web-1".to_owned(), text(&set["metadata"]["uid"]), 1);
    let roll_back = TargetWrite::Rollback { claim, revision };
    let raise = TargetWrite::RaiseMinimum {
        autoscaler: "web".to_owned(),
        resource_version: text(&hpa["metadata"]["resourceVersion"]),
        minimum: 4,
        record: "web-1".to_owned(),
    };
    let cases = vec![
        case(evict, &format!("{PODS}/a"), "create", "pods/eviction"),
        case(restart, &path, "patch", "deployments"),
        case(scale, &path, "update", "deployments/scale"),
        case(roll_back, &path, "patch", "deployments"),
        case(
            raise,
            &format!("{HPAS}/web"),
            "patch",
            "horizontalpodautoscalers",
        ),
    ];
    (web, cases)
}

const COUNT: usize = 5;

/// The object as it is; nothing if it is gone.
async fn object(stage: &Stage, case: &Case) -> Option<Value> {
    stage.api.get(&case.path).await.ok()
}

#[tokio::test]
async fn nothing_is_sent_by_a_process_that_does_not_lead() {
    let stage = Stage::start().await;
    let (web, cases) = cases(&stage).await;
    stage.keeper.close();
    for case in &cases {
        let before = object(&stage, case).await;
        let answer = stage.write(&web, &case.write).await;
        assert_eq!(
            answer,
            Answer::Refused(Refusal::lease_lost()),
            "{:?}",
            case.write
        );
        assert_eq!(object(&stage, case).await, before);
    }
    assert_eq!(stage.writes(), []);
    // Nor is anything wrong with them.
    stage
        .keeper
        .open(Term(2), clock::instant() + Duration::from_secs(600));
    assert_eq!(
        stage.write(&web, &cases[EVICTION].write).await,
        Answer::Done
    );
}

#[tokio::test]
async fn a_lost_answer_is_unknown_whether_it_took_effect_or_not() {
    for at in 0..COUNT {
        for (fault, effect) in [
            (Rule::refuse(500), false),
            (Rule::refuse(503), false),
            (Rule::hang_up(), false),
            (Rule::refuse(500).after_commit(), true),
            (Rule::hang_up().after_commit(), true),
        ] {
            let stage = Stage::start().await;
            let (web, cases) = cases(&stage).await;
            let case = &cases[at];
            let rule = fault
                .clone()
                .agent(AGENT)
                .verb(case.verb)
                .resource(case.resource);
            stage.server.faults().add(rule);
            let before = object(&stage, case).await;
            let what = format!("{:?} {fault:?}", case.write);
            assert_eq!(
                stage.write(&web, &case.write).await,
                Answer::Unknown,
                "{what}"
            );
            assert_eq!(object(&stage, case).await != before, effect, "{what}");
            assert_eq!(stage.writes().len(), 1, "no retry of its own: {what}");
            // Made again, it has its effect once in all.
            stage.server.faults().clear();
            let again = stage.write(&web, &case.write).await;
            let expected = match (effect, at) {
                (false, _) => Answer::Done,
                (true, EVICTION) => Answer::Gone,
                (true, _) => Answer::Conflict,
            };
            assert_eq!(again, expected, "{what}");
        }
    }
}

#[tokio::test]
async fn a_busy_server_and_a_conflict_that_is_none_of_ours_change_nothing() {
    let stage = Stage::start().await;
    let (web, cases) = cases(&stage).await;
    for (at, case) in cases.iter().enumerate() {
        let before = object(&stage, case).await;
        let conflict = if at == EVICTION {
            Answer::Unknown
        } else {
            Answer::Conflict
        };
        for (code, expected) in [(429, None), (409, Some(conflict))] {
            let rule = Rule::refuse(code).agent(AGENT).verb(case.verb);
            let rule = stage.server.faults().add(rule);
            let answer = stage.write(&web, &case.write).await;
            match expected {
                Some(expected) => assert_eq!(answer, expected, "{:?}", case.write),
                None => assert!(
                    matches!(&answer, Answer::Refused(refusal) if refusal.code == code),
                    "{answer:?}"
                ),
            }
            stage.server.faults().remove(rule);
        }
        assert_eq!(object(&stage, case).await, before);
    }
}

#[tokio::test]
async fn a_write_that_is_not_permitted_is_refused_and_the_permission_named() {
    let read = json!({"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]});
    let stage = Stage::restricted(json!([read])).await;
    let (web, cases) = cases(&stage).await;
    for case in &cases {
        let before = object(&stage, case).await;
        let answer = stage.write(&web, &case.write).await;
        let Answer::Refused(Refusal {
            code: 403, message, ..
        }) = &answer
        else {
            panic!("{answer:?}");
        };
        let names = format!("cannot {} resource \"{}\"", case.verb, case.resource);
        assert!(message.contains(&names), "{message}");
        assert_eq!(object(&stage, case).await, before);
    }
    // To go back, the revision has to be read.
    let stage = Stage::restricted(json!([])).await;
    let (web, cases) = self::cases(&stage).await;
    let answer = stage.write(&web, &cases[3].write).await;
    let Answer::Refused(Refusal {
        code: 403, message, ..
    }) = &answer
    else {
        panic!("{answer:?}");
    };
    assert!(
        message.contains("cannot list resource \"replicasets\""),
        "{message}"
    );
    assert_eq!(stage.writes(), []);
}

#[tokio::test]
async fn a_read_before_a_write_that_fails_is_no_write() {
    let stage = Stage::start().await;
    let (web, cases) = cases(&stage).await;
    let roll_back = &cases[3];
    for fault in [Rule::refuse(500), Rule::refuse(429), Rule::hang_up()] {
        let rule = stage.server.faults().add(fault.agent(AGENT).verb("list"));
        let answer = stage.write(&web, &roll_back.write).await;
        assert!(
            matches!(&answer, Answer::Refused(refusal) if refusal.code == 0),
            "{answer:?}"
        );
        stage.server.faults().remove(rule);
    }
    assert_eq!(stage.writes(), []);
    assert_eq!(stage.write(&web, &roll_back.write).await, Answer::Done);
}

#[tokio::test]
async fn an_answer_is_not_waited_for_for_ever() {
    let stage = Stage::start().await;
    let (web, cases) = cases(&stage).await;
    let late = Rule::new(Effect::Delay(Duration::from_secs(3600)));
    stage.server.faults().add(late.agent(AGENT));
    let target = (web.kind, web.name.as_str());
    let read = stage.cluster.facts("default", target, FactsNeed::Target);
    let write = stage.write(&web, &cases[EVICTION].write);
    let both = async { tokio::join!(read, write) };
    let (read, write) = tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .unwrap();
    assert_eq!(
        read.unwrap_err().to_string(),
        "ServiceError: no answer within 4 s"
    );
    assert_eq!(write, Answer::Unknown);
}
