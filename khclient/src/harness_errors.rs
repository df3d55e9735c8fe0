//! Findings of the harness itself: they tell of the run, and little of what was checked.
//!
//! Their texts are fixed, so that whoever acts on failures can tell them from findings about a target.

/// SIGTERM came before there was a verdict.
pub const INTERRUPTED: &str = "interrupted: told to stop before there was a verdict";

/// The check was still running when its time was up.
pub const OVERDUE: &str = "the check did not finish before its deadline";

/// The deadline had passed when the check began.
pub const STARTED_LATE: &str = "the deadline of this run had passed before the check began";

/// What the finding of a check that panicked begins with; the panic's message follows.
pub const PANICKED: &str = "the check panicked: ";

/// What the finding begins with if the system gave the check no thread; its reason follows.
pub const NOT_STARTED: &str = "the check could not be started: ";
