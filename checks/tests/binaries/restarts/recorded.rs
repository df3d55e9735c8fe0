//! Every status that was recorded from a real kubelet.

use std::path::{Path, PathBuf};

use super::*;

/// The recordings end a moment before.
const RECORDED: &str = "2026-11-21T03:13:30Z";

fn fixture(path: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes");
    read(&folder.join(path))
}

fn read(path: &Path) -> Value {
    let mut object = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    shift(&mut object);
    object
}

/// Moves all times, so that the recording was made just now.
fn shift(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                let age = RECORDED.parse::<Timestamp>().unwrap().as_second() - time.as_second();
                *text = ago(age);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(shift),
        Value::Object(members) => members.values_mut().for_each(shift),
        _ => {}
    }
}

/// What is left of a recorded pod when it is created anew.
fn anew(mut pod: Value) -> Value {
    let meta = &pod["metadata"];
    pod["metadata"] = serde_json::json!({"name": meta["name"], "labels": meta["labels"]});
    pod
}

#[test]
fn each_is_judged_by_its_containers() {
    let cluster = Cluster::new();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes/pods");
    let mut pods = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let object = read(&entry.unwrap().path());
        if object["kind"] == "Pod" {
            cluster.pods("default", [anew(object)]);
            pods += 1;
        }
    }
    assert_eq!(pods, 8);
    let seen = "expected at most 3 restarts, seen more, the last in the past 1h";
    cluster
        .restarts(&[("MAX_FAILURES_ALLOWED", "3")])
        .run()
        .failed(&[
            &format!("pod default/crash: container main: {seen} (Error, exit code 7)"),
            &format!("pod default/initcrash: init container prep: {seen} (Error, exit code 2)"),
            &format!("pod default/livenessfail: container main: {seen} (Error, exit code 137)"),
            &format!("pod default/oom: container main: {seen} (OOMKilled, exit code 137)"),
            &format!("pod default/sidecarcrash: sidecar side: {seen} (Error, exit code 2)"),
        ]);
    // Four of them ended a minute ago, and have not ended since.
    cluster
        .restarts(&[("MAX_FAILURES_ALLOWED", "3"), ("RESTART_WINDOW", "10s")])
        .run()
        .failed(&[
            "pod default/livenessfail: container main: expected at most 3 restarts, seen more, now in CrashLoopBackOff \
             (Error, exit code 137)",
        ]);
    cluster.restarts(&[("MAX_FAILURES_ALLOWED", "4")]).run().failed(&[
        "pod default/livenessfail: container main: expected at most 4 restarts, seen more, the last in the past 1h \
         (Error, exit code 137)",
    ]);
    cluster
        .restarts(&[("MAX_FAILURES_ALLOWED", "5")])
        .run()
        .passed();
    cluster.restarts(&[]).run().passed();
}

/// As a real server lists them, with all that a pod has.
#[test]
fn a_recorded_list_is_understood() {
    let mut terminating = fixture("answers/pod-terminating.json")["body"].take();
    let container = &mut terminating["status"]["containerStatuses"][0];
    container["restartCount"] = 50.into();
    container["lastState"] = container["state"].clone();
    let oom = fixture("pods/oom.json");
    let list = serde_json::json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1216"}, "items": [terminating, oom],
    });
    let body = serde_json::to_string_pretty(&list).unwrap();
    let server = Server::saying(200, &[("Content-Type", "application/json")], &body);
    check(&[
        ("KUBE_API_URL", &server.url("")),
        ("MAX_FAILURES_ALLOWED", "0"),
    ])
    .run()
    .failed(&[
        "pod default/oom: container main: expected no restarts, seen some, the last in the past 1h \
             (OOMKilled, exit code 137)",
    ]);
}
