//! From an intent to its outcome. Level-triggered: the record and a live read say what comes next, and nothing else is
//! remembered, so that any process can go on where another stopped.
//!
//! ```text
//!   Pending --write taken--> Applied --target settled--> Verifying --fresh runs--> Succeeded | Failed | Inconclusive
//!      |  \--budget refused--> Blocked --> Pending's way again, until the incident is over
//!      \--not wanted any more, target changed, refused--> Inconclusive
//! ```
//!
//! Every write to a target carries the resourceVersion in the record's claim or the UID of a pod: of two processes with
//! the same record only one has an effect, however late its packet arrives. The claim is persisted before the first
//! write, by the leader that makes it: with the record, if there is a place for it, or in its status. So a record without
//! a claim has touched nothing and never will, unless it was begun with its creation; one with a claim may have, even
//! after it is over, and says so.

mod answer;
mod next;
mod pods;
mod revert;
mod taken;
#[cfg(test)]
mod tests;
mod turn;
mod verify;

use super::reason::{MESSAGE_LENGTH, bounded};
use super::{
    CheckStatus, Claim, Facts, FactsNeed, Fresh, Intent, Limits, Phase, Reason, RecordStatus,
    Revert, Run, Time, Touched,
};

pub use answer::answered;
pub use next::next;
pub use taken::{Taken, taken};
pub use turn::{
    Creator, at_once, begun, certain, doubtful, greatest, idle, in_flight, last, rank, unwritten,
    used,
};

/// Seconds a target has to settle after a write; Kubernetes' default progress deadline of a Deployment.
pub const SETTLE_SECONDS: u32 = 600;

/// Seconds after which a remediation that could not be begun is given up, unless it waits for approval or for a
/// disruption budget.
pub const BEGIN_SECONDS: i64 = 3600;

/// A target as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Live {
    /// It does not exist.
    Gone,
    /// It was read.
    Target(Box<Facts>),
    /// It could not be read.
    Unreadable(Refusal),
}

/// A request that the API server turned down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// HTTP status; 0 if the request was not sent.
    pub code: u16,
    /// Reason in the `Status`.
    pub reason: String,
    /// Its message.
    pub message: String,
}

impl Refusal {
    /// A request that was not sent because this process does not lead any more.
    pub fn lease_lost() -> Refusal {
        Refusal {
            code: 0,
            reason: Reason::LeaseLost.as_str().to_owned(),
            message: String::new(),
        }
    }
}

/// What around a record matters to it.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// How many records go before it: [`rank`].
    pub rank: u32,
    /// How many others may be begun although the leader does not see it: [`doubtful`].
    pub doubtful: u32,
    /// How many others have used up the limit of an hour: [`used`].
    pub last_hour: u32,
    /// The term of the leader that asks.
    pub term: i64,
    /// Whether it has created the record just now to begin it with that, and has done nothing for it yet.
    pub created: bool,
    /// The remediator's limits.
    pub limits: Limits,
    /// Whether the policy would still act, and why not.
    pub wanted: Result<(), Reason>,
    /// Settled runs of the check, the newest last.
    pub runs: &'a [Run],
    /// The state of the check.
    pub check: CheckStatus,
    /// Whether the policy is gone.
    pub policy_deleted: bool,
    /// Whether what was told holds until something else is: an alert fires until it is resolved, and is then resolved.
    pub lasting: bool,
    /// Whether the policy answers for setting back the record's replicas, and why not.
    pub set_back: Result<(), Reason>,
}

/// What a record needs next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Write this status, with the record's resourceVersion; then ask again.
    Status(RecordStatus),
    /// Make this write, then ask [`answered`].
    Act(TargetWrite),
    /// Nothing is to be set back any more: the finalizer, if there is one, can go.
    DropFinalizer,
    /// Read again and ask again, not later than this.
    Wait {
        /// When.
        until: Time,
        /// What for.
        reason: Reason,
    },
    /// Nothing, ever.
    Finished,
}

