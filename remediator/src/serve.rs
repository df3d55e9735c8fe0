//! Serves HTTP/1 on a listener: a bounded number of connections, each for a bounded time.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The longest that a request's head may take to arrive.
const HEAD: Duration = Duration::from_secs(5);

/// The longest that a connection lasts, so that a reader that stalls does not keep its place.
const CONNECTION: Duration = Duration::from_secs(60);

/// The largest head of a request, in bytes.
pub(crate) const BUFFER: usize = 16 * 1024;

/// The pause after the system refused a connection, such as for want of file descriptors.
const REFUSED: Duration = Duration::from_millis(100);

/// What is asked on a listener, and by how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Connections served at once; others wait.
    pub(crate) connections: usize,
    /// Whether a connection is kept for further requests.
    pub(crate) keep_alive: bool,
}

/// Serves until it is dropped.
pub(crate) async fn serve<A, F>(listener: TcpListener, terms: Terms, answers: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<String>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(terms.connections));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "no connection");
                tokio::time::sleep(REFUSED).await;
                continue;
            }
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answers(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(BUFFER)
                .keep_alive(terms.keep_alive)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION, connection).await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }
}
