//! Real TLS listeners: trust, names, dates, versions, client certificates, HTTP/2.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::http2::http2;
use super::*;

#[test]
fn a_private_ca_is_trusted_when_given() {
    let (ca, other) = (Ca::new("a"), Ca::new("b"));
    let server = TlsServer::saying(&Tls::of(&ca.leaf(&["127.0.0.1"], 90)), 200, &[]);
    let url = server.url("127.0.0.1");
    let unknown = format!("{url}: certificate is signed by an unknown CA");
    probe(&url, &[("TLS_CA_FILE", &ca.file())]).passed();
    probe(&url, &[("SSL_CERT_FILE", &ca.file())]).passed();
    probe(&url, &[("SSL_CERT_FILE", &other.file())]).failed(&[&unknown]);
    // A CA that is given takes the place of those of the system.
    probe(
        &url,
        &[
            ("TLS_CA_FILE", &other.file()),
            ("SSL_CERT_FILE", &ca.file()),
        ],
    )
    .failed(&[&unknown]);
    probe(&url, &[("TLS_SKIP_VERIFY", "true")]).passed();
    probe(
        &url,
        &[
            ("TLS_CA_FILE", &ca.file()),
            ("REQUIRE_TLS", "true"),
            ("TARGET_STRING", "hello"),
        ],
    )
    .passed();
}

#[test]
fn an_image_without_ca_certificates_says_what_to_set() {
    let none = [
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let ca = Ca::new("a");
    let server = TlsServer::saying(&Tls::of(&ca.leaf(&["127.0.0.1"], 90)), 200, &[]);
    let url = server.url("127.0.0.1");
    probe(&url, &none).failed(&[&format!(
        "{url}: no CA certificates found in this image: set TLS_CA_FILE to a PEM file with those to trust"
    )]);
    probe(&url, &[none[0], none[1], ("TLS_SKIP_VERIFY", "true")]).passed();
    // Plain http needs none.
    probe(&Server::saying(200, &[], "").url("/"), &none).passed();
}

#[test]
fn dates_and_names_are_checked() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let server =
        |names: &[&str], days| TlsServer::saying(&Tls::of(&ca.leaf(names, days)), 200, &[]);
    let expired = server(&["127.0.0.1"], -3);
    let url = expired.url("127.0.0.1");
    probe(&url, &[("TLS_CA_FILE", &trust)])
        .failed(&[&format!("{url}: certificate expired on {}", day(-3))]);
    let other = server(&["web.example.com", "www.example.com"], 90);
    let url = other.url("127.0.0.1");
    probe(&url, &[("TLS_CA_FILE", &trust)]).failed(&[&format!(
        "{url}: certificate is not for 127.0.0.1 but for web.example.com, www.example.com"
    )]);
    let named = other.url("web.example.com");
    let there = ("RESOLVE_TO", "127.0.0.1");
    probe(&named, &[("TLS_CA_FILE", &trust), there]).passed();
}

#[test]
fn the_name_asked_for_can_be_another() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let server = TlsServer::saying(&Tls::of(&ca.leaf(&["web.example.com"], 90)), 200, &[]);
    let url = server.url("127.0.0.1");
    for (name, value, host) in [
        (
            "TLS_SERVER_NAME",
            "web.example.com",
            server.server.address.to_string(),
        ),
        (
            "HOST_HEADER",
            "web.example.com",
            "web.example.com".to_owned(),
        ),
    ] {
        probe(&url, &[("TLS_CA_FILE", &trust), (name, value)]).passed();
        let (name, _) = server.hellos().pop().unwrap();
        assert_eq!(name.as_deref(), Some("web.example.com"));
        assert_eq!(server.server.seen().pop().unwrap().header("host"), host);
    }
    probe(
        &server.url("localhost"),
        &[
            ("TLS_CA_FILE", &trust),
            ("TLS_SERVER_NAME", "web.example.com"),
            ("HOST_HEADER", "other.example.com"),
        ],
    )
    .passed();
    assert_eq!(
        server.server.seen().pop().unwrap().header("host"),
        "other.example.com"
    );
}

