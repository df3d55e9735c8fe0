//! The real checks with real listeners, commands and the sandbox's API server, and a tiny Kuberhealthy that captures
//! their reports.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod dependency;
mod exec;
mod http;
mod log;
mod restarts;
mod support;
mod tcp;
