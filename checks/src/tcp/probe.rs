//! One try of one target, and what it means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::{NoConnection, Route};
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

impl Prober {
    /// Tries `target` once.
    pub(super) async fn probe(&self, target: &Target, limit: Limit) -> Result<(), Failure> {
        let needed = match self.must_fail {
            true => SHORTEST_LOOK,
            false => Duration::ZERO,
        };
        if limit.is_cut() && limit.left() <= needed {
            return Err(Failure::new(
                "time to try it",
                "none left before the run's deadline",
            ));
        }
        let outcome = self.look(target, limit).await;
        if self.must_fail {
            must_fail(outcome, self.waits_for_answer(target))
        } else {
            must_pass(outcome, target.scheme)
        }
    }

    /// Whether a connection alone proves nothing, because more was asked for.
    fn waits_for_answer(&self, target: &Target) -> bool {
        target.scheme != Scheme::Tcp || self.starttls.is_some() || !self.dialogue.is_empty()
    }

    async fn look(&self, target: &Target, limit: Limit) -> Outcome {
        let addresses = match self.route.addresses(target, limit).await {
            Ok(addresses) => addresses,
            Err(error) => return Outcome::NoConnection(error),
        };
        if target.scheme == Scheme::Udp {
            return self.datagrams(&addresses, limit).await;
        }
        let stream = match self.route.connect(&addresses, self.must_fail, limit).await {
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

    /// Asks every address: at once if none may answer, else one after the other until one does.
    async fn datagrams(&self, addresses: &[std::net::SocketAddr], limit: Limit) -> Outcome {
        let ask = async |address, limit| match self.route.datagrams(address).await {
            Ok(socket) => udp::follow(&socket, self.dialogue.plain(), limit).await,
            Err(error) => Heard::Nobody(error),
        };
        let mut silence = None;
        if self.must_fail {
            for heard in join_all(addresses.iter().map(|address| ask(*address, limit))).await {
                match heard {
                    Heard::Answer(result) => return Outcome::Answered(result),
                    Heard::Nobody(error @ NoConnection::Unable(_)) => silence = Some(error),
                    Heard::Nobody(error) => silence = silence.or(Some(error)),
                }
            }
        } else {
            for (index, address) in addresses.iter().enumerate() {
                let share = limit.left() / (addresses.len() - index) as u32;
                match ask(*address, limit.at_most(share)).await {
                    Heard::Answer(result) => return Outcome::Answered(result),
                    Heard::Nobody(error) => silence = Some(error),
                }
            }
        }
        Outcome::NoConnection(silence.unwrap_or(NoConnection::Unable("no address".to_owned())))
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
        let failed = |seen: String| Failure::new("a TLS handshake", seen);
        let log = ChainLog::default();
        let alpn = alpn.iter().map(|name| name.to_vec()).collect();
        let config = self.tls.client_config(Purpose {
            alpn,
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
            Some(Err(error)) if is_alert(&error) => {
                Err(Failure::new("a TLS handshake", describe(&error)))
            }
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
    use super::*;

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
