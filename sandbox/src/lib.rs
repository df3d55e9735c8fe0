//! A cluster in one process: API server, node, Kuberhealthy v2 and v3.

pub mod api;
pub mod apiserver;
pub mod faults;
mod finalizers;
mod informer;
pub mod kuberhealthy;
mod labels;
pub mod logs;
pub mod node;
mod registry;
mod sandbox;
pub mod status;
mod store;
pub mod workloads;

pub use sandbox::{Error, Options, Sandbox};
