//! Names to addresses for probes: one family only, or one given address, and errors in plain words.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::values::IpFamily;

/// Why a name gave no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist, or has no address at all.
    #[error("DNS: no such host {0}")]
    NoSuchHost(String),
    /// The name server did not answer, or said that it cannot now.
    #[error("DNS: no answer from the name server for {0}")]
    NoAnswer(String),
    /// The name has addresses, but none of the family asked for.
    #[error("DNS: {host} has no {family} address")]
    NoneOfFamily {
        /// The name.
        host: String,
        /// The family asked for.
        family: IpFamily,
    },
}

/// Where a name of the URL really leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address.
    Ip(IpAddr),
    /// Another name.
    Host(String),
}

/// Resolves names for one target.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// The family of addresses wanted.
    pub family: IpFamily,
    /// For this name, in lower case, look elsewhere.
    pub instead: Option<(String, Place)>,
}

impl Resolver {
    /// The addresses of `host`, in the order in which to try them, with port 0.
    ///
    /// # Errors
    ///
    /// [`DnsError`] if there is none that may be used.
    pub async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, DnsError> {
        let host = match &self.instead {
            Some((name, Place::Ip(ip))) if name.eq_ignore_ascii_case(host) => {
                return self.pick(host, vec![SocketAddr::new(*ip, 0)]);
            }
            Some((name, Place::Host(other))) if name.eq_ignore_ascii_case(host) => other,
            _ => host,
        };
        match tokio::net::lookup_host((host, 0)).await {
            Ok(addresses) => self.pick(host, addresses.collect()),
            Err(error) => Err(lookup_error(host, &error.to_string())),
        }
    }

    fn pick(&self, host: &str, all: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DnsError> {
        if all.is_empty() {
            return Err(DnsError::NoSuchHost(host.to_owned()));
        }
        let addresses = self.family.order(all, SocketAddr::ip);
        if addresses.is_empty() {
            return Err(DnsError::NoneOfFamily {
                host: host.to_owned(),
                family: self.family,
            });
        }
        Ok(addresses)
    }
}

/// `getaddrinfo` tells its codes apart only by text: glibc's `Temporary failure in name resolution`, musl's `Try again`.
fn lookup_error(host: &str, text: &str) -> DnsError {
    match text.contains("emporary failure") || text.contains("ry again") {
        true => DnsError::NoAnswer(host.to_owned()),
        false => DnsError::NoSuchHost(host.to_owned()),
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(family: &str, instead: Option<(&str, Place)>) -> Resolver {
        let instead = instead.map(|(name, place)| (name.to_owned(), place));
        Resolver {
            family: family.parse().unwrap(),
            instead,
        }
    }

    #[tokio::test]
    async fn a_name_can_lead_elsewhere() {
        let ip: IpAddr = "127.0.0.9".parse().unwrap();
        let there = resolver("any", Some(("web.example", Place::Ip(ip))));
        assert_eq!(
            there.addresses("WEB.example").await.unwrap(),
            [SocketAddr::new(ip, 0)]
        );
        let other = resolver(
            "4",
            Some(("web.example", Place::Host("127.0.0.3".to_owned()))),
        );
        assert_eq!(
            other.addresses("web.example").await.unwrap()[0].to_string(),
            "127.0.0.3:0"
        );
        let none = resolver("6", Some(("web.example", Place::Ip(ip))));
        let error = none.addresses("web.example").await.unwrap_err();
        assert_eq!(error.to_string(), "DNS: web.example has no IPv6 address");
    }

    #[test]
    fn failures_of_lookups_are_told_apart() {
        let words = |text: &str| lookup_error("h", text).to_string();
        assert_eq!(
            words("failed to lookup address information: Name or service not known"),
            "DNS: no such host h"
        );
        assert_eq!(
            words("failed to lookup address information: Temporary failure in name resolution"),
            "DNS: no answer from the name server for h"
        );
        assert_eq!(
            words("failed to lookup address information: Try again"),
            "DNS: no answer from the name server for h"
        );
    }
}
