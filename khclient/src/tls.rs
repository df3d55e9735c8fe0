//! The HTTP clients of the reporter.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, redirect, retry};

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file that `KH_CA_FILE` names cannot be read.
    #[error("KH_CA_FILE={path:?}: expected a file with CA certificates in PEM form: {source}")]
    CaUnreadable {
        /// The file.
        path: PathBuf,
        /// What reading it met.
        source: std::io::Error,
    },
    /// The file that `KH_CA_FILE` names holds no certificate.
    #[error(
        "KH_CA_FILE={path:?}: expected CA certificates in PEM form, found none that can be read"
    )]
    CaUnusable {
        /// The file.
        path: PathBuf,
    },
    /// There are no CA certificates to check the server's against.
    #[error(
        "no CA certificates for an https reporting URL: set KH_CA_FILE to a PEM file with the CA of the server's \
         certificate (SSL_CERT_FILE and the system's certificates were tried: {detail})"
    )]
    NoRoots {
        /// What the TLS library said.
        detail: String,
    },
    /// Anything else that keeps the client from being built.
    #[error("the HTTP client could not be set up: {detail}")]
    Client {
        /// What the HTTP library said.
        detail: String,
    },
}

/// A client for http: it needs no certificates, and must not pay for loading them.
pub(crate) fn plain_client(connect: Duration) -> Result<Client, SetupError> {
    builder(connect)
        .tls_certs_only([])
        .build()
        .map_err(|error| SetupError::Client {
            detail: innermost(&error),
        })
}

/// A client for https that trusts the certificates in `ca_file`, or else those of `SSL_CERT_FILE` or the system.
pub(crate) fn tls_client(ca_file: Option<&Path>, connect: Duration) -> Result<Client, SetupError> {
    let Some(path) = ca_file else {
        return builder(connect)
            .build()
            .map_err(|error| SetupError::NoRoots {
                detail: innermost(&error),
            });
    };
    let pem = read_regular(path).map_err(|source| SetupError::CaUnreadable {
        path: path.to_owned(),
        source,
    })?;
    let unusable = || SetupError::CaUnusable {
        path: path.to_owned(),
    };
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| unusable())?;
    if certificates.is_empty() {
        return Err(unusable());
    }
    builder(connect)
        .tls_certs_only(certificates)
        .build()
        .map_err(|_| unusable())
}

/// More than all certificates of a system have together.
const LARGEST_FILE: u64 = 16 << 20;

/// A FIFO would block the harness itself, deadline and signals with it, and a device would never end.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() || meta.len() > LARGEST_FILE {
        return Err(io::Error::other("not a regular file of at most 16 MiB"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// No proxy (reports stay in the cluster), no redirects and no retries of the library's own (each could send a verdict
/// twice or lose its body), and a fresh connection for every attempt.
fn builder(connect: Duration) -> reqwest::ClientBuilder {
    crate::install_crypto_provider();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .pool_max_idle_per_host(0)
        .http1_only()
        .connect_timeout(connect)
        .user_agent(concat!("khclient/", env!("CARGO_PKG_VERSION")))
}

/// The last cause of `error`, which is what a person can act on.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    crate::text::clean(&last.to_string())
}
