//! The real pod-restarts-check against the sandbox's API server, and against scripted ones where that serves no such
//! answer, with a tiny Kuberhealthy that captures its report.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

// The servers and the verdict are what all checks need; the rest of it is http-check's.
#[allow(dead_code, reason = "http-check's tests use the rest")]
#[path = "../http/support.rs"]
mod common;
mod configuration;
mod drop_in;
mod pages;
mod recorded;
mod report;
mod scope;
mod support;
mod trouble;
