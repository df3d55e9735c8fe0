//! Trouble on the way: refusals, resets, silence, drips, junk; and what makes up for it.

use std::thread::sleep;
use std::time::Duration;

use super::*;

const SHORT: (&str, &str) = ("TIMEOUT_DURATION", "500ms");

#[test]
fn nobody_there() {
    let url = format!("http://127.0.0.1:{}/", closed_port());
    probe(&url, &[]).failed(&[&format!("{url}: connection refused")]);
    // An empty label is refused without asking a name server.
    probe("http://a..b/", &[]).failed(&["http://a..b/: DNS: no such host a..b"]);
}

#[test]
fn silence_is_told_by_what_was_waited_for() {
    let silent = Server::on("127.0.0.1:0", |_, _, _| sleep(PATIENCE));
    let url = silent.url("/");
    probe(&url, &[SHORT]).failed(&[&format!(
        "{url}: timed out after 500ms waiting for an answer"
    )]);

    let stuck = Server::on("127.0.0.1:0", |_, _, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .unwrap();
        stream.flush().unwrap();
        sleep(PATIENCE);
    });
    let url = stuck.url("/");
    probe(&url, &[SHORT]).failed(&[&format!("{url}: timed out after 500ms reading the body")]);
}

#[test]
fn a_drip_of_bytes_does_not_keep_a_probe_alive() {
    let dripping = Server::on("127.0.0.1:0", |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"1\r\nx\r\n").is_ok() {
            sleep(Duration::from_millis(50));
        }
    });
    let url = dripping.url("/");
    let verdict = probe(&url, &[SHORT]);
    verdict.failed(&[&format!("{url}: timed out after 500ms reading the body")]);
    assert!(verdict.took < Duration::from_secs(10));
}

#[test]
fn chunked_bodies_are_read_whole() {
    let chunked = Server::on("127.0.0.1:0", |_, _, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
            .unwrap();
    });
    probe(&chunked.url("/"), &[("TARGET_STRING", "hello world")]).passed();
    let cut = Server::on("127.0.0.1:0", |_, _, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .unwrap();
    });
    probe(&cut.url("/"), &[("TARGET_STRING", "hello")])
        .failed_with(&["reading the body: connection closed before the response was complete"]);
    let short = Server::on("127.0.0.1:0", |_, _, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            .unwrap();
    });
    probe(&short.url("/"), &[])
        .failed_with(&["reading the body: connection closed before the response was complete"]);
}

#[test]
fn an_endless_body_is_cut_off() {
    let endless = Server::on("127.0.0.1:0", |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let url = endless.url("/");
    let verdict = probe(&url, &[]);
    verdict.passed();
    assert!(verdict.took < Duration::from_secs(10));
    probe(&url, &[("FORBIDDEN_BODY", "y")]).failed(&[&format!(
        "{url}: body is larger than MAX_BODY_SIZE=4MiB and cannot be judged"
    )]);
}

#[test]
fn junk_is_no_answer() {
    let rows: &[(&[u8], &str)] = &[
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the server does not speak HTTP"),
        (b"", "connection closed before the response was complete"),
        (
            b"HTTP/1.1 200",
            "connection closed before the response was complete",
        ),
        (b"HTTP/1.1 abc OK\r\n\r\n", "the server does not speak HTTP"),
    ];
    for (bytes, failure) in rows {
        let server = Server::on("127.0.0.1:0", move |_, _, stream| {
            stream.write_all(bytes).unwrap()
        });
        let url = server.url("/");
        probe(&url, &[]).failed(&[&format!("{url}: {failure}")]);
    }
}

#[test]
fn retries_come_before_failing() {
    let heals = |after: usize| {
        Server::answering(move |number, _| answer(if number < after { 503 } else { 200 }, &[], ""))
    };
    let vars = [("RETRIES", "2"), ("RETRY_DELAY", "10ms")];
    let server = heals(2);
    probe(&server.url("/"), &vars).passed();
    assert_eq!(server.seen().len(), 3);
    let server = heals(3);
    probe(&server.url("/"), &vars).failed(&[&format!(
        "{}: expected status 200, got 503",
        server.url("/")
    )]);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn both_families_are_spoken_and_can_be_required() {
    let six = Server::on("[::1]:0", |_, _, stream| {
        stream.write_all(&answer(200, &[], "")).unwrap()
    });
    probe(&six.url("/"), &[]).passed();
    assert_eq!(six.seen()[0].header("host"), six.address.to_string());
    probe(&six.url("/"), &[("IP_FAMILY", "6")]).passed();
    probe(&six.url("/"), &[("IP_FAMILY", "4")])
        .failed(&[&format!("{}: DNS: [::1] has no IPv4 address", six.url("/"))]);
    let named = format!("http://web.example.com:{}/", six.address.port());
    probe(&named, &[("RESOLVE_TO", "::1")]).passed();
    probe(&named, &[("RESOLVE_TO", "::1"), ("IP_FAMILY", "4")]).failed(&[&format!(
        "{named}: DNS: web.example.com has no IPv4 address"
    )]);
}

#[test]
fn what_is_unfinished_at_the_deadline_is_named() {
    let silent = Server::on("127.0.0.1:0", |_, _, _| sleep(PATIENCE));
    let good = Server::saying(200, &[], "");
    let urls = format!("{} {}", good.url("/"), silent.url("/"));
    for line in [Line::V2, Line::V3] {
        let verdict = check(&[("TIMEOUT_DURATION", "1h")])
            .line(line)
            .deadline(Duration::from_secs(6))
            .var("CHECK_URL", &urls)
            .run();
        verdict.failed(&[&format!(
            "{}: not finished before the deadline of the run",
            silent.url("/")
        )]);
        assert!(verdict.took < Duration::from_secs(7), "{verdict:?}");
    }
}

#[test]
fn many_targets_are_probed_together_within_the_limit() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opened, highest) = (Arc::clone(&open), Arc::clone(&most));
    let server = Server::answering(move |_, _| {
        let now = opened.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(now, Ordering::SeqCst);
        sleep(Duration::from_millis(100));
        opened.fetch_sub(1, Ordering::SeqCst);
        answer(200, &[], "")
    });
    let urls: Vec<String> = (0..12).map(|n| server.url(&format!("/{n}"))).collect();
    check(&[("CONCURRENCY", "3")])
        .var("CHECK_URL", &urls.join("\n"))
        .run()
        .passed();
    assert_eq!(server.seen().len(), 12);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} at a time");
}
