//! `/metrics`, `/healthz` and `/readyz`.
//!
//! They are served by the thread that watches and acts: if that is stuck, nothing answers, which is what a liveness
//! probe looks for.

use std::future::ready;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::health::Health;
use crate::metrics::{Format, Metrics};
use crate::serve::{self, Terms};

/// Connections served at once; others wait.
const CONNECTIONS: usize = 32;

const TEXT: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
Kuberhealer's remediator

/metrics  for Prometheus
/healthz  200 while the process works
/readyz   200 once everything that is watched was listed, whether or not this replica leads
";

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, metrics: Metrics, health: Health) {
    let terms = Terms {
        connections: CONNECTIONS,
        keep_alive: true,
    };
    // Bodies are never read.
    let answered = move |request: Request<Incoming>| {
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let (method, path) = (request.method(), request.uri().path());
        ready(answer(&metrics, &health, method, path, accept))
    };
    serve::serve(listener, terms, answered).await;
}

fn answer(
    metrics: &Metrics,
    health: &Health,
    method: &Method,
    path: &str,
    accept: Option<&str>,
) -> Response<String> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let text = "only GET and HEAD are answered\n".to_owned();
        let mut response = text_response(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match path {
        "/" => text_response(StatusCode::OK, TEXT, INDEX.to_owned()),
        "/healthz" => text_response(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match health.ready() {
            Ok(()) => text_response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            Err(why) => text_response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        "/metrics" => {
            let format = Format::accepted(accept);
            match metrics.text(format) {
                Ok(text) => text_response(StatusCode::OK, format.content_type(), text),
                Err(_) => {
                    let text = "the metrics cannot be encoded\n".to_owned();
                    text_response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
                }
            }
        }
        _ => text_response(
            StatusCode::NOT_FOUND,
            TEXT,
            "not found; there are /metrics, /healthz and /readyz\n".to_owned(),
        ),
    }
}

fn text_response(status: StatusCode, kind: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Method;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::{Health, answer, serve};
    use crate::metrics::{Format, Metrics};
    use crate::serve::BUFFER;

    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A connection that was refused while the request was still being written may end with a reset.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_large_request_is_refused_and_bodies_are_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Metrics::new();
        tokio::spawn(serve(listener, metrics.clone(), Health::new(metrics)));
        let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(BUFFER));
        let answer = ask(address, long.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        // The body that is announced never comes.
        let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        let answer = ask(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = ask(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[test]
    fn each_path_has_its_answer() {
        let metrics = Metrics::new();
        let health = Health::new(metrics.clone());
        for (method, path, accept, status, kind, holds) in [
            (Method::GET, "/", None, 200, "text/plain", "/readyz"),
            (Method::GET, "/healthz", None, 200, "text/plain", "ok"),
            (Method::HEAD, "/healthz", None, 200, "text/plain", "ok"),
            (
                Method::GET,
                "/readyz",
                None,
                503,
                "text/plain",
                "API server",
            ),
            (
                Method::GET,
                "/metrics",
                None,
                200,
                "text/plain; version=0.0.4",
                "kuberhealer_leader 0",
            ),
            (
                Method::GET,
                "/metrics",
                Some(Format::OpenMetrics.content_type()),
                200,
                "application/openmetrics-text; version=1.0.0",
                "# EOF",
            ),
            (Method::POST, "/metrics", None, 405, "text/plain", "GET"),
            (Method::DELETE, "/", None, 405, "text/plain", "GET"),
            (
                Method::GET,
                "/metrics/",
                None,
                404,
                "text/plain",
                "/metrics",
            ),
            (
                Method::GET,
                "/../etc/passwd",
                None,
                404,
                "text/plain",
                "not found",
            ),
        ] {
            let response = answer(&metrics, &health, &method, path, accept);
            let case = format!("{method} {path}");
            assert_eq!(response.status(), status, "{case}");
            let given = response.headers()["content-type"].to_str().unwrap();
            assert!(given.starts_with(kind), "{case}: {given}");
            assert!(
                response.body().contains(holds),
                "{case}: {}",
                response.body()
            );
        }
    }
}
