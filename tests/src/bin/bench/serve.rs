//! A web page and a Kuberhealthy that accepts every report, in a process of their own so that their work is not counted.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::Context;

/// Where the two servers listen.
pub(crate) struct Addresses {
    pub(crate) web: SocketAddr,
    pub(crate) kuberhealthy: SocketAddr,
}

/// The serving process; it ends when this is dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both can only fail when the process is already gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the serving process.
pub(crate) fn start() -> anyhow::Result<(Server, Addresses)> {
    let mut child = Command::new(env::current_exe()?)
        .arg("--serve")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no output to read")?;
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let (web, kuberhealthy) = line
        .trim()
        .split_once(' ')
        .with_context(|| format!("expected two addresses, the server said {line:?}"))?;
    let addresses = Addresses {
        web: web.parse()?,
        kuberhealthy: kuberhealthy.parse()?,
    };
    Ok((server, addresses))
}

/// The serving process itself: prints its two addresses and serves until it is killed.
pub(crate) fn run() -> anyhow::Result<()> {
    let web = TcpListener::bind(("127.0.0.1", 0))?;
    let kuberhealthy = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{} {}", web.local_addr()?, kuberhealthy.local_addr()?);
    thread::spawn(move || accept(&kuberhealthy, ""));
    accept(&web, "hello\n");
    Ok(())
}

fn accept(listener: &TcpListener, body: &'static str) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || answer(stream, body));
    }
}

/// Answers every request of a connection with 200 and the body.
fn answer(stream: TcpStream, body: &str) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}
