//! From plain text to TLS: SMTP, IMAP, PostgreSQL, and any other by the step `starttls`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::*;

/// A server that speaks `plain` first; if that gives true, TLS, and then answers each line with `250 ` and itself.
fn serve_after(ca: &Ca, plain: impl Fn(&mut TcpStream) -> bool + Send + Sync + 'static) -> String {
    let config = Arc::new(ca.leaf(&["127.0.0.1"], 20).server(None));
    let address = serve(move |mut stream| {
        if !plain(&mut stream) {
            return wait_for_end(&mut stream);
        }
        let mut stream = encrypt(&config, stream);
        loop {
            let line = read_line(&mut stream);
            if line.is_empty() || stream.write_all(format!("250 {line}").as_bytes()).is_err() {
                return;
            }
        }
    });
    format!("tcp://{address}")
}

/// Says `banner`, then answers one line after the other.
fn script(
    banner: &'static str,
    answers: &'static [(&'static str, &'static str)],
) -> impl Fn(&mut TcpStream) -> bool {
    move |stream| {
        stream.write_all(banner.as_bytes()).unwrap();
        answers.iter().all(|(expected, answer)| {
            let line = read_line(stream);
            assert!(line.is_empty() || line.starts_with(expected), "{line}");
            stream.write_all(answer.as_bytes()).is_ok() && !line.is_empty()
        })
    }
}

fn postgres(answer: &'static [u8]) -> impl Fn(&mut TcpStream) -> bool {
    move |stream| {
        let mut request = [0; 8];
        let asked =
            stream.read_exact(&mut request).is_ok() && request == [0, 0, 0, 8, 4, 210, 22, 47];
        asked && stream.write_all(answer).is_ok() && answer == b"S"
    }
}

const EHLO: (&str, &str) = (
    "EHLO ",
    "250-mail.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n",
);

#[test]
fn every_protocol_gets_to_tls() {
    let ca = Ca::new("servers");
    let trust = ("TLS_CA_FILE", &*ca.file());
    let smtp = serve_after(
        &ca,
        script(
            "220-hello\r\n220 mail\r\n",
            &[EHLO, ("STARTTLS", "220 go\r\n")],
        ),
    );
    let imap = serve_after(
        &ca,
        script(
            "* OK imap\r\n",
            &[("a1 STARTTLS", "* CAPABILITY\r\na1 OK begin\r\n")],
        ),
    );
    let postgres = serve_after(&ca, postgres(b"S"));
    for (target, protocol) in [(&smtp, "smtp"), (&imap, "IMAP"), (&postgres, "postgres")] {
        let vars = [trust, ("STARTTLS", protocol)];
        let run = |more: &[(&str, &str)]| probe(target, &[&vars[..], more].concat());
        run(&[]).passed();
        run(&[
            ("MIN_CERT_DAYS", "10"),
            ("SEND", "NOOP\\r\\n"),
            ("EXPECT", "^250 NOOP"),
        ])
        .passed();
        run(&[("MIN_CERT_DAYS", "30")]).failed_at(
            target,
            &format!("expected certificates valid for 30 more days, seen the certificate of 127.0.0.1 expires {}", day(20)),
        );
        let other = Ca::new("other");
        probe(
            target,
            &[("TLS_CA_FILE", &other.file()), ("STARTTLS", protocol)],
        )
        .failed_at(
            target,
            "expected a TLS handshake, seen certificate is signed by an unknown CA",
        );
    }
}

#[test]
fn any_other_protocol_is_a_dialogue() {
    let ca = Ca::new("servers");
    let ftp = serve_after(&ca, script("220 ftp\r\n", &[("AUTH TLS", "234 go\r\n")]));
    let steps = "expect ^220 .*\\r\\n\nsend AUTH TLS\\r\\n\nexpect ^234 .*\\r\\n\nstarttls\nsend NOOP\\r\\n\nexpect ^250 ";
    probe(&ftp, &[("TLS_CA_FILE", &ca.file()), ("DIALOGUE", steps)]).passed();
    let injecting = serve_after(
        &ca,
        script("220 ftp\r\n", &[("AUTH TLS", "234 go\r\n250 injected\r\n")]),
    );
    probe(
        &injecting,
        &[("TLS_CA_FILE", &ca.file()), ("DIALOGUE", steps)],
    )
    .failed_at(
        &injecting,
        "expected nothing in plain text once TLS is agreed on, seen \"250 injected\"",
    );
}

