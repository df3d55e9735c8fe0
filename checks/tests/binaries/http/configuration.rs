//! Bad input: one clear finding that names the variable and the value, reported, promptly.

use std::process::Command;
use std::time::Duration;

use super::*;

#[test]
fn wrong_values_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let junk = dir.path().join("junk");
    std::fs::write(&junk, "junk").unwrap();
    let junk = junk.to_str().unwrap();
    let rows: &[(&str, &str, &str)] = &[
        (
            "CHECK_URL",
            "ftp://web/",
            "CHECK_URL=\"ftp://web/\": expected URLs that begin with http:// or https://",
        ),
        (
            "CHECK_URL",
            "web.example",
            "CHECK_URL=\"web.example\": expected URLs that begin with http:// or https://",
        ),
        (
            "CHECK_URL",
            "http://a:b:c/",
            "CHECK_URL=\"http://a:b:c/\": expected a URL: invalid port number",
        ),
        (
            "CHECK_URL",
            "http://u:geheim@a:x/",
            "CHECK_URL=\"http://***@a:x/\": expected a URL: invalid port number",
        ),
        (
            "CHECK_URL",
            "u:geheim@a/",
            "CHECK_URL=\"***@a/\": expected URLs that begin with http:// or https://",
        ),
        (
            "CHECK_URL",
            "",
            "CHECK_URL: expected at least one URL, or POD_SELECTOR",
        ),
        (
            "CHECK_URL",
            " \n ",
            "CHECK_URL: expected at least one URL, or POD_SELECTOR",
        ),
        (
            "CHECK_URL",
            ",",
            "CHECK_URL=\",\": expected at least one URL",
        ),
        (
            "COUNT",
            "abc",
            "COUNT=\"abc\": expected a whole number, such as 5",
        ),
        (
            "COUNT",
            "-1",
            "COUNT=\"-1\": expected a whole number, such as 5",
        ),
        (
            "SECONDS",
            "soon",
            "SECONDS=\"soon\": expected a duration, such as 10s, 500ms or 1m30s",
        ),
        (
            "PASSING_PERCENT",
            "101",
            "PASSING_PERCENT=\"101\": expected a percentage from 1 to 100",
        ),
        (
            "EXPECTED_STATUS_CODE",
            "2000",
            "EXPECTED_STATUS_CODE=\"2000\": expected status codes from 100 to 599",
        ),
        (
            "REQUEST_TYPE",
            "G E T",
            "REQUEST_TYPE=\"G E T\": expected a method",
        ),
        (
            "TIMEOUT_DURATION",
            "-5s",
            "TIMEOUT_DURATION=\"-5s\": expected a duration that is not negative",
        ),
        (
            "TIMEOUT_DURATION",
            "0",
            "TIMEOUT_DURATION=\"0\": expected a duration above zero",
        ),
        (
            "RETRIES",
            "-1",
            "RETRIES=\"-1\": expected a whole number from 0 to 1000",
        ),
        (
            "MAX_REDIRECTS",
            "many",
            "MAX_REDIRECTS=\"many\": expected a whole number from 0 to 100",
        ),
        (
            "MIN_CERT_DAYS",
            "-3",
            "MIN_CERT_DAYS=\"-3\": expected a whole number",
        ),
        (
            "BEARER_TOKEN_FILE",
            "/nowhere/token",
            "BEARER_TOKEN_FILE=\"/nowhere/token\": expected a file that can be read: no such file",
        ),
        (
            "REQUEST_BODY_FILE",
            "/",
            "REQUEST_BODY_FILE=\"/\": expected a regular file",
        ),
        (
            "REQUEST_HEADER_FILES",
            "X: /nowhere",
            "REQUEST_HEADER_FILES=\"X: /nowhere\": expected a file that can be read",
        ),
        ("TLS_CA_FILE", junk, "expected a PEM file with certificates"),
        (
            "TLS_KEY_FILE",
            junk,
            "expected a PEM file with a private key",
        ),
        (
            "TLS_MIN_VERSION",
            "1.0",
            "TLS_MIN_VERSION=\"1.0\": expected 1.2 or 1.3",
        ),
        (
            "TLS_SERVER_NAME",
            "10.0.0.1",
            "TLS_SERVER_NAME=\"10.0.0.1\": expected a host name",
        ),
        (
            "TLS_SKIP_VERIFY",
            "maybe",
            "TLS_SKIP_VERIFY=\"maybe\": expected true or false",
        ),
        (
            "EXPECTED_BODY",
            "(",
            "EXPECTED_BODY=\"(\": expected a regular expression: unclosed group",
        ),
        (
            "EXPECTED_JSON",
            "$.a == ok",
            "EXPECTED_JSON=\"$.a == ok\": expected a JSON value",
        ),
        (
            "EXPECTED_HEADERS",
            "a b: c",
            "EXPECTED_HEADERS=\"a b: c\": expected `Name`",
        ),
        (
            "REQUEST_HEADERS",
            "geheim",
            "REQUEST_HEADERS: expected `Name: value`",
        ),
        (
            "REQUEST_HEADERS",
            "Host: a",
            "REQUEST_HEADERS: expected no Host header: set HOST_HEADER instead",
        ),
        (
            "BEARER_TOKEN",
            "geheim\u{1}",
            "BEARER_TOKEN: expected text that can be sent in a header",
        ),
        (
            "BASIC_AUTH_PASSWORD",
            "geheim",
            "BASIC_AUTH_USER: expected a user for the password given",
        ),
        (
            "IP_FAMILY",
            "5",
            "IP_FAMILY=\"5\": expected any, 4, 6, prefer-4 or prefer-6",
        ),
        (
            "RESOLVE_TO",
            "web",
            "RESOLVE_TO=\"web\": expected an IP address",
        ),
        (
            "RESOLVE_TO",
            "127.0.0.1",
            "RESOLVE_TO=\"127.0.0.1\": needs a host name in the URL",
        ),
        (
            "PROXY_URL",
            "socks5://u:geheim@p",
            "PROXY_URL=\"socks5://***@p\": expected the URL of an HTTP proxy",
        ),
        (
            "PROXY_URL",
            "u:geheim@p:3128",
            "PROXY_URL=\"***@p:3128\": expected the URL of an HTTP proxy",
        ),
        (
            "HTTP_PROXY",
            "u:geheim@p:312800",
            "HTTP_PROXY=\"***@p:312800\": expected an HTTP proxy",
        ),
        (
            "HOST_HEADER",
            "web\nX-Injected: 1",
            "HOST_HEADER=\"web X-Injected: 1\": expected a host name",
        ),
        (
            "HTTP_PROXY",
            "socks5://u:geheim@p",
            "HTTP_PROXY=\"socks5://***@p\": expected an HTTP proxy",
        ),
        ("MAX_BODY_SIZE", "0", "MAX_BODY_SIZE=\"0\": expected a size"),
        (
            "CONCURRENCY",
            "0",
            "CONCURRENCY=\"0\": expected a whole number from 1",
        ),
        (
            "HTTP_VERSION",
            "3",
            "HTTP_VERSION=\"3\": expected any, 1.1 or 2",
        ),
        (
            "POD_SELECTOR",
            "app=web",
            "POD_TARGETPORT: expected the port of the pods",
        ),
        (
            "POD_SELECTOR",
            "app=web,",
            "POD_SELECTOR=\"app=web,\": expected label requirements",
        ),
        (
            "POD_TARGETPORT",
            "tcp://10.0.0.1:80",
            "POD_TARGETPORT=\"tcp://10.0.0.1:80\": expected a port number",
        ),
        (
            "POD_TARGETPORT",
            "80",
            "POD_SELECTOR: expected a label selector",
        ),
        (
            "KUBE_API_URL",
            "unix://x",
            "KUBE_API_URL=\"unix://x\": expected a URL",
        ),
    ];
    for (name, value, expected) in rows {
        let mut run = check(&[(name, value)]);
        if *name != "CHECK_URL" {
            run = run.var("CHECK_URL", "http://127.0.0.1:9/");
        }
        let verdict = run.run();
        verdict.failed_with(&["configuration: ", expected]);
        assert!(!format!("{verdict:?}").contains("geheim"), "{verdict:?}");
        assert!(verdict.took < Duration::from_secs(10), "{verdict:?}");
    }
}

