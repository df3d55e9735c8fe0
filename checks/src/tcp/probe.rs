//! One try of one target, and what it means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::{Failures, NoConnection, Route};
use super::dialogue::{Dialogue, Step};
use super::grpc::{self, Question};
use super::limit::{Failure, Limit};
use super::starttls::StartTls;
use super::talk::{Talk, Watched, Wire};
use super::target::{Host, Scheme, Target};
use super::udp::{self, Heard};
use crate::describe::describe;
use crate::tls::{ChainLog, Expiring, Purpose, Tls};

/// How long a server is waited for that may yet refuse the client's certificate. In TLS 1.3 it does so after the client
/// has finished the handshake.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);

/// A drop cannot be told from a delay in less.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);

const HANDSHAKE: &str = "a TLS handshake";

/// What is done with every target.
#[derive(Debug)]
pub(super) struct Prober {
    pub(super) route: Route,
    pub(super) tls: Tls,
    pub(super) starttls: Option<StartTls>,
    pub(super) dialogue: Dialogue,
    pub(super) question: Question,
    /// Days that certificates must stay valid.
    pub(super) min_days: u32,
    /// Whether a target that can be reached is the failure.
    pub(super) must_fail: bool,
}

/// What one try found.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    NoConnection(NoConnection),
    /// A connection to somebody who said nothing at all.
    Silent(Result<(), Failure>),
    /// Somebody said something.
    Answered(Result<(), Failure>),
}

impl From<NoConnection> for Outcome {
    fn from(error: NoConnection) -> Outcome {
        Outcome::NoConnection(error)
    }
}

impl Prober {
    /// Whether a try within `limit` can find anything.
    pub(super) fn has_time(&self, limit: Limit) -> bool {
        let needed = match self.must_fail {
            true => SHORTEST_LOOK,
            false => Duration::ZERO,
        };
        !limit.is_cut() || limit.left() > needed
    }

    /// Tries `target` once.
    pub(super) async fn probe(&self, target: &Target, limit: Limit) -> Result<(), Failure> {
        if self.speaks_tls(target) {
            // Trust or names that cannot be used say nothing of the target, whatever is expected of it.
            self.tls_client(target, &[])?;
        }
        let addresses = match (self.route.addresses(target, limit).await, self.must_fail) {
            (Ok(addresses), _) => addresses,
            (Err(error), false) => return must_pass(error.into(), target.scheme),
            (Err(error), true) => return must_fail(error.into(), self.waits_for_answer(target)),
        };
        if self.must_fail {
            self.none_of(&addresses, target, limit).await
        } else {
            must_pass(self.look(&addresses, target, limit).await, target.scheme)
        }
    }

    fn speaks_tls(&self, target: &Target) -> bool {
        let later = self.starttls.is_some() || self.dialogue.tls().is_some();
        target.scheme.is_tls() || later
    }

    /// Whether a connection alone proves nothing, because more was asked for.
    fn waits_for_answer(&self, target: &Target) -> bool {
        target.scheme != Scheme::Tcp || self.starttls.is_some() || !self.dialogue.is_empty()
    }

    /// Looks at every address by itself and at the same time: that one of them keeps silent proves nothing of the others.
    async fn none_of(
        &self,
        addresses: &[SocketAddr],
        target: &Target,
        limit: Limit,
    ) -> Result<(), Failure> {
        let waits = self.waits_for_answer(target);
        let looks = addresses
            .iter()
            .map(|address| self.look(std::slice::from_ref(address), target, limit));
        let mut failures = Failures::default();
        for outcome in join_all(looks).await {
            match outcome {
                Outcome::NoConnection(error) => failures.add(error),
                reached => must_fail(reached, waits)?,
            }
        }
        must_fail(failures.together().into(), waits)
    }

    async fn look(&self, addresses: &[SocketAddr], target: &Target, limit: Limit) -> Outcome {
        if target.scheme == Scheme::Udp {
            return self.datagrams(addresses, limit).await;
        }
        let stream = match self.route.connect(addresses, limit).await {
            Ok(stream) => stream,
            Err(error) => return Outcome::NoConnection(error),
        };
        // Questions are small and waited for.
        let _ = stream.set_nodelay(true);
        let heard = Arc::new(AtomicBool::new(false));
        let result = self
            .session(Watched::new(stream, Arc::clone(&heard)), target, limit)
            .await;
        match heard.load(Ordering::Relaxed) {
            true => Outcome::Answered(result),
            false => Outcome::Silent(result),
        }
    }

