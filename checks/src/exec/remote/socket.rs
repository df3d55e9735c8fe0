//! The conversation with a container: frames of a WebSocket, each with its channel as the first byte.

use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::status;
use crate::describe::{describe, shorten};
use crate::exec::outcome::Outcome;
use crate::exec::output::{Output, Stream};
use crate::exec::stable::stable;

/// What is spoken, best first. Both end with a `Status` on the error channel; older ones end with a text.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// API servers send 32 KiB at a time.
const LARGEST_FRAME: usize = 1 << 20;

/// Channels of `remotecommand`; 0 is standard input, which is not asked for.
mod channel {
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const ERROR: u8 = 3;
}

/// Reads the output and the end of a command from an upgraded connection.
pub(super) async fn converse<S>(stream: S, output: &mut Output<'_>) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_frame_size(Some(LARGEST_FRAME))
        .max_message_size(Some(LARGEST_FRAME));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
    loop {
        let frame = match socket.next().await {
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Close(close))) => return closed(close),
            // Pings are answered by the socket.
            Some(Ok(_)) => continue,
            Some(Err(error)) => return broken(&error),
            None => return closed(None),
        };
        match frame.split_first() {
            Some((&channel::STDOUT, bytes)) => output.push(Stream::Stdout, bytes),
            Some((&channel::STDERR, bytes)) => output.push(Stream::Stderr, bytes),
            Some((&channel::ERROR, bytes)) if !bytes.is_empty() => {
                let outcome = status::outcome(bytes);
                // The server ends the connection anyway; this only spares it the wait.
                let _ = socket.close(None).await;
                return outcome;
            }
            _ => {}
        }
    }
}

fn closed(close: Option<CloseFrame>) -> Outcome {
    let reason = close
        .map(|close| close.reason.as_str().to_owned())
        .filter(|reason| !reason.is_empty());
    let reason = reason
        .map(|reason| format!(" ({})", shorten(&stable(&reason), 80)))
        .unwrap_or_default();
    Outcome::Unknown(format!(
        "expected its exit status, the connection to its container was closed{reason}"
    ))
}

fn broken(error: &Error) -> Outcome {
    let words = match error {
        Error::Io(error) => describe(error),
        Error::ConnectionClosed | Error::AlreadyClosed => return closed(None),
        Error::Capacity(_) => "a frame is too large".to_owned(),
        Error::Protocol(error) => shorten(&stable(&error.to_string()), 80),
        error => shorten(&stable(&error.to_string()), 80),
    };
    Outcome::Unknown(format!(
        "expected its exit status, the connection to its container broke: {words}"
    ))
}
