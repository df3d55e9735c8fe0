//! Names, ports and URLs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Client;
use reqwest::header::HOST;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::Looker;
use crate::dependency::judge::NotReady;
use crate::describe::describe;
use crate::dns::{DnsError, Place, Resolver};
use crate::tls::{ChainLog, Purpose};
use crate::values::IpFamily;

const RESOLVER: Resolver = Resolver {
    family: IpFamily::Any,
    instead: None,
};

/// Why a name has no address, for a finding that names it already.
fn unresolved(error: &DnsError) -> &'static str {
    match error {
        DnsError::NoSuchHost(_) => "no such host",
        DnsError::NoAnswer(_) => "no answer from the name server",
        DnsError::NoneOfFamily { .. } => "no address of that family",
    }
}

/// The name has an address.
pub(super) async fn dns(name: &str) -> Result<(), NotReady> {
    resolves(name, || "an address".to_owned()).await
}

/// The name that a service stands for has an address.
pub(super) async fn external(name: &str) -> Result<(), NotReady> {
    resolves(name, || {
        format!("its external name {name} to have an address")
    })
    .await
}

async fn resolves(name: &str, expected: impl FnOnce() -> String) -> Result<(), NotReady> {
    match RESOLVER.addresses(name).await {
        Ok(_) => Ok(()),
        Err(error) => Err(NotReady::new(expected(), unresolved(&error))),
    }
}

/// One of the addresses of the host accepts a connection. All are tried at once, so that one that drops packets does
/// not use up the time of the others.
pub(super) async fn tcp(host: &str, port: u16) -> Result<(), NotReady> {
    let wrong = |seen: String| NotReady::new("a connection", seen);
    let addresses = RESOLVER
        .addresses(host)
        .await
        .map_err(|error| wrong(error.to_string()))?;
    connect(addresses.into_iter().map(|mut address| {
        address.set_port(port);
        address
    }))
    .await
    .map_err(wrong)
}

async fn connect(addresses: impl Iterator<Item = SocketAddr>) -> Result<(), String> {
    let mut tries: FuturesUnordered<_> = addresses.map(TcpStream::connect).collect();
    let mut reasons = BTreeSet::new();
    while let Some(outcome) = tries.next().await {
        match outcome {
            Ok(_) => return Ok(()),
            Err(error) => reasons.insert(describe(&error)),
        };
    }
    // Each once and in an order of its own: name servers give addresses in another one each time.
    Err(reasons.into_iter().collect::<Vec<_>>().join(", "))
}

impl Looker {
    /// The URL answers with an accepted status.
    pub(super) async fn http(&self, url: &Url) -> Result<(), NotReady> {
        let expected = || format!("status {}", self.accepted);
        let wrong = |seen: String| NotReady::new(expected(), seen);
        let certificates = ChainLog::default();
        let route = Route::new(url, self.tls.server_name());
        let client = self.client(&route, &certificates).map_err(wrong)?;
        let mut request = client.get(route.url);
        if let Some(host) = route.host {
            request = request.header(HOST, host);
        }
        let response = request.send().await;
        let response = response.map_err(|error| wrong(describe(&error)))?;
        if let Some(expiring) = certificates.take().first() {
            let days = self.min_cert_days;
            let expected = format!("certificates valid for {days} days");
            return Err(NotReady::new(expected, expiring.reason(days)));
        }
        match response.status().as_u16() {
            status if self.accepted.contains(status) => Ok(()),
            status => Err(wrong(status.to_string())),
        }
    }

    fn client(&self, route: &Route, certificates: &ChainLog) -> Result<Client, String> {
        khclient::install_crypto_provider();
        let mut builder = Client::builder()
            .user_agent(crate::USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(route.resolver.clone()))
            .no_proxy();
        // HTTP/2 has no host besides that of the URL.
        let mut alpn = vec![b"http/1.1".to_vec()];
        match route.host {
            Some(_) => builder = builder.http1_only(),
            None => alpn.insert(0, b"h2".to_vec()),
        }
        let builder = match route.url.scheme() {
            "https" => {
                let purpose = Purpose {
                    alpn,
                    own: true,
                    log: certificates.clone(),
                };
                let config = self.tls.client_config(purpose);
                builder.tls_backend_preconfigured(config.map_err(|error| error.to_string())?)
            }
            // Without this, CA certificates would be loaded that nobody needs.
            _ => builder.tls_certs_only([]),
        };
        builder.build().map_err(|error| describe(&error))
    }
}

/// How to reach a URL whose server shows a certificate for another name: that name goes into the URL, the URL's own host
/// into the `Host` header, and the resolver leads from the one to the other.
struct Route {
    url: Url,
    host: Option<String>,
    resolver: Resolver,
}

impl Route {
    fn new(url: &Url, server_name: Option<&str>) -> Route {
        let mut route = Route {
            url: url.clone(),
            host: None,
            resolver: RESOLVER,
        };
        let Some(name) = server_name.filter(|_| url.scheme() == "https") else {
            return route;
        };
        let real = url.host_str().unwrap_or_default();
        if real.eq_ignore_ascii_case(name) || route.url.set_host(Some(name)).is_err() {
            return route;
        }
        let place = match url.host() {
            Some(Host::Ipv4(ip)) => Place::Ip(ip.into()),
            Some(Host::Ipv6(ip)) => Place::Ip(ip.into()),
            _ => Place::Host(real.to_owned()),
        };
        route.resolver.instead = Some((name.to_ascii_lowercase(), place));
        route.host = Some(match url.port() {
            Some(port) => format!("{real}:{port}"),
            None => real.to_owned(),
        });
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reasons_do_not_depend_on_the_order_of_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = SocketAddr::new([127, 0, 0, 9].into(), open.port());
        // No connection can be made to a broadcast address.
        let forbidden = SocketAddr::new([255, 255, 255, 255].into(), open.port());
        let one = connect([closed, forbidden].into_iter()).await.unwrap_err();
        let other = connect([forbidden, closed, closed].into_iter()).await;
        assert_eq!(other, Err(one.clone()));
        assert!(
            one.contains("connection refused") && one.contains(", "),
            "{one}"
        );
        assert_eq!(connect([closed, open].into_iter()).await, Ok(()));
    }
}
