//! A conversation over a stream: bytes sent, answers awaited, everything read bounded.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::bytes::{Expected, Look, excerpt};
use super::dialogue::Step;
use super::limit::{Failure, Limit};
use crate::describe::describe;

/// Most that is kept of what comes while one thing is awaited; an answer that needs more is not one a probe should
/// wait for.
const MOST: usize = 64 << 10;

/// Both directions of a connection.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// A connection that remembers whether anything ever came from the other side, and that can still be read when it can no
/// longer be written to.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    heard: Arc<AtomicBool>,
}

impl<S> Watched<S> {
    /// Sets `heard` once a byte has come.
    pub(super) fn new(stream: S, heard: Arc<AtomicBool>) -> Watched<S> {
        Watched { stream, heard }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match ready!(Pin::new(&mut self.stream).poll_write(cx, buf)) {
            // What the other side said before it hung up is still to be read, and tells why; a read also tells the end.
            Err(error)
                if matches!(
                    error.kind(),
                    BrokenPipe | ConnectionAborted | ConnectionReset
                ) =>
            {
                Poll::Ready(Ok(buf.len()))
            }
            result => Poll::Ready(result),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Why nothing more came.
enum Stopped {
    TimeOver,
    Closed,
    Full,
    Broken(io::Error),
}

/// One side of a conversation.
pub(super) struct Talk<S> {
    stream: S,
    limit: Limit,
    /// Came, and not used up yet.
    inbox: Vec<u8>,
    /// What was sent: it is not to be shown when it comes back.
    sent: Vec<u8>,
}

impl<S: Wire> Talk<S> {
    pub(super) fn new(stream: S, limit: Limit) -> Talk<S> {
        Talk {
            stream,
            limit,
            inbox: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// The stream, if nothing that came is left over; else what is.
    pub(super) fn into_stream(self) -> Result<S, String> {
        match self.inbox.is_empty() {
            true => Ok(self.stream),
            false => Err(excerpt(&self.inbox, &self.sent)),
        }
    }

    /// Goes through `steps`. A [`Step::StartTls`] is the caller's business and not among them.
    pub(super) async fn follow(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            match step {
                Step::Send(payload) => self.send(&payload.0).await?,
                Step::Expect(expected) => self.expect(expected).await?,
                Step::StartTls => {}
            }
        }
        Ok(())
    }

    /// Sends `bytes`.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sent.extend_from_slice(bytes);
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let failed = |seen: String| Err(Failure::new("to send", seen));
        match self.limit.run(write).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => failed(describe(&error)),
            None => failed(format!("no room for it {}", self.limit)),
        }
    }

    async fn expect(&mut self, expected: &Expected) -> Result<(), Failure> {
        loop {
            match expected.look(&self.inbox) {
                Look::Found(end) => {
                    self.inbox.drain(..end);
                    return Ok(());
                }
                Look::Never => {
                    return Err(Failure::new(expected, excerpt(&self.inbox, &self.sent)));
                }
                Look::NotYet => {}
            }
            if let Err(stopped) = self.fill().await {
                return Err(Failure::new(expected, self.words(&stopped)));
            }
        }
    }

    /// The next line, without its end. `expected` is what the failure says if none comes.
    pub(super) async fn line(&mut self, expected: &str) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') {
                let line = self.inbox.drain(..=end).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned());
            }
            if let Err(stopped) = self.fill().await {
                return Err(Failure::new(expected, self.words(&stopped)));
            }
        }
    }

    /// The next byte. `expected` is what the failure says if none comes.
    pub(super) async fn byte(&mut self, expected: &str) -> Result<u8, Failure> {
        loop {
            if !self.inbox.is_empty() {
                return Ok(self.inbox.remove(0));
            }
            if let Err(stopped) = self.fill().await {
                return Err(Failure::new(expected, self.words(&stopped)));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Stopped> {
        let room = MOST.saturating_sub(self.inbox.len()).min(4096);
        if room == 0 {
            return Err(Stopped::Full);
        }
        let mut buffer = [0; 4096];
        match self.limit.run(self.stream.read(&mut buffer[..room])).await {
            None => Err(Stopped::TimeOver),
            Some(Ok(0)) => Err(Stopped::Closed),
            // A peer that closes TLS without saying so has still closed.
            Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Stopped::Closed)
            }
            Some(Err(error)) => Err(Stopped::Broken(error)),
            Some(Ok(n)) => {
                self.inbox.extend_from_slice(&buffer[..n]);
                Ok(())
            }
        }
    }

    /// What came until it stopped.
    fn words(&self, stopped: &Stopped) -> String {
        let limit = self.limit;
        if self.inbox.is_empty() {
            return match stopped {
                Stopped::TimeOver => format!("no answer {limit}"),
                Stopped::Closed => "the connection closed without an answer".to_owned(),
                Stopped::Full => "nothing".to_owned(),
                Stopped::Broken(error) => describe(error),
            };
        }
        let came = excerpt(&self.inbox, &self.sent);
        match stopped {
            Stopped::TimeOver => format!("{came} and no more {limit}"),
            Stopped::Closed => format!("{came} and then the connection closed"),
            // Whether it is closed or reset depends on what was still under way.
            Stopped::Broken(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                format!("{came} and then the connection closed")
            }
            Stopped::Full => format!("{came} and 64KiB without it"),
            Stopped::Broken(error) => format!("{came} and then {}", describe(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_not_waited_for_for_ever() {
        let (ours, _theirs) = duplex(16);
        let mut talk = Talk::new(ours, Limit::new(Duration::from_millis(100), None));
        let failure = talk.send(&[0; 100]).await.unwrap_err().to_string();
        assert_eq!(
            failure,
            "expected to send, seen no room for it within 100ms"
        );
    }

    async fn follow(script: &[&str], answer: &[u8], close: bool) -> Result<(), String> {
        let steps = script
            .iter()
            .map(|step| step.parse().unwrap())
            .collect::<Vec<Step>>();
        let (ours, mut theirs) = duplex(1 << 20);
        theirs.write_all(answer).await.unwrap();
        if close {
            theirs.shutdown().await.unwrap();
        }
        let mut talk = Talk::new(ours, Limit::new(Duration::from_millis(100), None));
        let result = talk
            .follow(&steps)
            .await
            .map_err(|failure| failure.to_string());
        drop(theirs);
        result
    }

    #[tokio::test]
    async fn conversations_end_as_they_should() {
        type Case = (
            &'static [&'static str],
            &'static [u8],
            bool,
            Result<(), &'static str>,
        );
        let cases: [Case; 10] = [
            (
                &["send PING\\r\\n", "expect ^\\+PONG"],
                b"+PONG\r\n",
                false,
                Ok(()),
            ),
            (
                &["expect ^220\\x20", "send EHLO x\\r\\n", "expect ^250 "],
                b"220 a\r\n250-b\r\n250 c\r\n",
                true,
                Ok(()),
            ),
            (
                &["expect prefix:SSH-", "expect 2.0"],
                b"SSH-2.0-x\r\n",
                false,
                Ok(()),
            ),
            (
                &["expect ^220\\x20"],
                b"554 no\r\n",
                false,
                Err(
                    "expected an answer that matches ^220\\x20, seen \"554 no\" and no more within 100ms",
                ),
            ),
            (
                &["expect ^220\\x20"],
                b"554 no\r\n",
                true,
                Err(
                    "expected an answer that matches ^220\\x20, seen \"554 no\" and then the connection closed",
                ),
            ),
            (
                &["expect ^220\\x20"],
                b"",
                true,
                Err(
                    "expected an answer that matches ^220\\x20, seen the connection closed without an answer",
                ),
            ),
            (
                &["expect ^220\\x20"],
                b"",
                false,
                Err("expected an answer that matches ^220\\x20, seen no answer within 100ms"),
            ),
            (
                &["expect prefix:SSH-"],
                b"HTTP/1.1 400\r\n",
                false,
                Err("expected an answer that begins with SSH-, seen \"HTTP/1.1 400\""),
            ),
            (
                &["expect x"],
                &[b'y'; 70_000],
                false,
                Err(
                    "expected an answer that matches x, seen \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…\" and 64KiB without it",
                ),
            ),
            (
                &["expect a", "expect a"],
                b"a",
                true,
                Err(
                    "expected an answer that matches a, seen the connection closed without an answer",
                ),
            ),
        ];
        for (script, answer, close, expected) in cases {
            let result = follow(script, answer, close).await;
            assert_eq!(result, expected.map_err(str::to_owned), "{script:?}");
        }
    }
}