    /// Asks one address after the other until one answers.
    async fn datagrams(&self, addresses: &[SocketAddr], limit: Limit) -> Outcome {
        let mut failures = Failures::default();
        for (index, address) in addresses.iter().enumerate() {
            let share = limit.at_most(limit.left() / (addresses.len() - index) as u32);
            let heard = match self.route.datagrams(*address).await {
                Ok(socket) => udp::follow(&socket, self.dialogue.plain(), share).await,
                Err(error) => Heard::Nobody(error),
            };
            match heard {
                Heard::Answer(result) => return Outcome::Answered(result),
                Heard::Nobody(error) => failures.add(error),
            }
        }
        Outcome::NoConnection(failures.together())
    }

    async fn session<S: Wire>(
        &self,
        stream: S,
        target: &Target,
        limit: Limit,
    ) -> Result<(), Failure> {
        match target.scheme {
            Scheme::Grpc => {
                grpc::ask(stream, &target.authority(), false, &self.question, limit).await
            }
            Scheme::Grpcs => {
                let stream = self.handshake(stream, target, &[b"h2"], limit).await?;
                grpc::ask(stream, &target.authority(), true, &self.question, limit).await
            }
            Scheme::Tls => {
                let stream = self.handshake(stream, target, &[], limit).await?;
                self.inside(stream, self.dialogue.plain(), limit).await
            }
            Scheme::Tcp | Scheme::Udp => self.plain(stream, target, limit).await,
        }
    }

    async fn plain<S: Wire>(
        &self,
        stream: S,
        target: &Target,
        limit: Limit,
    ) -> Result<(), Failure> {
        let mut talk = Talk::new(stream, limit);
        let steps = match (self.starttls, self.dialogue.tls()) {
            (Some(protocol), _) => {
                protocol.ask(&mut talk).await?;
                self.dialogue.plain()
            }
            (None, Some(steps)) => {
                talk.follow(self.dialogue.plain()).await?;
                steps
            }
            (None, None) => return talk.follow(self.dialogue.plain()).await,
        };
        let nothing = "nothing in plain text once TLS is agreed on";
        let stream = talk
            .into_stream()
            .map_err(|left| Failure::new(nothing, left))?;
        let stream = self.handshake(stream, target, &[], limit).await?;
        self.inside(stream, steps, limit).await
    }

    async fn handshake<S: Wire>(
        &self,
        stream: S,
        target: &Target,
        alpn: &[&[u8]],
        limit: Limit,
    ) -> Result<TlsStream<S>, Failure> {
        let failed = |seen: String| Failure::new(HANDSHAKE, seen);
        let (config, name, log) = self.tls_client(target, alpn)?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = match limit.run(handshake).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return Err(failed(describe(&error))),
            None => return Err(failed(format!("no end of it {limit}"))),
        };
        match log.take().first() {
            Some(expiring) => Err(self.runs_out(expiring)),
            None => Ok(stream),
        }
    }

    /// What a handshake needs.
    fn tls_client(
        &self,
        target: &Target,
        alpn: &[&[u8]],
    ) -> Result<(ClientConfig, ServerName<'static>, ChainLog), Failure> {
        let failed = |seen: String| Failure::new(HANDSHAKE, seen);
        let log = ChainLog::default();
        let config = self.tls.client_config(Purpose {
            alpn: alpn.iter().map(|name| name.to_vec()).collect(),
            own: true,
            log: log.clone(),
        });
        let config = config.map_err(|error| failed(error.to_string()))?;
        let name = self.server_name(target).ok_or_else(|| {
            failed(format!(
                "the host {}, which no certificate can be for: set TLS_SERVER_NAME",
                target.host
            ))
        })?;
        Ok((config, name, log))
    }

    fn server_name(&self, target: &Target) -> Option<ServerName<'static>> {
        match (self.tls.server_name(), &target.host) {
            (Some(name), _) => ServerName::try_from(name.to_owned()).ok(),
            (None, Host::Ip(ip)) => Some(ServerName::IpAddress((*ip).into())),
            (None, Host::Name(name)) => {
                ServerName::try_from(name.trim_end_matches('.').to_owned()).ok()
            }
        }
    }

    fn runs_out(
        &self,
        Expiring {
            host,
            date,
            intermediate,
        }: &Expiring,
    ) -> Failure {
        let days = self.min_days;
        let which = if *intermediate {
            "a CA certificate behind that"
        } else {
            "the certificate"
        };
        let date = date.as_deref().unwrap_or("at an unknown date");
        Failure::new(
            format!("certificates valid for {days} more days"),
            format!("{which} of {host} expires {date}"),
        )
    }

    /// What is said inside TLS.
    async fn inside<S: Wire>(
        &self,
        mut stream: TlsStream<S>,
        steps: &[Step],
        limit: Limit,
    ) -> Result<(), Failure> {
        if !steps.is_empty() {
            return Talk::new(stream, limit).follow(steps).await;
        }
        // Nothing is to be read, so a late refusal of the client's certificate would go unnoticed. A server that
        // accepts answers the farewell with its own, or says nothing.
        let mut bytes = [0; 256];
        let farewell = async {
            // Fails if the server has hung up, after which its last words are still to be read.
            let _ = stream.shutdown().await;
            stream.read(&mut bytes).await
        };
        match limit.at_most(SECOND_THOUGHTS).run(farewell).await {
            Some(Err(error)) if is_alert(&error) => Err(Failure::new(HANDSHAKE, describe(&error))),
            _ => Ok(()),
        }
    }
}

