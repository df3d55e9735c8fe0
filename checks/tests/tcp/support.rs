//! A tiny Kuberhealthy, small servers, and the real binary between them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server on `address` that gives every connection to `handle`; it lives as long as the test process.
pub(crate) fn serve_on(
    address: &str,
    handle: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                handle(stream);
            });
        }
    });
    address
}

/// [`serve_on`] loopback.
pub(crate) fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    serve_on("127.0.0.1:0", handle)
}

/// A server that says `banner` and then waits for the other side to close.
pub(crate) fn saying(banner: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.write_all(banner);
        wait_for_end(&mut stream);
    })
}

/// Reads until the other side closes.
pub(crate) fn wait_for_end(stream: &mut dyn Read) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
}

/// Reads one line.
pub(crate) fn read_line(stream: &mut dyn Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// A port nobody listens on.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A listener that drops what it gets: nobody accepts, and its backlog is full.
pub(crate) struct Dropping {
    pub(crate) address: SocketAddr,
    _held: (TcpListener, Vec<TcpStream>),
}

pub(crate) fn dropping() -> Dropping {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap().into_std().unwrap()
    });
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(stream);
        assert!(held.len() < 100, "the backlog does not fill up");
    }
    Dropping {
        address,
        _held: (listener, held),
    }
}

/// An HTTP server that gives the path and body of each request to `respond` and writes back what it returns.
pub(crate) fn http(respond: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    serve(move |mut stream| {
        let first = read_line(&mut stream);
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            let line = read_line(&mut stream).to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_ok() {
            let _ = stream.write_all(&respond(&path, &body));
        }
    })
}

/// An HTTP answer with a body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
    format!("{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What a run reported.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) errors: Vec<String>,
    pub(crate) log: String,
    pub(crate) took: Duration,
}

impl Verdict {
    #[track_caller]
    pub(crate) fn passed(&self) {
        assert!(self.ok && self.errors.is_empty(), "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn failed(&self, errors: &[&str]) {
        assert!(!self.ok, "{self:#?}");
        assert_eq!(self.errors, errors, "{self:#?}");
    }

    /// One error, which is `start` and then `end`.
    #[track_caller]
    pub(crate) fn failed_at(&self, start: &str, end: &str) {
        self.failed(&[&format!("{start}: {end}")]);
    }
}

/// A run to be.
#[derive(Default)]
pub(crate) struct Check {
    vars: Vec<(String, String)>,
    args: Vec<String>,
    deadline: Option<Duration>,
}

/// tcp-check with these variables.
pub(crate) fn check(vars: &[(&str, &str)]) -> Check {
    Check::default().with(vars)
}

/// tcp-check of one target, with further variables.
pub(crate) fn probe(target: &str, vars: &[(&str, &str)]) -> Verdict {
    check(&[("CONNECTION_TARGET", target)]).with(vars).run()
}

impl Check {
    pub(crate) fn with(mut self, vars: &[(&str, &str)]) -> Check {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.vars.extend(vars);
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Check {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Check {
        self.deadline = Some(deadline);
        self
    }

    /// Runs it, and asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn run(self) -> Verdict {
        let reports: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = Arc::clone(&reports);
        let kuberhealthy = http(move |_, body| {
            kept.lock().unwrap().push(body.to_vec());
            ok("")
        });
        let deadline = self.deadline.unwrap_or(Duration::from_secs(60));
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + deadline;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-check"));
        command
            .env_clear()
            .env("KH_REPORTING_URL", format!("http://{kuberhealthy}/check"))
            .env("KH_RUN_UUID", "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41")
            .env("KH_POD_NAMESPACE", "kuberhealthy")
            .env("KH_CHECK_RUN_DEADLINE", deadline.as_secs().to_string())
            .envs(self.vars)
            .args(self.args)
            .stdin(Stdio::null());
        let started = Instant::now();
        let output = command.output().unwrap();
        let took = started.elapsed();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        let reports = reports.lock().unwrap();
        assert_eq!(reports.len(), 1, "{log}");
        let report: Value = serde_json::from_slice(&reports[0]).unwrap();
        let errors = report["Errors"].as_array().unwrap().iter();
        Verdict {
            ok: report["OK"].as_bool().unwrap(),
            errors: errors
                .map(|error| error.as_str().unwrap().to_owned())
                .collect(),
            log,
            took,
        }
    }
}
