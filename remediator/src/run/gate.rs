//! Every request of the controller passes here. When the process is asked to end, no further write is let through, and
//! those under way are waited for.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tower_layer::Layer;
use tower_service::Service;

use crate::metrics::Metrics;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    closed: bool,
    writes: usize,
}

/// The gate. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    state: Arc<watch::Sender<State>>,
    metrics: Metrics,
}

impl Gate {
    /// An open gate. Failed requests are counted in `metrics`.
    pub(super) fn new(metrics: Metrics) -> Gate {
        Gate {
            state: Arc::new(watch::Sender::new(State::default())),
            metrics,
        }
    }

    /// From now on a write that is asked for never begins: it waits until whoever asked for it is gone.
    pub(super) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Waits until no write is under way.
    pub(super) async fn drained(&self) {
        let mut state = self.state.subscribe();
        // An error would mean that the sender is gone, and it is ours.
        let _ = state.wait_for(|state| state.writes == 0).await;
    }

    /// A place for one write; none once the gate is closed.
    fn enter(&self) -> Option<Write> {
        let mut entered = false;
        self.state.send_modify(|state| {
            if !state.closed {
                state.writes = state.writes.saturating_add(1);
                entered = true;
            }
        });
        entered.then(|| Write(self.state.clone()))
    }
}

/// A write under way. It is over when it was answered, and when nobody waits for its answer any more.
struct Write(Arc<watch::Sender<State>>);

impl Drop for Write {
    fn drop(&mut self) {
        self.0
            .send_modify(|state| state.writes = state.writes.saturating_sub(1));
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            inner,
            gate: self.clone(),
        }
    }
}

/// A client behind the gate.
#[derive(Debug)]
pub(super) struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S, A, B: 'static> Service<Request<A>> for Gated<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let place = if reads { None } else { self.gate.enter() };
        if !reads && place.is_none() {
            return Box::pin(pending());
        }
        let metrics = self.gate.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(place);
            match &answer {
                Ok(response) if is_failure(response.status()) => {
                    metrics.request_failed(Some(response.status().as_u16()));
                }
                Ok(_) => {}
                Err(_) => metrics.request_failed(None),
            }
            answer
        })
    }
}

/// Not found, conflict and gone are answers that are asked for.
fn is_failure(status: StatusCode) -> bool {
    let expected = [
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::GONE,
    ];
    (status.is_client_error() || status.is_server_error()) && !expected.contains(&status)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};

    use futures::poll;
    use http::{Request, Response};
    use tokio::sync::oneshot;
    use tower_layer::Layer as _;
    use tower_service::Service;

    use super::Gate;
    use crate::metrics::{Format, Metrics};

    /// Answers with this when told.
    struct Server(Vec<oneshot::Receiver<u16>>);

    impl Service<Request<()>> for Server {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            let told = self.0.remove(0);
            Box::pin(async move {
                let response = Response::builder().status(told.await.unwrap());
                Ok(response.body(()).unwrap())
            })
        }
    }

    fn request(method: &str) -> Request<()> {
        Request::builder().method(method).body(()).unwrap()
    }

    #[tokio::test]
    async fn a_closed_gate_lets_writes_end_and_none_begin() {
        let metrics = Metrics::new();
        let gate = Gate::new(metrics.clone());
        let (tell, told): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let mut client = gate.layer(Server(told));
        let mut first = client.call(request("PATCH"));
        assert!(poll!(&mut first).is_pending());
        gate.close();
        let mut drained = pin!(gate.drained());
        assert!(poll!(&mut drained).is_pending(), "one is under way");
        let mut late = client.call(request("POST"));
        assert!(poll!(&mut late).is_pending());
        let mut read = client.call(request("GET"));

        let mut tell = tell.into_iter();
        tell.next().unwrap().send(409).unwrap();
        assert_eq!(first.await.unwrap().status(), 409);
        drained.await;
        tell.next().unwrap().send(503).unwrap();
        assert!(poll!(&mut read).is_ready(), "reads go on");
        assert!(poll!(&mut late).is_pending(), "it never began");
        let text = metrics.text(Format::Text).unwrap();
        assert!(
            text.contains("request_errors_total{code=\"503\"} 1"),
            "{text}"
        );
        assert!(!text.contains("409"), "a conflict is no failure: {text}");
    }

    #[tokio::test]
    async fn a_write_that_nobody_waits_for_is_over() {
        let gate = Gate::new(Metrics::new());
        let (_tell, told) = oneshot::channel();
        let mut client = gate.layer(Server(vec![told]));
        let write = client.call(request("PUT"));
        let mut drained = pin!(gate.drained());
        assert!(poll!(&mut drained).is_pending());
        drop(write);
        assert!(poll!(&mut drained).is_ready());
    }
}
