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

impl Addresses {
    /// The variables that make a check report.
    pub(crate) fn reporting(&self) -> [(&'static str, String); 2] {
        let url = format!("http://{}/check", self.kuberhealthy);
        let run = "0f0c6f1e-9a55-4a3c-8f39-6f4c6f6f0001".to_owned();
        [("KH_REPORTING_URL", url), ("KH_RUN_UUID", run)]
    }
}

/// A serving process; it ends when this is dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both can only fail when the process is already gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the web server and the Kuberhealthy.
pub(crate) fn start() -> anyhow::Result<(Server, Addresses)> {
    let (server, line) = process("--serve")?;
    let (web, kuberhealthy) = line
        .split_once(' ')
        .with_context(|| format!("expected two addresses, the server said {line:?}"))?;
    let addresses = Addresses {
        web: web.parse()?,
        kuberhealthy: kuberhealthy.parse()?,
    };
    Ok((server, addresses))
}

/// Starts this program again as a server, and waits for the line in which it says where it listens.
pub(crate) fn process(argument: &str) -> anyhow::Result<(Server, String)> {
    let mut child = Command::new(env::current_exe()?)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no output to read")?;
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((server, line.trim().to_owned()))
}

/// The serving process itself: prints its two addresses and serves until it is killed.
pub(crate) fn run() -> anyhow::Result<()> {
    let web = TcpListener::bind(("127.0.0.1", 0))?;
    let kuberhealthy = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{} {}", web.local_addr()?, kuberhealthy.local_addr()?);
    thread::spawn(move || accept(&kuberhealthy, |_| ""));
    accept(&web, page);
    Ok(())
}

fn accept(listener: &TcpListener, page: fn(&str) -> &'static str) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || answer(stream, page));
    }
}

/// What the web server answers to a path: a word, or the few objects that a dependency-check asks the Kubernetes API for.
fn page(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix("/api") {
        Some("/v1/namespaces/shop/services/web") => {
            r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"type":"ClusterIP","selector":{"app":"web"},"ports":[{"name":"http","port":80}]}}"#
        }
        Some("s/discovery.k8s.io/v1/namespaces/shop/endpointslices") => {
            r#"{"metadata":{},"items":[{"metadata":{"name":"web-1","namespace":"shop"},"addressType":"IPv4","ports":[{"name":"http","port":8080}],"endpoints":[
            {"addresses":["10.0.0.1"],"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","name":"web-1"}},
            {"addresses":["10.0.0.2"],"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","name":"web-2"}}]}]}"#
        }
        Some("s/apps/v1/namespaces/shop/deployments/web") => {
            r#"{"metadata":{"name":"web","namespace":"shop","generation":1},"spec":{"replicas":2},"status":{"observedGeneration":1,"replicas":2,"availableReplicas":2}}"#
        }
        _ => "hello\n",
    }
}

/// Answers every request of a connection with 200 and the page of its path.
fn answer(stream: TcpStream, page: fn(&str) -> &'static str) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let body = page(line.split(' ').nth(1).unwrap_or_default());
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
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
        // In one piece: several small ones wait for each other's acknowledgement.
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        writer.write_all(answer.as_bytes())?;
    }
}
