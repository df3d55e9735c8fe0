//! The remediator against the sandbox's API server.

// clippy.toml allows these in #[test] functions, not in what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod actions;
mod cel;
mod controller;
mod crds;
mod leadership;
mod notify;
mod process;
