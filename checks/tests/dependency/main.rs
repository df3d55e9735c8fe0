//! The real dependency-check against the sandbox's API server and real listeners, with a tiny Kuberhealthy that
//! captures its report.

mod conditions;
mod input;
mod network;
mod objects;
mod pods;
mod services;
mod support;
mod trouble;
mod waiting;
