//! TLS of probes: options, trust, client certificates, versions, and how long the server's certificate stays valid.

mod verify;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

pub use verify::{ChainLog, Expiring, date};

use crate::cli::ConfigError;
use crate::values::{BadValue, Switch, UpTo, read_file};

/// Options of every check that can speak TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// PEM file with the CA certificates to trust, instead of those of the system
    #[arg(long, value_name = "FILE")]
    pub tls_ca_file: Option<Certificates>,
    /// PEM file with the client certificate, followed by its intermediates
    #[arg(long, value_name = "FILE")]
    pub tls_cert_file: Option<Certificates>,
    /// PEM file with the private key of the client certificate
    #[arg(long, value_name = "FILE")]
    pub tls_key_file: Option<PrivateKey>,
    /// Name to ask for (SNI) and to find in the certificate, instead of the host
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<ServerDnsName>,
    /// Accept any certificate
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_skip_verify: Switch,
    /// Lowest TLS version accepted: 1.2 or 1.3
    #[arg(long, value_name = "VERSION", default_value = "1.2")]
    pub tls_min_version: TlsVersion,
    /// Highest TLS version accepted: 1.2 or 1.3
    #[arg(long, value_name = "VERSION", default_value = "1.3")]
    pub tls_max_version: TlsVersion,
    /// Days that the server's certificate, and those it depends on, must stay valid
    #[arg(long, value_name = "DAYS")]
    pub min_cert_days: Option<UpTo<36_500>>,
}

/// Certificates from a PEM file.
#[derive(Debug, Clone)]
pub struct Certificates(pub Vec<CertificateDer<'static>>);

impl FromStr for Certificates {
    type Err = BadValue;

    fn from_str(path: &str) -> Result<Certificates, BadValue> {
        let certificates =
            CertificateDer::pem_slice_iter(&read_file(path)?).collect::<Result<Vec<_>, _>>();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Certificates(certificates)),
            _ => Err(BadValue::expected("a PEM file with certificates")),
        }
    }
}

/// A private key from a PEM file. Its `Debug` form does not show it.
#[derive(Clone)]
pub struct PrivateKey(Arc<PrivateKeyDer<'static>>);

impl FromStr for PrivateKey {
    type Err = BadValue;

    fn from_str(path: &str) -> Result<PrivateKey, BadValue> {
        PrivateKeyDer::from_pem_slice(&read_file(path)?)
            .map(|key| PrivateKey(Arc::new(key)))
            .map_err(|_| BadValue::expected("a PEM file with a private key that is not encrypted"))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A name for SNI: a host name, not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDnsName(pub String);

impl FromStr for ServerDnsName {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<ServerDnsName, BadValue> {
        match url::Host::parse(text.trim()) {
            Ok(url::Host::Domain(name)) => Ok(ServerDnsName(name)),
            _ => Err(BadValue::expected("a host name, such as web.example.com")),
        }
    }
}

/// A version of TLS. 1.0 and 1.1 are not supported: they have not been safe for years (RFC 8996).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    V12,
    /// TLS 1.3
    V13,
}

impl FromStr for TlsVersion {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<TlsVersion, BadValue> {
        match text
            .trim()
            .trim_start_matches("TLS")
            .trim_start_matches(['v', ' '])
        {
            "1.2" | "12" => Ok(TlsVersion::V12),
            "1.3" | "13" => Ok(TlsVersion::V13),
            _ => Err(BadValue::expected(
                "1.2 or 1.3 (older versions are not supported)",
            )),
        }
    }
}

/// Why no TLS connection can be set up at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// An image without CA certificates.
    #[error(
        "no CA certificates found in this image: set TLS_CA_FILE to a PEM file with those to trust"
    )]
    NoCertificates,
    /// Certificates or keys that rustls does not take.
    #[error("{0}")]
    Rejected(String),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> TlsError {
        TlsError::Rejected(crate::describe::describe(&error))
    }
}

