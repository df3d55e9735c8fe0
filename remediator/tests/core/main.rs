//! The pure core against made-up and recorded histories: no API server, no clock.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod learning;
mod model;
mod purity;
mod recordings;
mod simulation;
mod statistics;