/// A write to a target. Each has its precondition in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetWrite {
    /// Evict the pod of this name if it has this UID.
    Evict {
        /// Name.
        pod: String,
        /// UID.
        uid: String,
    },
    /// Annotate the pod template.
    Restart {
        /// Precondition.
        claim: Claim,
        /// The annotation's value.
        at: Time,
    },
    /// Set the number of replicas.
    Scale {
        /// Precondition.
        claim: Claim,
        /// That number.
        replicas: i32,
    },
    /// Put a former revision's pod template in place.
    Rollback {
        /// Precondition.
        claim: Claim,
        /// Name, UID and number of the revision.
        revision: (String, String, i64),
    },
    /// Raise an autoscaler's minimum.
    RaiseMinimum {
        /// Its name.
        autoscaler: String,
        /// Precondition: its resourceVersion.
        resource_version: String,
        /// The minimum.
        minimum: i32,
        /// The record's name, left as an annotation: autoscalers keep no generation to tell by.
        record: String,
    },
}

/// What came of a [`TargetWrite`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It took effect.
    Done,
    /// The object does not exist.
    Gone,
    /// The precondition did not hold.
    Conflict,
    /// A disruption budget refused it, in these words.
    Budget(String),
    /// It was refused and had no effect.
    Refused(Refusal),
    /// Time-out, hang-up or 5xx: it may have taken effect.
    Unknown,
}

/// What has to be read of the target to ask [`next`].
pub fn need(intent: &Intent) -> FactsNeed {
    if !intent.pods.is_empty() {
        FactsNeed::Pods
    } else if intent.revision.is_some() {
        FactsNeed::Revision
    } else if intent.replicas.is_some() {
        FactsNeed::Autoscaler
    } else {
        FactsNeed::Target
    }
}

/// The status as it is written. What has a claim is begun; if that came with the creation, since then.
fn written(intent: &Intent, status: RecordStatus) -> RecordStatus {
    let begun = status.claim.as_ref().map(|_| intent.time);
    RecordStatus {
        begun: status.begun.or(begun),
        ..status
    }
}

/// The status with this phase and reason.
fn to(status: &RecordStatus, phase: Phase, reason: Reason, details: &str) -> RecordStatus {
    RecordStatus {
        phase,
        reason,
        message: reason.message_or_sentence(details),
        retry_at: None,
        ..status.clone()
    }
}

/// The status when it is over.
fn over(
    now: Time,
    status: &RecordStatus,
    phase: Phase,
    reason: Reason,
    details: &str,
) -> RecordStatus {
    RecordStatus {
        completed: Some(now),
        ..to(status, phase, reason, details)
    }
}

/// The status once the write has taken effect; `touched` says how surely it was this record's.
fn applied(now: Time, intent: &Intent, status: &RecordStatus, touched: Touched) -> RecordStatus {
    RecordStatus {
        touched: status.touched.max(touched),
        applied: Some(status.applied.unwrap_or(now)),
        deadline: Some(now.plus(SETTLE_SECONDS)),
        revert: status.revert.clone().or_else(|| way_back(now, intent)),
        ..to(status, Phase::Applied, Reason::Applied, "")
    }
}

/// The way back of what takes effect now, if there is one.
fn way_back(now: Time, intent: &Intent) -> Option<Revert> {
    let scaled = intent.replicas.is_some() && intent.autoscaler.is_none();
    intent.revert_after.filter(|_| scaled).map(|after| Revert {
        due: now.plus(after),
        claim: None,
        end: None,
    })
}

/// The status of a record that is over. What was claimed, and is not known to have been refused, may have scaled: it is
/// set back when that is due, if the generation then tells that there is anything to set back.
fn with_way_back(now: Time, intent: &Intent, over: RecordStatus) -> RecordStatus {
    let doubtful = over.claim.is_some() && over.touched != Touched::No && over.applied.is_none();
    let revert = match (&over.revert, doubtful) {
        (None, true) => way_back(now, intent),
        (known, _) => known.clone(),
    };
    RecordStatus { revert, ..over }
}

/// What a record waits for while runs are counted. Of its policy it is [`Reason::Verifying`]'s sentence that is true.
const AWAITS: &str = "waits for a run of the check that began after the rollout";

/// The status once the target has settled: from here on runs are counted.
fn settled(now: Time, intent: &Intent, status: &RecordStatus, details: &str) -> RecordStatus {
    let message = match details {
        "" => AWAITS.to_owned(),
        details => bounded(&format!("{AWAITS}; {details}"), MESSAGE_LENGTH),
    };
    RecordStatus {
        rolled_out: Some(now),
        deadline: Some(now.plus(intent.verify.seconds)),
        fresh: Fresh::default(),
        message,
        ..to(status, Phase::Verifying, Reason::Verifying, "")
    }
}
