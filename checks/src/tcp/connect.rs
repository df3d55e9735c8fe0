//! From a host to an open connection, and why there is none.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::limit::Limit;
use super::target::{Host, Target};
use crate::describe::describe;
use crate::dns::Resolver;
use crate::values::IpFamily;

/// How long one address is waited for before the next is tried beside it, as in RFC 8305.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// The target, or the network on the way to it, refused or did not answer.
    Unreachable(String),
    /// Nothing was tried that says anything of the target: its name has no address, say.
    Unable(String),
}

impl NoConnection {
    /// What was seen.
    pub(super) fn words(self) -> String {
        match self {
            NoConnection::Unreachable(words) | NoConnection::Unable(words) => words,
        }
    }

    pub(super) fn from_io(error: &io::Error) -> NoConnection {
        use io::ErrorKind::*;
        match error.kind() {
            ConnectionRefused | ConnectionReset | ConnectionAborted | TimedOut
            | HostUnreachable | NetworkUnreachable | PermissionDenied => {
                NoConnection::Unreachable(describe(error))
            }
            _ => NoConnection::Unable(describe(error)),
        }
    }
}

/// How to get to targets.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) family: IpFamily,
    pub(super) source: Option<IpAddr>,
}

impl Route {
    /// The addresses of `target` that may be used, in the order in which to try them.
    pub(super) async fn addresses(
        &self,
        target: &Target,
        limit: Limit,
    ) -> Result<Vec<SocketAddr>, NoConnection> {
        let host = match &target.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        };
        let resolver = Resolver {
            family: self.family,
            instead: None,
        };
        let unable = |words: String| Err(NoConnection::Unable(words));
        let found = match limit.run(resolver.addresses(&host)).await {
            Some(Ok(found)) => found,
            Some(Err(error)) => return unable(error.to_string()),
            None => return unable(format!("DNS: no answer {limit}")),
        };
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for mut address in found {
            address.set_port(target.port);
            let fits = self
                .source
                .is_none_or(|source| source.is_ipv4() == address.is_ipv4());
            if fits && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.is_empty() {
            true => unable("no address of the family that SOURCE_ADDRESS has".to_owned()),
            false => Ok(addresses),
        }
    }

    /// The first connection that can be made to one of `addresses`, which are tried one after the other with a head start
    /// each.
    pub(super) async fn connect(
        &self,
        addresses: &[SocketAddr],
        limit: Limit,
    ) -> Result<TcpStream, NoConnection> {
        let mut waiting = addresses.iter();
        let mut running = FuturesUnordered::new();
        let mut failures = Failures::default();
        let race = async {
            loop {
                let next = if running.is_empty() {
                    waiting.next()
                } else {
                    None
                };
                if let Some(address) = next {
                    running.push(self.connect_to(*address));
                    continue;
                }
                tokio::select! {
                    result = running.next() => match result {
                        Some(Ok(stream)) => return Some(stream),
                        Some(Err(failure)) => failures.add(failure),
                        None => return None,
                    },
                    () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {
                        running.extend(waiting.next().map(|address| self.connect_to(*address)));
                    }
                }
            }
        };
        match limit.run(race).await {
            Some(Some(stream)) => return Ok(stream),
            Some(None) => {}
            None => failures.add(NoConnection::Unreachable(format!("no answer {limit}"))),
        }
        Err(failures.together())
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, NoConnection> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(|error| NoConnection::Unable(describe(&error)))?;
        if let Some(source) = self.source {
            socket
                .bind(SocketAddr::new(source, 0))
                .map_err(|error| cannot_bind(&error))?;
        }
        socket
            .connect(address)
            .await
            .map_err(|error| NoConnection::from_io(&error))
    }

    /// A UDP socket that hears only `address`.
    pub(super) async fn datagrams(&self, address: SocketAddr) -> Result<UdpSocket, NoConnection> {
        let any = match address {
            SocketAddr::V4(_) => IpAddr::from([0_u8; 4]),
            SocketAddr::V6(_) => IpAddr::from([0_u16; 8]),
        };
        let bound = UdpSocket::bind(SocketAddr::new(self.source.unwrap_or(any), 0)).await;
        let socket = bound.map_err(|error| match self.source {
            Some(_) => cannot_bind(&error),
            None => NoConnection::Unable(describe(&error)),
        })?;
        socket
            .connect(address)
            .await
            .map_err(|error| NoConnection::from_io(&error))?;
        Ok(socket)
    }
}

fn cannot_bind(error: &io::Error) -> NoConnection {
    NoConnection::Unable(match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "SOURCE_ADDRESS is not an address of this pod".to_owned()
        }
        _ => format!("SOURCE_ADDRESS cannot be used: {}", describe(error)),
    })
}

/// Why addresses could not be reached, each reason once and in an order that does not depend on which came first.
#[derive(Debug, Default)]
pub(super) struct Failures {
    unreachable: Vec<String>,
    unable: Vec<String>,
}

impl Failures {
    pub(super) fn add(&mut self, failure: NoConnection) {
        let (list, words) = match failure {
            NoConnection::Unreachable(words) => (&mut self.unreachable, words),
            NoConnection::Unable(words) => (&mut self.unable, words),
        };
        if !list.contains(&words) {
            list.push(words);
        }
    }

    /// One that was not tried is what matters: the others prove nothing of it.
    pub(super) fn together(mut self) -> NoConnection {
        let unable = !self.unable.is_empty();
        self.unable.append(&mut self.unreachable);
        self.unable.sort();
        let words = self.unable.join(", ");
        if unable {
            NoConnection::Unable(words)
        } else {
            NoConnection::Unreachable(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn route(source: Option<&str>) -> Route {
        Route {
            family: IpFamily::Any,
            source: source.map(|ip| ip.parse().unwrap()),
        }
    }

    fn limit() -> Limit {
        Limit::new(Duration::from_secs(20), None)
    }

    #[tokio::test]
    async fn the_first_address_that_answers_wins() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens on this port of the other address.
        let addresses = [
            SocketAddr::new("127.0.0.9".parse().unwrap(), port),
            listener.local_addr().unwrap(),
        ];
        let stream = route(None).connect(&addresses, limit()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
        let refused = route(None)
            .connect(&addresses[..1], limit())
            .await
            .unwrap_err();
        assert_eq!(
            refused,
            NoConnection::Unreachable("connection refused".to_owned())
        );
    }

    #[tokio::test]
    async fn connections_come_from_the_source_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _stream = route(Some("127.0.0.5"))
            .connect(&[address], limit())
            .await
            .unwrap();
        assert_eq!(
            listener.accept().await.unwrap().1.ip().to_string(),
            "127.0.0.5"
        );
        let foreign = route(Some("192.0.2.1"))
            .connect(&[address], limit())
            .await
            .unwrap_err();
        assert_eq!(
            foreign,
            NoConnection::Unable("SOURCE_ADDRESS is not an address of this pod".to_owned())
        );
        let target: Target = "[::1]:80".parse().unwrap();
        let other = route(Some("127.0.0.5"))
            .addresses(&target, limit())
            .await
            .unwrap_err();
        assert!(other.words().contains("family"));
    }

    #[test]
    fn reasons_are_told_once_and_in_order() {
        let mut failures = Failures::default();
        for words in [
            "no answer within 20s",
            "connection refused",
            "no answer within 20s",
        ] {
            failures.add(NoConnection::Unreachable(words.to_owned()));
        }
        let both = "connection refused, no answer within 20s".to_owned();
        assert_eq!(failures.together(), NoConnection::Unreachable(both));
    }
}