#[test]
fn certificates_must_stay_valid_for_the_days_required() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let run = |leaf: &Leaf, vars: &[(&str, &str)]| {
        let server = TlsServer::saying(&Tls::of(leaf), 200, &[]);
        let run = check(&[("TLS_CA_FILE", &trust), ("MIN_CERT_DAYS", "30")]).with(vars);
        let url = server.url("127.0.0.1");
        (run.var("CHECK_URL", &url).run(), url)
    };
    let (verdict, _) = run(&ca.leaf(&["127.0.0.1"], 60), &[]);
    verdict.passed();
    for vars in [
        &[][..],
        &[("TLS_SKIP_VERIFY", "true")],
        &[("TLS_MAX_VERSION", "1.2")],
    ] {
        let (verdict, url) = run(&ca.leaf(&["127.0.0.1"], 10), vars);
        verdict.failed(&[&format!(
            "{url}: certificate of 127.0.0.1 expires {}, before the required 30 days",
            day(10)
        )]);
    }
    let (verdict, url) = run(&ca.intermediate(20).leaf(&["127.0.0.1"], 60), &[]);
    verdict.failed(&[&format!(
        "{url}: a CA certificate behind that of 127.0.0.1 expires {}, before the required 30 days",
        day(20)
    )]);
    // Nothing depends on this one, so nobody has to care.
    let needless = Ca::new("old").intermediate(5);
    let (verdict, _) = run(&ca.leaf(&["127.0.0.1"], 60).with_extra(&needless), &[]);
    verdict.passed();
    probe(
        &Server::saying(200, &[], "").url("/"),
        &[("MIN_CERT_DAYS", "1")],
    )
    .failed_with(&["there is no certificate"]);
}

#[test]
fn client_certificates_are_shown_to_the_target_only() {
    let (ca, stranger) = (Ca::new("a"), Ca::new("b"));
    let trust = ca.file();
    let ((cert, key), (wrong_cert, wrong_key)) = (ca.client(), stranger.client());
    let leaf = ca.leaf(&["127.0.0.1"], 90);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let tls = Tls {
            clients: Some(&ca),
            version: Some(version),
            ..Tls::of(&leaf)
        };
        let server = TlsServer::saying(&tls, 200, &[]);
        let url = server.url("127.0.0.1");
        let with = |cert: &str, key: &str| {
            probe(
                &url,
                &[
                    ("TLS_CA_FILE", &trust),
                    ("TLS_CERT_FILE", cert),
                    ("TLS_KEY_FILE", key),
                ],
            )
        };
        with(&cert, &key).passed();
        with("", "").failed_with(&["TLS: the server re", "client certificate"]);
        with(&wrong_cert, &wrong_key).failed_with(&["TLS: the server refuse"]);
        with(&cert, &wrong_key).failed(&[
            "configuration: TLS_KEY_FILE: expected the key of the certificate in TLS_CERT_FILE",
        ]);
        with(&cert, "").failed(&["configuration: TLS_KEY_FILE: expected the key of TLS_CERT_FILE"]);
    }
    let asking = Tls {
        clients: Some(&ca),
        clients_required: false,
        ..Tls::of(&leaf)
    };
    let landing = TlsServer::saying(&asking, 200, &[]);
    let location = landing.url("127.0.0.1");
    let server = TlsServer::saying(&asking, 302, &[("Location", &location)]);
    probe(
        &server.url("127.0.0.1"),
        &[
            ("TLS_CA_FILE", &trust),
            ("TLS_CERT_FILE", &cert),
            ("TLS_KEY_FILE", &key),
        ],
    )
    .passed();
    assert!(server.hellos()[0].1 && !landing.hellos()[0].1);
}

#[test]
fn versions_can_be_bounded() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let leaf = ca.leaf(&["127.0.0.1"], 90);
    let old = TlsServer::saying(
        &Tls {
            version: Some(&rustls::version::TLS12),
            ..Tls::of(&leaf)
        },
        200,
        &[],
    );
    let new = TlsServer::saying(
        &Tls {
            version: Some(&rustls::version::TLS13),
            ..Tls::of(&leaf)
        },
        200,
        &[],
    );
    let run = |server: &TlsServer, name: &str, value: &str| {
        probe(
            &server.url("127.0.0.1"),
            &[("TLS_CA_FILE", &trust), (name, value)],
        )
    };
    run(&old, "TLS_MIN_VERSION", "1.2").passed();
    run(&old, "TLS_MAX_VERSION", "1.2").passed();
    run(&new, "TLS_MIN_VERSION", "1.3").passed();
    run(&old, "TLS_MIN_VERSION", "1.3")
        .failed_with(&["TLS: the server refuses the TLS versions offered"]);
    run(&new, "TLS_MAX_VERSION", "1.2")
        .failed_with(&["TLS: the server refuses the TLS versions offered"]);
}

#[test]
fn a_port_without_tls_is_told() {
    let plain = Server::on("127.0.0.1:0", |_, _, _| {});
    let url = format!("https://{}/", plain.address);
    let junk = TcpListener::bind("127.0.0.1:0").unwrap();
    let junk_url = format!("https://{}/", junk.local_addr().unwrap());
    thread::spawn(move || {
        for stream in junk.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        }
    });
    let skip = [("TLS_SKIP_VERIFY", "true"), ("TIMEOUT_DURATION", "500ms")];
    probe(&junk_url, &skip).failed(&[&format!(
        "{junk_url}: TLS: the server does not speak TLS on this port"
    )]);
    probe(&url, &skip).failed(&[&format!("{url}: timed out after 500ms connecting")]);
}

