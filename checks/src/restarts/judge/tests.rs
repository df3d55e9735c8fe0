use serde_json::{Value, json};

use super::*;

/// 2026-11-21T03:13:00Z, a moment after the recordings.
const NOW: i64 = 1_795_230_780;

fn rule(most: u32, window: u64) -> Rule {
    Rule {
        most,
        window: Duration::from_secs(window),
    }
}

fn findings(rule: &Rule, pod: &Value, now: i64) -> Vec<String> {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let mut troubles = rule.judge(&pod, now);
    troubles.sort();
    troubles
        .iter()
        .map(|one| one.finding().to_string())
        .collect()
}

fn recorded(name: &str) -> Value {
    let path = format!(
        "{}/tests/fixtures/kubernetes/pods/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A pod with one container of this many restarts and these states.
fn pod(count: i64, state: Value, last: Value) -> Value {
    json!({
        "metadata": {"name": "web-1", "namespace": "shop"},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "web", "restartCount": count, "state": state, "lastState": last},
        ]},
    })
}

fn ended(reason: &str, code: i64, at: &str) -> Value {
    json!({"terminated": {"reason": reason, "exitCode": code, "finishedAt": at}})
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-11-21T03:00:00Z"}})
}

#[test]
fn every_recorded_status_is_understood() {
    let expected = "expected at most 3 restarts, seen more, the last in the past 1h";
    for (name, found) in [
        ("crash", Some("container main: {} (Error, exit code 7)")),
        ("oom", Some("container main: {} (OOMKilled, exit code 137)")),
        (
            "initcrash",
            Some("init container prep: {} (Error, exit code 2)"),
        ),
        (
            "sidecarcrash",
            Some("sidecar side: {} (Error, exit code 2)"),
        ),
        (
            "livenessfail",
            Some("container main: {} (Error, exit code 137)"),
        ),
        ("done", None),
        ("failed", None),
        ("noimage", None),
    ] {
        let found: Vec<String> = found
            .iter()
            .map(|text| format!("pod default/{name}: {}", text.replace("{}", expected)))
            .collect();
        assert_eq!(
            findings(&rule(3, 3600), &recorded(name), NOW),
            found,
            "{name}"
        );
        assert_eq!(
            findings(&rule(5, 3600), &recorded(name), NOW),
            [""; 0],
            "{name}"
        );
    }
    // The official check counts events like these; there is nothing of a pod's status in them.
    let events = recorded("backoff-events");
    assert!(
        events["items"]
            .as_array()
            .is_some_and(|items| !items.is_empty())
    );
    assert_eq!(findings(&rule(0, 0), &events["items"][0], NOW), [""; 0]);
}

#[test]
fn the_limit_is_the_most_that_is_allowed() {
    let end = ended("Error", 1, "2026-11-21T03:00:00Z");
    let found = |count, most| findings(&rule(most, 3600), &pod(count, running(), end.clone()), NOW);
    let text = |expected: &str| {
        vec![format!(
            "pod shop/web-1: container web: {expected}, the last in the past 1h (Error, exit code 1)"
        )]
    };
    assert_eq!(found(10, 10), [""; 0]);
    assert_eq!(
        found(11, 10),
        text("expected at most 10 restarts, seen more")
    );
    assert_eq!(found(2_000_000_000, 10), found(11, 10));
    assert_eq!(found(1, 0), text("expected no restarts, seen some"));
    assert_eq!(found(2, 1), text("expected at most 1 restart, seen more"));
    assert_eq!(found(0, 0), [""; 0]);
}

#[test]
fn the_window_is_about_the_last_end() {
    let at = |time: &str| pod(11, running(), ended("Error", 1, time));
    let is_found = |window, pod: &Value| !findings(&rule(10, window), pod, NOW).is_empty();
    for (window, time, expected) in [
        (3600, "2026-11-21T02:13:00Z", true),
        (3600, "2026-11-21T02:12:59Z", false),
        (7200, "2026-11-21T02:12:59Z", true),
        // The clock of a node may be ahead.
        (60, "2026-11-21T04:00:00Z", true),
        (0, "2020-01-01T00:00:00Z", true),
    ] {
        assert_eq!(is_found(window, &at(time)), expected, "{window} {time}");
    }
    // Where the kubelet lost sight of the end, it counts when the container was started again.
    let lost = json!({"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137, "finishedAt": null}});
    assert!(is_found(3600, &pod(11, running(), lost.clone())));
    assert!(!is_found(600, &pod(11, running(), lost.clone())));
    // Nothing is known of the time: only without a window.
    let pulling = json!({"waiting": {"reason": "ImagePullBackOff"}});
    assert!(!is_found(3600, &pod(11, pulling.clone(), lost.clone())));
    assert!(is_found(0, &pod(11, pulling, lost)));
    for (window, shown) in [(3600, "1h"), (5400, "90m"), (90, "90s")] {
        let pod = pod(11, running(), ended("Error", 1, "2026-11-21T03:12:59Z"));
        let found = findings(&rule(10, window), &pod, NOW);
        assert!(
            found[0].contains(&format!("in the past {shown} (")),
            "{found:?}"
        );
    }
}

#[test]
fn a_crash_loop_counts_whenever_it_ended_last() {
    let waiting =
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}});
    let old = ended("OOMKilled", 137, "2026-11-21T03:09:00Z");
    assert_eq!(
        findings(&rule(10, 60), &pod(11, waiting.clone(), old.clone()), NOW),
        [
            "pod shop/web-1: container web: expected at most 10 restarts, seen more, now in CrashLoopBackOff \
             (OOMKilled, exit code 137)"
        ]
    );
    assert_eq!(
        findings(&rule(10, 60), &pod(10, waiting.clone(), old.clone()), NOW),
        [""; 0]
    );
    assert_eq!(
        findings(&rule(10, 60), &pod(11, waiting, json!({})), NOW),
        [
            "pod shop/web-1: container web: expected at most 10 restarts, seen more, now in CrashLoopBackOff"
        ]
    );
}

