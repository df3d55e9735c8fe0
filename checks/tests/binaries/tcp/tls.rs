//! TLS from the first byte: trust, names, dates, client certificates.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::*;

/// Answers each line with `+` and itself.
fn serve_tls(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |stream| {
        let mut stream = encrypt(&config, stream);
        loop {
            let line = read_line(&mut stream);
            if line.is_empty() || stream.write_all(format!("+{line}").as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[track_caller]
fn seen(verdict: &Verdict, target: &str, seen: &str) {
    verdict.failed_at(target, &format!("expected a TLS handshake, seen {seen}"));
}

#[test]
fn a_private_ca_is_trusted_when_named() {
    let ca = Ca::new("servers");
    let leaf = ca.leaf(&["localhost", "127.0.0.1"], 30);
    let address = serve_tls(leaf.server(None));
    let by_name = format!("tls://localhost:{}", address.port());
    let by_address = format!("tls://{address}");
    let trust = ("TLS_CA_FILE", &*ca.file());
    for target in [&by_name, &by_address] {
        probe(target, &[trust, ("IP_FAMILY", "4")]).passed();
        probe(
            target,
            &[
                trust,
                ("IP_FAMILY", "4"),
                ("SEND", "hi\\r\\n"),
                ("EXPECT", "^\\+hi$"),
            ],
        )
        .passed();
    }
    let other = Ca::new("other");
    seen(
        &probe(&by_address, &[("TLS_CA_FILE", &other.file())]),
        &by_address,
        "certificate is signed by an unknown CA",
    );
    probe(&by_address, &[("TLS_SKIP_VERIFY", "true")]).passed();
    for version in ["1.2", "1.3"] {
        probe(
            &by_address,
            &[
                trust,
                ("TLS_MIN_VERSION", version),
                ("TLS_MAX_VERSION", version),
            ],
        )
        .passed();
    }
}

#[test]
fn certificates_are_for_a_name_and_a_time() {
    let ca = Ca::new("servers");
    let trust = ("TLS_CA_FILE", &*ca.file());
    let named = format!(
        "tls://{}",
        serve_tls(ca.leaf(&["db.example"], 30).server(None))
    );
    seen(
        &probe(&named, &[trust]),
        &named,
        "certificate is not for 127.0.0.1 but for db.example",
    );
    probe(&named, &[trust, ("TLS_SERVER_NAME", "db.example")]).passed();
    let expired = format!(
        "tls://{}",
        serve_tls(ca.leaf(&["127.0.0.1"], -3).server(None))
    );
    seen(
        &probe(&expired, &[trust]),
        &expired,
        &format!("certificate expired on {}", day(-3)),
    );
    probe(&expired, &[("TLS_SKIP_VERIFY", "true")]).passed();
}

#[test]
fn certificates_must_stay_valid_for_some_days() {
    let ca = Ca::new("servers");
    let trust = ("TLS_CA_FILE", &*ca.file());
    let target = format!(
        "tls://{}",
        serve_tls(ca.leaf(&["127.0.0.1"], 20).server(None))
    );
    probe(&target, &[trust, ("MIN_CERT_DAYS", "10")]).passed();
    let words = format!(
        "expected certificates valid for 30 more days, seen the certificate of 127.0.0.1 expires {}",
        day(20)
    );
    probe(&target, &[trust, ("MIN_CERT_DAYS", "30")]).failed_at(&target, &words);
    probe(
        &target,
        &[("TLS_SKIP_VERIFY", "true"), ("MIN_CERT_DAYS", "30")],
    )
    .failed_at(&target, &words);
}

/// In TLS 1.3 a server refuses a client's certificate after the client has finished its part.
#[test]
fn a_server_may_require_a_client_certificate() {
    let (ca, clients, strangers) = (Ca::new("servers"), Ca::new("clients"), Ca::new("strangers"));
    let target = format!(
        "tls://{}",
        serve_tls(ca.leaf(&["127.0.0.1"], 30).server(Some(&clients)))
    );
    let trust = ("TLS_CA_FILE", &*ca.file());
    let dialogue = [("SEND", "hi\\r\\n"), ("EXPECT", "^\\+hi")];
    for version in ["1.2", "1.3"] {
        let vars = [trust, ("TLS_MAX_VERSION", version)];
        let run = |more: &[(&str, &str)]| probe(&target, &[&vars[..], more].concat());
        seen(
            &run(&[]),
            &target,
            "TLS: the server requires a client certificate",
        );
        let verdict = run(&dialogue);
        assert!(
            verdict.errors[0].ends_with("TLS: the server requires a client certificate"),
            "{verdict:#?}"
        );
        let (certificate, key) = clients.client();
        let own = [("TLS_CERT_FILE", &*certificate), ("TLS_KEY_FILE", &*key)];
        run(&own).passed();
        run(&[own, dialogue].concat()).passed();
        let (certificate, key) = strangers.client();
        let own = [("TLS_CERT_FILE", &*certificate), ("TLS_KEY_FILE", &*key)];
        seen(
            &run(&own),
            &target,
            "TLS: the server refuses the client certificate",
        );
    }
    let (certificate, _) = clients.client();
    probe(&target, &[("TLS_CERT_FILE", &certificate)])
        .failed(&["configuration: TLS_KEY_FILE: expected the key of TLS_CERT_FILE"]);
}

#[test]
fn what_does_not_speak_tls_is_told() {
    let plain = format!("tls://{}", saying(b"SSH-2.0-OpenSSH_9.2\r\n"));
    seen(
        &probe(&plain, &[("TLS_SKIP_VERIFY", "true")]),
        &plain,
        "TLS: the server does not speak TLS on this port",
    );
    let silent = format!("tls://{}", saying(b""));
    let short = [("TLS_SKIP_VERIFY", "true"), ("CONNECTION_TIMEOUT", "1s")];
    seen(&probe(&silent, &short), &silent, "no end of it within 1s");
    let verdict = probe(
        &silent,
        &[&short[..], &[("CONNECTION_TARGET_UNREACHABLE", "true")]].concat(),
    );
    verdict.passed();
}

/// A server that neither answers a farewell nor closes is up all the same.
#[test]
fn a_server_that_ignores_the_end_is_not_waited_for() {
    let ca = Ca::new("servers");
    let config = Arc::new(ca.leaf(&["127.0.0.1"], 30).server(None));
    let target = serve(move |stream| {
        let mut stream = encrypt(&config, stream);
        let _ = stream.conn.complete_io(&mut stream.sock);
        std::thread::sleep(PATIENCE);
    });
    let verdict = probe(&format!("tls://{target}"), &[("TLS_CA_FILE", &ca.file())]);
    verdict.passed();
    assert!(verdict.took < Duration::from_secs(15), "{verdict:#?}");
}

#[test]
fn without_any_ca_the_way_out_is_told() {
    let ca = Ca::new("servers");
    let target = format!(
        "tls://{}",
        serve_tls(ca.leaf(&["127.0.0.1"], 30).server(None))
    );
    // Nothing is found where these point to.
    let verdict = probe(
        &target,
        &[("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")],
    );
    seen(
        &verdict,
        &target,
        "no CA certificates found in this image: set TLS_CA_FILE to a PEM file with those to trust",
    );
}

#[test]
fn a_negative_test_without_trust_passes_nothing() {
    let address = serve_tls(Ca::new("servers").leaf(&["127.0.0.1"], 30).server(None));
    let target = format!("tls://{address}");
    let vars = [
        ("CONNECTION_TARGET_UNREACHABLE", "true"),
        ("SSL_CERT_FILE", "/no/such/file"),
        ("SSL_CERT_DIR", "/no/such/folder"),
    ];
    seen(
        &probe(&target, &vars),
        &target,
        "no CA certificates found in this image: set TLS_CA_FILE to a PEM file with those to trust",
    );
}

#[test]
fn a_ca_that_serves_itself_is_told_in_words() {
    let ca = Ca::new("127.0.0.1");
    let address = serve_tls(ca.itself().server(None));
    let target = format!("tls://{address}");
    seen(
        &probe(&target, &[("TLS_CA_FILE", &ca.file())]),
        &target,
        "certificate is that of a CA, not one for servers (self-signed?)",
    );
}
