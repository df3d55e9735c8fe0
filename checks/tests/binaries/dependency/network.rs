//! Names, ports and URLs: no cluster is needed for them.

use std::net::TcpListener;

use super::*;

#[test]
fn names_resolve_or_not() {
    check("dns:localhost").run().passed();
    let verdict = check("dns:nowhere.invalid").run();
    // Which of the two depends on whether this machine has a name server.
    let expected = ["no such host", "no answer from the name server"]
        .map(|seen| format!("dns:nowhere.invalid: expected an address, seen {seen}"));
    assert!(
        verdict.errors.len() == 1 && expected.contains(&verdict.errors[0]),
        "{verdict:#?}"
    );
}

#[test]
fn ports_accept_connections_or_not() {
    let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = v4.local_addr().unwrap().port();
    check(&format!("tcp:127.0.0.1:{port},tcp://localhost:{port}"))
        .run()
        .passed();
    if let Ok(v6) = TcpListener::bind("[::1]:0") {
        check(&format!("tcp:[::1]:{}", v6.local_addr().unwrap().port()))
            .run()
            .passed();
    }
    let closed = closed_port();
    check(&format!("tcp:127.0.0.1:{closed}"))
        .run()
        .failed(&[&format!(
            "tcp:127.0.0.1:{closed}: expected a connection, seen connection refused"
        )]);
}

#[test]
fn urls_answer_with_an_accepted_status_or_not() {
    let server = Server::answering(|_, seen| match seen.path.as_str() {
        "/moved" => answer(302, &[("Location", "/down")], ""),
        "/down" => answer(503, &[], ""),
        _ => answer(204, &[], ""),
    });
    let url = |path: &str| server.url(path);
    check(&[url("/"), url("/moved"), url("/a?b=c:d>=1")].join(","))
        .run()
        .passed();
    check(&[url("/down"), url("/")].join(","))
        .run()
        .failed(&[&format!(
            "{}: expected status 200-399, seen 503",
            url("/down")
        )]);
    check(&url("/down"))
        .var("EXPECTED_STATUS_CODE", "503")
        .run()
        .passed();
    let closed = closed_port();
    check(&format!("http://user:geheim@127.0.0.1:{closed}/"))
        .run()
        .failed(&[&format!(
            "http://127.0.0.1:{closed}/: expected status 200-399, seen connection refused"
        )]);
}

#[test]
fn certificates_must_be_trusted_and_stay_valid() {
    let own = Leaf::self_signed(&["localhost"], 90);
    let server = TlsServer::saying(&Tls::of(&own), 200, &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &own.pem).unwrap();
    let own = file.path().to_str().unwrap();
    // Another CA of another name: one of the same name would be taken for the issuer.
    let other = Ca::new("other");

    let url = server.url("localhost");
    let trusting = |ca: &str| check(&url).var("TLS_CA_FILE", ca);
    trusting(own).run().passed();
    trusting(&other.file()).run().failed(&[&format!(
        "{url}: expected status 200-399, seen certificate is signed by an unknown CA"
    )]);
    trusting(&other.file())
        .var("TLS_SKIP_VERIFY", "true")
        .run()
        .passed();
    // By its address, of which the certificate knows nothing.
    let address = server.url("127.0.0.1");
    let by_address = || check(&address).var("TLS_CA_FILE", own);
    by_address()
        .var("TLS_SERVER_NAME", "localhost")
        .run()
        .passed();
    by_address()
        .run()
        .failed(&[&format!(
            "{address}: expected status 200-399, seen certificate is not for 127.0.0.1 but for localhost"
        )]);
    trusting(own).var("MIN_CERT_DAYS", "100").run().failed(&[&format!(
        "{url}: expected certificates valid for 100 days, seen certificate of localhost expires {}, before the \
         required 100 days",
        day(90)
    )]);
}

#[test]
fn a_silent_server_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    check(&url)
        .var("TIMEOUT_DURATION", "200ms")
        .run()
        .failed(&[&format!(
            "{url}: expected an answer within 200ms, seen none"
        )]);
}
