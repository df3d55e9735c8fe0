//! A command in several pods: who is asked, at what pace, and what counts.

use std::time::Duration;

use serde_json::json;

use super::api::*;
use super::*;

fn data(channel: u8, text: &str) -> Frame {
    Frame::Data(channel, text.as_bytes().to_vec())
}

fn speaks(frames: Vec<Frame>) -> Reply {
    Reply::Speak(V5.to_owned(), frames)
}

#[test]
fn each_failing_pod_is_a_finding_about_it() {
    let said = [vec![data(2, "disk full\n")], frames("", 1)].concat();
    let api = Api::with(&[
        ("web-3", ends(0)),
        ("web-2", speaks(said)),
        ("web-1", ends(2)),
    ]);
    api.exec(r#"["/check.sh"]"#).run().failed(&[
        "pod shop/web-1: check.sh: expected exit code 0, got 2",
        r#"pod shop/web-2: check.sh: expected exit code 0, got 1; stderr ends with "disk full""#,
    ]);
    let asked = api.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|asked| asked.all("command") == ["/check.sh"])
    );
}

#[test]
fn a_shell_line_is_for_the_shell_of_the_container() {
    let api = Api::with(&[("web-1", ends(0))]);
    api.exec("test -s /tmp/healthy && cat /tmp/healthy")
        .var("EXEC_SHELL", "/bin/ash")
        .run()
        .passed();
    assert_eq!(
        api.asked()[0].all("command"),
        ["/bin/ash", "-c", "test -s /tmp/healthy && cat /tmp/healthy"]
    );
    let failure = r#"{"status":"Failure","reason":"InternalError","message":"x: exec: \"/bin/sh\": stat /bin/sh: no such file or directory"}"#;
    let api = Api::with(&[("web-1", speaks(vec![data(3, failure)]))]);
    api.exec("true").run().failed(&[
        "pod shop/web-1: cannot start shell command: /bin/sh: no such file in the container",
    ]);
}

#[test]
fn the_container_is_the_one_kubectl_would_choose() {
    let chosen = json!({"kubectl.kubernetes.io/default-container": "web"});
    let pods = [
        pod_with("web-1", &["proxy", "web"], json!({})),
        pod_with("web-2", &["proxy", "web"], chosen.clone()),
        pod_with("web-3", &["proxy", "app"], chosen),
    ];
    let replies = [("web-1", ends(0)), ("web-2", ends(0)), ("web-3", ends(0))];
    let containers = |container: &str| {
        let api = Api::listing(vec![list(&pods)], &replies);
        api.exec("true")
            .var("POD_CONTAINER", container)
            .run()
            .passed();
        let mut asked = api.asked();
        asked.sort_by(|a, b| a.pod.cmp(&b.pod));
        asked
            .iter()
            .flat_map(|asked| asked.all("container"))
            .collect::<Vec<_>>()
    };
    assert_eq!(containers(""), ["proxy", "web", "proxy"]);
    assert_eq!(containers("side"), ["side", "side", "side"]);
}

#[test]
fn so_many_at_a_time_and_no_more() {
    let names: Vec<String> = (0..9).map(|n| format!("web-{n}")).collect();
    let together = || speaks([vec![Frame::Together(3)], frames("", 0)].concat());
    let replies: Vec<(&str, Reply)> = names
        .iter()
        .map(|name| (name.as_str(), together()))
        .collect();
    let api = Api::with(&replies);
    api.exec("true").var("CONCURRENCY", "3").run().passed();
    assert_eq!((api.asked().len(), api.most_open()), (9, 3));
}

#[test]
fn a_command_that_takes_too_long_is_a_finding_of_its_pod() {
    let talkative = speaks(vec![data(1, "step 1\n"), Frame::Wait]);
    let api = Api::with(&[
        ("web-1", talkative),
        ("web-2", ends(0)),
        ("web-3", Reply::Silence),
    ]);
    let verdict = api.exec("slow").var("TIMEOUT_DURATION", "1s").run();
    verdict.failed(&[
        r#"pod shop/web-1: shell command: expected it to end within 1s, it was still running; stdout ends with "step <n>""#,
        "pod shop/web-3: expected the API server to run a command, it did not answer in time",
    ]);
    assert!(verdict.took < Duration::from_secs(20));
}

