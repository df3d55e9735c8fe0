//! What to connect to: `tcp://db:5432`, `[::1]:6379`, `grpcs://api:443`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::values::BadValue;

const FORMS: &str =
    "HOST:PORT with tcp://, tls://, udp://, grpc:// or grpcs:// before it, or nothing for tcp";

/// How a target is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// TCP.
    Tcp,
    /// TLS from the first byte.
    Tls,
    /// UDP.
    Udp,
    /// The gRPC health protocol over plain HTTP/2.
    Grpc,
    /// The gRPC health protocol over TLS.
    Grpcs,
}

impl Scheme {
    /// Whether TLS is spoken from the first byte.
    pub(super) fn is_tls(self) -> bool {
        matches!(self, Scheme::Tls | Scheme::Grpcs)
    }

    /// Whether it is the gRPC health protocol.
    pub(super) fn is_grpc(self) -> bool {
        matches!(self, Scheme::Grpc | Scheme::Grpcs)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Tcp => "tcp",
            Scheme::Tls => "tls",
            Scheme::Udp => "udp",
            Scheme::Grpc => "grpc",
            Scheme::Grpcs => "grpcs",
        })
    }
}

impl FromStr for Scheme {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Scheme, BadValue> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "tcp" => Scheme::Tcp,
            "tls" => Scheme::Tls,
            "udp" => Scheme::Udp,
            "grpc" => Scheme::Grpc,
            "grpcs" => Scheme::Grpcs,
            _ => return Err(BadValue::expected("tcp, tls, udp, grpc or grpcs")),
        })
    }
}

/// A name to look up, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A name.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Where it is.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

impl Target {
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl FromStr for Target {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Target, BadValue> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.parse().map_err(|_| BadValue::expected(FORMS))?, rest),
            None => (Scheme::Tcp, text),
        };
        if rest.contains(['/', '@', '?', '#']) {
            return Err(BadValue(format!(
                "expected {FORMS}, without a user, path or query"
            )));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (inner, port) = rest
                    .split_once(']')
                    .ok_or_else(|| BadValue::expected("a ] after the IPv6 address"))?;
                let ip = inner
                    .parse::<Ipv6Addr>()
                    .map_err(|_| BadValue::expected("an IPv6 address in the brackets"))?;
                let port = port.strip_prefix(':').ok_or_else(no_port)?;
                (Host::Ip(ip.into()), port)
            }
            None if rest.parse::<Ipv6Addr>().is_ok() || rest.matches(':').count() > 1 => {
                return Err(BadValue::expected(
                    "an IPv6 address in brackets, then the port, such as [fd00::5]:5432",
                ));
            }
            None => {
                let (host, port) = rest.split_once(':').ok_or_else(no_port)?;
                (named(host)?, port)
            }
        };
        Ok(Target {
            scheme,
            host,
            port: port_number(port)?,
        })
    }
}

fn no_port() -> BadValue {
    BadValue::expected("a port after the host, such as db:5432")
}

fn port_number(text: &str) -> Result<u16, BadValue> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse::<u16>().ok().filter(|port| digits && *port > 0);
    port.ok_or_else(|| BadValue::expected("a port from 1 to 65535 after the host"))
}

/// An IPv4 address, or a name that a resolver can be asked for (underscores are common in service names).
fn named(host: &str) -> Result<Host, BadValue> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = host.strip_suffix('.').unwrap_or(host);
    let labels = name.split('.').all(|label| (1..=63).contains(&label.len()));
    // Digits and dots alone are an address gone wrong, which resolvers read in surprising ways.
    let address = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !labels || name.len() > 253 || address || !host.chars().all(fits) {
        return Err(BadValue::expected(
            "a host name or an IP address before the port",
        ));
    }
    Ok(Host::Name(host.to_ascii_lowercase()))
}

/// One or more targets, separated by commas or white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TargetList(pub Vec<Target>);

impl FromStr for TargetList {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<TargetList, BadValue> {
        let words = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty());
        let targets = words
            .map(|word| {
                word.parse()
                    .map_err(|BadValue(reason)| match word == text.trim() {
                        true => BadValue(reason),
                        // Which of several it is.
                        false => BadValue(format!(
                            "{reason}, seen {:?}",
                            crate::describe::shorten(word, 60)
                        )),
                    })
            })
            .collect::<Result<Vec<Target>, BadValue>>()?;
        if targets.is_empty() {
            return Err(BadValue::expected("at least one target"));
        }
        Ok(TargetList(targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_shown_as_they_are_read() {
        for (text, shown) in [
            ("db:5432", "tcp://db:5432"),
            ("tcp://db.shop.svc:5432", "tcp://db.shop.svc:5432"),
            ("TCP://DB:5432", "tcp://db:5432"),
            ("udp://10.0.0.1:53", "udp://10.0.0.1:53"),
            ("[::1]:80", "tcp://[::1]:80"),
            ("tls://[fd00:0::5]:443", "tls://[fd00::5]:443"),
            ("grpc://api:9090", "grpc://api:9090"),
            (
                "grpcs://_api._tcp.example.:443",
                "grpcs://_api._tcp.example.:443",
            ),
            ("db:05432", "tcp://db:5432"),
        ] {
            let target = text.parse::<Target>().map(|target| target.to_string());
            assert_eq!(target.as_deref(), Ok(shown));
            assert_eq!(shown.parse::<Target>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, words) in [
            ("db", "a port after the host"),
            ("[::1]", "a port after the host"),
            ("[::1", "a ] after"),
            ("[db]:1", "an IPv6 address in the brackets"),
            ("[fe80::1%eth0]:1", "an IPv6 address in the brackets"),
            ("::1", "in brackets"),
            ("fd00::5:5432", "in brackets"),
            ("tcp://fd00::5:5432", "in brackets"),
            ("db:0", "1 to 65535"),
            ("db:65536", "1 to 65535"),
            ("db:+80", "1 to 65535"),
            ("db:", "1 to 65535"),
            ("db:http", "1 to 65535"),
            (":80", "a host name"),
            ("a..b:80", "a host name"),
            ("a b:80", "a host name"),
            ("1.2.3:80", "a host name"),
            ("300.1.1.1:80", "a host name"),
            ("dß:80", "a host name"),
            ("http://db:80", "tcp://, tls://"),
            ("://db:80", "tcp://, tls://"),
            ("tcp://user@db:80", "without a user"),
            ("tcp://db:80/", "without a user, path"),
            ("", "a port"),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.0.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn lists_have_commas_or_white_space() {
        let shown = |text: &str| {
            text.parse::<TargetList>()
                .map(|list| list.0.iter().map(Target::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            shown("a:1, udp://b:2\n[::1]:3,").unwrap(),
            ["tcp://a:1", "udp://b:2", "tcp://[::1]:3"]
        );
        assert!(shown(" , ").is_err());
        assert_eq!(
            shown("a:1,b").unwrap_err().0,
            "expected a port after the host, such as db:5432, seen \"b\""
        );
    }
}
