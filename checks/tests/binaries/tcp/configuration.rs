//! Wrong options: the verdict names the variable, its value and what was expected.

use super::*;

#[test]
fn every_kind_of_bad_input_is_named() {
    let target = ("CONNECTION_TARGET", "a:1");
    let udp = ("CONNECTION_TARGET", "udp://a:1");
    let grpc = ("CONNECTION_TARGET", "grpc://a:1");
    let pods = [("POD_SELECTOR", "app=db"), ("POD_TARGETPORT", "80")];
    let needs = "needs SEND and EXPECT, or DIALOGUE that begins with send: UDP has no connections, so a target is only \
                 known to be up when it answers something that was sent";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[],
            "CONNECTION_TARGET: expected at least one target, such as db:5432, or POD_SELECTOR",
        ),
        (
            &[("CONNECTION_TARGET", "db")],
            "CONNECTION_TARGET=\"db\": expected a port after the host, such as db:5432",
        ),
        (
            &[("CONNECTION_TARGET", "db:0")],
            "CONNECTION_TARGET=\"db:0\": expected a port from 1 to 65535 after the host",
        ),
        (
            &[("CONNECTION_TARGET", "db:70000")],
            "CONNECTION_TARGET=\"db:70000\": expected a port from 1 to 65535 after the host",
        ),
        (
            &[("CONNECTION_TARGET", "::1:80")],
            "CONNECTION_TARGET=\"::1:80\": expected an IPv6 address in brackets, then the port, such as [fd00::5]:5432",
        ),
        (
            &[("CONNECTION_TARGET", "http://db:80")],
            "CONNECTION_TARGET=\"http://db:80\": expected HOST:PORT with tcp://, tls://, udp://, grpc:// or grpcs:// \
             before it, or nothing for tcp",
        ),
        (
            &[("CONNECTION_TARGET", "tcp://u:pw@db:80")],
            "CONNECTION_TARGET=\"tcp://***@db:80\": expected HOST:PORT with tcp://, tls://, udp://, grpc:// or \
             grpcs:// before it, or nothing for tcp, without a user, path or query",
        ),
        (
            &[("CONNECTION_TARGET", "a:1 b")],
            "CONNECTION_TARGET=\"a:1 b\": expected a port after the host, such as db:5432, seen \"b\"",
        ),
        (
            &[("POD_SELECTOR", "app in db"), ("POD_TARGETPORT", "80")],
            "POD_SELECTOR=\"app in db\": expected label requirements, such as app=web, tier in (front,back) or \
             !canary, seen \"app in db\"",
        ),
        (
            &[target, ("CONNECTION_TARGET_UNREACHABLE", "maybe")],
            "CONNECTION_TARGET_UNREACHABLE=\"maybe\": expected true or false",
        ),
        (
            &[target, ("CONNECTION_TIMEOUT", "soon")],
            "CONNECTION_TIMEOUT=\"soon\": expected a duration, such as 10s, 500ms or 1m30s",
        ),
        (
            &[target, ("CONNECTION_TIMEOUT", "0")],
            "CONNECTION_TIMEOUT=\"0\": expected a duration above zero, such as 10s",
        ),
        (
            &[target, ("CONNECTION_TIMEOUT", "-5s")],
            "CONNECTION_TIMEOUT=\"-5s\": expected a duration that is not negative, such as 10s or 1m30s",
        ),
        (
            &[target, ("CONCURRENCY", "0")],
            "CONCURRENCY=\"0\": expected a whole number from 1",
        ),
        (
            &[target, ("IP_FAMILY", "5")],
            "IP_FAMILY=\"5\": expected any, 4, 6, prefer-4 or prefer-6",
        ),
        (
            &[target, ("SOURCE_ADDRESS", "eth0")],
            "SOURCE_ADDRESS=\"eth0\": expected an IP address, such as 10.0.0.5 or fd00::5",
        ),
        (
            &[target, ("STARTTLS", "pop3")],
            "STARTTLS=\"pop3\": expected smtp, imap or postgres (for others, DIALOGUE has a step starttls)",
        ),
        (
            &[target, ("EXPECT", "(")],
            "EXPECT=\"(\": expected a regular expression, or prefix: and bytes: unclosed group",
        ),
        (
            &[target, ("EXPECT", ".*")],
            "EXPECT=\".*\": expected a regular expression that does not match an empty answer",
        ),
        (
            &[target, ("EXPECT_BANNER", "prefix:hex:0")],
            "EXPECT_BANNER=\"prefix:hex:0\": expected pairs of hex digits after hex:, such as hex:00ff or hex: 00 ff",
        ),
        // What is sent may be a password, so its value is not shown.
        (
            &[target, ("SEND", "s3cret\\q"), ("EXPECT", "x")],
            "SEND: expected \\r, \\n, \\t, \\0, \\\\ or \\xHH after a backslash",
        ),
        (
            &[target, ("SEND", "hex:xyz"), ("EXPECT", "x")],
            "SEND: expected pairs of hex digits after hex:, such as hex:00ff or hex: 00 ff",
        ),
        (
            &[target, ("SEND", "x")],
            "SEND: expected an answer to be expected too: what is sent proves nothing by itself",
        ),
        (
            &[target, ("DIALOGUE", "expect a\nsned s3cret")],
            "DIALOGUE: expected send, expect or starttls at the beginning, seen \"sned\"",
        ),
        (
            &[target, ("DIALOGUE", "expect a"), ("EXPECT", "b")],
            "DIALOGUE: cannot be combined with EXPECT_BANNER, SEND or EXPECT",
        ),
        (
            &[target, ("DIALOGUE_FILE", "/nowhere/steps")],
            "DIALOGUE_FILE=\"/nowhere/steps\": expected a file that can be read: no such file",
        ),
        (&[udp], &format!("CONNECTION_TARGET=\"udp://a:1\": {needs}")),
        (
            &[udp, ("EXPECT", "x")],
            &format!("CONNECTION_TARGET=\"udp://a:1\": {needs}"),
        ),
        (
            &[udp, ("CONNECTION_TARGET_UNREACHABLE", "true")],
            &format!("CONNECTION_TARGET=\"udp://a:1\": {needs}"),
        ),
        (
            &[pods[0], pods[1], ("POD_SCHEME", "udp")],
            &format!("POD_SCHEME=\"udp\": {needs}"),
        ),
        (
            &[grpc, ("SEND", "a"), ("EXPECT", "b")],
            "CONNECTION_TARGET=\"grpc://a:1\": cannot be combined with send and expect: the gRPC health protocol says \
             itself what is sent",
        ),
        (
            &[target, ("GRPC_SERVICE", "web")],
            "GRPC_SERVICE=\"web\": expected a target with grpc:// or grpcs://",
        ),
        (
            &[grpc, ("GRPC_METADATA", "s3cret")],
            "GRPC_METADATA: expected `name: value`",
        ),
        (
            &[("CONNECTION_TARGET", "tls://a:1"), ("STARTTLS", "smtp")],
            "CONNECTION_TARGET=\"tls://a:1\": cannot be combined with STARTTLS, which begins in plain text over tcp",
        ),
        (
            &[target, ("MIN_CERT_DAYS", "30")],
            "MIN_CERT_DAYS=\"30\": expected a target with a certificate: tls://, grpcs://, or STARTTLS",
        ),
        (
            &[
                ("CONNECTION_TARGET", "tls://a:1"),
                ("TLS_CA_FILE", "/nowhere/ca.crt"),
            ],
            "TLS_CA_FILE=\"/nowhere/ca.crt\": expected a file that can be read: no such file",
        ),
        (
            &[pods[0]],
            "POD_TARGETPORT: expected the port of the pods that POD_SELECTOR matches",
        ),
        (
            &[pods[1]],
            "POD_SELECTOR: expected a label selector, such as app=db",
        ),
        (
            &[pods[0], ("POD_TARGETPORT", "0")],
            "POD_TARGETPORT=\"0\": expected a port number or the name of a container port",
        ),
        (
            &[pods[0], pods[1], ("POD_SCHEME", "ftp")],
            "POD_SCHEME=\"ftp\": expected tcp, tls, udp, grpc or grpcs",
        ),
    ];
    for (vars, expected) in cases {
        let verdict = check(vars).run();
        assert!(
            !verdict.ok && !verdict.log.contains("s3cret"),
            "{vars:?}: {verdict:#?}"
        );
        let expected = format!("configuration: {expected}");
        assert!(
            verdict.errors.contains(&expected),
            "{expected} is not in {verdict:#?}"
        );
    }
}

#[test]
fn a_number_that_is_none_is_named() {
    for name in ["RETRIES", "MIN_CERT_DAYS"] {
        let verdict = check(&[("CONNECTION_TARGET", "tls://a:1"), (name, "-1")]).run();
        assert!(
            verdict.errors[0].starts_with(&format!("configuration: {name}=\"-1\": ")),
            "{verdict:#?}"
        );
    }
}

#[test]
fn on_a_terminal_wrong_options_exit_with_2_and_findings_with_1() {
    let run = |target: &str| {
        let output = check(&[])
            .arg(&format!("--connection-target={target}"))
            .alone();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = run("db");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("CONNECTION_TARGET=\"db\""), "{text}");
    assert_eq!(run(&format!("127.0.0.1:{}", closed_port())).0, Some(1));
    assert_eq!(run(&saying(b"").to_string()).0, Some(0));
}
