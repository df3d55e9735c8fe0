use super::*;
use crate::http::testing::args;

fn seen(status: u16, headers: &[(&'static str, &str)], body: &str) -> Observation {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    Observation {
        status,
        version: Version::HTTP_11,
        tls: false,
        headers: map,
        body: body.as_bytes().to_vec(),
        whole: true,
        elapsed: Duration::from_millis(20),
        expiring: Vec::new(),
    }
}

fn failures(flags: &[&str], seen: &Observation) -> Vec<String> {
    Expectations::new(&args(flags)).unwrap().failures(seen)
}

#[test]
fn each_expectation_passes_and_fails() {
    let good = seen(
        200,
        &[("server", "nginx"), ("x-a", "1"), ("x-a", "2")],
        r#"{"status": "ok", "n": 3}"#,
    );
    for (flag, failure) in [
        ("--expected-status-code=200", ""),
        ("--expected-status-code=2xx", ""),
        (
            "--expected-status-code=201,204",
            "expected status 201,204, got 200",
        ),
        ("--target-string=ok", ""),
        ("--target-string=down", r#"body does not contain "down""#),
        ("--expected-body=o.\"", ""),
        ("--expected-body=^x", "body does not match ^x"),
        ("--forbidden-body=^x", ""),
        ("--forbidden-body=(?i)OK", "body matches (?i)OK"),
        ("--expected-json=$.status == \"ok\"", ""),
        ("--expected-json=/n > 3", "JSON /n > 3: it is not"),
        ("--expected-headers=Server", ""),
        ("--expected-headers=Server: ^nginx$", ""),
        ("--expected-headers=X-A: 2", ""),
        ("--expected-headers=X-B?: 2", ""),
        ("--expected-headers=X-B: 2", "header x-b is missing"),
        (
            "--expected-headers=Server?: apache",
            "header server does not match apache",
        ),
        ("--forbidden-headers=X-B", ""),
        ("--forbidden-headers=Server: apache", ""),
        ("--forbidden-headers=Server", "header server is there"),
        ("--forbidden-headers=X-A: 2", "header x-a matches 2"),
        ("--max-latency=1s", ""),
        ("--max-latency=10ms", "slower than 10ms"),
        ("--require-tls", "the answer did not come over https"),
        ("--http-version=1.1", ""),
        ("--http-version=2", "expected HTTP/2, got HTTP/1.1"),
        (
            "--min-cert-days=3",
            "there is no certificate: the answer did not come over https",
        ),
    ] {
        assert_eq!(failures(&[flag], &good).join("; "), failure, "{flag}");
    }
}

#[test]
fn a_wrong_status_is_told_alone() {
    let bad = seen(503, &[], "oops");
    let flags = [
        "--target-string=ok",
        "--expected-json=$.a == 1",
        "--expected-headers=X",
    ];
    assert_eq!(failures(&flags, &bad), ["expected status 200, got 503"]);
}

#[test]
fn a_body_that_was_not_read_to_its_end_passes_nothing_by_default() {
    let cut = Observation {
        whole: false,
        ..seen(200, &[], "{\"ok\": 1}")
    };
    let too_large = "body is larger than MAX_BODY_SIZE=4MiB and cannot be judged";
    for flag in [
        "--forbidden-body=x",
        "--expected-body=ok",
        "--expected-json=$.ok == 1",
        "--target-string=no",
    ] {
        assert_eq!(failures(&[flag], &cut), [too_large], "{flag}");
    }
    assert!(failures(&["--target-string=ok"], &cut).is_empty());
    assert!(failures(&[], &cut).is_empty());
}

#[test]
fn a_compressed_body_is_not_searched() {
    let zipped = seen(200, &[("content-encoding", "GZIP")], "junk");
    assert_eq!(
        failures(&["--forbidden-body=error"], &zipped),
        ["body is compressed (gzip) and cannot be judged"]
    );
    assert!(failures(&[], &zipped).is_empty());
    assert!(
        failures(
            &["--forbidden-body=x"],
            &seen(200, &[("content-encoding", "identity")], "")
        )
        .is_empty()
    );
}

#[test]
fn certificates_are_told_by_date() {
    let expiring = |intermediate| Expiring {
        host: "a.example".into(),
        date: Some("2026-12-01".into()),
        intermediate,
    };
    let soon = Observation {
        tls: true,
        expiring: vec![expiring(false), expiring(true)],
        ..seen(200, &[], "")
    };
    assert_eq!(
        failures(&["--min-cert-days=30"], &soon),
        [
            "certificate of a.example expires 2026-12-01, before the required 30 days",
            "a CA certificate behind that of a.example expires 2026-12-01, before the required 30 days",
        ]
    );
}

#[test]
fn a_head_request_cannot_have_a_body() {
    let error =
        Expectations::new(&args(&["--request-type=head", "--target-string=x"])).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("configuration: REQUEST_TYPE=\"HEAD\": ")
    );
    assert!(Expectations::new(&args(&["--request-type=head"])).is_ok());
}
