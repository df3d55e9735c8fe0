//! Where a receiver is. What may be a secret in an address is shown nowhere.

use std::fmt;

use url::{Host, Url};

/// An address of a receiver. Shown, it is scheme, host and port: a path can be a secret, and so can a query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The address that `text` is.
    ///
    /// # Errors
    /// What is expected, and what was found, without what may be a secret.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        const EXPECTED: &str = "expected a URL such as https://host:port/path";
        let url =
            Url::parse(text.trim()).map_err(|why| format!("{EXPECTED}, found none: {why}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(format!("{EXPECTED}, found one that begins with {scheme}:"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "{EXPECTED}, found one with a user name or a password: give those in a file or a header"
            ));
        }
        if url.fragment().is_some() {
            return Err(format!("{EXPECTED}, found one with a #"));
        }
        Ok(Endpoint(url))
    }

    /// Whether there is a query.
    pub(super) fn has_query(&self) -> bool {
        self.0.query().is_some()
    }

    /// Whether TLS is spoken there.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is on this machine, where no proxy leads.
    pub(super) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The address itself.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// The address with this path after its own.
    pub(super) fn join(&self, path: &str) -> Endpoint {
        let mut url = self.0.clone();
        let joined = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        Endpoint(url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        if self.0.path().len() > 1 || self.0.query().is_some() {
            f.write_str("/***")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
