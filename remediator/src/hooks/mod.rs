//! `POST /hooks/alerts` and `GET /workloads/NAMESPACE/KIND/NAME/health`, on a listener of their own, so that a network
//! policy can tell them from metrics and probes.
//!
//! ```text
//!   POST --credential--> --bounded body--> payload --> Desk::take --> status of policies --> 200
//!   GET  ------------------------------------------> Desk::health --> 200 or 503
//! ```

mod credential;
mod health;
mod payload;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::controller::{Desk, Tally};
use crate::metrics::Metrics;
use crate::serve::{self, Terms};

pub(crate) use credential::{Credentials, NoCredential};

/// Connections served at once; others wait.
const CONNECTIONS: usize = 128;

/// Deliveries taken at once; others are told to come again.
const DELIVERIES: usize = 16;

/// The longest that a request's body may take to arrive, and that taking its alerts may take. What is sent again because
/// taking it took too long has to come while it is still the same ([`SAME`](crate::core::alerts::SAME)).
const BODY: Duration = Duration::from_secs(10);
const TAKE: Duration = Duration::from_secs(20);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const PATHS: &str =
    "not found; there are POST /hooks/alerts and GET /workloads/NAMESPACE/KIND/NAME/health\n";

/// A listener, and who may send alerts to it.
pub(crate) struct Hooks {
    listener: TcpListener,
    credentials: Credentials,
}

struct Answers {
    desk: Desk,
    metrics: Metrics,
    credentials: Credentials,
    deliveries: Semaphore,
}

impl Hooks {
    pub(crate) fn new(listener: TcpListener, credentials: Credentials) -> Hooks {
        Hooks {
            listener,
            credentials,
        }
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self, desk: Desk, metrics: Metrics) {
        let answers = Arc::new(Answers {
            desk,
            metrics,
            credentials: self.credentials,
            deliveries: Semaphore::new(DELIVERIES),
        });
        let terms = Terms {
            connections: CONNECTIONS,
            // Who is silent does not keep its place.
            keep_alive: false,
        };
        let answered = move |request| {
            let answers = answers.clone();
            async move { answers.answered(request).await }
        };
        serve::serve(self.listener, terms, answered).await;
    }
}

impl Answers {
    async fn answered(&self, request: Request<Incoming>) -> Response<String> {
        let path = request.uri().path();
        if path == "/hooks/alerts" {
            let response = self.alerts(request).await;
            self.metrics.webhook_answered(response.status().as_u16());
            return response;
        }
        let Some(workload) = health::workload(path) else {
            return text(StatusCode::NOT_FOUND, PATHS.to_owned());
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        match workload {
            Ok((namespace, kind, name)) => {
                let told = self.desk.health(namespace, kind, name);
                self.metrics.health_told(&told);
                health::response(&told)
            }
            Err(why) => text(StatusCode::NOT_FOUND, why),
        }
    }

    async fn alerts(&self, request: Request<Incoming>) -> Response<String> {
        if *request.method() != Method::POST {
            return not_allowed("POST");
        }
        let given = request.headers().get(header::AUTHORIZATION);
        match self.credentials.allow(given).await {
            Ok(true) => {}
            Ok(false) => return self.unauthorized(),
            Err(error) => {
                tracing::error!("no alert can be taken in: {error}");
                let why = "the credential cannot be read; the remediator's log says why\n";
                return later(why.to_owned());
            }
        }
        let Ok(_place) = self.deliveries.try_acquire() else {
            return later(format!("{DELIVERIES} deliveries are being taken in\n"));
        };
        let body = match tokio::time::timeout(BODY, body(request.into_body())).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::TooLarge)) => {
                let why = format!("the body is larger than {} bytes\n", payload::BODY);
                return text(StatusCode::PAYLOAD_TOO_LARGE, why);
            }
            Ok(Err(Unread::Broken)) | Err(_) => {
                let why = format!("the body did not arrive within {} s\n", BODY.as_secs());
                return later(why);
            }
        };
        let delivery = match payload::read(&body) {
            Ok(delivery) => delivery,
            Err(error @ payload::NoDelivery::Malformed(_)) => {
                return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
            }
            Err(error @ payload::NoDelivery::TooMany(_)) => {
                return text(StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n"));
            }
        };
        self.take(&body, &delivery).await
    }

    async fn take(&self, body: &[u8], delivery: &payload::Delivery) -> Response<String> {
        if delivery.truncated > 0 {
            let alerts = delivery.truncated;
            tracing::warn!(
                alerts,
                "the sender left alerts out of its delivery; what they say is not known"
            );
        }
        let taken = tokio::time::timeout(TAKE, self.desk.take(body, &delivery.alerts)).await;
        let tally = match taken {
            Ok(Ok(tally)) => tally,
            Ok(Err(error)) => {
                tracing::warn!("alerts were not taken in, and are to be sent again: {error}");
                return later(format!("{error}\n"));
            }
            Err(_) => {
                let seconds = TAKE.as_secs();
                tracing::warn!(seconds, "taking alerts in took too long");
                return later(format!("not all was written within {seconds} s\n"));
            }
        };
        self.metrics.alerts_received(tally, delivery.malformed);
        let Tally {
            taken,
            known,
            truncated,
            unmatched,
            refused,
        } = tally;
        let ignored = known + truncated + refused + delivery.malformed;
        let told = json!({"matched": taken, "unmatched": unmatched, "ignored": ignored});
        answer(StatusCode::OK, JSON, format!("{told}\n"))
    }

    fn unauthorized(&self) -> Response<String> {
        let why = "expected Authorization with the remediator's token or user and password\n";
        let mut response = text(StatusCode::UNAUTHORIZED, why.to_owned());
        let headers = response.headers_mut();
        if self.credentials.token.is_some() {
            let scheme = HeaderValue::from_static("Bearer realm=\"alerts\"");
            headers.append(header::WWW_AUTHENTICATE, scheme);
        }
        if self.credentials.basic.is_some() {
            let scheme = HeaderValue::from_static("Basic realm=\"alerts\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

enum Unread {
    TooLarge,
    Broken,
}

/// The whole body, unless it is too large. One that says so is not read at all.
async fn body(mut body: Incoming) -> Result<Vec<u8>, Unread> {
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said > payload::BODY {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(said);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > payload::BODY {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// To be sent again.
fn later(why: String) -> Response<String> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, why);
    let after = HeaderValue::from_static("5");
    response.headers_mut().insert(header::RETRY_AFTER, after);
    response
}

fn not_allowed(methods: &'static str) -> Response<String> {
    let mut response = text(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("expected {methods}\n"),
    );
    let allowed = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

fn text(status: StatusCode, text: String) -> Response<String> {
    answer(status, TEXT, text)
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
