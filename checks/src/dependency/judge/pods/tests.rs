use serde_json::{Value, json};

use super::super::tests::object;
use super::*;

fn pod(name: &str, status: Value) -> Pod {
    object(json!({"metadata": {"name": name}, "status": status}))
}

fn conditions(ready: &str) -> Value {
    json!({"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]})
}

#[test]
fn pods_need_to_be_ready() {
    let tally = |pods: Vec<Pod>| {
        let mut tally = PodTally::default();
        pods.into_iter().for_each(|pod| tally.add(pod));
        tally
    };
    let ready = || pod("a", conditions("True"));
    let waiting = || pod("b", conditions("False"));
    let terminating = || {
        object(
            json!({"metadata": {"name": "c", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": conditions("True")}),
        )
    };
    let done = || pod("d", json!({"phase": "Succeeded"}));

    assert_eq!(pods(tally(vec![ready()]), Minimum::ONE), Ok(()));
    assert_eq!(
        pods(tally(vec![ready(), waiting()]), Minimum::Percent(50)),
        Ok(())
    );
    assert_eq!(
        pods(
            tally(vec![ready(), terminating(), done()]),
            Minimum::Percent(100)
        ),
        Ok(())
    );

    let wrong = pods(tally(vec![terminating(), done()]), Minimum::ONE).unwrap_err();
    assert!(wrong.pods.is_empty());
    assert_eq!(
        wrong.too_few.unwrap().to_string(),
        "expected at least 1 ready pod, seen no such pod"
    );

    let wrong = pods(tally(vec![waiting(), ready()]), Minimum::Count(2)).unwrap_err();
    assert_eq!(wrong.too_few, None);
    assert_eq!(wrong.pods[0].0, "b");
    assert_eq!(
        wrong.pods[0].1.to_string(),
        "expected it to be ready, seen not ready"
    );

    let wrong = pods(tally(vec![ready()]), Minimum::Count(2)).unwrap_err();
    assert!(wrong.pods.is_empty());
    assert_eq!(
        wrong.too_few.unwrap().to_string(),
        "expected at least 2 ready pods, seen fewer pods"
    );
}

#[test]
fn why_a_pod_is_not_ready_reads_the_same_each_time() {
    let waiting = |reason: &str| {
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
               "containerStatuses": [{"state": {"waiting": {"reason": reason}}}]})
    };
    let unscheduled = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]});
    for (status, expected) in [
        (waiting("ErrImagePull"), "its image not pulled"),
        (waiting("ImagePullBackOff"), "its image not pulled"),
        (waiting("CrashLoopBackOff"), "not ready"),
        (unscheduled, "it not scheduled"),
        (json!({}), "not ready"),
    ] {
        let mut tally = PodTally::default();
        tally.add(pod("a", status.clone()));
        let wrong = pods(tally, Minimum::ONE).unwrap_err();
        assert_eq!(wrong.pods[0].1.seen, expected, "{status}");
    }
}
