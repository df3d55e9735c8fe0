//! Connections alone: made, refused, dropped; and the negative test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

const DROPPED: &str = "expected a connection, seen no answer within 1s";
const REACHED: &str = "expected no connection, seen one (CONNECTION_TARGET_UNREACHABLE is set)";
const SHORT: (&str, &str) = ("CONNECTION_TIMEOUT", "1s");
const NEGATIVE: (&str, &str) = ("CONNECTION_TARGET_UNREACHABLE", "true");

#[test]
fn targets_are_written_in_every_usual_way() {
    let port = saying(b"").port();
    let six = serve_on("[::1]:0", |mut stream| wait_for_end(&mut stream)).port();
    for target in [
        format!("127.0.0.1:{port}"),
        format!("tcp://127.0.0.1:{port}"),
        format!("tcp://localhost:{port}"),
        format!("[::1]:{six}"),
        format!("TCP://[::1]:{six}"),
    ] {
        probe(&target, &[]).passed();
    }
    check(&[])
        .arg(&format!("--connection-target=127.0.0.1:{port}"))
        .run()
        .passed();
}

#[test]
fn a_refused_connection_fails_without_waiting() {
    let port = closed_port();
    for target in [
        format!("127.0.0.1:{port}"),
        format!("tcp://127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        let shown = format!("tcp://{}", target.trim_start_matches("tcp://"));
        let verdict = probe(&target, &[]);
        verdict.failed_at(&shown, "expected a connection, seen connection refused");
        assert!(verdict.took < Duration::from_secs(15), "{verdict:#?}");
    }
}

#[test]
fn the_time_out_is_read() {
    let target = dropping();
    let shown = format!("tcp://{}", target.address);
    let verdict = probe(&shown, &[SHORT]);
    verdict.failed_at(&shown, DROPPED);
    assert!(
        verdict.took >= Duration::from_secs(1) && verdict.took < Duration::from_secs(10),
        "{verdict:#?}"
    );
    // Without one it is the official 20s, but never beyond the run's deadline.
    let verdict = check(&[("CONNECTION_TARGET", &shown)])
        .deadline(Duration::from_secs(8))
        .run();
    verdict.failed_at(
        &shown,
        "expected a connection, seen no answer before the run's deadline",
    );
}

#[test]
fn each_failing_target_is_a_finding_in_order() {
    let up = saying(b"");
    let (first, last) = (closed_port(), dropping());
    let list = format!("127.0.0.1:{first}, {up}\n{} udp://{up}", last.address);
    let vars = [SHORT, ("SEND", "x"), ("EXPECT", "y")];
    let expected = [
        format!("tcp://127.0.0.1:{first}: expected a connection, seen connection refused"),
        format!("tcp://{up}: expected an answer that matches y, seen no answer within 1s"),
        format!("tcp://{}: {DROPPED}", last.address),
        format!("udp://{up}: expected an answer, seen connection refused"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    for concurrency in ["1", "10"] {
        probe(
            &list,
            &[&vars[..], &[("CONCURRENCY", concurrency)]].concat(),
        )
        .failed(&expected);
    }
}

#[test]
fn targets_that_the_run_has_no_time_for_are_told() {
    let target = dropping();
    let list = format!("{0},localhost:{1}", target.address, closed_port());
    let verdict = check(&[("CONNECTION_TARGET", &list), ("CONCURRENCY", "1")])
        .deadline(Duration::from_secs(8))
        .run();
    assert!(
        verdict.errors[1]
            .ends_with("expected time to try it, seen none left before the run's deadline"),
        "{verdict:#?}"
    );
}

#[test]
fn a_reachable_target_fails_the_negative_test() {
    let up = saying(b"");
    let six = serve_on("[::1]:0", |mut stream| wait_for_end(&mut stream));
    for target in [up, six] {
        let shown = format!("tcp://{target}");
        probe(&shown, &[NEGATIVE]).failed_at(&shown, REACHED);
        probe(&shown, &[("CONNECTION_TARGET_UNREACHABLE", "false")]).passed();
    }
}

#[test]
fn a_target_that_refuses_or_drops_passes_the_negative_test() {
    probe(&format!("127.0.0.1:{}", closed_port()), &[NEGATIVE]).passed();
    let target = dropping();
    probe(&target.address.to_string(), &[NEGATIVE, SHORT]).passed();
    // Also when the run ends before the time-out does.
    check(&[NEGATIVE, ("CONNECTION_TARGET", &target.address.to_string())])
        .deadline(Duration::from_secs(9))
        .run()
        .passed();
}

#[test]
fn one_reachable_target_of_several_fails_the_negative_test() {
    let up = saying(b"");
    let list = format!("127.0.0.1:{},{up}", closed_port());
    probe(&list, &[NEGATIVE]).failed_at(&format!("tcp://{up}"), REACHED);
}

#[test]
fn a_name_that_does_not_exist_passes_no_test() {
    let words = "seen DNS: no such host no-such-name.invalid";
    let target = "tcp://no-such-name.invalid:80";
    let positive = probe(target, &[]);
    let negative = probe(target, &[NEGATIVE]);
    // A machine without any name server cannot know.
    if positive
        .errors
        .iter()
        .all(|error| !error.contains("no answer from the name server"))
    {
        positive.failed_at(target, &format!("expected a connection, {words}"));
        negative.failed_at(target, &format!("expected a target to try, {words}"));
    }
    assert!(!positive.ok && !negative.ok);
}

/// Behind a proxy that accepts everything only an answer tells that a target is there.
#[test]
fn with_a_dialogue_only_an_answer_counts_as_reachable() {
    let silent = serve(|mut stream| wait_for_end(&mut stream));
    let closing = serve(drop);
    let vars = [NEGATIVE, SHORT, ("EXPECT_BANNER", "^SSH-")];
    for target in [silent, closing] {
        probe(&target.to_string(), &vars).passed();
        probe(&target.to_string(), &[NEGATIVE]).failed_at(&format!("tcp://{target}"), REACHED);
    }
    for banner in [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 400\r\n"] {
        let target = saying(banner);
        let reached = "expected no answer, seen one (CONNECTION_TARGET_UNREACHABLE is set)";
        probe(&target.to_string(), &vars).failed_at(&format!("tcp://{target}"), reached);
    }
}

#[test]
fn addresses_can_be_of_one_family() {
    let six = serve_on("[::1]:0", |mut stream| wait_for_end(&mut stream));
    let four = saying(b"");
    probe(&six.to_string(), &[("IP_FAMILY", "6")]).passed();
    probe(&format!("localhost:{}", four.port()), &[("IP_FAMILY", "4")]).passed();
    probe(&six.to_string(), &[("IP_FAMILY", "4")]).failed_at(
        &format!("tcp://{six}"),
        "expected a connection, seen DNS: ::1 has no IPv4 address",
    );
    probe(&four.to_string(), &[("IP_FAMILY", "6"), NEGATIVE]).failed_at(
        &format!("tcp://{four}"),
        "expected a target to try, seen DNS: 127.0.0.1 has no IPv6 address",
    );
}

#[test]
fn connections_come_from_the_source_address() {
    let (sender, peers) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let target = serve(move |stream| {
        let peer = stream.peer_addr().unwrap().ip().to_string();
        sender.lock().unwrap().send(peer).unwrap();
    });
    probe(&target.to_string(), &[("SOURCE_ADDRESS", "127.0.0.77")]).passed();
    assert_eq!(peers.recv_timeout(PATIENCE).unwrap(), "127.0.0.77");
    let shown = format!("tcp://{target}");
    let foreign = "seen SOURCE_ADDRESS is not an address of this pod";
    probe(&shown, &[("SOURCE_ADDRESS", "192.0.2.1")])
        .failed_at(&shown, &format!("expected a connection, {foreign}"));
    // Not a pass: nothing was tried.
    probe(&shown, &[("SOURCE_ADDRESS", "192.0.2.1"), NEGATIVE])
        .failed_at(&shown, &format!("expected a target to try, {foreign}"));
    probe(&shown, &[("SOURCE_ADDRESS", "::1")]).failed_at(
        &shown,
        "expected a connection, seen no address of the family that SOURCE_ADDRESS has",
    );
}

#[test]
fn a_failing_target_is_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let target = serve(move |mut stream| {
        let banner: &[u8] = if counted.fetch_add(1, Ordering::SeqCst) < 2 {
            b"-LOADING\r\n"
        } else {
            b"+READY\r\n"
        };
        let _ = std::io::Write::write_all(&mut stream, banner);
    });
    let vars = [("EXPECT_BANNER", "^\\+READY"), ("RETRY_DELAY", "10ms")];
    probe(
        &target.to_string(),
        &[&vars[..], &[("RETRIES", "2")]].concat(),
    )
    .passed();
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    tries.store(0, Ordering::SeqCst);
    probe(&target.to_string(), &[&vars[..], &[("RETRIES", "1")]].concat()).failed_at(
        &format!("tcp://{target}"),
        "expected an answer that matches ^\\+READY, seen \"-LOADING\" and then the connection closed",
    );
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}
