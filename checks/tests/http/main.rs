//! The real http-check against real listeners, with a tiny Kuberhealthy that captures its report.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod configuration;
mod drop_in;
mod pods;
mod requests;
mod support;
mod tls;
mod tls_support;
mod transport;
