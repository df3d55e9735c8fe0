//! What is sent: headers, credentials, Host, and what a redirect takes along.

use super::*;

/// Files with secrets.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("token", "geheim-token\n"),
            ("user", "probe\n"),
            ("password", "geheim-pw"),
            ("body", "<a/>"),
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
fn headers_come_from_values_and_files() {
    let files = Files::new();
    let server = Server::saying(200, &[], "");
    let api_key = format!("X-Api-Key: {}", files.path("token"));
    probe(
        &server.url("/"),
        &[
            ("REQUEST_HEADERS", "Accept: text/html\nX-Tag: a:b"),
            ("REQUEST_HEADER_FILES", &api_key),
        ],
    )
    .passed();
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.header("accept"), seen.header("x-tag")),
        ("text/html", "a:b")
    );
    assert_eq!(seen.header("x-api-key"), "geheim-token");
    assert!(seen.header("user-agent").starts_with("kuberhealer"));
    assert_eq!(seen.header("host"), server.address.to_string());
}

#[test]
fn credentials_come_from_files_variables_and_the_url() {
    let files = Files::new();
    let (token, user, password) = (
        files.path("token"),
        files.path("user"),
        files.path("password"),
    );
    // printf 'probe:geheim-pw' | base64
    let basic = "Basic cHJvYmU6Z2VoZWltLXB3";
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("BEARER_TOKEN_FILE", &token)], "Bearer geheim-token"),
        (&[("BEARER_TOKEN", "geheim-token")], "Bearer geheim-token"),
        (
            &[
                ("BASIC_AUTH_USER_FILE", &user),
                ("BASIC_AUTH_PASSWORD_FILE", &password),
            ],
            basic,
        ),
        (
            &[
                ("BASIC_AUTH_USER", "probe"),
                ("BASIC_AUTH_PASSWORD", "geheim-pw"),
            ],
            basic,
        ),
    ];
    for (vars, expected) in rows {
        let server = Server::saying(401, &[], "");
        let verdict = probe(&server.url("/"), vars);
        verdict.failed(&[&format!(
            "{}: expected status 200, got 401",
            server.url("/")
        )]);
        assert_eq!(server.seen()[0].header("authorization"), *expected);
        assert!(!verdict.log.contains("geheim"), "{}", verdict.log);
    }
    let server = Server::saying(200, &[], "");
    probe(
        &format!("http://probe:geheim%2Dpw@{}/", server.address),
        &[],
    )
    .passed();
    assert_eq!(server.seen()[0].header("authorization"), basic);
    let refused = probe(
        &format!("http://probe:geheim@127.0.0.1:{}/", closed_port()),
        &[],
    );
    assert!(!format!("{refused:?}").contains("geheim"), "{refused:?}");
}

#[test]
fn a_body_comes_from_a_file() {
    let files = Files::new();
    let server = Server::saying(200, &[], "");
    let vars = [
        ("REQUEST_TYPE", "POST"),
        ("REQUEST_BODY_FILE", &files.path("body")),
        ("REQUEST_HEADERS", "Content-Type: application/xml"),
    ];
    probe(&server.url("/"), &vars).passed();
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.body.as_str(), seen.header("content-type")),
        ("<a/>", "application/xml")
    );
}

#[test]
fn the_host_can_be_another() {
    let server = Server::saying(200, &[], "");
    probe(&server.url("/"), &[("HOST_HEADER", "web.example.com")]).passed();
    let named = format!("http://web.example.com:{}/", server.address.port());
    probe(&named, &[("RESOLVE_TO", "127.0.0.1")]).passed();
    probe(
        &named,
        &[
            ("RESOLVE_TO", "127.0.0.1"),
            ("HOST_HEADER", "other.example.com"),
        ],
    )
    .passed();
    let hosts: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("host").to_owned())
        .collect();
    let with_port = format!("web.example.com:{}", server.address.port());
    assert_eq!(hosts, ["web.example.com", &with_port, "other.example.com"]);
}