#[test]
fn a_server_that_refuses_is_told() {
    let ca = Ca::new("servers");
    let agree = "expected SMTP to agree to STARTTLS (220), seen";
    for (target, protocol, words) in [
        (
            serve_after(
                &ca,
                script(
                    "220 mail\r\n",
                    &[EHLO, ("STARTTLS", "454 TLS not available\r\n")],
                ),
            ),
            "smtp",
            format!("{agree} \"454 TLS not available\""),
        ),
        (
            serve_after(
                &ca,
                script("220 mail\r\n", &[("EHLO", "250-mail\r\n250 SIZE\r\n")]),
            ),
            "smtp",
            "expected an SMTP server with STARTTLS, seen one that does not offer it".to_owned(),
        ),
        (
            serve_after(&ca, script("554 no service\r\n", &[])),
            "smtp",
            "expected an SMTP greeting (220), seen \"554 no service\"".to_owned(),
        ),
        (
            serve_after(&ca, script("* OK imap\r\n", &[("a1", "a1 NO not now\r\n")])),
            "imap",
            "expected IMAP to agree to STARTTLS (OK), seen \"NO not now\"".to_owned(),
        ),
        (
            serve_after(&ca, script("* PREAUTH welcome\r\n", &[])),
            "imap",
            "expected an IMAP greeting (* OK), seen PREAUTH, with which STARTTLS is impossible"
                .to_owned(),
        ),
        (
            serve_after(&ca, postgres(b"N")),
            "postgres",
            "expected PostgreSQL to agree to TLS (S), seen N: it does not offer TLS".to_owned(),
        ),
    ] {
        probe(
            &target,
            &[("STARTTLS", protocol), ("TLS_SKIP_VERIFY", "true")],
        )
        .failed_at(&target, &words);
    }
}

/// What comes behind the server's agreement was put there by somebody else.
#[test]
fn plain_text_after_the_agreement_is_never_accepted() {
    let ca = Ca::new("servers");
    let left = "expected nothing in plain text once TLS is agreed on, seen";
    for (target, protocol, words) in [
        (
            serve_after(
                &ca,
                script(
                    "220 mail\r\n",
                    &[EHLO, ("STARTTLS", "220 go\r\n250 injected\r\n")],
                ),
            ),
            "smtp",
            format!("{left} \"250 injected\""),
        ),
        (
            serve_after(
                &ca,
                script("* OK imap\r\n", &[("a1", "a1 OK\r\n* OK injected\r\n")]),
            ),
            "imap",
            format!("{left} \"* OK injected\""),
        ),
        (
            serve_after(&ca, postgres(b"Sinjected")),
            "postgres",
            format!("{left} \"injected\""),
        ),
    ] {
        probe(
            &target,
            &[("STARTTLS", protocol), ("TLS_CA_FILE", &ca.file())],
        )
        .failed_at(&target, &words);
    }
    // Later, so that it is read as if it were TLS.
    let late = serve_after(&ca, |stream| {
        let agreed = script("220 mail\r\n", &[EHLO, ("STARTTLS", "220 go\r\n")])(stream);
        let mut hello = [0; 16];
        agreed
            && stream.read_exact(&mut hello).is_ok()
            && stream.write_all(b"250 injected\r\n").is_err()
    });
    probe(&late, &[("STARTTLS", "smtp"), ("TLS_CA_FILE", &ca.file())]).failed_at(
        &late,
        "expected a TLS handshake, seen TLS: the server does not speak TLS on this port",
    );
}

#[test]
fn what_is_not_the_protocol_is_told() {
    for (protocol, words) in [
        (
            "smtp",
            "expected an SMTP greeting (220), seen \"SSH-2.0-OpenSSH_9.2\"",
        ),
        (
            "imap",
            "expected an IMAP greeting (* OK), seen \"SSH-2.0-OpenSSH_9.2\"",
        ),
        (
            "postgres",
            "expected nothing in plain text once TLS is agreed on, seen \"SH-2.0-OpenSSH_9.2\"",
        ),
    ] {
        let target = format!("tcp://{}", saying(b"SSH-2.0-OpenSSH_9.2\r\n"));
        probe(&target, &[("STARTTLS", protocol)]).failed_at(&target, words);
        let silent = format!("tcp://{}", saying(b""));
        let verdict = probe(
            &silent,
            &[("STARTTLS", protocol), ("CONNECTION_TIMEOUT", "1s")],
        );
        assert!(
            verdict.errors[0].ends_with("seen no answer within 1s"),
            "{verdict:#?}"
        );
    }
}
