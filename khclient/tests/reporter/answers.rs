//! Answers: which are final, which are retried, and what they mean after an attempt whose outcome is unknown.

use std::time::{Duration, Instant};

use khclient::{Line, Reporter, Undelivered};

use crate::support::server::{Reply, Server, free_address, location, status, text};
use crate::support::{BODY, PLENTY, UUID, endpoint, path, quick, report, send, send_for};

fn expired() -> Reply {
    text(400, &format!("run uuid {UUID} is invalid or expired"))
}

fn lookup_failed() -> Reply {
    text(
        400,
        &format!("failed to lookup healthcheck for uuid {UUID}: context canceled"),
    )
}

/// Expects that the first of `replies` ends it, for a reason that contains `why`.
async fn refused(line: Line, reply: Reply, why: &str) {
    let server = Server::start([reply, status(200)]);
    let error = send(&server.url(path(line)), quick()).await.unwrap_err();
    assert!(
        matches!(error, Undelivered::Refused { .. }),
        "{line:?} {error}"
    );
    assert!(error.to_string().contains(why), "{line:?} {error}");
    assert_eq!(server.requests().len(), 1, "{line:?} {why}");
}

#[tokio::test]
async fn answers_that_will_not_change_are_final() {
    for line in [Line::V2, Line::V3] {
        for code in [401, 403, 404, 405, 411, 413, 415, 422] {
            refused(line, status(code), &format!("answered {code}")).await;
        }
        refused(
            line,
            text(403, "RBAC: access denied"),
            "RBAC: access denied",
        )
        .await;
    }
}