#[test]
fn a_redirect_to_another_host_takes_no_secrets_along() {
    let files = Files::new();
    let elsewhere = Server::saying(200, &[], "");
    let location = elsewhere.url("/landed");
    let server = Server::answering(move |_, seen| match seen.path.as_str() {
        "/" => answer(302, &[("Location", "/second")], ""),
        _ => answer(307, &[("Location", &location)], ""),
    });
    let api_key = format!("X-Api-Key: {}", files.path("token"));
    probe(
        &server.url("/"),
        &[
            ("BEARER_TOKEN_FILE", &files.path("token")),
            ("REQUEST_HEADER_FILES", &api_key),
            ("REQUEST_HEADERS", "Cookie: geheim=1\nX-Tag: 1"),
            ("HOST_HEADER", "web.example.com"),
        ],
    )
    .passed();
    for seen in server.seen() {
        assert_eq!(
            (seen.header("authorization"), seen.header("x-api-key")),
            ("Bearer geheim-token", "geheim-token")
        );
        assert_eq!(seen.header("host"), "web.example.com");
    }
    let landed = &elsewhere.seen()[0];
    assert_eq!(landed.header("host"), elsewhere.address.to_string());
    assert_eq!(landed.header("x-tag"), "1");
    assert!(!format!("{landed:?}").contains("geheim"), "{landed:?}");
}

#[test]
fn redirects_are_limited_or_off() {
    let server = Server::saying(302, &[("Location", "/again")], "");
    let url = server.url("/");
    probe(&url, &[]).failed(&[&format!("{url}: more than 10 redirects")]);
    assert_eq!(server.seen().len(), 11);
    probe(&url, &[("MAX_REDIRECTS", "2")]).failed(&[&format!("{url}: more than 2 redirects")]);
    probe(
        &url,
        &[
            ("MAX_REDIRECTS", "0"),
            ("EXPECTED_STATUS_CODE", "302"),
            ("EXPECTED_HEADERS", "Location: /again"),
        ],
    )
    .passed();
    let odd = Server::saying(301, &[("Location", "ftp://a/")], "");
    probe(&odd.url("/"), &[]).failed_with(&["redirect to something that is no http or https URL"]);
    let nowhere = Server::saying(301, &[], "");
    probe(&nowhere.url("/"), &[("EXPECTED_STATUS_CODE", "301")]).passed();
    let dead = format!("http://127.0.0.1:{}/", closed_port());
    let away = Server::saying(302, &[("Location", &dead)], "");
    probe(&away.url("/"), &[]).failed(&[&format!(
        "{}: redirected to 127.0.0.1: connection refused",
        away.url("/")
    )]);
}

/// As for the official checks, which are Go programs: proxies from the environment are used, but not for loopback.
#[test]
fn proxies_are_obeyed_for_urls() {
    let proxy = Server::saying(200, &[], "from the proxy");
    let proxied = |url: &str, vars: &[(&str, &str)]| {
        check(vars)
            .var("CHECK_URL", url)
            .var("TARGET_STRING", "from the proxy")
            .run()
    };
    let address = proxy.url("");
    proxied("http://web.example.com/a", &[("HTTP_PROXY", &address)]).passed();
    proxied(
        "http://web.example.com/b",
        &[("http_proxy", &proxy.address.to_string())],
    )
    .passed();
    proxied("http://127.0.0.1:9/c", &[("PROXY_URL", &address)]).passed();
    let paths: Vec<_> = proxy.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(
        paths,
        [
            "http://web.example.com/a",
            "http://web.example.com/b",
            "http://127.0.0.1:9/c"
        ]
    );

    let direct = Server::saying(200, &[], "direct");
    for vars in [
        [("HTTP_PROXY", address.as_str()), ("X", "")],
        [("PROXY_URL", "direct"), ("HTTP_PROXY", &address)],
        [("PROXY_URL", &address), ("NO_PROXY", "127.0.0.1")],
    ] {
        probe(&direct.url("/"), &vars).passed();
    }
    assert_eq!(direct.seen().len(), 3);
    let dead = format!("http://127.0.0.1:{}", closed_port());
    probe("http://web.example.com/", &[("HTTP_PROXY", &dead)])
        .failed(&["http://web.example.com/: connection refused (a proxy is set)"]);
}
