//! A receiver on a real socket, which answers as it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// With this status.
    Status(u16),
    /// With this status, and this `Retry-After`, in seconds.
    RetryAfter(u16, u64),
    /// With a redirect to itself.
    Redirect,
    /// Not at all.
    Never,
    /// With a body without end.
    Endless,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether it was answered with 200.
    pub(crate) taken: bool,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    faults: VecDeque<Fault>,
    at_once: usize,
    most_at_once: usize,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Seen>>);

/// A server. Dropping it ends it.
pub(crate) struct Receiver {
    address: String,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        Receiver::at("127.0.0.1:0").await
    }

    pub(crate) async fn at(address: &str) -> Receiver {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Shared::default();
        let router = Router::new().fallback(take).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests are answered so.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.0.lock().unwrap().faults.extend(faults);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.0.lock().unwrap().requests.clone()
    }

    /// What was answered with 200.
    pub(crate) fn taken(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.taken);
        requests
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.0.lock().unwrap().most_at_once
    }

    /// Waits until what was taken is so.
    pub(crate) async fn until(&self, holds: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        for _ in 0..1200 {
            let taken = self.taken();
            if holds(&taken) {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let bodies: Vec<String> = self
            .requests()
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect();
        panic!("never so: {bodies:#?}");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Busy(Shared);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().at_once -= 1;
    }
}

async fn take(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let fault = {
        let mut seen = shared.0.lock().unwrap();
        seen.at_once += 1;
        seen.most_at_once = seen.most_at_once.max(seen.at_once);
        let fault = seen.faults.pop_front();
        seen.requests.push(Request {
            path: uri.path().to_owned(),
            headers,
            body: body.to_vec(),
            taken: fault.is_none(),
        });
        fault
    };
    let _busy = Busy(shared);
    let status = |code| StatusCode::from_u16(code).unwrap();
    match fault {
        None => "ok".into_response(),
        Some(Fault::Status(code)) => (status(code), "not now").into_response(),
        Some(Fault::RetryAfter(code, seconds)) => {
            (status(code), [("retry-after", seconds.to_string())], "").into_response()
        }
        Some(Fault::Redirect) => (status(302), [("location", uri.to_string())], "").into_response(),
        Some(Fault::Never) => std::future::pending().await,
        Some(Fault::Endless) => {
            let chunk = futures::stream::repeat_with(|| {
                Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024]))
            });
            axum::body::Body::from_stream(chunk).into_response()
        }
    }
}
