//! Starting `khctl`, and a web server for its checks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than any command here takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// `khctl` in an environment without the variables that change what it does.
pub(crate) fn khctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khctl"));
    command.args(args);
    for name in [
        "KH_REPORTING_URL",
        "KH_RUN_UUID",
        "KH_CHECK_RUN_DEADLINE",
        "CHECK_URL",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs to the end.
pub(crate) fn ran(args: &[&str]) -> Ran {
    finish(khctl(args).spawn().unwrap())
}

/// Waits for the end, killing what takes too long so that the test says so.
pub(crate) fn finish(mut child: Child) -> Ran {
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let stdout = child.stdout.take().map(|out| read(Box::new(out)));
    let stderr = child.stderr.take().map(|err| read(Box::new(err)));
    let until = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = |handle: Option<std::thread::JoinHandle<Vec<u8>>>| {
        handle
            .map(|handle| handle.join().unwrap())
            .unwrap_or_default()
    };
    Output {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    }
    .into()
}

/// Runs with a text on standard input.
pub(crate) fn ran_with_input(args: &[&str], input: &str) -> Ran {
    let mut child = khctl(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    finish(child)
}

/// Answers every request with this status, until the test process ends.
pub(crate) fn web(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// A file in a directory that goes away with the test.
pub(crate) fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    Path::to_str(&path).unwrap().to_owned()
}
