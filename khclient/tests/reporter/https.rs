//! https: a private CA, the wrong one, none, and images without any certificates.

use std::path::Path;
use std::time::{Duration, Instant};

use khclient::{Delivery, Line, Reporter, Undelivered};

use crate::support::process::{Process, command};
use crate::support::server::{Server, location, status, text};
use crate::support::tls::{Ca, nowhere};
use crate::support::{BODY, PLENTY, endpoint, path, quick, report};

async fn send_trusting(ca: &Path, url: &str, limit: Duration) -> Result<Delivery, Undelivered> {
    let mut reporter = Reporter::with_timing(endpoint(url), Some(ca), quick())?;
    reporter.send(&report(), Instant::now() + limit).await
}

#[tokio::test]
async fn a_private_ca_is_trusted() {
    let ca = Ca::new();
    let file = ca.file();
    for line in [Line::V2, Line::V3] {
        let server = Server::start_tls(&ca, [text(503, "not yet"), status(200)]);
        let delivery = send_trusting(file.path(), &server.url(path(line)), PLENTY)
            .await
            .unwrap();
        assert_eq!(delivery.attempts, 2);
        assert_eq!(server.accepted(), [BODY]);
    }
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_not_and_the_error_says_what_to_do() {
    let server = Server::start_tls(&Ca::new(), [status(200)]);
    let other = Ca::new().file();
    let url = server.url(path(Line::V3));
    let error = send_trusting(other.path(), &url, Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Undelivered::OutOfTime { attempts: 2.., .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("cannot connect: invalid peer certificate"),
        "{error}"
    );
    assert!(error.to_string().contains("KH_CA_FILE"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_ca_file_that_is_of_no_use_is_named() {
    let url = "https://127.0.0.1:1/check";
    let error = send_trusting(&nowhere(), url, PLENTY).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("KH_CA_FILE=\"/nonexistent/ca.pem\""),
        "{error}"
    );

    // One never ends, the other is never opened.
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [Path::new("/dev/zero"), &pipe] {
        let error = send_trusting(path, url, PLENTY).await.unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }

    let empty = tempfile::NamedTempFile::new().unwrap();
    let error = send_trusting(empty.path(), url, PLENTY).await.unwrap_err();
    assert!(error.to_string().contains("found none"), "{error}");

    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let error = send_trusting(broken.path(), url, PLENTY).await.unwrap_err();
    assert!(error.to_string().contains("found none"), "{error}");
}

#[tokio::test]
async fn http_does_not_look_at_the_ca_file() {
    let server = Server::start([status(200)]);
    send_trusting(&nowhere(), &server.url(path(Line::V3)), PLENTY)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_redirect_may_enter_tls_and_not_leave_it() {
    let ca = Ca::new();
    let file = ca.file();
    let secure = Server::start_tls(&ca, [status(200)]);
    let plain = Server::start([location(308, &secure.url("/check"))]);
    send_trusting(file.path(), &plain.url("/check"), PLENTY)
        .await
        .unwrap();
    assert_eq!(secure.accepted(), [BODY]);

    let plain = Server::start([status(200)]);
    let secure = Server::start_tls(&ca, [location(308, &plain.url("/check"))]);
    let error = send_trusting(file.path(), &secure.url("/check"), PLENTY)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("expected it to stay on https"),
        "{error}"
    );
    assert!(plain.requests().is_empty());
}

/// An image from scratch: the variables point to nothing, as the system's own folders would.
#[test]
fn without_any_certificates_http_works_and_https_says_what_is_missing() {
    let ca = Ca::new();
    let file = ca.file();
    let bare = |url: &str| {
        let mut command = command(Some(url), &["pass"]);
        command
            .env("SSL_CERT_FILE", nowhere())
            .env("SSL_CERT_DIR", nowhere());
        command
    };

    let server = Server::start([status(200)]);
    let ended = Process::start(bare(&server.url("/check"))).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(server.accepted(), [r#"{"OK":true,"Errors":[]}"#]);

    let server = Server::start_tls(&ca, [status(200)]);
    let ended = Process::start(bare(&server.url("/check"))).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("set KH_CA_FILE"), "{}", ended.stderr);

    let mut with_ca = bare(&server.url("/check"));
    with_ca.env("KH_CA_FILE", file.path());
    let ended = Process::start(with_ca).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(server.accepted().len(), 1);
}

#[test]
fn ssl_cert_file_is_trusted_if_there_is_no_ca_file() {
    let ca = Ca::new();
    let file = ca.file();
    let server = Server::start_tls(&ca, [status(200)]);
    let mut command = command(Some(&server.url("/check")), &["pass"]);
    command.env("SSL_CERT_FILE", file.path());
    let ended = Process::start(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(server.accepted().len(), 1);
}
