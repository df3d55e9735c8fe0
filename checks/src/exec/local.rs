//! A command in the check's own container.
//!
//! ```text
//! Job --start--> child in a process group of its own --run--> (Outcome, Seen)
//!                       output drained all the while; at the end, whatever the end, the group and
//!                       every process it left behind are killed and reaped (children)
//! ```

mod children;
mod run;
mod start;

pub(super) use children::adopt_orphans;
pub(super) use run::{Job, run};
