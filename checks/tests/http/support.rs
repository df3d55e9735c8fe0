//! A tiny Kuberhealthy, scripted web servers, and the real binary between them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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

/// A server on loopback that gives every connection to a handler of its own; it lives as long as the test process.
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

    /// As [`Server::on`], with `wrap` around each connection (TLS, say).
    pub(crate) fn wrapping(
        address: &str,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
        respond: impl Fn(usize, Seen, &mut dyn Stream) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&server.seen);
        let (respond, wrap) = (Arc::new(respond), Arc::new(wrap));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (respond, wrap, seen) =
                    (Arc::clone(&respond), Arc::clone(&wrap), Arc::clone(&seen));
                let Ok(stream) = stream else { continue };
                thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let Some(mut stream) = wrap(stream) else {
                        return;
                    };
                    if let Some(request) = read_request(&mut stream) {
                        let number = {
                            let mut seen = seen.lock().unwrap();
                            seen.push(request.clone());
                            seen.len() - 1
                        };
                        respond(number, request, &mut stream);
                        let _ = stream.flush();
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A port nobody listens on.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Which Kuberhealthy is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Line {
    V2,
    V3,
}

/// A run of the binary and what it reported.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) errors: Vec<String>,
    pub(crate) log: String,
    pub(crate) took: Duration,
}

impl Verdict {
    #[track_caller]
    pub(crate) fn passed(&self) -> &Verdict {
        assert!(self.ok && self.errors.is_empty(), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(&self, errors: &[&str]) -> &Verdict {
        assert!(!self.ok, "{self:#?}");
        assert_eq!(self.errors, errors, "{self:#?}");
        self
    }

    /// One error with all of `parts` in it.
    #[track_caller]
    pub(crate) fn failed_with(&self, parts: &[&str]) -> &Verdict {
        assert!(!self.ok && self.errors.len() == 1, "{self:#?}");
        for part in parts {
            assert!(self.errors[0].contains(part), "{part} is not in {self:#?}");
        }
        self
    }
}

/// A run to be.
pub(crate) struct Check {
    line: Line,
    deadline: Option<Duration>,
    vars: Vec<(String, String)>,
    args: Vec<String>,
}

/// http-check with these variables.
pub(crate) fn check(vars: &[(&str, &str)]) -> Check {
    let vars = vars
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Check {
        line: Line::V3,
        deadline: Some(Duration::from_secs(60)),
        vars: vars.collect(),
        args: Vec::new(),
    }
}

/// http-check of one URL, with further variables.
pub(crate) fn probe(url: &str, vars: &[(&str, &str)]) -> Verdict {
    check(vars).var("CHECK_URL", url).run()
}

impl Check {
    pub(crate) fn var(mut self, name: &str, value: &str) -> Check {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn with(self, vars: &[(&str, &str)]) -> Check {
        vars.iter()
            .fold(self, |check, (name, value)| check.var(name, value))
    }

    pub(crate) fn arg(mut self, arg: &str) -> Check {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn line(mut self, line: Line) -> Check {
        self.line = line;
        self
    }

    pub(crate) fn deadline(mut self, deadline: Option<Duration>) -> Check {
        self.deadline = deadline;
        self
    }

    /// Runs it; asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn run(self) -> Verdict {
        let kuberhealthy = Server::saying(200, &[], "");
        let path = if self.line == Line::V2 {
            "/externalCheckStatus"
        } else {
            "/check"
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_http-check"));
        command
            .env_clear()
            .env("KH_REPORTING_URL", kuberhealthy.url(path))
            .env("KH_RUN_UUID", "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41")
            .env("KH_POD_NAMESPACE", "kuberhealthy")
            .args(&self.args)
            .stdin(Stdio::null());
        if let Some(deadline) = self.deadline {
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + deadline;
            command.env("KH_CHECK_RUN_DEADLINE", deadline.as_secs().to_string());
        }
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let output = command.output().unwrap();
        let took = started.elapsed();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        let reports = kuberhealthy.seen();
        assert_eq!(reports.len(), 1, "{log}");
        let report = &reports[0];
        assert_eq!(
            (report.method.as_str(), report.path.as_str()),
            ("POST", path)
        );
        assert_eq!(
            report.header("kh-run-uuid"),
            "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41"
        );
        let body: Value = serde_json::from_str(&report.body).unwrap();
        let errors = body["Errors"].as_array().unwrap();
        Verdict {
            ok: body["OK"].as_bool().unwrap(),
            errors: errors
                .iter()
                .map(|error| error.as_str().unwrap().to_owned())
                .collect(),
            log,
            took,
        }
    }
}
