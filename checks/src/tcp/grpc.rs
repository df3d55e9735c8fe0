//! The gRPC health protocol: one call of `grpc.health.v1.Health/Check` over HTTP/2.

mod message;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, Connection, SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};

use super::limit::{Failure, Limit};
use super::talk::Wire;
use crate::describe::{describe, shorten};

/// More than any answer of this protocol needs; its only field is a number.
const MOST_BODY: usize = 4096;
const MOST_HEADERS: u32 = 16 << 10;

/// What to ask.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The service; empty for the server as a whole.
    pub(super) service: String,
    /// Metadata to send.
    pub(super) metadata: Vec<(HeaderName, HeaderValue)>,
}

impl Question {
    fn expected(&self) -> String {
        match self.service.as_str() {
            "" => "the server SERVING".to_owned(),
            service => format!("service {} SERVING", shorten(service, 80)),
        }
    }

    fn request(
        &self,
        authority: &str,
        tls: bool,
        limit: Limit,
    ) -> Result<Request<()>, http::Error> {
        let scheme = if tls { "https" } else { "http" };
        let mut request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!(
                "{scheme}://{authority}/grpc.health.v1.Health/Check"
            ))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header(
                "user-agent",
                concat!("kuberhealer/", env!("CARGO_PKG_VERSION")),
            )
            // At most eight digits; a time-out is shorter than a day.
            .header(
                "grpc-timeout",
                format!("{}m", limit.left().as_millis().clamp(1, 99_999_999)),
            );
        for (name, value) in &self.metadata {
            request = request.header(name, value);
        }
        request.body(())
    }
}

/// Asks the server behind `stream`.
pub(super) async fn ask<S: Wire>(
    stream: S,
    authority: &str,
    tls: bool,
    question: &Question,
    limit: Limit,
) -> Result<(), Failure> {
    let expected = question.expected();
    let failed = |seen: String| Failure::new(&expected, seen);
    let exchange = async {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .max_header_list_size(MOST_HEADERS);
        let (sender, connection) = builder
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|error| error_words(&error))?;
        let request = question
            .request(authority, tls, limit)
            .map_err(|error| error.to_string())?;
        drive(
            connection,
            call(sender, request, message::request(&question.service)),
        )
        .await
    };
    let answer = limit
        .run(exchange)
        .await
        .unwrap_or_else(|| Err(format!("no answer {limit}")))
        .map_err(failed)?;
    match answer {
        Answer::Serving(serving) if serving.is_up() => Ok(()),
        Answer::Serving(serving) => Err(failed(serving.to_string())),
        Answer::Status(code) => Err(failed(status_words(code))),
    }
}

/// Runs `call` while its connection is served.
async fn drive<S: Wire, T>(
    connection: Connection<S, Bytes>,
    call: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    tokio::pin!(call);
    tokio::select! {
        biased;
        result = &mut call => return result,
        // The call learns of a connection that ends, too.
        _ = connection => {}
    }
    call.await
}

/// What the server said.
enum Answer {
    Serving(message::Serving),
    /// An error's code.
    Status(u16),
}

async fn call(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Vec<u8>,
) -> Result<Answer, String> {
    let words = |error: h2::Error| error_words(&error);
    let mut sender = sender.ready().await.map_err(words)?;
    let (response, mut stream) = sender.send_request(request, false).map_err(words)?;
    stream.send_data(Bytes::from(body), true).map_err(words)?;
    let (head, body) = response.await.map_err(words)?.into_parts();
    // An error may come without a message, its status among the headers.
    if let Some(code) = status(&head.headers)? {
        return refused(code);
    }
    if head.status != StatusCode::OK {
        return Err(format!(
            "HTTP status {}: it does not speak gRPC here",
            head.status.as_u16()
        ));
    }
    let kind = head
        .headers
        .get("content-type")
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if !kind.starts_with(b"application/grpc") {
        return Err("an answer that is not gRPC".to_owned());
    }
    let (frame, trailers) = whole(body).await?;
    match status(&trailers)? {
        Some(0) => message::response(&frame)
            .map(Answer::Serving)
            .ok_or_else(|| "a message that is not a HealthCheckResponse".to_owned()),
        Some(code) => refused(code),
        None => Err("an answer without a gRPC status".to_owned()),
    }
}

fn refused(code: u16) -> Result<Answer, String> {
    match code {
        0 => Err("the gRPC status OK without a message".to_owned()),
        code => Ok(Answer::Status(code)),
    }
}

async fn whole(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), String> {
    let words = |error: h2::Error| error_words(&error);
    let mut frame = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(words)?;
        if frame.len() + data.len() > MOST_BODY {
            return Err("a message that is not a HealthCheckResponse".to_owned());
        }
        frame.extend_from_slice(&data);
        body.flow_control()
            .release_capacity(data.len())
            .map_err(words)?;
    }
    let trailers = body.trailers().await.map_err(words)?;
    Ok((frame, trailers.unwrap_or_default()))
}

fn status(headers: &HeaderMap) -> Result<Option<u16>, String> {
    let Some(value) = headers.get("grpc-status") else {
        return Ok(None);
    };
    let code = value.to_str().ok().and_then(|text| text.parse().ok());
    code.map(Some)
        .ok_or_else(|| "a gRPC status that is not a number".to_owned())
}

/// The names of gRPC's codes, in their order from 0.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Without the server's own words, which may hold addresses and times.
fn status_words(code: u16) -> String {
    let Some(name) = CODES.get(usize::from(code)) else {
        return format!("gRPC status {code}");
    };
    match *name {
        "NOT_FOUND" => "gRPC status NOT_FOUND: the server does not know the service".to_owned(),
        "UNIMPLEMENTED" => {
            "gRPC status UNIMPLEMENTED: the server has no grpc.health.v1.Health".to_owned()
        }
        name => format!("gRPC status {name}"),
    }
}

fn error_words(error: &h2::Error) -> String {
    match error.reason() {
        _ if error.is_io() => error.get_io().map_or_else(
            || "the connection closed".to_owned(),
            |error| describe(error),
        ),
        // What we found wrong with the frames that came: they are not HTTP/2.
        Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::FRAME_SIZE_ERROR) if !error.is_remote() => {
            "a server that does not speak HTTP/2 here".to_owned()
        }
        Some(reason) => format!("HTTP/2 error {reason:?}"),
        None => describe(error),
    }
}
