//! The real tcp-check against real listeners, with a tiny Kuberhealthy that captures its report.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod configuration;
mod connections;
mod dialogues;
mod grpc;
mod pods;
mod starttls;
mod support;
mod tls;
mod tls_support;
mod udp;