/// A container in a loop is seen running, ended or waiting, with ever more restarts: it is the same trouble.
#[test]
fn the_text_stays_the_same_while_it_goes_on() {
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let end = |at: &str| ended("OOMKilled", 137, at);
    let runs = [
        pod(11, waiting.clone(), end("2026-11-21T03:12:00Z")),
        pod(
            12,
            json!({"running": {"startedAt": "2026-11-21T03:12:59Z"}}),
            end("2026-11-21T03:07:00Z"),
        ),
        pod(12, end("2026-11-21T03:13:00Z"), end("2026-11-21T03:07:00Z")),
        pod(480, waiting, end("2026-11-21T03:13:00Z")),
    ];
    let texts: Vec<_> = runs
        .iter()
        .map(|run| findings(&rule(10, 3600), run, NOW))
        .collect();
    assert_eq!(
        texts[0],
        [
            "pod shop/web-1: container web: expected at most 10 restarts, seen more, the last in the past 1h \
             (OOMKilled, exit code 137)"
        ]
    );
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
}

#[test]
fn the_end_that_is_told_is_the_one_that_was_wrong() {
    // An init container that failed for long and then did its work.
    let done = ended("Completed", 0, "2026-11-21T03:12:50Z");
    let failed = ended("Error", 3, "2026-11-21T03:10:00Z");
    let found = findings(&rule(10, 3600), &pod(11, done.clone(), failed.clone()), NOW);
    assert!(found[0].ends_with("(Error, exit code 3)"), "{found:?}");
    assert_eq!(
        findings(&rule(10, 60), &pod(11, done.clone(), failed), NOW),
        [""; 0]
    );
    // One that ends well and is started again all the same.
    let found = findings(&rule(10, 3600), &pod(11, running(), done.clone()), NOW);
    assert!(found[0].ends_with("(Completed, exit code 0)"), "{found:?}");
    let found = findings(&rule(10, 3600), &pod(11, done, json!({})), NOW);
    assert!(found[0].ends_with("(Completed, exit code 0)"), "{found:?}");
    let bare = json!({"terminated": {"exitCode": 1, "finishedAt": "2026-11-21T03:10:00Z"}});
    let found = findings(&rule(10, 3600), &pod(11, running(), bare), NOW);
    assert!(
        found[0].ends_with("in the past 1h (exit code 1)"),
        "{found:?}"
    );
}

#[test]
fn pods_that_end_or_have_ended_are_left_out() {
    let looping = || pod(11, running(), ended("Error", 1, "2026-11-21T03:10:00Z"));
    assert_eq!(findings(&rule(10, 3600), &looping(), NOW).len(), 1);
    let mut terminating = looping();
    terminating["metadata"]["deletionTimestamp"] = json!("2026-11-21T03:12:00Z");
    assert_eq!(findings(&rule(10, 3600), &terminating, NOW), [""; 0]);
    for (phase, expected) in [
        ("Succeeded", 0),
        ("Failed", 0),
        ("Pending", 1),
        ("Unknown", 1),
    ] {
        let mut other = looping();
        other["status"]["phase"] = json!(phase);
        assert_eq!(
            findings(&rule(10, 3600), &other, NOW).len(),
            expected,
            "{phase}"
        );
    }
    let mut evicted = looping();
    evicted["status"]["phase"] = json!("Failed");
    evicted["status"]["reason"] = json!("Evicted");
    assert_eq!(findings(&rule(10, 3600), &evicted, NOW), [""; 0]);
}

#[test]
fn those_still_at_it_come_first_and_the_rest_by_name() {
    let restarts = |name: &str, at: &str| {
        let mut pod = pod(11, running(), ended("Error", 1, at));
        pod["metadata"]["name"] = json!(name);
        let pod: Pod = serde_json::from_value(pod).unwrap();
        rule(10, 3600).judge(&pod, NOW).remove(0)
    };
    let mut troubles = [
        restarts("a", "2026-11-21T02:30:00Z"),
        restarts("d", "2026-11-21T03:12:00Z"),
        restarts("b", "2026-11-21T02:20:00Z"),
        restarts("c", "2026-11-21T03:04:00Z"),
    ];
    troubles.sort();
    let names: Vec<&str> = troubles.iter().map(|one| one.pod.as_str()).collect();
    assert_eq!(names, ["c", "d", "a", "b"]);
}

#[test]
fn several_containers_of_a_pod_are_told_apart() {
    let pod = json!({
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}]},
        "status": {
            "phase": "Running",
            "initContainerStatuses": [
                {"name": "proxy", "restartCount": 11, "state": running(), "lastState": ended("Error", 1, "2026-11-21T03:00:00Z")},
                {"name": "setup", "restartCount": 12, "state": running(), "lastState": ended("Error", 2, "2026-11-21T03:00:00Z")},
            ],
            "containerStatuses": [
                {"name": "log", "restartCount": 13, "state": running(), "lastState": ended("Error", 3, "2026-11-21T03:00:00Z")},
                {"name": "web", "restartCount": 0, "state": running(), "lastState": {}},
            ],
        },
    });
    let tail = |kind: &str, code| {
        format!(
            "pod shop/web-1: {kind}: expected at most 10 restarts, seen more, the last in the past 1h (Error, exit code {code})"
        )
    };
    assert_eq!(
        findings(&rule(10, 3600), &pod, NOW),
        [
            tail("container log", 3),
            tail("sidecar proxy", 1),
            tail("init container setup", 2)
        ]
    );
}