/// What a client configuration is for.
#[derive(Debug, Clone)]
pub struct Purpose {
    /// Protocols offered by ALPN, best first.
    pub alpn: Vec<Vec<u8>>,
    /// Whether the client certificate is shown: not to hosts that a redirect named.
    pub own: bool,
    /// Where the dates of certificates are noted.
    pub log: ChainLog,
}

/// TLS options that fit together. The system's CA certificates are loaded when first needed, and once.
#[derive(Debug)]
pub struct Tls {
    args: TlsArgs,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Tls {
    /// Checks that the options fit together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a certificate without its key, and for versions that leave none.
    pub fn new(args: TlsArgs) -> Result<Tls, ConfigError> {
        match (&args.tls_cert_file, &args.tls_key_file) {
            (Some(_), None) => {
                return Err(ConfigError::of(
                    "TLS_KEY_FILE",
                    "expected the key of TLS_CERT_FILE",
                ));
            }
            (None, Some(_)) => {
                return Err(ConfigError::of(
                    "TLS_CERT_FILE",
                    "expected the certificate of TLS_KEY_FILE",
                ));
            }
            _ => {}
        }
        if args.tls_min_version > args.tls_max_version {
            return Err(ConfigError::value(
                "TLS_MAX_VERSION",
                "1.2",
                "expected at least TLS_MIN_VERSION",
            ));
        }
        let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
        if args.tls_max_version == TlsVersion::V13 {
            versions.push(&rustls::version::TLS13);
        }
        if args.tls_min_version == TlsVersion::V12 {
            versions.push(&rustls::version::TLS12);
        }
        let tls = Tls {
            args,
            provider: Arc::new(ring::default_provider()),
            versions,
            roots: OnceLock::new(),
        };
        // A certificate and a key that do not belong together are a wrong configuration, not a failing target.
        if let (Some(chain), Some(key)) = (&tls.args.tls_cert_file, &tls.args.tls_key_file) {
            let signer = tls
                .provider
                .key_provider
                .load_private_key(key.0.clone_key());
            let fits = signer.and_then(|signer| {
                rustls::sign::CertifiedKey::new(chain.0.clone(), signer).keys_match()
            });
            if fits.is_err() {
                return Err(ConfigError::of(
                    "TLS_KEY_FILE",
                    "expected the key of the certificate in TLS_CERT_FILE",
                ));
            }
        }
        Ok(tls)
    }

    /// The name to ask for instead of the host.
    pub fn server_name(&self) -> Option<&str> {
        self.args
            .tls_server_name
            .as_ref()
            .map(|name| name.0.as_str())
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        if let Some(roots) = self.roots.get() {
            return Ok(Arc::clone(roots));
        }
        let mut roots = RootCertStore::empty();
        match &self.args.tls_ca_file {
            // Each must be usable: one that is silently left out is a puzzle later.
            Some(certificates) => {
                for certificate in &certificates.0 {
                    roots.add(certificate.clone())?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(TlsError::NoCertificates);
        }
        Ok(Arc::clone(self.roots.get_or_init(|| Arc::new(roots))))
    }

    /// A client configuration for `purpose`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there are no CA certificates, or they or the client's certificate are not accepted.
    pub fn client_config(&self, purpose: Purpose) -> Result<ClientConfig, TlsError> {
        let inner = match self.args.tls_skip_verify {
            Switch(true) => None,
            Switch(false) => Some(
                WebPkiServerVerifier::builder_with_provider(
                    self.roots()?,
                    Arc::clone(&self.provider),
                )
                .build()
                .map_err(|error| TlsError::Rejected(error.to_string()))?,
            ),
        };
        let verifier = verify::Verifier {
            inner,
            algorithms: self.provider.signature_verification_algorithms,
            min_days: self.args.min_cert_days.map(|days| days.0),
            log: purpose.log,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&self.args.tls_cert_file, &self.args.tls_key_file) {
            (Some(chain), Some(key)) if purpose.own => {
                builder.with_client_auth_cert(chain.0.clone(), key.0.clone_key())?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = purpose.alpn;
        // A resumed session shows no certificate, and a probe is to see what a new client sees.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}
