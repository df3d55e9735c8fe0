//! Certificates made on the spot, and the server's side of TLS.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

pub(crate) type Encrypted = StreamOwned<ServerConnection, TcpStream>;

/// The day so many days from now, in UTC.
pub(crate) fn day(days: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    checks::tls::date(now.checked_add_signed(days * 86_400).unwrap())
}

/// A certificate authority, with its certificate in a file.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    dir: tempfile::TempDir,
}

/// A certificate and its key.
pub(crate) struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pem: String,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Ca {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Ca {
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            dir,
        }
    }

    /// The path of a file in this authority's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// The file with its certificate.
    pub(crate) fn file(&self) -> String {
        self.path("ca.pem")
    }

    /// A certificate for `names`, valid until the beginning of the day in so many days.
    pub(crate) fn leaf(&self, names: &[&str], days: i64) -> Leaf {
        let date = |text: String| {
            let parts: Vec<u16> = text.split('-').map(|part| part.parse().unwrap()).collect();
            rcgen::date_time_ymd(parts[0].into(), parts[1] as u8, parts[2] as u8)
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date(day(days.min(0) - 7));
        params.not_after = date(day(days));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: vec![certificate.der().clone()],
            key,
            pem: certificate.pem(),
        }
    }

    /// Files with a client certificate of this authority and its key.
    pub(crate) fn client(&self) -> (String, String) {
        let leaf = self.leaf(&["client"], 30);
        let (certificate, key) = (self.path("client.pem"), self.path("client.key"));
        std::fs::write(&certificate, &leaf.pem).unwrap();
        std::fs::write(&key, leaf.key.serialize_pem()).unwrap();
        (certificate, key)
    }
}

impl Leaf {
    /// A server's configuration with this certificate. With `clients`, clients must show one of that authority.
    pub(crate) fn server(&self, clients: Option<&Ca>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.der.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        builder.with_single_cert(self.chain.clone(), key).unwrap()
    }
}

/// Speaks TLS on a connection.
pub(crate) fn encrypt(config: &Arc<ServerConfig>, stream: TcpStream) -> Encrypted {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}
