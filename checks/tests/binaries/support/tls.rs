//! Certificates made on the spot, and the server's side of TLS.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

/// The day so many days from now, in UTC.
pub(crate) fn day(days: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    checks::tls::date(now.checked_add_signed(days * 86_400).unwrap())
}

/// For `names` (an address among them is one), from a week ago until the beginning of the day in so many days.
fn valid(names: &[&str], days: i64) -> CertificateParams {
    let date = |text: String| {
        let parts: Vec<u16> = text.split('-').map(|part| part.parse().unwrap()).collect();
        rcgen::date_time_ymd(parts[0].into(), parts[1] as u8, parts[2] as u8)
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date(day(days.min(0) - 7));
    params.not_after = date(day(days));
    params
}

/// A certificate authority, with its certificate in a file.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    /// What its leaves show behind their own certificates.
    above: Vec<CertificateDer<'static>>,
    folder: TempDir,
}

impl Ca {
    /// One that nobody else vouches for.
    pub(crate) fn new(name: &str) -> Ca {
        let key = KeyPair::generate().unwrap();
        let params = Ca::params(name, 3650);
        let certificate = params.self_signed(&key).unwrap();
        Ca::with(&certificate, Issuer::new(params, key), Vec::new())
    }

    /// A CA below this one, valid for so many days.
    pub(crate) fn intermediate(&self, days: i64) -> Ca {
        let key = KeyPair::generate().unwrap();
        let params = Ca::params("intermediate", days);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = [&[certificate.der().clone()], &self.above[..]].concat();
        Ca::with(&certificate, Issuer::new(params, key), above)
    }

    fn params(name: &str, days: i64) -> CertificateParams {
        let mut params = valid(&[], days);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn with(
        certificate: &Certificate,
        issuer: Issuer<'static, KeyPair>,
        above: Vec<CertificateDer<'static>>,
    ) -> Ca {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Ca {
            issuer,
            der: certificate.der().clone(),
            above,
            folder,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The file with its certificate.
    pub(crate) fn file(&self) -> String {
        self.path("ca.pem")
    }

    /// A certificate for `names`, valid until the beginning of the day in so many days.
    pub(crate) fn leaf(&self, names: &[&str], days: i64) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = valid(names, days).signed_by(&key, &self.issuer).unwrap();
        let chain = [&[certificate.der().clone()], &self.above[..]].concat();
        Leaf {
            chain,
            key,
            pem: certificate.pem(),
        }
    }

    /// Its own certificate, as if it were one for a server.
    pub(crate) fn itself(&self) -> Leaf {
        let key = self.issuer.key().serialize_der();
        Leaf {
            chain: vec![self.der.clone()],
            key: KeyPair::try_from(key).unwrap(),
            pem: std::fs::read_to_string(self.file()).unwrap(),
        }
    }

    /// Files with a client certificate of this authority and its key.
    pub(crate) fn client(&self) -> (String, String) {
        let leaf = self.leaf(&["client"], 90);
        let (certificate, key) = (self.path("client.pem"), self.path("client.key"));
        std::fs::write(&certificate, &leaf.pem).unwrap();
        std::fs::write(&key, leaf.key.serialize_pem()).unwrap();
        (certificate, key)
    }
}

/// A certificate with what is needed to show it.
pub(crate) struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pub(crate) pem: String,
}

impl Leaf {
    /// A certificate for `names` that no CA vouches for.
    pub(crate) fn self_signed(names: &[&str], days: i64) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = valid(names, days).self_signed(&key).unwrap();
        Leaf {
            chain: vec![certificate.der().clone()],
            key,
            pem: certificate.pem(),
        }
    }

    /// Shows `ca` too, although nothing depends on it.
    pub(crate) fn with_extra(mut self, ca: &Ca) -> Leaf {
        self.chain.push(ca.der.clone());
        self
    }

    /// The configuration of a server that speaks no protocol in particular; with `clients`, they must show a
    /// certificate of that authority.
    pub(crate) fn server(&self, clients: Option<&Ca>) -> ServerConfig {
        let tls = Tls {
            clients,
            alpn: &[],
            ..Tls::of(self)
        };
        tls.config()
    }
}

/// How a listener speaks TLS.
#[derive(Clone, Copy)]
pub(crate) struct Tls<'a> {
    pub(crate) leaf: &'a Leaf,
    pub(crate) clients: Option<&'a Ca>,
    pub(crate) clients_required: bool,
    pub(crate) version: Option<&'static SupportedProtocolVersion>,
    pub(crate) alpn: &'a [&'a str],
}

impl<'a> Tls<'a> {
    /// Any version, HTTP/1.1, and no certificates of clients.
    pub(crate) fn of(leaf: &'a Leaf) -> Tls<'a> {
        Tls {
            leaf,
            clients: None,
            clients_required: true,
            version: None,
            alpn: &["http/1.1"],
        }
    }

    pub(crate) fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let only = self.version.as_slice();
        let versions = if only.is_empty() {
            rustls::ALL_VERSIONS
        } else {
            only
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.der.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.clients_required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf.key.serialize_der()));
        let mut config = builder
            .with_single_cert(self.leaf.chain.clone(), key)
            .unwrap();
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config
    }
}

/// Speaks TLS on a connection.
pub(crate) fn encrypt(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}
