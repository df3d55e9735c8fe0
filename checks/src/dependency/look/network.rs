//! Names, ports and URLs.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Client;
use tokio::net::TcpStream;
use url::Url;

use super::Looker;
use crate::dependency::judge::NotReady;
use crate::describe::describe;
use crate::dns::{DnsError, Resolver};
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
    let mut tries: FuturesUnordered<_> = addresses
        .into_iter()
        .enumerate()
        .map(|(place, mut address)| async move {
            address.set_port(port);
            TcpStream::connect(address)
                .await
                .map_err(|error| (place, error))
        })
        .collect();
    let mut errors = Vec::new();
    while let Some(outcome) = tries.next().await {
        match outcome {
            Ok(_) => return Ok(()),
            Err(error) => errors.push(error),
        }
    }
    // Which of them is told must not depend on which was the fastest.
    errors.sort_by_key(|(place, _)| *place);
    let first = errors.first().map(|(_, error)| describe(error));
    Err(wrong(first.unwrap_or_else(|| "no address".to_owned())))
}

impl Looker {
    /// The URL answers with an accepted status.
    pub(super) async fn http(&self, url: &Url) -> Result<(), NotReady> {
        let expected = || format!("status {}", self.accepted);
        let wrong = |seen: String| NotReady::new(expected(), seen);
        let certificates = ChainLog::default();
        let client = self.client(url, &certificates).map_err(wrong)?;
        let response = client.get(url.clone()).send().await;
        let response = response.map_err(|error| wrong(describe(&error)))?;
        if let Some(expiring) = certificates.take().first() {
            let days = self.tls.min_days().unwrap_or_default();
            let expected = format!("certificates valid for {days} days");
            return Err(NotReady::new(expected, expiring.reason(days)));
        }
        match response.status().as_u16() {
            status if self.accepted.contains(status) => Ok(()),
            status => Err(wrong(status.to_string())),
        }
    }

    fn client(&self, url: &Url, certificates: &ChainLog) -> Result<Client, String> {
        khclient::install_crypto_provider();
        let builder = Client::builder()
            .user_agent(crate::USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(RESOLVER))
            .no_proxy();
        let builder = match url.scheme() {
            "https" => {
                let purpose = Purpose {
                    alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
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
