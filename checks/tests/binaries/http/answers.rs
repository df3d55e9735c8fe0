//! Every kind of expectation, passing and failing.

use super::*;

#[test]
fn both_lines_get_the_verdict() {
    let good = Server::saying(200, &[], "hello");
    let bad = Server::saying(503, &[], "");
    for line in [Line::V2, Line::V3] {
        check(&[])
            .line(line)
            .var("CHECK_URL", &good.url("/"))
            .run()
            .passed();
        let error = format!("{}: expected status 200, got 503", bad.url("/"));
        check(&[])
            .line(line)
            .var("CHECK_URL", &bad.url("/"))
            .run()
            .failed(&[&error]);
    }
}

#[test]
fn expectations_hold_or_are_named() {
    let server = Server::saying(
        200,
        &[("Server", "nginx"), ("Content-Type", "application/json")],
        r#"{"status": "ok", "replicas": 3, "pods": [{"ready": true}, {"ready": false}]}"#,
    );
    let url = server.url("/status");
    for (name, value, failure) in [
        ("EXPECTED_STATUS_CODE", "200,204,300-399", ""),
        (
            "EXPECTED_STATUS_CODE",
            "201,300-399",
            "expected status 201,300-399, got 200",
        ),
        ("TARGET_STRING", "replicas", ""),
        ("TARGET_STRING", "down", "body does not contain \"down\""),
        ("EXPECTED_BODY", "\"replicas\": [1-9]", ""),
        ("EXPECTED_BODY", "^<html>", "body does not match ^<html>"),
        ("FORBIDDEN_BODY", "error|exception", ""),
        ("FORBIDDEN_BODY", "(?i)STATUS", "body matches (?i)STATUS"),
        ("EXPECTED_JSON", "$.status == \"ok\"\n/replicas >= 2", ""),
        (
            "EXPECTED_JSON",
            "$.status == \"ok\"\n/replicas >= 5",
            "JSON /replicas >= 5: it is not",
        ),
        (
            "EXPECTED_JSON",
            "$.pods[*].ready == true",
            "JSON $.pods[*].ready == true: got false",
        ),
        ("EXPECTED_HEADERS", "Server: ^nginx\nX-Other?: 1", ""),
        (
            "EXPECTED_HEADERS",
            "X-Other: 1",
            "header x-other is missing",
        ),
        ("FORBIDDEN_HEADERS", "X-Powered-By", ""),
        (
            "FORBIDDEN_HEADERS",
            "Server: nginx",
            "header server matches nginx",
        ),
        ("MAX_LATENCY", "20s", ""),
        ("MAX_LATENCY", "1us", "slower than 1us"),
        ("REQUIRE_TLS", "true", "the answer did not come over https"),
        ("HTTP_VERSION", "1.1", ""),
    ] {
        let verdict = probe(&url, &[(name, value)]);
        match failure {
            "" => verdict.passed(),
            failure => verdict.failed(&[&format!("{url}: {failure}")]),
        };
    }
}

#[test]
fn several_urls_are_told_apart_and_in_order() {
    let good = Server::saying(200, &[], "");
    let slow_and_bad = Server::answering(|_, _| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        answer(500, &[], "")
    });
    let bad = Server::saying(404, &[], "");
    let urls = format!(
        "{} {},{}",
        slow_and_bad.url("/a"),
        good.url("/b"),
        bad.url("/c?token=geheim&page=2")
    );
    probe(&urls, &[]).failed(&[
        &format!("{}: expected status 200, got 500", slow_and_bad.url("/a")),
        &format!(
            "{}: expected status 200, got 404",
            bad.url("/c?token=***&page=2")
        ),
    ]);
    assert_eq!(good.seen().len(), 1);
}

#[test]
fn a_body_beyond_the_cap_passes_no_judgement() {
    let server = Server::saying(
        200,
        &[],
        &format!("{{\"a\": 1, \"b\": \"{}\"}}", "x".repeat(5000)),
    );
    let url = server.url("/");
    let vars = |name, value| [("MAX_BODY_SIZE", "1KiB"), (name, value)];
    let too_large = format!("{url}: body is larger than MAX_BODY_SIZE=1KiB and cannot be judged");
    probe(&url, &vars("FORBIDDEN_BODY", "secret")).failed(&[&too_large]);
    probe(&url, &vars("EXPECTED_JSON", "$.a == 1")).failed(&[&too_large]);
    probe(&url, &vars("TARGET_STRING", "\"a\"")).passed();
    probe(&url, &vars("EXPECTED_STATUS_CODE", "200")).passed();
    probe(
        &url,
        &[("EXPECTED_JSON", "$.a == 1"), ("FORBIDDEN_BODY", "secret")],
    )
    .passed();
}

#[test]
fn the_same_trouble_reads_the_same_twice() {
    let port = closed_port();
    let url = format!("http://127.0.0.1:{port}/");
    let first = probe(&url, &[("COUNT", "3"), ("EXPECTED_BODY", "x")]);
    let second = probe(&url, &[("COUNT", "3"), ("EXPECTED_BODY", "x")]);
    assert_eq!(first.errors, second.errors);
    first.failed(&[&format!(
        "{url}: connection refused (not all of 3 probes passed)"
    )]);
}
