//! Behaviour of the sandbox, over real sockets.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "sandbox/apiserver/mod.rs"]
mod apiserver;
#[path = "sandbox/node/mod.rs"]
mod node;
#[path = "sandbox/recordings/mod.rs"]
mod recordings;
#[path = "sandbox/reports.rs"]
mod reports;
#[path = "sandbox/setup.rs"]
mod setup;
#[path = "sandbox/workloads/mod.rs"]
mod workloads;
