//! The real exec-check with real commands, a tiny Kuberhealthy, and an API server that speaks the exec protocol.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod api;
// The servers and the verdict are what all checks need; the rest of it is http-check's.
#[allow(dead_code, reason = "http-check's tests use the rest")]
#[path = "../http/support.rs"]
mod common;
mod configuration;
mod endings;
mod pods;
mod processes;
mod recordings;
mod support;
mod surroundings;
