//! The real dependency-check against the sandbox's API server and real listeners, with a tiny Kuberhealthy that
//! captures its report.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod conditions;
mod input;
mod network;
mod objects;
mod pods;
mod roles;
mod services;
mod support;
mod trouble;
mod waiting;
