//! A server that is away, breaks off, hangs or is slow: the verdict gets there if the server is there in time.

use std::time::{Duration, Instant};

use khclient::{Line, Undelivered};

use crate::support::server::{Gate, Reply, Server, free_address, status, text};
use crate::support::{
    BODY, UUID, endpoint, eventually, impatient, path, quick, report, send, send_for,
};

const LINES: [Line; 2] = [Line::V2, Line::V3];

/// Serves `replies` in turn and expects that a report gets through, with every body whole.
async fn delivered_by(line: Line, replies: Vec<Reply>) -> Server {
    let expected = u32::try_from(replies.len()).unwrap();
    let server = Server::start(replies);
    let delivery = send(&server.url(path(line)), quick()).await.unwrap();
    assert!(delivery.confirmed, "{line:?}");
    assert_eq!(delivery.attempts, expected, "{line:?}");
    assert_eq!(server.accepted(), [BODY], "{line:?}");
    assert!(server.bodies().iter().all(|body| body == BODY), "{line:?}");
    server
}

#[tokio::test]
async fn a_report_is_one_post_with_the_run_id() {
    for line in LINES {
        let server = delivered_by(line, vec![status(200)]).await;
        let [request] = &server.requests()[..] else {
            panic!("expected one request");
        };
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", path(line))
        );
        assert_eq!(request.header("kh-run-uuid"), Some(UUID));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(
            request
                .header("user-agent")
                .unwrap()
                .starts_with("khclient/")
        );
    }
}

#[tokio::test]
async fn without_a_run_id_no_such_header_is_sent() {
    let server = Server::start([status(200)]);
    let mut endpoint = endpoint(&server.url(path(Line::V2)));
    endpoint.run_uuid = None;
    let mut reporter = khclient::Reporter::with_timing(endpoint, None, quick()).unwrap();
    reporter
        .send(&report(), Instant::now() + crate::support::PLENTY)
        .await
        .unwrap();
    assert_eq!(server.requests()[0].header("kh-run-uuid"), None);
}

#[tokio::test]
async fn refused_then_served() {
    for line in LINES {
        let address = free_address();
        let url = format!("http://{address}{}", path(line));
        let sending = tokio::spawn(async move { send(&url, quick()).await });
        // However many attempts are refused before the server is up, the report gets through after it.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let server = Server::start_at(address, [status(200)]);
        assert!(sending.await.unwrap().unwrap().confirmed);
        assert_eq!(server.accepted(), [BODY]);
    }
}

#[tokio::test]
async fn reset_while_the_request_is_sent_then_served() {
    for line in LINES {
        delivered_by(line, vec![Reply::Reset, Reply::Reset, status(200)]).await;
    }
}

#[tokio::test]
async fn closed_without_an_answer_then_served() {
    for line in LINES {
        delivered_by(line, vec![Reply::Close, status(200)]).await;
    }
}

#[tokio::test]
async fn unavailable_with_a_body_then_served() {
    for line in LINES {
        let unavailable = text(
            503,
            "upstream connect error or disconnect/reset before headers",
        );
        delivered_by(
            line,
            vec![unavailable, text(502, "<html>"), status(500), status(200)],
        )
        .await;
    }
}

#[tokio::test]
async fn asked_to_slow_down_then_served() {
    for line in LINES {
        delivered_by(line, vec![status(429), status(408), status(200)]).await;
    }
}

#[tokio::test]
async fn an_acceptance_whose_body_never_comes_is_one() {
    for line in LINES {
        delivered_by(line, vec![Reply::Headless(200)]).await;
    }
}

#[tokio::test]
async fn hanging_then_served() {
    for line in LINES {
        let server = Server::start([Reply::Hang, Reply::Hang, status(200)]);
        send(&server.url(path(line)), impatient()).await.unwrap();
        assert_eq!(
            server.accepted().first().map(String::as_str),
            Some(BODY),
            "{line:?}"
        );
    }
}

/// 30 s in production: longer than line 3's patience with the first attempt, shorter than with the second. The
/// abandoned request is still waiting when the server comes round, and is stored; the next one is told so.
#[tokio::test]
async fn a_slow_accept_stores_the_verdict_once_on_line_3() {
    let gate = Gate::default();
    let replies = [
        status(200),
        text(400, &format!("run uuid {UUID} is invalid or expired")),
    ];
    let server = Server::start_behind(gate.clone(), replies);
    let url = server.url(path(Line::V3));
    let sending = tokio::spawn(async move { send(&url, impatient()).await });
    tokio::time::sleep(impatient().patience_v3 * 2).await;
    gate.open();
    let delivery = sending.await.unwrap().unwrap();
    assert!(!delivery.confirmed);
    assert!(delivery.attempts >= 2);
    // The abandoned request has no client that waits for its answer.
    eventually("the acceptance", || !server.accepted().is_empty());
    assert_eq!(server.accepted(), [BODY]);
}

/// Line 2's patience is longer than the accept takes, because an attempt that is dropped starts the look-up anew.
#[tokio::test]
async fn a_slow_accept_is_waited_for_on_line_2() {
    let gate = Gate::default();
    let server = Server::start_behind(gate.clone(), [status(200)]);
    let url = server.url(path(Line::V2));
    let sending = tokio::spawn(async move { send(&url, quick()).await });
    tokio::time::sleep(impatient().patience_v3 * 2).await;
    gate.open();
    assert_eq!(sending.await.unwrap().unwrap().attempts, 1);
    assert_eq!(server.accepted(), [BODY]);
}

/// The second report of a run changes nothing on line 2 if it is the same as the first.
#[tokio::test]
async fn a_lost_answer_repeats_the_same_verdict_on_line_2() {
    let server = Server::start([Reply::Close, status(200)]);
    send(&server.url(path(Line::V2)), quick()).await.unwrap();
    assert_eq!(server.bodies(), [BODY, BODY]);
}

#[tokio::test]
async fn a_server_that_never_answers_gets_nothing_after_the_deadline() {
    for line in LINES {
        let server = Server::start([Reply::Hang]);
        let limit = Duration::from_millis(1500);
        let deadline = Instant::now() + limit;
        let error = send_for(&server.url(path(line)), impatient(), limit)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Undelivered::OutOfTime { attempts: 1.., .. }),
            "{error}"
        );
        assert!(error.to_string().contains("did not answer"), "{error}");
        assert!(Instant::now() >= deadline);
        // Patience grows: dozens of attempts would mean that it does not.
        let requests = server.requests();
        assert!((1..=4).contains(&requests.len()), "{}", requests.len());
        assert!(
            requests
                .iter()
                .all(|request| request.at <= deadline + Duration::from_millis(500))
        );
    }
}

#[tokio::test]
async fn a_server_that_stays_away_ends_with_the_deadline() {
    for line in LINES {
        let url = format!("http://{}{}", free_address(), path(line));
        let error = send_for(&url, quick(), Duration::from_millis(300))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Undelivered::OutOfTime { attempts: 2.., .. }),
            "{error}"
        );
        assert!(error.to_string().contains("cannot connect"), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}