#[test]
fn http2_is_spoken_and_can_be_required() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let leaf = ca.leaf(&["127.0.0.1", "web.example.com"], 90);
    let two = http2(Some(&Tls::of(&leaf)));
    let one = TlsServer::saying(&Tls::of(&leaf), 200, &[]);
    let url = format!("https://{two}/");
    let run = |url: &str, vars: &[(&str, &str)]| {
        check(vars)
            .var("TLS_CA_FILE", &trust)
            .var("CHECK_URL", url)
            .run()
    };
    let required = ("HTTP_VERSION", "2");
    run(&url, &[]).passed();
    run(&url, &[required, ("TARGET_STRING", &two.to_string())]).passed();
    let host = format!("web.example.com:{}", two.port());
    run(
        &url,
        &[required, ("HOST_HEADER", &host), ("TARGET_STRING", &host)],
    )
    .passed();
    run(&url, &[required, ("TLS_SERVER_NAME", "web.example.com")]).failed_with(&[
        "configuration: HTTP_VERSION=\"2\": cannot be combined with a Host that is not",
    ]);
    run(&url, &[("HTTP_VERSION", "1.1")]).failed_with(&["TLS: the server"]);
    let url = one.url("127.0.0.1");
    run(
        &url,
        &[
            ("HOST_HEADER", "web.example.com"),
            ("PROXY_URL", "http://127.0.0.1:9"),
        ],
    )
    .failed_with(&["configuration: PROXY_URL: cannot be combined with RESOLVE_TO"]);
    run(&url, &[]).passed();
    run(&url, &[required]).failed(&[&format!("{url}: expected HTTP/2, got HTTP/1.1")]);

    let plain = http2(None);
    let url = format!("http://{plain}/");
    run(&url, &[required, ("TARGET_STRING", &plain.to_string())]).passed();
    run(
        &url,
        &[
            required,
            ("HOST_HEADER", "web.example.com"),
            ("TARGET_STRING", "web.example.com"),
        ],
    )
    .failed_with(&["configuration: HTTP_VERSION"]);
    let host = format!("web.example.com:{}", plain.port());
    run(
        &url,
        &[required, ("HOST_HEADER", &host), ("TARGET_STRING", &host)],
    )
    .passed();
    let one = Server::saying(200, &[], "");
    // Whether the client first sees the junk or the reset behind it is a race.
    run(&one.url("/"), &[required]).failed_with(&[&one.url("/")]);
}

#[test]
fn https_goes_through_a_proxy_by_connect() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let server = TlsServer::saying(&Tls::of(&ca.leaf(&["web.example.com"], 90)), 200, &[]);
    let target = server.server.address;
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    thread::spawn(move || {
        for client in proxy.incoming().flatten() {
            let mut client = client;
            let request = read_request(&mut client).unwrap();
            if request.header("proxy-authorization").is_empty() {
                let _ = client.write_all(b"HTTP/1.1 407 Who\r\n\r\n");
                continue;
            }
            assert_eq!(
                (request.method.as_str(), request.path.as_str()),
                ("CONNECT", "web.example.com:443")
            );
            let mut upstream = TcpStream::connect(target).unwrap();
            client.write_all(b"HTTP/1.1 200 Fine\r\n\r\n").unwrap();
            let (mut from, mut to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut client, &mut upstream));
        }
    });
    let url = "https://web.example.com/";
    let through = |proxy: &str| probe(url, &[("TLS_CA_FILE", &trust), ("HTTPS_PROXY", proxy)]);
    through(&format!("http://probe:geheim@{address}")).passed();
    let refused = through(&format!("http://{address}"));
    refused.failed(&["https://web.example.com/: the proxy requires credentials (a proxy is set)"]);
    assert!(!format!("{refused:?}").contains("geheim"));
}

#[test]
fn a_redirect_to_https_is_judged_there() {
    let ca = Ca::new("a");
    let trust = ca.file();
    let server = TlsServer::saying(&Tls::of(&ca.leaf(&["127.0.0.1"], 10)), 200, &[]);
    let location = server.url("127.0.0.1");
    let plain = Server::saying(301, &[("Location", &location)], "");
    let url = plain.url("/");
    let vars = [("TLS_CA_FILE", trust.as_str()), ("REQUIRE_TLS", "true")];
    probe(&url, &vars).passed();
    probe(&url, &[vars[0], ("MIN_CERT_DAYS", "30")])
        .failed_with(&["certificate of 127.0.0.1 expires"]);
}