#[test]
fn the_deadline_of_the_run_leaves_nobody_out() {
    let waits = || speaks(vec![Frame::Wait]);
    let api = Api::with(&[("web-1", waits()), ("web-2", waits()), ("web-3", waits())]);
    let run = api
        .exec("slow")
        .var("CONCURRENCY", "2")
        .deadline(Duration::from_secs(9));
    run.run().failed(&[
        "pod shop/web-1: shell command: expected it to end before the deadline of the run, it was still running",
        "pod shop/web-2: shell command: expected it to end before the deadline of the run, it was still running",
        "expected the command to run in every pod before the deadline of the run, some had no turn",
    ]);
}

#[test]
fn a_broken_conversation_is_told() {
    let rows: Vec<(Vec<Frame>, &str)> = vec![
        (
            vec![Frame::Close(1000, String::new())],
            "expected its exit status, the connection to its container was closed",
        ),
        (
            vec![
                data(1, "x\n"),
                Frame::Close(1011, "kubelet 10.0.0.1:10250 restarts".to_owned()),
            ],
            "expected its exit status, the connection to its container was closed (kubelet <address> restarts)",
        ),
        (
            vec![data(1, "x\n"), Frame::Drop],
            "expected its exit status, the connection to its container",
        ),
        (
            vec![data(3, "terminated")],
            "expected its exit status from the API server, got something else",
        ),
        (
            vec![Frame::Data(1, vec![b'x'; 2 << 20])],
            "broke: a frame is too large",
        ),
    ];
    for (frames, words) in rows {
        let api = Api::with(&[("web-1", speaks(frames))]);
        api.exec("x")
            .run()
            .failed_with(&["pod shop/web-1: shell command: ", words]);
    }
}

#[test]
fn what_a_stream_may_hold_besides_is_passed_over() {
    let odd = vec![
        Frame::Ping,
        data(0, "x"),
        data(4, "{}"),
        data(255, "\u{1}"),
        data(3, ""),
        Frame::Ping,
    ];
    let api = Api::with(&[("web-1", speaks([odd, frames("ok\n", 0)].concat()))]);
    api.exec("x").var("EXPECTED_STDOUT", "^ok$").run().passed();
}

#[test]
fn a_failing_pod_is_tried_again() {
    let turns = Reply::Turns(vec![
        ends(1),
        Reply::Refuse(500, "container not found (\"main\")".to_owned()),
        ends(0),
    ]);
    let api = Api::with(&[("web-1", turns), ("web-2", ends(0))]);
    api.exec("x")
        .var("RETRIES", "2")
        .var("RETRY_DELAY", "10ms")
        .run()
        .passed();
    assert_eq!(api.asked().len(), 4);
}

#[test]
fn pods_that_went_away_meanwhile_are_no_failure() {
    let gone = Reply::Refuse(
        404,
        json!({"kind": "Status", "details": {"kind": "pods"}, "code": 404}).to_string(),
    );
    let terminating = |name: &str| {
        let mut pod = pod(name);
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod
    };
    let mut replaced = pod("web-4");
    replaced["metadata"]["uid"] = json!("another");
    let before = ["web-1", "web-2", "web-3", "web-4"].map(pod);
    let after = [pod("web-1"), terminating("web-3"), replaced];
    let replies = |web_1| {
        [
            ("web-1", web_1),
            ("web-2", gone.clone()),
            ("web-3", ends(137)),
            ("web-4", ends(1)),
        ]
    };
    let run = |web_1| {
        let api = Api::listing(vec![list(&before), list(&after)], &replies(web_1));
        api.exec("x").run()
    };
    run(ends(0)).passed();
    run(ends(7)).failed(&["pod shop/web-1: shell command: expected exit code 0, got 7"]);
}

#[test]
fn somebody_has_to_be_left() {
    let none = "no pod that matches app=web lasted until the command had run";
    let api = Api::listing(
        vec![list(&[pod("web-1")]), list(&[])],
        &[("web-1", ends(1))],
    );
    api.exec("x").run().failed(&[none]);
    api.exec("x").var("POD_ALLOW_NONE", "true").run().passed();
    let api = Api::listing(vec![list(&[])], &[]);
    api.exec("x")
        .run()
        .failed(&["no running pod matches app=web in namespace shop"]);
    api.exec("x").var("POD_ALLOW_NONE", "true").run().passed();
}

#[test]
fn told_to_stop_it_says_what_it_had_found() {
    let api = Api::with(&[
        ("web-1", ends(1)),
        ("web-2", speaks(vec![Frame::Together(2), Frame::Wait])),
    ]);
    let running = api.exec("x").start();
    eventually("both execs", || api.asked().len() == 2);
    running.terminate();
    let (output, reports, took) = running.wait();
    assert_eq!(output.status.code(), Some(0));
    assert!(reports[0].body.contains("interrupted"), "{reports:?}");
    assert!(took < Duration::from_secs(20));
}
