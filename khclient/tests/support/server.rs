//! An HTTP server that does to each request what a script says, and remembers what it received.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use super::PLENTY;
use super::tls::{Acceptor, Ca};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The status it was answered with, once it was.
    pub(crate) answered: Option<u16>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// This status, extra header lines and body.
    Status(u16, String, String),
    /// The whole head of an answer, and a body that never comes.
    Headless(u16),
    /// The connection is closed.
    Close,
    /// The connection is reset with part of the request unread. Decided before the request is read.
    Reset,
    /// Nothing, while the connection stays open.
    Hang,
    /// Nothing until the gate is opened.
    Wait(Gate, Box<Reply>),
}

pub(crate) fn status(code: u16) -> Reply {
    Reply::Status(code, String::new(), String::new())
}

pub(crate) fn text(code: u16, body: &str) -> Reply {
    Reply::Status(code, String::new(), body.to_owned())
}

pub(crate) fn location(code: u16, target: &str) -> Reply {
    Reply::Status(code, format!("Location: {target}\r\n"), String::new())
}

/// Something that happens once, and can be waited for.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let shut = self.0.0.lock().unwrap();
        let _ = self
            .0
            .1
            .wait_timeout_while(shut, PLENTY, |open| !*open)
            .unwrap();
    }
}

type Script = Box<dyn FnMut(usize) -> Reply + Send>;

struct Shared {
    requests: Mutex<Vec<Request>>,
    script: Mutex<(usize, Script)>,
    held: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
    tls: Option<Acceptor>,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

/// An address that nothing listens on and no other test is given.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = (std::process::id() % 199) as u8;
    let ip = Ipv4Addr::new(127, 40 + process, high, low.max(1));
    // Bound for a moment only, to learn of a port.
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

impl Server {
    /// Follows `replies` request by request; the last one is repeated.
    pub(crate) fn start(replies: impl Into<Vec<Reply>>) -> Server {
        Server::start_at(free_address(), replies)
    }

    pub(crate) fn start_at(address: SocketAddr, replies: impl Into<Vec<Reply>>) -> Server {
        Server::launch(
            TcpListener::bind(address).unwrap(),
            in_turn(replies.into()),
            None,
        )
    }

    /// Speaks TLS, with a certificate of `ca` for its address.
    pub(crate) fn start_tls(ca: &Ca, replies: impl Into<Vec<Reply>>) -> Server {
        let listener = TcpListener::bind(free_address()).unwrap();
        let acceptor = ca.acceptor(&listener.local_addr().unwrap().ip().to_string());
        Server::launch(listener, in_turn(replies.into()), Some(acceptor))
    }

    /// Serves no connection before `gate` is opened; the system completes them all the same, and keeps what was sent.
    pub(crate) fn start_behind(gate: Gate, replies: impl Into<Vec<Reply>>) -> Server {
        let listener = TcpListener::bind(free_address()).unwrap();
        let mut script = in_turn(replies.into());
        let mut waited = false;
        Server::launch(
            listener,
            Box::new(move |nth| {
                if !std::mem::replace(&mut waited, true) {
                    gate.wait();
                }
                script(nth)
            }),
            None,
        )
    }

    fn launch(listener: TcpListener, script: Script, tls: Option<Acceptor>) -> Server {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            script: Mutex::new((0, script)),
            held: Mutex::default(),
            stopped: AtomicBool::new(false),
            tls,
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Server {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The bodies received, which must have been complete.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .map(|request| request.body)
            .collect()
    }

    /// The bodies answered with 200.
    pub(crate) fn accepted(&self) -> Vec<String> {
        let accepted = self
            .requests()
            .into_iter()
            .filter(|request| request.answered == Some(200));
        accepted.map(|request| request.body).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for held in self.shared.held.lock().unwrap().drain(..) {
            let _ = held.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn in_turn(replies: Vec<Reply>) -> Script {
    Box::new(move |nth| replies[nth.min(replies.len() - 1)].clone())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        stream.set_read_timeout(Some(PLENTY)).unwrap();
        let reply = {
            let mut script = shared.script.lock().unwrap();
            let nth = script.0;
            script.0 += 1;
            script.1(nth)
        };
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, reply, &shared));
    }
}

fn serve(stream: TcpStream, reply: Reply, shared: &Shared) {
    if matches!(reply, Reply::Reset) {
        return reset(stream);
    }
    let kept = stream.try_clone().unwrap();
    match &shared.tls {
        Some(acceptor) => converse(acceptor.accept(stream), kept, reply, shared),
        None => converse(stream, kept, reply, shared),
    }
}

/// Closing a socket that has unread bytes sends a reset. Waits for the bytes first.
fn reset(mut stream: TcpStream) {
    let mut byte = [0];
    if stream.read_exact(&mut byte).is_ok() {
        let _ = stream.peek(&mut byte);
    }
}

fn converse(mut stream: impl Read + Write, kept: TcpStream, reply: Reply, shared: &Shared) {
    let Some(request) = read_request(&mut stream) else {
        return;
    };
    let index = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(request);
        requests.len() - 1
    };
    let mut reply = reply;
    while let Reply::Wait(gate, then) = reply {
        gate.wait();
        reply = *then;
    }
    let answer = match &reply {
        Reply::Status(code, headers, body) => Some((
            *code,
            format!(
                "HTTP/1.1 {code} Scripted\r\nContent-Length: {}\r\n{headers}\r\n{body}",
                body.len()
            ),
        )),
        Reply::Headless(code) => Some((
            *code,
            format!("HTTP/1.1 {code} Scripted\r\nContent-Length: 10\r\n\r\n"),
        )),
        _ => None,
    };
    if let Some((code, answer)) = answer {
        // Before it is written, so that whoever saw the answer also sees this.
        shared.requests.lock().unwrap()[index].answered = Some(code);
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.flush();
    }
    match reply {
        Reply::Hang | Reply::Headless(_) => shared.held.lock().unwrap().push(kept),
        _ => {
            let _ = kept.shutdown(Shutdown::Both);
        }
    }
}

/// A whole request, or `None` if the client went away before it was complete.
fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
            let mut lines = text.lines();
            let mut first = lines.next()?.split(' ');
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers
                .iter()
                .find(|(name, _)| name == "content-length")
                .and_then(|(_, value)| value.parse().ok())
                .unwrap_or(0);
            if bytes.len() >= head + 4 + length {
                return Some(Request {
                    at: Instant::now(),
                    method: first.next()?.to_owned(),
                    target: first.next()?.to_owned(),
                    headers,
                    body: String::from_utf8(bytes[head + 4..].to_vec()).unwrap(),
                    answered: None,
                });
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
