//! HTTP/1.1 servers as scripted, plain or behind TLS, that note what they are asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::{Tls, encrypt, serve_on};

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Reads one HTTP/1.1 request.
pub(crate) fn read_request(stream: &mut dyn Read) -> Option<Seen> {
    let mut data = Vec::new();
    let mut byte = [0];
    while !data.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        data.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&data).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |value| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Seen {
        method,
        path,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// An answer with a `Content-Length`.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 {status} Word\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n" + body).into_bytes()
}

/// A connection, plain or not.
pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A server that reads one request of every connection; it lives as long as the test process.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers each request by `respond`, which gets how many came before it.
    pub(crate) fn answering(
        respond: impl Fn(usize, &Seen) -> Vec<u8> + Send + Sync + 'static,
    ) -> Server {
        Server::on("127.0.0.1:0", move |number, seen, stream| {
            let _ = stream.write_all(&respond(number, &seen));
        })
    }

    /// Always the same answer.
    pub(crate) fn saying(status: u16, headers: &[(&str, &str)], body: &str) -> Server {
        let bytes = answer(status, headers, body);
        Server::answering(move |_, _| bytes.clone())
    }

    /// Hands each request and its connection to `respond`.
    pub(crate) fn on(
        address: &str,
        respond: impl Fn(usize, Seen, &mut dyn Stream) + Send + Sync + 'static,
    ) -> Server {
        Server::wrapping(address, |stream| Some(Box::new(stream)), respond)
    }

    /// As [`Server::on`], with `wrap` around each connection.
    fn wrapping(
        address: &str,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
        respond: impl Fn(usize, Seen, &mut dyn Stream) + Send + Sync + 'static,
    ) -> Server {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let address = serve_on(address, move |stream| {
            let Some(mut stream) = wrap(stream) else {
                return;
            };
            if let Some(request) = read_request(&mut stream) {
                let number = {
                    let mut noted = noted.lock().unwrap();
                    noted.push(request.clone());
                    noted.len() - 1
                };
                respond(number, request, &mut stream);
                let _ = stream.flush();
            }
        });
        Server { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// The name a client asked for, and whether it showed a certificate.
type Hello = (Option<String>, bool);

/// A [`Server`] behind TLS, and what clients showed of themselves.
pub(crate) struct TlsServer {
    pub(crate) server: Server,
    hellos: Arc<Mutex<Vec<Hello>>>,
}

impl TlsServer {
    /// Hands each request and its connection to `respond`.
    pub(crate) fn on(
        tls: &Tls<'_>,
        respond: impl Fn(usize, Seen, &mut dyn Stream) + Send + Sync + 'static,
    ) -> TlsServer {
        let config = Arc::new(tls.config());
        let hellos: Arc<Mutex<Vec<Hello>>> = Arc::default();
        let noted = Arc::clone(&hellos);
        let wrap = move |stream: TcpStream| -> Option<Box<dyn Stream>> {
            let mut stream = encrypt(&config, stream);
            while stream.conn.is_handshaking() {
                if stream.conn.complete_io(&mut stream.sock).is_err() {
                    // The alert tells the client why.
                    let _ = stream.conn.complete_io(&mut stream.sock);
                    return None;
                }
            }
            let name = stream.conn.server_name().map(str::to_owned);
            let certified = stream.conn.peer_certificates().is_some();
            noted.lock().unwrap().push((name, certified));
            Some(Box::new(stream))
        };
        let server = Server::wrapping("127.0.0.1:0", wrap, respond);
        TlsServer { server, hellos }
    }

    /// Always the same answer, with the body `hello`.
    pub(crate) fn saying(tls: &Tls<'_>, status: u16, headers: &[(&str, &str)]) -> TlsServer {
        let bytes = answer(status, headers, "hello");
        TlsServer::on(tls, move |_, _, stream| {
            let _ = stream.write_all(&bytes);
        })
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.server.address.port())
    }

    /// What each client said of itself.
    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.hellos.lock().unwrap().clone()
    }
}
