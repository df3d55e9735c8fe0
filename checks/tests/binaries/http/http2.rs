//! An HTTP/2 server.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::*;

/// An HTTP/2 server, plain or behind TLS, that answers with the `:authority` it was asked for.
pub(crate) fn http2(tls: Option<&Tls<'_>>) -> SocketAddr {
    let acceptor = tls.map(|tls| {
        let tls = Tls {
            alpn: &["h2"],
            ..*tls
        };
        tokio_rustls::TlsAcceptor::from(Arc::new(tls.config()))
    });
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match acceptor.clone() {
                    None => drop(tokio::spawn(serve(stream))),
                    Some(acceptor) => drop(tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream).await;
                        }
                    })),
                }
            }
        });
    });
    address
}

async fn serve<S>(stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let respond = hyper::service::service_fn(
        |request: hyper::Request<hyper::body::Incoming>| async move {
            let authority = request
                .uri()
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default();
            Ok::<_, Infallible>(hyper::Response::new(reqwest::Body::from(authority)))
        },
    );
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), respond);
    let _ = connection.await;
}
