//! The harness, in processes of its own: one verdict, whatever the check does.

use std::process::Stdio;
use std::time::Duration;

use khclient::Line;
use khclient::harness_errors::{INTERRUPTED, OVERDUE, STARTED_LATE};

use crate::support::process::{Ended, Process, command, run};
use crate::support::server::{Gate, Reply, Server, free_address, status};
use crate::support::{PLENTY, eventually, path};

const LINES: [Line; 2] = [Line::V2, Line::V3];
const OK: &str = r#"{"OK":true,"Errors":[]}"#;

fn failure(errors: &[&str]) -> String {
    let errors: Vec<String> = errors.iter().map(|error| format!("{error:?}")).collect();
    format!(r#"{{"OK":false,"Errors":[{}]}}"#, errors.join(","))
}

/// Runs the check against a server that accepts, and expects exactly one report.
fn reported(line: Line, args: &[&str], body: &str) -> Ended {
    let server = Server::start([status(200)]);
    let ended = run(Some(&server.url(path(line))), args);
    assert_eq!(
        server.accepted(),
        [body],
        "{line:?} {args:?} {}",
        ended.stderr
    );
    assert_eq!(ended.code, Some(0), "{line:?} {args:?} {}", ended.stderr);
    ended
}

#[test]
fn any_verdict_that_is_accepted_is_a_success() {
    for line in LINES {
        let ended = reported(line, &["pass"], OK);
        assert!(ended.stderr.starts_with("PASSED\n"), "{}", ended.stderr);
        let ended = reported(
            line,
            &["--early", "unused", "fail", "expected 200, got 503"],
            &failure(&["expected 200, got 503"]),
        );
        assert!(
            ended
                .stderr
                .starts_with("FAILED\n  expected 200, got 503\n"),
            "{}",
            ended.stderr
        );
        reported(
            line,
            &["misconfigured", "COUNT: no number"],
            &failure(&["COUNT: no number"]),
        );
    }
}

#[test]
fn a_panic_is_a_failure() {
    for line in LINES {
        reported(
            line,
            &["panic", "index out of bounds"],
            &failure(&["the check panicked: index out of bounds"]),
        );
        let with_early = failure(&["the check panicked: boom", "seen before"]);
        reported(
            line,
            &["--early", "seen before", "panic", "boom"],
            &with_early,
        );
    }
}

#[test]
fn a_check_that_blocks_its_thread_is_reported_before_the_deadline() {
    for line in LINES {
        let args = [
            "--shorten",
            "10",
            "--deadline-ms",
            "3000",
            "--early",
            "pod shop/web: slow",
            "block",
        ];
        let ended = reported(line, &args, &failure(&[OVERDUE, "pod shop/web: slow"]));
        // It would block for ever.
        assert!(ended.took < PLENTY, "{:?}", ended.took);
    }
}

#[test]
fn a_check_that_hangs_is_reported_before_the_deadline_and_dropped() {
    for line in LINES {
        let server = Server::start([status(200)]);
        let args = [
            "--shorten",
            "10",
            "--deadline-ms",
            "3000",
            "--early",
            "one",
            "--early",
            "two",
            "hang",
        ];
        let process = Process::start(command(Some(&server.url(path(line))), &args));
        let deadline = std::time::Instant::now() + Duration::from_secs(3);
        let ended = process.wait();
        assert_eq!(server.accepted(), [failure(&[OVERDUE, "one", "two"])]);
        assert!(server.requests()[0].at < deadline);
        assert!(ended.stdout.contains("dropped"), "{}", ended.stdout);
        assert_eq!(ended.code, Some(0));
    }
}

#[test]
fn a_check_that_is_cut_short_can_let_go_and_changes_no_verdict() {
    let args = ["--shorten", "4", "--deadline-ms", "2000", "let-go"];
    let ended = reported(Line::V3, &args, &failure(&[OVERDUE]));
    assert!(ended.stdout.contains("let go"), "{}", ended.stdout);
}

#[test]
fn work_that_a_check_leaves_behind_is_not_waited_for() {
    let ended = reported(Line::V3, &["leave-work"], OK);
    assert!(ended.took < PLENTY, "{:?}", ended.took);
}

#[test]
fn a_missing_or_unreadable_deadline_is_replaced_by_an_assumption() {
    for line in LINES {
        reported(line, &["--shorten", "300", "hang"], &failure(&[OVERDUE]));

        let server = Server::start([status(200)]);
        let mut command = command(Some(&server.url(path(line))), &["pass"]);
        command.env("KH_CHECK_RUN_DEADLINE", "soon");
        let ended = Process::start(command).wait();
        assert_eq!(server.accepted(), [OK]);
        assert!(
            ended.stderr.contains("KH_CHECK_RUN_DEADLINE=\"soon\""),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_run_that_begins_after_its_deadline_is_not_run() {
    for (line, reply, code, bodies) in [
        (Line::V2, 200, 1, vec![]),
        (Line::V3, 410, 1, vec![failure(&[STARTED_LATE])]),
        (Line::V3, 200, 0, vec![failure(&[STARTED_LATE])]),
        (Line::V3, 503, 1, vec![failure(&[STARTED_LATE])]),
    ] {
        let server = Server::start([status(reply)]);
        let mut command = command(Some(&server.url(path(line))), &["pass"]);
        command.env("KH_CHECK_RUN_DEADLINE", "1600000000");
        let ended = Process::start(command).wait();
        assert_eq!(server.bodies(), bodies, "{line:?} {reply}");
        assert_eq!(ended.code, Some(code), "{line:?} {reply}");
        assert_eq!(ended.stdout, "", "{line:?} {reply}");
        assert!(ended.stderr.contains(STARTED_LATE), "{}", ended.stderr);
    }
}

#[test]
fn sigterm_before_a_verdict_is_reported_as_interrupted_on_line_3() {
    let server = Server::start([status(503), status(200)]);
    for action in ["hang", "block"] {
        let args = [
            "--shorten",
            "10",
            "--deadline-ms",
            "60000",
            "--early",
            "seen before",
            action,
        ];
        let mut process = Process::start(command(Some(&server.url(path(Line::V3))), &args));
        process.expect_line("started");
        process.terminate();
        assert_eq!(process.wait().code, Some(0));
    }
    let body = failure(&[INTERRUPTED, "seen before"]);
    // The early finding is added right after "started", so a very early signal may come before it.
    let accepted = server.accepted();
    assert_eq!(accepted.len(), 2);
    assert!(
        accepted
            .iter()
            .all(|got| *got == body || *got == failure(&[INTERRUPTED])),
        "{accepted:?}"
    );
}

#[test]
fn sigterm_before_a_verdict_is_silence_on_line_2() {
    let server = Server::start([status(200)]);
    for action in ["hang", "block"] {
        let args = ["--deadline-ms", "60000", action];
        let mut process = Process::start(command(Some(&server.url(path(Line::V2))), &args));
        process.expect_line("started");
        process.terminate();
        let ended = process.wait();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("told to stop"), "{}", ended.stderr);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn sigterm_while_the_verdict_is_on_its_way_does_not_change_it() {
    for line in LINES {
        let gate = Gate::default();
        let first = Reply::Wait(gate.clone(), Box::new(status(503)));
        let server = Server::start([first, status(200)]);
        let process = Process::start(command(
            Some(&server.url(path(line))),
            &["--deadline-ms", "60000", "pass"],
        ));
        eventually("the first attempt", || !server.requests().is_empty());
        process.terminate();
        gate.open();
        assert_eq!(process.wait().code, Some(0));
        assert_eq!(server.bodies(), [OK, OK]);
    }
}

#[test]
fn sigterm_while_nobody_takes_the_verdict_ends_soon() {
    for line in LINES {
        let server = Server::start([Reply::Hang]);
        let args = ["--shorten", "20", "--deadline-ms", "600000", "fail", "x"];
        let process = Process::start(command(Some(&server.url(path(line))), &args));
        eventually("the first attempt", || !server.requests().is_empty());
        process.terminate();
        let ended = process.wait();
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.contains("told to stop while"),
            "{}",
            ended.stderr
        );
        assert!(server.bodies().iter().all(|body| *body == failure(&["x"])));
    }
}

#[test]
fn a_verdict_that_cannot_be_delivered_is_in_the_log() {
    for line in LINES {
        let url = format!("http://{}{}", free_address(), path(line));
        let ended = run(
            Some(&url),
            &[
                "--shorten",
                "20",
                "--deadline-ms",
                "1000",
                "fail",
                "pod shop/web: gone",
            ],
        );
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.contains("FAILED\n  pod shop/web: gone"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(&url) && ended.stderr.contains("not delivered"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_reporting_url_that_cannot_be_read_is_named() {
    let ended = run(Some("http//kuberhealthy/check"), &["pass"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "");
    assert!(
        ended
            .stderr
            .contains("KH_REPORTING_URL=\"http//kuberhealthy/check\""),
        "{}",
        ended.stderr
    );
}

#[test]
fn without_a_reporting_url_the_verdict_is_printed() {
    let cases: [(&[&str], i32, &str); 4] = [
        (&["pass"], 0, "started\nPASSED\n"),
        (
            &["fail", "expected 200, got 503"],
            1,
            "started\nFAILED\n  expected 200, got 503\n",
        ),
        (
            &["misconfigured", "COUNT: no number"],
            2,
            "started\nMISCONFIGURED\n  COUNT: no number\n",
        ),
        (
            &["panic", "boom"],
            1,
            "started\nFAILED\n  the check panicked: boom\n",
        ),
    ];
    for (args, code, stdout) in cases {
        let ended = run(None, args);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), stdout),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn an_interrupt_without_a_reporting_url_prints_what_is_known() {
    let mut process = Process::start(command(None, &["hang"]));
    process.expect_line("started");
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains(&format!("FAILED\n  {INTERRUPTED}\n")),
        "{}",
        ended.stdout
    );
}

#[test]
fn proxies_are_ignored() {
    let server = Server::start([status(200)]);
    let closed = format!("http://{}", free_address());
    let mut command = command(
        Some(&server.url(path(Line::V3))),
        &["--deadline-ms", "20000", "pass"],
    );
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, &closed);
    }
    let ended = Process::start(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(server.accepted(), [OK]);
}

#[test]
fn a_closed_log_does_not_keep_a_verdict_from_its_way() {
    let server = Server::start([status(200)]);
    let mut command = command(Some(&server.url(path(Line::V3))), &["fail", "x"]);
    // A pipe whose other end is closed at once.
    command.stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(server.accepted(), [failure(&["x"])]);
}
