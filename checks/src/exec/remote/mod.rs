//! A command in running pods, through the API server's exec.
//!
//! ```text
//! pods that run --each, some at a time--> socket (upgrade, WebSocket) --frames--> Output, Outcome
//!                                           |refused                                |
//!                                           v                                       v
//!                                         refusal -----------> findings, less those of pods that are gone by now
//! ```
//!
//! A finding has the pod as its subject only if it says something of the pod. That the check may not exec, or that the API
//! server cannot be reached, does not: whoever acts on pods by their findings must leave them alone then.

mod refusal;
mod socket;
mod status;
