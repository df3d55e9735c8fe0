//! Every recording of a real API server and kubelet, replayed.

use super::api::*;

/// What is found when the recording is replayed; nothing if the command passes.
fn expected(name: &str) -> &'static [&'static str] {
    match name {
        "v4-ok.json" | "v5-ok.json" | "v5-stdin.json" | "large-output.json" => &[],
        "v4-exit-3.json" | "v5-exit-3.json" => {
            &[r#"pod shop/web-1: sh: expected exit code 0, got 3; stderr ends with "err""#]
        }
        "killed.json" => &["pod shop/web-1: sh: expected exit code 0, got 137 (128 + SIGKILL)"],
        "v4-command-not-found.json" | "v5-command-not-found.json" => {
            &["pod shop/web-1: cannot start no-such-command: not found in the container's PATH"]
        }
        "container-not-running.json" => {
            &["pod shop/web-1: expected container main to be running, it is not"]
        }
        "v4-no-such-container.json" | "v5-no-such-container.json" => {
            &["pod shop/web-1: expected a container nope, the pod has none of that name"]
        }
        // A pod that has gone is no failure, but somebody has to be left to look at.
        "pod-not-found.json" => &["no pod that matches app=web lasted until the command had run"],
        other => panic!("a new recording: {other}"),
    }
}

#[test]
fn each_recording_is_understood() {
    let names = Recording::names();
    assert_eq!(names.len(), 13);
    for name in names {
        let recording = Recording::read(&name);
        let api = Api::with(&[("web-1", recording.reply.clone())]);
        let command = serde_json::to_string(&recording.command).unwrap();
        let mut run = api.exec(&command);
        if let Some(container) = &recording.container {
            run = run.var("POD_CONTAINER", container);
        }
        let verdict = run.run();
        match expected(&name) {
            [] => verdict.passed(),
            errors => verdict.failed(errors),
        };
        let asked = api.asked();
        assert_eq!(asked.len(), 1, "{name}");
        assert_eq!(asked[0].all("command"), recording.command);
        assert_eq!(
            asked[0].all("container"),
            [recording.container.as_deref().unwrap_or("main")]
        );
        assert_eq!(
            (asked[0].all("stdout"), asked[0].all("stderr")),
            (vec!["true".to_owned()], vec!["true".to_owned()])
        );
        assert!(asked[0].all("stdin").is_empty() && asked[0].all("tty").is_empty());
        assert!(
            asked[0]
                .request
                .header("sec-websocket-protocol")
                .contains(&recording.offered)
        );
    }
}

#[test]
fn large_output_is_judged_whole_and_logged_in_part() {
    let api = Api::with(&[("web-1", Recording::read("large-output.json").reply)]);
    let run = |pattern| {
        api.exec("count")
            .var("EXEC_LOG", "always")
            .var("EXPECTED_STDOUT", pattern)
            .run()
    };
    let verdict = run("^line1500$");
    verdict.passed();
    assert!(verdict.log.contains("  | line0\n") && verdict.log.contains("  | line2999\n"));
    assert!(verdict.log.contains("[... left out ...]") && !verdict.log.contains("line1500"));
    run("^line3000$").failed(&[
        "pod shop/web-1: shell command: expected a line of stdout to match /^line3000$/, none did",
    ]);
}
