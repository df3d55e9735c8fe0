//! The remediator: acts on failed Kuberhealthy checks, safely, exactly once, and keeps the record.
//!
//! ```text
//!   KuberhealthyState | HealthCheck
//!        | core::observe: snapshots -> runs
//!        v
//!   core::advance: runs -> counters and incidents (kept in the policy's status)
//!        | core::decide: policy, incident, history, facts of the target, now -> decision
//!        v
//!   Remediation (the intent, written first: it is the lock)
//! ```
//!
//! Persisted objects are the state and the process is a cache: every write follows from a pure function of a
//! record, a live read and the time. [`core`] holds those functions.

pub mod actions;
pub mod clock;
pub mod controller;
pub mod core;
pub mod crd;
pub mod events;
pub mod explain;
pub mod fence;
mod hooks;
pub mod lease;
pub mod metrics;
pub mod notify;
pub mod run;
mod serve;
