//! The definitions: what is committed, what the API server makes of them, and that nothing gets lost between objects
//! and the core's types.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "crds/committed.rs"]
mod committed;
#[path = "crds/limits.rs"]
mod limits;
#[path = "crds/round_trip.rs"]
mod round_trip;
#[path = "crds/server.rs"]
mod server;
#[path = "crds/support.rs"]
mod support;
