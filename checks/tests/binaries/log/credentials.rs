//! Who asks, over TLS or not, and who gets to know.

use super::*;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("token", "geheim-token\n"),
            ("user", "probe\n"),
            ("password", "geheim-pw"),
            ("key", "Z2VoZWltOmtleQ==\n"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Files(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn credentials_come_from_files_variables_and_the_url() {
    let files = Files::new();
    let [token, user, password, key] = ["token", "user", "password", "key"].map(|f| files.path(f));
    // printf 'probe:geheim-pw' | base64
    let basic = "Basic cHJvYmU6Z2VoZWltLXB3";
    let api_key = "ApiKey Z2VoZWltOmtleQ==";
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("API_KEY_FILE", &key)], api_key),
        (&[("API_KEY", "Z2VoZWltOmtleQ==")], api_key),
        (&[("BEARER_TOKEN_FILE", &token)], "Bearer geheim-token"),
        (&[("BEARER_TOKEN", "geheim-token")], "Bearer geheim-token"),
        (
            &[
                ("BASIC_AUTH_USER_FILE", &user),
                ("BASIC_AUTH_PASSWORD_FILE", &password),
            ],
            basic,
        ),
        (&[], ""),
    ];
    let secrets = ["geheim", "Z2Vo", "c3Jv"];
    for (vars, expected) in rows {
        let bytes = refusal(401, "security_exception");
        let server = Server::answering(move |_, _| bytes.clone());
        let verdict = elastic(&server.url(""), vars).run();
        verdict.failed_with(&["log backend: ", "got status 401"]);
        assert_eq!(server.seen()[0].header("authorization"), *expected);
        let shown = format!("{verdict:?}");
        assert!(!secrets.iter().any(|s| shown.contains(s)), "{shown}");
    }
    let server = counting(0);
    let url = format!("http://probe:geheim%2Dpw@{}/", server.address);
    elastic(&url, &[]).run().failed_with(&["found none"]);
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), basic);
    }
    let url = format!("http://probe:geheim@127.0.0.1:{}/", closed_port());
    let verdict = elastic(&url, &[]).run();
    assert!(!format!("{verdict:?}").contains("geheim"), "{verdict:?}");
}

/// What answers elsewhere may be anything, such as a page to log in on; and credentials stay where they were meant for.
#[test]
fn redirects_are_not_followed() {
    let elsewhere = counting(5);
    let locations = [elsewhere.url("/login?session=geheim"), "/moved".to_owned()];
    for location in locations {
        for status in [301, 302, 303, 307, 308] {
            let server = Server::saying(status, &[("Location", &location)], "");
            let url = server.url("/");
            let verdict = elastic(&url, &[("BEARER_TOKEN", "geheim")]).run();
            verdict.failed(&[&backend(
                &url,
                &format!("expected an answer, got status {status} and a redirect to 127.0.0.1: set LOG_URL to where the API is"),
            )]);
            assert!(!verdict.log.contains("geheim"), "{}", verdict.log);
            assert_eq!(server.seen().len(), 1);
        }
    }
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn certificates_are_verified() {
    let ca = Ca::new("log CA");
    let (other, leaf) = (Ca::new("other CA"), ca.leaf(&["localhost"], 90));
    let serve = |tls: &Tls<'_>| {
        TlsServer::on(tls, |_, _, stream| {
            let _ = stream.write_all(&answer(200, &[], &count(3)));
        })
    };
    let server = serve(&Tls::of(&leaf));
    let url = server.url("localhost");
    let trusted = ("TLS_CA_FILE", ca.file());
    let trusted = (trusted.0, trusted.1.as_str());
    elastic(&url, &[trusted]).run().passed();
    elastic(&url, &[("TLS_CA_FILE", &other.file())])
        .run()
        .failed(&[&backend(&url, "certificate is signed by an unknown CA")]);
    elastic(&url, &[("TLS_SKIP_VERIFY", "true")]).run().passed();
    let address = server.url("127.0.0.1");
    elastic(&address, &[trusted])
        .run()
        .failed_with(&["log backend: ", "certificate is not for 127.0.0.1"]);
    elastic(&address, &[trusted, ("TLS_SERVER_NAME", "localhost")])
        .run()
        .passed();
    let days = format!(
        "certificate of localhost expires {}, before the required 100 days",
        day(90)
    );
    elastic(&url, &[trusted, ("MIN_CERT_DAYS", "100")])
        .run()
        .failed(&[&backend(&url, &days)]);

    let (certificate, key) = ca.client();
    let strict = serve(&Tls {
        clients: Some(&ca),
        ..Tls::of(&leaf)
    });
    let url = strict.url("localhost");
    elastic(&url, &[trusted]).run().failed(&[&backend(
        &url,
        "TLS: the server requires a client certificate",
    )]);
    elastic(
        &url,
        &[
            trusted,
            ("TLS_CERT_FILE", &certificate),
            ("TLS_KEY_FILE", &key),
        ],
    )
    .run()
    .passed();
}

#[test]
fn proxies_are_obeyed() {
    let proxy = counting(5);
    let url = "http://es.example.com/";
    elastic(url, &[("PROXY_URL", &proxy.url(""))])
        .run()
        .passed();
    elastic(url, &[("HTTP_PROXY", &proxy.url(""))])
        .run()
        .passed();
    for seen in proxy.seen() {
        assert_eq!(seen.path, "http://es.example.com/logs-*/_count");
    }
    let dead = format!("http://127.0.0.1:{}", closed_port());
    elastic(url, &[("HTTP_PROXY", &dead)])
        .run()
        .failed(&[&backend(url, "connection refused (a proxy is set)")]);
    let direct = counting(5);
    elastic(
        &direct.url(""),
        &[("PROXY_URL", "direct"), ("HTTP_PROXY", &dead)],
    )
    .run()
    .passed();
}
