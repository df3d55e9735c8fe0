//! What the tests of all checks need: runs of a check, servers to look at, certificates, and a cluster.

mod cluster;
mod http_server;
mod listeners;
mod run;
mod tls;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use cluster::Cluster;
pub(crate) use http_server::{Seen, Server, Stream, TlsServer, answer, read_request};
pub(crate) use listeners::{
    closed_port, dropping, read_line, saying, serve, serve_on, wait_for_end,
};
pub(crate) use run::{Check, Line, Verdict};
pub(crate) use tls::{Ca, Leaf, Tls, day, encrypt};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `condition`, but not forever.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