#[test]
fn several_contradictions_are_all_told() {
    let verdict = check(&[
        ("TARGET_URL", "http://a"),
        ("BASIC_AUTH_PASSWORD", "x"),
        ("TLS_MIN_VERSION", "1.3"),
        ("TLS_MAX_VERSION", "1.2"),
    ])
    .run();
    assert_eq!(verdict.errors.len(), 3, "{verdict:?}");
    assert!(
        verdict
            .errors
            .iter()
            .all(|error| error.starts_with("configuration: "))
    );
}

#[test]
fn flags_come_before_variables() {
    let flagged = Server::saying(204, &[], "");
    let check_flag = format!("--check-url={}", flagged.url("/"));
    check(&[
        ("CHECK_URL", "http://127.0.0.1:9/"),
        ("EXPECTED_STATUS_CODE", "abc"),
        ("EXPECTED_HEADERS", "X-Missing"),
    ])
    .arg(&check_flag)
    .arg("--expected-status-code")
    .arg("204")
    .arg("--expected-headers=Content-Length")
    .arg("--tls-skip-verify")
    .run()
    .passed();
    check(&[])
        .arg("--check-ulr=http://u:geheim@a")
        .run()
        .failed(&["configuration: unexpected argument --check-ulr, did you mean --check-url"]);
    check(&[])
        .arg("geheim")
        .arg("--check-url=http://a")
        .run()
        .failed_with(&["configuration: unexpected argument"]);
}

