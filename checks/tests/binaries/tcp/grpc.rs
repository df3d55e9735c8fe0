//! The gRPC health protocol against servers made of HTTP/2 alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What a server answers.
#[derive(Clone)]
enum Answer {
    /// A message, then trailers with a status.
    Message(Vec<u8>, &'static str),
    /// A status among the headers.
    Status(&'static str),
    /// A response of another kind.
    Http(u16, &'static str),
    /// A message and no trailers.
    NoStatus,
    Reset,
    Endless,
    Silence,
}

type Requests = Arc<Mutex<Vec<(http::request::Parts, Vec<u8>)>>>;

struct Server {
    address: SocketAddr,
    requests: Requests,
}

impl Server {
    fn new(respond: impl Fn(&[u8]) -> Answer + Clone + Send + 'static) -> Server {
        Server::with(None, respond)
    }

    fn with(
        tls: Option<rustls::ServerConfig>,
        respond: impl Fn(&[u8]) -> Answer + Clone + Send + 'static,
    ) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Requests::default();
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let (acceptor, respond, kept) =
                        (acceptor.clone(), respond.clone(), Arc::clone(&kept));
                    tokio::task::spawn_local(async move {
                        match acceptor {
                            None => connection(stream, respond, kept).await,
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    connection(stream, respond, kept).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Server { address, requests }
    }

    fn target(&self) -> String {
        format!("grpc://{}", self.address)
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    respond: impl Fn(&[u8]) -> Answer,
    requests: Requests,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let Some(Ok((request, mut answer_to))) = connection.accept().await else {
        return;
    };
    // The connection has to be served for bodies to come and go.
    tokio::select! {
        () = answer(request, &mut answer_to, &respond, &requests) => {}
        _ = std::future::poll_fn(|cx| connection.poll_closed(cx)) => {}
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    respond: &mut h2::server::SendResponse<Bytes>,
    make: &dyn Fn(&[u8]) -> Answer,
    requests: &Requests,
) {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        bytes.extend_from_slice(&data);
    }
    let answer = make(&bytes);
    requests.lock().unwrap().push((head, bytes));
    let grpc = || Response::builder().header("content-type", "application/grpc");
    let trailers = |status: &'static str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        trailers.insert("grpc-message", "at 10.0.0.7:1234".parse().unwrap());
        trailers
    };
    match answer {
        Answer::Message(frame, status) => {
            let mut stream = respond
                .send_response(grpc().body(()).unwrap(), false)
                .unwrap();
            // In two pieces, as any message may come.
            let (first, rest) = frame.split_at(frame.len() / 2);
            stream
                .send_data(Bytes::copy_from_slice(first), false)
                .unwrap();
            stream
                .send_data(Bytes::copy_from_slice(rest), false)
                .unwrap();
            stream.send_trailers(trailers(status)).unwrap();
        }
        Answer::Status(status) => {
            let response = grpc()
                .header("grpc-status", status)
                .header("grpc-message", "at 10.0.0.7:1234");
            respond
                .send_response(response.body(()).unwrap(), true)
                .unwrap();
        }
        Answer::Http(status, kind) => {
            let response = Response::builder()
                .status(status)
                .header("content-type", kind);
            respond
                .send_response(response.body(()).unwrap(), true)
                .unwrap();
        }
        Answer::NoStatus => {
            let mut stream = respond
                .send_response(grpc().body(()).unwrap(), false)
                .unwrap();
            stream.send_data(Bytes::from(serving(1)), true).unwrap();
        }
        Answer::Reset => respond.send_reset(h2::Reason::REFUSED_STREAM),
        Answer::Endless => {
            let mut stream = respond
                .send_response(grpc().body(()).unwrap(), false)
                .unwrap();
            for _ in 0..16 {
                stream
                    .send_data(Bytes::from(vec![0; 65_536]), false)
                    .unwrap();
            }
            std::future::pending::<()>().await;
        }
        Answer::Silence => std::future::pending().await,
    }
    // Until the other side has it all and closes.
    std::future::pending::<()>().await;
}

/// The frame of a `HealthCheckResponse` as protoc's code writes it.
fn serving(status: u8) -> Vec<u8> {
    match status {
        0 => vec![0, 0, 0, 0, 0],
        status => vec![0, 0, 0, 0, 2, 8, status],
    }
}

fn says(answer: Answer) -> Server {
    Server::new(move |_| answer.clone())
}

#[test]
fn a_server_that_serves_passes() {
    let server = says(Answer::Message(serving(1), "0"));
    probe(
        &server.target(),
        &[("GRPC_METADATA", "authorization: Bearer s3cret\nx-tenant: a")],
    )
    .passed();
    let requests = server.requests.lock().unwrap();
    let (head, body) = &requests[0];
    assert_eq!(
        (head.method.as_str(), head.uri.path()),
        ("POST", "/grpc.health.v1.Health/Check")
    );
    assert_eq!(
        head.uri.authority().unwrap().as_str(),
        server.address.to_string()
    );
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-type"), header("te")),
        ("application/grpc".to_owned(), "trailers".to_owned())
    );
    assert_eq!(
        (header("authorization"), header("x-tenant")),
        ("Bearer s3cret".to_owned(), "a".to_owned())
    );
    assert!(header("grpc-timeout").ends_with('m') && header("grpc-timeout").len() <= 9);
    assert_eq!(body[..], [0, 0, 0, 0, 0]);
}

#[test]
fn a_service_is_asked_for_by_name() {
    let server = Server::new(|body| match &body[7.min(body.len())..] {
        b"shop.Cart" => Answer::Message(serving(1), "0"),
        b"shop.Stock" => Answer::Message(serving(2), "0"),
        _ => Answer::Status("5"),
    });
    let target = server.target();
    probe(&target, &[("GRPC_SERVICE", "shop.Cart")]).passed();
    probe(&target, &[("GRPC_SERVICE", "shop.Stock")]).failed_at(
        &target,
        "expected service shop.Stock SERVING, seen NOT_SERVING",
    );
    probe(&target, &[("GRPC_SERVICE", "shop.Other")]).failed_at(
        &target,
        "expected service shop.Other SERVING, seen gRPC status NOT_FOUND: the server does not know the service",
    );
}

#[test]
fn every_other_answer_is_told() {
    for (answer, words) in [
        (Answer::Message(serving(0), "0"), "UNKNOWN"),
        (Answer::Message(serving(2), "0"), "NOT_SERVING"),
        (Answer::Message(serving(3), "0"), "SERVICE_UNKNOWN"),
        (
            Answer::Status("12"),
            "gRPC status UNIMPLEMENTED: the server has no grpc.health.v1.Health",
        ),
        (Answer::Message(serving(1), "14"), "gRPC status UNAVAILABLE"),
        (Answer::Message(vec![], "16"), "gRPC status UNAUTHENTICATED"),
        (Answer::Status("99"), "gRPC status 99"),
        (Answer::Status("x"), "a gRPC status that is not a number"),
        (Answer::Status("0"), "the gRPC status OK without a message"),
        (
            Answer::Message(vec![1, 0, 0, 0, 2, 8, 1], "0"),
            "a message that is not a HealthCheckResponse",
        ),
        (
            Answer::Endless,
            "a message that is not a HealthCheckResponse",
        ),
        (Answer::NoStatus, "an answer without a gRPC status"),
        (
            Answer::Http(404, "text/html"),
            "HTTP status 404: it does not speak gRPC here",
        ),
        (Answer::Http(200, "text/html"), "an answer that is not gRPC"),
        (Answer::Reset, "HTTP/2 error REFUSED_STREAM"),
        (Answer::Silence, "no answer within 1s"),
    ] {
        let server = says(answer);
        probe(&server.target(), &[("CONNECTION_TIMEOUT", "1s")]).failed_at(
            &server.target(),
            &format!("expected the server SERVING, seen {words}"),
        );
    }
}

#[test]
fn what_does_not_speak_http2_is_told() {
    let failed = |target: String, words: &str| {
        let verdict = probe(&target, &[("CONNECTION_TIMEOUT", "1s")]);
        verdict.failed_at(
            &target,
            &format!("expected the server SERVING, seen {words}"),
        );
    };
    let old = saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    failed(
        format!("grpc://{old}"),
        "a server that does not speak HTTP/2 here",
    );
    failed(format!("grpc://{}", saying(b"")), "no answer within 1s");
    let target = format!("grpc://127.0.0.1:{}", closed_port());
    probe(&target, &[]).failed_at(&target, "expected a connection, seen connection refused");
}

#[test]
fn it_can_be_asked_over_tls() {
    let ca = Ca::new("servers");
    let mut config = ca.leaf(&["127.0.0.1"], 20).server(None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = Server::with(Some(config), |_| Answer::Message(serving(1), "0"));
    let target = format!("grpcs://{}", server.address);
    let trust = ("TLS_CA_FILE", &*ca.file());
    probe(&target, &[trust, ("MIN_CERT_DAYS", "10")]).passed();
    assert_eq!(
        server.requests.lock().unwrap()[0].0.uri.scheme_str(),
        Some("https")
    );
    let words = format!(
        "expected certificates valid for 30 more days, seen the certificate of 127.0.0.1 expires {}",
        day(20)
    );
    probe(&target, &[trust, ("MIN_CERT_DAYS", "30")]).failed_at(&target, &words);
    let other = Ca::new("other");
    probe(&target, &[("TLS_CA_FILE", &other.file())]).failed_at(
        &target,
        "expected a TLS handshake, seen certificate is signed by an unknown CA",
    );
    let plain = says(Answer::Message(serving(1), "0"));
    let target = format!("grpcs://{}", plain.address);
    let verdict = probe(&target, &[trust]);
    assert!(
        verdict.errors[0].starts_with(&format!("{target}: expected a TLS handshake, seen ")),
        "{verdict:#?}"
    );
}

#[test]
fn the_negative_test_asks_for_an_answer() {
    let vars = [
        ("CONNECTION_TARGET_UNREACHABLE", "true"),
        ("CONNECTION_TIMEOUT", "1s"),
    ];
    for answer in [Answer::Message(serving(1), "0"), Answer::Status("12")] {
        let server = says(answer);
        probe(&server.target(), &vars).failed_at(
            &server.target(),
            "expected no answer, seen one (CONNECTION_TARGET_UNREACHABLE is set)",
        );
    }
    probe(&format!("grpc://{}", saying(b"")), &vars).passed();
    probe(&format!("grpc://127.0.0.1:{}", closed_port()), &vars).passed();
}
