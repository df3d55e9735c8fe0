//! The HTTP server of either line, with a listener that can go away and connections that can be cut.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use http::{Response, StatusCode};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::faults::{ReportFault, ReportFaults};
use crate::informer::AbortOnDrop;

/// Pause before an address that cannot be listened on, or a connection that cannot be accepted, is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// A running server. Dropping it closes its listener.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens, also while it is down.
    pub(crate) address: SocketAddr,
    /// Its faults.
    pub(crate) faults: ReportFaults,
    _task: AbortOnDrop,
}

/// An address that is listened on, before there is anything to serve on it: the controller must know its own URL
/// before it can be built.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Listens on `address`; with port 0, on a free port.
    pub(crate) async fn new(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }

    /// Serves what `router` makes of the faults.
    pub(crate) fn serve(self, router: impl FnOnce(ReportFaults) -> Router) -> Server {
        let (faults, wants, listens) = ReportFaults::new();
        let router = router(faults.clone());
        let task = tokio::spawn(run(self.listener, self.address, router, wants, listens));
        Server {
            address: self.address,
            faults,
            _task: AbortOnDrop(task),
        }
    }
}

async fn run(
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    mut wanted: watch::Receiver<bool>,
    listening: watch::Sender<bool>,
) {
    let mut listener = Some(listener);
    loop {
        let bound = match listener.take() {
            Some(listener) => listener,
            None => match TcpListener::bind(address).await {
                Ok(listener) => listener,
                Err(_) => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            },
        };
        listening.send_replace(true);
        let up = Up::default();
        let accepting = Accepting {
            listener: bound,
            down: Arc::clone(&up.0),
        };
        let service = router
            .clone()
            .into_make_service_with_connect_info::<Connection>();
        tokio::select! {
            _ = axum::serve(accepting, service) => {}
            gone = wanted.wait_for(|wanted| !*wanted) => if gone.is_err() { return },
        }
        drop(up);
        listening.send_replace(false);
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
    }
}

/// One stretch of listening. When it ends, however that comes about, so do its connections.
#[derive(Default)]
struct Up(Arc<AtomicBool>);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a handler knows about the connection of its request.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The other end.
    pub(crate) peer: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Connection {
    /// Lets a report meet its fault. `deal` is what would have been done without one.
    pub(crate) async fn report(
        &self,
        fault: Option<ReportFault>,
        deal: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        match fault {
            None => deal.await,
            Some(ReportFault::Refuse { status, body }) => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                answer(status, body)
            }
            Some(ReportFault::Delay(time)) => {
                tokio::time::sleep(time).await;
                deal.await
            }
            Some(ReportFault::DelayAnswer(time)) => {
                let answer = deal.await;
                tokio::time::sleep(time).await;
                answer
            }
            Some(ReportFault::Drop) => self.cut(),
            Some(ReportFault::DropAnswer) => {
                deal.await;
                self.cut()
            }
            Some(ReportFault::Hang) => std::future::pending().await,
        }
    }

    /// Makes every further read and write of the connection fail, so that the answer returned here never leaves.
    fn cut(&self) -> Response<Body> {
        self.cut.store(true, Ordering::Relaxed);
        answer(StatusCode::INTERNAL_SERVER_ERROR, String::new())
    }
}

/// A plain answer, with the headers Go's server sends.
pub(crate) fn answer(status: StatusCode, body: String) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", body)
}

/// An answer of a content type; an empty one has none.
pub(crate) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<Body> {
    let typed = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if typed {
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(content_type),
        );
    }
    response
}

impl Connected<IncomingStream<'_, Accepting>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Accepting>) -> Connection {
        Connection {
            peer: *stream.remote_addr(),
            cut: Arc::clone(&stream.io().cut),
        }
    }
}

pub(crate) struct Accepting {
    listener: TcpListener,
    down: Arc<AtomicBool>,
}

impl Drop for Accepting {
    /// Closing is not enough: a process that is just being started holds a copy of the socket until it runs its program,
    /// and as long as anybody does, connections are accepted.
    fn drop(&mut self) {
        // An error means that it does not listen any more.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

impl Listener for Accepting {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let io = Cuttable {
                        stream,
                        cut: Arc::default(),
                        down: Arc::clone(&self.down),
                    };
                    return (io, peer);
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails once it is cut or the server is down.
pub(crate) struct Cuttable {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
}

impl Cuttable {
    fn alive(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if self.cut.load(Ordering::Relaxed) || self.down.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.alive()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::fd::AsFd as _;

    use tokio::net::TcpListener;

    use super::Accepting;

    #[tokio::test]
    async fn nothing_is_accepted_any_more_though_a_child_holds_a_copy_of_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let copy = listener.as_fd().try_clone_to_owned().unwrap();
        drop(Accepting {
            listener,
            down: std::sync::Arc::default(),
        });
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        // And the address can be listened on again.
        TcpListener::bind(address).await.unwrap();
        drop(copy);
    }
}