#[test]
fn without_kuberhealthy_it_is_a_wrong_usage() {
    let run = |args: &[&str]| check(&[]).args(args).alone();
    let wrong = run(&["--count", "abc"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stdout).contains("COUNT=\"abc\""));
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for option in checks::find("http").unwrap().options() {
        assert!(text.contains(&option.flag), "{}", option.flag);
    }
    assert!(
        text.contains("[env: CHECK_URL]") && text.contains("[default: 4MiB]"),
        "{text}"
    );
    assert_eq!(run(&["--version"]).status.code(), Some(0));
    let server = Server::saying(200, &[], "");
    assert_eq!(
        run(&["--check-url", &server.url("/")]).status.code(),
        Some(0)
    );
    assert_eq!(
        run(&[
            "--check-url",
            &server.url("/"),
            "--expected-status-code=500"
        ])
        .status
        .code(),
        Some(1)
    );
}

/// A reader that goes away, as in `http-check --help | head -1`.
fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn a_reader_that_went_away_is_no_panic() {
    for flag in ["--help", "--version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_http-check"))
            .env_clear()
            .arg(flag)
            .stdout(closed_pipe())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_log_that_nobody_reads_is_no_failure() {
    let server = Server::saying(200, &[], "");
    let output = Command::new(env!("CARGO_BIN_EXE_http-check"))
        .env_clear()
        .args(["--check-url", &server.url("/")])
        .stderr(closed_pipe())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "PASSED\n");
}

/// Opening a FIFO waits for a writer that never comes.
#[test]
fn a_file_that_is_a_pipe_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("token");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    check(&[
        ("CHECK_URL", "http://127.0.0.1:9/"),
        ("BEARER_TOKEN_FILE", pipe.to_str().unwrap()),
    ])
    .run()
    .failed_with(&["BEARER_TOKEN_FILE=", "expected a regular file"]);
}

#[test]
fn help_is_given_whatever_the_variables_say() {
    for (flag, beginning) in [("--help", "Asks URLs"), ("-V", "http-check ")] {
        let output = check(&[("COUNT", "abc")]).arg(flag).alone();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.starts_with(beginning), "{text}");
        assert_eq!(output.status.code(), Some(0));
    }
}
