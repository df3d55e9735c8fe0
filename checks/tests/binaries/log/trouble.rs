//! Backends that cannot be asked: a finding of its own kind, that never names the subject.

use std::thread::sleep;
use std::time::Duration;

use super::*;

const WEB: (&str, &str) = ("SUBJECT", "deployment shop/web");

#[test]
fn nobody_there() {
    let url = format!("http://127.0.0.1:{}/", closed_port());
    for check in [elastic(&url, &[WEB]), loki(&url, &[WEB])] {
        check.run().failed(&[&backend(&url, "connection refused")]);
    }
    let url = "http://es..logging/";
    elastic(url, &[WEB])
        .run()
        .failed(&[&backend(url, "DNS: no such host es..logging")]);
}

#[test]
fn silence_is_told_by_what_was_waited_for() {
    let silent = Server::on("127.0.0.1:0", |_, _, _| sleep(PATIENCE));
    let stuck = Server::on("127.0.0.1:0", |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{");
        let _ = stream.flush();
        sleep(PATIENCE);
    });
    let short = ("TIMEOUT_DURATION", "500ms");
    for (server, phase) in [
        (silent, "waiting for an answer"),
        (stuck, "reading the answer"),
    ] {
        let url = server.url("/");
        elastic(&url, &[WEB, short])
            .run()
            .failed(&[&backend(&url, &format!("timed out after 500ms {phase}"))]);
    }
}

#[test]
fn the_deadline_of_the_run_is_kept() {
    let silent = Server::on("127.0.0.1:0", |_, _, _| sleep(PATIENCE));
    let busy = Server::saying(503, &[], "");
    let rows = [
        (silent, "not finished before the deadline of the run"),
        // What is known is told at once, when there is no time to ask again.
        (busy, "expected an answer, got status 503"),
    ];
    for (server, expected) in rows {
        let url = server.url("/");
        let vars = [
            WEB,
            ("TIMEOUT_DURATION", "1h"),
            ("RETRIES", "100"),
            ("RETRY_DELAY", "1h"),
        ];
        let verdict = loki(&url, &vars).deadline(Duration::from_secs(6)).run();
        verdict.failed(&[&backend(&url, expected)]);
        assert!(verdict.took < Duration::from_secs(7), "{verdict:?}");
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let heals = |status: u16, headers: &'static [(&str, &str)]| {
        Server::answering(move |number, _| match number {
            0 | 1 => answer(status, headers, "later"),
            _ => answer(200, &[], &sum("1")),
        })
    };
    let retries = [("RETRIES", "2"), ("RETRY_DELAY", "10ms")];
    for (status, headers) in [
        (429, &[("Retry-After", "0")][..]),
        (500, &[]),
        (503, &[("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")]),
        (504, &[]),
    ] {
        let server = heals(status, headers);
        loki(&server.url(""), &retries).run().passed();
        assert_eq!(server.seen().len(), 3, "{status}");
    }
    for status in [400, 401, 403, 404, 413] {
        let server = heals(status, &[]);
        loki(&server.url(""), &retries)
            .run()
            .failed_with(&["log backend: ", &format!("got status {status}")]);
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[test]
fn retry_after_is_kept_to_or_the_check_gives_up() {
    let wait = |seconds: &'static str| {
        Server::answering(move |number, _| match number {
            0 => answer(429, &[("Retry-After", seconds)], ""),
            _ => answer(200, &[], &sum("1")),
        })
    };
    let once = [("RETRIES", "1"), ("RETRY_DELAY", "0")];
    let verdict = loki(&wait("1").url(""), &once).run();
    verdict.passed();
    assert!(verdict.took >= Duration::from_secs(1), "{verdict:?}");
    for longer in ["3600", "18446744073709551615"] {
        let server = wait(longer);
        loki(&server.url(""), &once).run().failed(&[&backend(
            &server.url("/"),
            "expected an answer, got status 429",
        )]);
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn answers_are_bounded() {
    let endless = Server::on("127.0.0.1:0", |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let url = endless.url("/");
    loki(&url, &[WEB]).run().failed(&[&backend(
        &url,
        "expected an answer of at most 1MiB: let the query give fewer series",
    )]);
    let refusing = Server::on("127.0.0.1:0", |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let url = refusing.url("/");
    elastic(&url, &[WEB])
        .run()
        .failed(&[&backend(&url, "expected an answer, got status 502")]);
}

#[test]
fn junk_is_no_answer() {
    let rows: &[(&[u8], &str)] = &[
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the server does not speak HTTP"),
        (b"", "connection closed before the response was complete"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            "reading the answer: connection closed before the response was complete",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            "expected a count and its shards, got no JSON: check LOG_URL and LOG_BACKEND",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "expected a count and its shards, got other JSON: check LOG_URL and LOG_BACKEND",
        ),
    ];
    for (bytes, expected) in rows {
        let server = Server::on("127.0.0.1:0", move |_, _, stream| {
            stream.write_all(bytes).unwrap()
        });
        let url = server.url("/");
        elastic(&url, &[WEB])
            .run()
            .failed(&[&backend(&url, expected)]);
    }
}
