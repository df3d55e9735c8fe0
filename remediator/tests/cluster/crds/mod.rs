//! The definitions: what is committed, what the API server makes of them, and that nothing gets lost between objects
//! and the core's types.

mod committed;
mod limits;
mod round_trip;
mod server;
mod support;
mod values;
