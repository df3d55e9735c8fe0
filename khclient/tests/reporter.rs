//! The reporter and the harness against a server that misbehaves on purpose, over real sockets and with real processes.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "reporter/answers.rs"]
mod answers;
#[path = "reporter/faults.rs"]
mod faults;
#[path = "reporter/harness.rs"]
mod harness;
#[path = "reporter/https.rs"]
mod https;
mod support;