fn is_alert(error: &std::io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::AlertReceived(_)))
}

fn must_pass(outcome: Outcome, scheme: Scheme) -> Result<(), Failure> {
    let expected = if scheme == Scheme::Udp {
        "an answer"
    } else {
        "a connection"
    };
    match outcome {
        Outcome::NoConnection(error) => Err(Failure::new(expected, error.words())),
        Outcome::Silent(result) | Outcome::Answered(result) => result,
    }
}

/// `waits`: whether only an answer counts as reachable. Behind a proxy that accepts every connection, as meshes have
/// them, a connection proves nothing; a dialogue does.
fn must_fail(outcome: Outcome, waits: bool) -> Result<(), Failure> {
    match outcome {
        Outcome::NoConnection(NoConnection::Unreachable(_)) => Ok(()),
        Outcome::NoConnection(error) => Err(Failure::new("a target to try", error.words())),
        Outcome::Silent(_) if waits => Ok(()),
        Outcome::Silent(_) => Err(Failure::new(
            "no connection",
            "one (CONNECTION_TARGET_UNREACHABLE is set)",
        )),
        Outcome::Answered(_) if waits => Err(Failure::new(
            "no answer",
            "one (CONNECTION_TARGET_UNREACHABLE is set)",
        )),
        Outcome::Answered(_) => Err(Failure::new(
            "no connection",
            "one (CONNECTION_TARGET_UNREACHABLE is set)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::{Args, FromArgMatches};

    use super::*;
    use crate::tcp::args::TcpArgs;

    #[tokio::test]
    async fn a_negative_test_hears_every_address() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let speaking = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
        let addresses = [&silent, &speaking].map(|listener| listener.local_addr().unwrap());
        let speaker = std::thread::spawn(move || {
            let (mut stream, _) = speaking.accept().unwrap();
            stream.write_all(b"SSH-2.0-x\r\n").unwrap();
            stream
        });
        let matches = TcpArgs::augment_args(clap::Command::new("tcp-check")).get_matches_from([
            "tcp-check",
            "--connection-target=db:22",
            "--connection-target-unreachable",
            "--expect-banner=^SSH-",
        ]);
        let args = TcpArgs::from_arg_matches(&matches).unwrap();
        let prober = crate::tcp::plan::prober(&args).unwrap();
        let target = "db:22".parse().unwrap();
        let limit = Limit::new(Duration::from_secs(2), None);
        let reached = prober.none_of(&addresses, &target, limit).await;
        assert_eq!(
            reached.unwrap_err().to_string(),
            "expected no answer, seen one (CONNECTION_TARGET_UNREACHABLE is set)"
        );
        drop(speaker.join().unwrap());
        let silent = prober.none_of(&addresses[..1], &target, limit).await;
        assert_eq!(silent, Ok(()));
    }

    #[test]
    fn a_negative_test_passes_only_if_nothing_could_be_reached() {
        let failure = || Failure::new("a", "b");
        let unreachable =
            || Outcome::NoConnection(NoConnection::Unreachable("connection refused".to_owned()));
        let unable =
            || Outcome::NoConnection(NoConnection::Unable("DNS: no such host db".to_owned()));
        for waits in [false, true] {
            assert_eq!(must_fail(unreachable(), waits), Ok(()));
            // A name that does not exist may be a slip, and would pass for ever.
            assert!(must_fail(unable(), waits).is_err());
            for result in [Ok(()), Err(failure())] {
                assert!(must_fail(Outcome::Answered(result.clone()), waits).is_err());
                assert_eq!(must_fail(Outcome::Silent(result), waits).is_ok(), waits);
            }
        }
        let seen = |outcome, scheme| must_pass(outcome, scheme).unwrap_err().to_string();
        assert_eq!(
            seen(unreachable(), Scheme::Udp),
            "expected an answer, seen connection refused"
        );
        assert_eq!(
            seen(unable(), Scheme::Tcp),
            "expected a connection, seen DNS: no such host db"
        );
        assert_eq!(must_pass(Outcome::Silent(Ok(())), Scheme::Tcp), Ok(()));
        assert_eq!(
            must_pass(Outcome::Answered(Err(failure())), Scheme::Tcp),
            Err(failure())
        );
    }
}
