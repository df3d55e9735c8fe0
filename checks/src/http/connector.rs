//! Notes when a connection stands, so that a time-out can say what it waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// A layer around reqwest's connector that sets the flag once TCP and TLS are done.
#[derive(Debug, Clone)]
pub(super) struct Connected(pub(super) Arc<AtomicBool>);

#[derive(Debug, Clone)]
pub(super) struct Noting<S> {
    inner: S,
    connected: Arc<AtomicBool>,
}

impl<S> Layer<S> for Connected {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting {
            inner,
            connected: Arc::clone(&self.0),
        }
    }
}

impl<S, R> Service<R> for Noting<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let connected = Arc::clone(&self.connected);
        Box::pin(async move {
            let connection = connecting.await?;
            connected.store(true, Ordering::Relaxed);
            Ok(connection)
        })
    }
}