#[tokio::test]
async fn a_page_is_no_acceptance() {
    refused(
        Line::V3,
        text(200, "<!doctype html>\n<title>Sign in</title>"),
        "does not lead to the report endpoint",
    )
    .await;
    refused(
        Line::V2,
        text(200, r#"{"OK":true,"Errors":[],"CheckDetails":{}}"#),
        "does not lead",
    )
    .await;
}

#[tokio::test]
async fn a_bad_request_is_final_on_line_3() {
    refused(Line::V3, status(400), "answered 400").await;
    refused(Line::V3, expired(), "invalid or expired").await;
}

#[tokio::test]
async fn an_unexplained_bad_request_may_pass_on_line_2() {
    let server = Server::start([status(400), status(400), status(200)]);
    assert_eq!(
        send(&server.url(path(Line::V2)), quick())
            .await
            .unwrap()
            .attempts,
        3
    );
    assert_eq!(server.accepted(), [BODY]);
    refused(
        Line::V2,
        text(400, "malformed Host header"),
        "malformed Host header",
    )
    .await;
}

#[tokio::test]
async fn an_unexplained_bad_request_is_tried_until_the_deadline_on_line_2() {
    let server = Server::start([status(400)]);
    let error = send_for(
        &server.url(path(Line::V2)),
        quick(),
        Duration::from_millis(300),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(error, Undelivered::OutOfTime { attempts: 2.., .. }),
        "{error}"
    );
    assert!(error.to_string().contains("answered 400"), "{error}");
}

#[tokio::test]
async fn a_failed_lookup_passes_on_line_3() {
    let server = Server::start([lookup_failed(), lookup_failed(), status(200)]);
    assert_eq!(
        send(&server.url(path(Line::V3)), quick())
            .await
            .unwrap()
            .attempts,
        3
    );
}

#[tokio::test]
async fn a_failed_lookup_makes_nothing_ambiguous() {
    let server = Server::start([lookup_failed(), expired()]);
    let error = send(&server.url(path(Line::V3)), quick())
        .await
        .unwrap_err();
    assert!(matches!(error, Undelivered::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_spent_run_id_after_a_lost_answer_means_delivered_on_line_3() {
    for lost in [Reply::Close, Reply::Reset, status(500), text(503, "reset")] {
        let server = Server::start([lost, status(429), expired()]);
        let delivery = send(&server.url(path(Line::V3)), quick()).await.unwrap();
        assert!(!delivery.confirmed);
        assert_eq!(delivery.attempts, 3);
    }
}

#[tokio::test]
async fn a_spent_run_id_after_a_refused_connection_means_nothing() {
    let address = free_address();
    let url = format!("http://{address}{}", path(Line::V3));
    let sending = tokio::spawn(async move { send(&url, quick()).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let _server = Server::start_at(address, [expired()]);
    let error = sending.await.unwrap().unwrap_err();
    assert!(matches!(error, Undelivered::Refused { .. }), "{error}");
}

#[tokio::test]
async fn gone_before_the_deadline_is_tried_again() {
    let server = Server::start([status(410), status(410), status(200)]);
    assert_eq!(
        send(&server.url(path(Line::V3)), quick())
            .await
            .unwrap()
            .attempts,
        3
    );
    assert_eq!(server.accepted(), [BODY]);
}

#[tokio::test]
async fn gone_until_the_deadline_ends_with_it() {
    let server = Server::start([status(410)]);
    let limit = Duration::from_millis(300);
    let started = Instant::now();
    let error = send_for(&server.url(path(Line::V3)), quick(), limit)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("answered 410"), "{error}");
    assert!(started.elapsed() >= limit);
}

#[tokio::test]
async fn gone_after_the_deadline_is_final() {
    let server = Server::start([status(410), status(200)]);
    let mut reporter =
        Reporter::with_timing(endpoint(&server.url(path(Line::V3))), None, quick()).unwrap();
    let error = reporter.send_once(&report()).await.unwrap_err();
    assert!(error.to_string().contains("the run is over"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_attempt_is_one_attempt() {
    let server = Server::start([status(503), status(200)]);
    let mut reporter =
        Reporter::with_timing(endpoint(&server.url(path(Line::V3))), None, quick()).unwrap();
    assert!(reporter.send_once(&report()).await.is_err());
    assert_eq!(server.requests().len(), 1);
    assert!(reporter.send_once(&report()).await.unwrap().confirmed);
}

#[tokio::test]
async fn a_time_that_is_up_sends_nothing() {
    let server = Server::start([status(200)]);
    let error = send_for(&server.url(path(Line::V3)), quick(), Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Undelivered::OutOfTime { attempts: 0, .. }),
        "{error}"
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_that_keeps_the_body_is_followed_with_it() {
    for code in [307, 308] {
        for line in [Line::V2, Line::V3] {
            let target = Server::start([status(200)]);
            let server = Server::start([
                location(code, "/moved"),
                location(code, &target.url("/elsewhere")),
            ]);
            let delivery = send(&server.url(path(line)), quick()).await.unwrap();
            assert_eq!(delivery.attempts, 1);
            assert_eq!(target.accepted(), [BODY]);
            assert_eq!(server.bodies(), [BODY, BODY]);
            let [request] = &target.requests()[..] else {
                panic!("expected one request");
            };
            assert_eq!(
                (request.method.as_str(), request.target.as_str()),
                ("POST", "/elsewhere")
            );
            assert_eq!(request.header("kh-run-uuid"), Some(UUID));
            assert_eq!(request.header("content-type"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn trouble_behind_a_redirect_starts_again_at_the_front() {
    let target = Server::start([Reply::Close, status(200)]);
    let server = Server::start([location(307, &target.url("/check"))]);
    assert_eq!(
        send(&server.url(path(Line::V3)), quick())
            .await
            .unwrap()
            .attempts,
        2
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_redirect_that_would_lose_the_body_is_final_and_says_where_to() {
    for code in [301, 302, 303] {
        let reply = location(code, "http://u:hunter2@login.example/sign-in?token=hunter2");
        let server = Server::start([reply, status(200)]);
        let error = send(&server.url(path(Line::V3)), quick())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("answered {code} to http://login.example/sign-in")),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn redirects_do_not_go_round_for_ever() {
    let server = Server::start([location(307, "/check")]);
    let error = send(&server.url(path(Line::V3)), quick())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("redirected more than 3 times"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_final() {
    refused(Line::V3, status(307), "without a location").await;
    refused(Line::V3, location(307, "http://[broken/"), "no URL").await;
    refused(
        Line::V3,
        location(307, "ftp://files.example/check"),
        "expected it to stay on http",
    )
    .await;
}

/// A long answer is read as far as it is needed.
#[tokio::test]
async fn an_endless_answer_is_cut() {
    let server = Server::start([text(403, &"no ".repeat(200_000))]);
    let started = Instant::now();
    let error = send(&server.url(path(Line::V3)), quick())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.len() < 400, "{error}");
    assert!(started.elapsed() < PLENTY);
}
