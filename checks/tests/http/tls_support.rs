//! Certificates made on the spot, and TLS listeners that show them.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::support::*;

/// The day so many days from now, in UTC.
pub(crate) fn day(days: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    checks::tls::date(now.checked_add_signed(days * 86_400).unwrap())
}

/// `params` that are valid from a week ago until the beginning of the day in so many days.
fn valid(mut params: CertificateParams, days: i64) -> CertificateParams {
    let date = |text: String| {
        let mut parts = text.split('-').map(|part| part.parse::<u16>().unwrap());
        let mut next = || parts.next().unwrap();
        rcgen::date_time_ymd(next().into(), next() as u8, next() as u8)
    };
    params.not_before = date(day(days.min(0) - 7));
    params.not_after = date(day(days));
    params
}

/// A certificate authority.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
    above: Vec<CertificateDer<'static>>,
}

/// A certificate with what is needed to show it.
pub(crate) struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pem: String,
}

fn ca_params(name: &str, days: i64) -> CertificateParams {
    let mut params = valid(CertificateParams::new(Vec::new()).unwrap(), days);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params
}

impl Ca {
    pub(crate) fn new(name: &str) -> Ca {
        let key = KeyPair::generate().unwrap();
        let params = ca_params(name, 3650);
        let certificate = params.self_signed(&key).unwrap();
        Ca {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            above: Vec::new(),
        }
    }

    /// A CA below this one, valid for so many days.
    pub(crate) fn intermediate(&self, days: i64) -> Ca {
        let key = KeyPair::generate().unwrap();
        let params = ca_params("intermediate", days);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut above = vec![certificate.der().clone()];
        above.extend(self.above.iter().cloned());
        Ca {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            above,
        }
    }

    /// A certificate for `names` (127.0.0.1 among them is an address), valid for so many days.
    pub(crate) fn leaf(&self, names: &[&str], days: i64) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = valid(CertificateParams::new(names).unwrap(), days);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![certificate.der().clone()];
        chain.extend(self.above.iter().cloned());
        Leaf {
            chain,
            key,
            pem: certificate.pem(),
        }
    }
}

impl Leaf {
    /// Shows `ca` too, although nothing depends on it.
    pub(crate) fn with_extra(mut self, ca: &Ca) -> Leaf {
        self.chain.push(ca.der.clone());
        self
    }
}

/// A folder for PEM files.
pub(crate) struct Pem(tempfile::TempDir);

impl Pem {
    pub(crate) fn new() -> Pem {
        Pem(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn ca(&self, ca: &Ca) -> String {
        self.write("ca.pem", &ca.pem)
    }

    /// Files with the certificate and its key.
    pub(crate) fn leaf(&self, leaf: &Leaf, name: &str) -> (String, String) {
        (
            self.write(&format!("{name}.pem"), &leaf.pem),
            self.write(&format!("{name}.key"), &leaf.key.serialize_pem()),
        )
    }
}

/// How a listener speaks TLS.
pub(crate) struct Tls<'a> {
    pub(crate) leaf: &'a Leaf,
    pub(crate) clients: Option<&'a Ca>,
    pub(crate) clients_required: bool,
    pub(crate) version: Option<&'static rustls::SupportedProtocolVersion>,
}

impl<'a> Tls<'a> {
    pub(crate) fn of(leaf: &'a Leaf) -> Tls<'a> {
        Tls {
            leaf,
            clients: None,
            clients_required: true,
            version: None,
        }
    }

    fn config(&self, alpn: &[u8]) -> Arc<ServerConfig> {
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
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.leaf.key.serialize_der()));
        let mut config = builder
            .with_single_cert(self.leaf.chain.clone(), key)
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }
}

/// The name a client asked for, and whether it showed a certificate.
type Hello = (Option<String>, bool);

/// An HTTP/1.1 server behind TLS, and what clients showed of themselves.
pub(crate) struct TlsServer {
    pub(crate) server: Server,
    hellos: Arc<Mutex<Vec<Hello>>>,
}

impl TlsServer {
    pub(crate) fn answering(
        tls: &Tls<'_>,
        respond: impl Fn(usize, &Seen) -> Vec<u8> + Send + Sync + 'static,
    ) -> TlsServer {
        let config = tls.config(b"http/1.1");
        let hellos: Arc<Mutex<Vec<Hello>>> = Arc::default();
        let noted = Arc::clone(&hellos);
        let wrap = move |mut stream: TcpStream| -> Option<Box<dyn Stream>> {
            let mut connection = ServerConnection::new(Arc::clone(&config)).ok()?;
            while connection.is_handshaking() {
                if connection.complete_io(&mut stream).is_err() {
                    // The alert tells the client why.
                    let _ = connection.complete_io(&mut stream);
                    return None;
                }
            }
            let name = connection.server_name().map(str::to_owned);
            let certified = connection.peer_certificates().is_some();
            noted.lock().unwrap().push((name, certified));
            Some(Box::new(StreamOwned::new(connection, stream)))
        };
        let server = Server::wrapping("127.0.0.1:0", wrap, move |number, seen, stream| {
            let _ = stream.write_all(&respond(number, &seen));
        });
        TlsServer { server, hellos }
    }

    pub(crate) fn saying(tls: &Tls<'_>, status: u16, headers: &[(&str, &str)]) -> TlsServer {
        let bytes = answer(status, headers, "hello");
        TlsServer::answering(tls, move |_, _| bytes.clone())
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.server.address.port())
    }

    /// What each client said of itself.
    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.hellos.lock().unwrap().clone()
    }
}

/// An HTTP/2 server, plain or behind TLS, that answers with the `:authority` it was asked for.
pub(crate) fn http2(tls: Option<&Tls<'_>>) -> SocketAddr {
    let acceptor = tls.map(|tls| tokio_rustls::TlsAcceptor::from(tls.config(b"h2")));
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match acceptor.clone() {
                    None => drop(tokio::spawn(serve(stream))),
                    Some(acceptor) => drop(tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream).await;
                        }
                    })),
                }
            }
        });
    });
    address
}

async fn serve<S>(stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let respond = hyper::service::service_fn(
        |request: hyper::Request<hyper::body::Incoming>| async move {
            let authority = request
                .uri()
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default();
            Ok::<_, Infallible>(hyper::Response::new(reqwest::Body::from(authority)))
        },
    );
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), respond);
    let _ = connection.await;
}
