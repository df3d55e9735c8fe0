//! What the parts of the remediator tell each other. Durations are in seconds.

mod check;
mod facts;
mod key;
mod run;
mod state;
mod world;

use super::{Intent, Reason, Time};

pub use check::{Body, Snapshot, Timing, V2, V3};
pub use facts::{Autoscaler, Facts, FactsNeed, PodFact, Revision};
pub use key::{CheckKey, CheckKind, ObjectKey};
pub use run::{CheckStatus, Class, Observation, Run, RunId, Verdict};
pub use state::{CheckState, Counters, Incident, Pending, PolicyState, Seen};
pub use world::{Limits, StormState, Upstream, World};

/// What is to be done for a policy now.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing.
    Idle {
        /// Why.
        reason: Reason,
    },
    /// Something, but not now.
    Hold {
        /// Why.
        reason: Reason,
        /// The details.
        message: String,
        /// When the reason ends by itself, if it does.
        until: Option<Time>,
    },
    /// Ask again with the target's facts.
    NeedFacts(FactsNeed),
    /// Record this intent; it is carried out from the record.
    Act(Box<Intent>),
    /// Every step has been tried; somebody must look.
    Exhausted {
        /// The details.
        message: String,
    },
}
