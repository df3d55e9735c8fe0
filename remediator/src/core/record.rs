//! The record of one remediation: an intent, written before anything is touched, and what became of it.

use serde::{Deserialize, Serialize};

use super::{Action, Choice, Mode, ObjectKey, Reason, RunId, TargetKind, Time};

/// What is to be done, decided once and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The policy.
    pub policy: ObjectKey,
    /// Its UID.
    pub policy_uid: String,
    /// The incident.
    pub incident: Incident0,
    /// Of this incident, counted from 1.
    pub attempt: u32,
    /// Index of the policy's step.
    pub step: u32,
    /// The policy's mode at that time.
    pub mode: Mode,
    /// The failing run that made it necessary.
    pub run: RunId,
    /// Its errors.
    pub errors: Vec<String>,
    /// When it was decided.
    pub time: Time,
    /// What is done.
    pub action: Action,
    /// To what.
    pub target: TargetRef,
    /// What the target was like.
    pub claim: Claim,
    /// The pods to be restarted: name and UID, in order.
    pub pods: Vec<(String, String)>,
    /// Replicas before and after.
    pub replicas: Option<(i32, i32)>,
    /// The autoscaler whose minimum is raised to the replicas after, where that is done instead of scaling.
    pub autoscaler: Option<String>,
    /// The revision to go back to: name, UID and number.
    pub revision: Option<(String, String, i64)>,
    /// What makes it a success.
    pub verify: Verify,
    /// Seconds after which the number of replicas is set back.
    pub revert_after: Option<u32>,
    /// Why this step, if the policy learns from earlier outcomes.
    pub choice: Option<Choice>,
    /// By whom it was begun with its creation; none if it is begun by a later claim. Anybody may have written it who may
    /// create records: it says in which order they were made, not that anything was done.
    pub begun: Option<Begun>,
}

impl Intent {
    /// Whether it can be begun with the creation of its record. What is to be set back cannot: the claim in its status says
    /// that the number of replicas to go back to is what a leader has found.
    pub fn at_once(&self) -> bool {
        self.mode == Mode::Enforce && self.revert_after.is_none()
    }
}

/// The leader that begins a remediation with the creation of its record. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// Its term.
    pub term: i64,
    /// Which of those that it begins like this, counted from 1.
    pub number: u32,
}

/// What a record keeps of its incident.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident0 {
    /// Its id.
    pub id: String,
    /// When it was opened.
    pub opened: Time,
    /// Its first failing run.
    pub first_run: RunId,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// Its kind.
    pub kind: TargetKind,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What the target was when a write was decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Its resourceVersion, which the write carries.
    pub resource_version: String,
    /// Its generation.
    pub generation: i64,
}

/// What makes a remediation a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// How long the check has to pass after the rollout, in seconds.
    pub seconds: u32,
    /// Passing runs asked for.
    pub success_threshold: u32,
    /// Failing runs that end it early.
    pub failure_threshold: u32,
    /// Whether a run that never reported is a failing one.
    pub count_timeouts: bool,
}

/// How far a remediation has come.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Phase {
    /// Recorded, not begun.
    #[default]
    Pending,
    /// The write has taken effect.
    Applied,
    /// The target has settled; fresh runs are awaited.
    Verifying,
    /// The check passed.
    Succeeded,
    /// It did not.
    Failed,
    /// Nobody can tell.
    Inconclusive,
    /// A disruption budget refuses the eviction.
    Blocked,
    /// Recorded only.
    DryRun,
}

/// Whether the workload may have been written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Touched {
    /// No: it uses up no try and no rate.
    #[default]
    No,
    /// Nobody can tell.
    Maybe,
    /// Yes.
    Yes,
}

/// What became of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// How far it has come.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// The details.
    pub message: String,
    /// Whether the workload may have been written.
    pub touched: Touched,
    /// What the target is like that is about to be written, or was when it was: a record without it has not been begun.
    pub claim: Option<Claim>,
    /// UIDs of the pods that are done.
    pub pods_done: Vec<String>,
    /// How often a disruption budget has refused.
    pub blocked_tries: u32,
    /// When to try again.
    pub retry_at: Option<Time>,
    /// When the write had taken effect.
    pub applied: Option<Time>,
    /// When the target had settled after it.
    pub rolled_out: Option<Time>,
    /// Until when the check has to pass.
    pub deadline: Option<Time>,
    /// Runs since the target settled.
    pub fresh: Fresh,
    /// When it was over; it is over if and only if this is set.
    pub completed: Option<Time>,
    /// Setting back the number of replicas.
    pub revert: Option<Revert>,
    /// Term of the leader that wrote it last.
    pub term: i64,
    /// When it was begun: its first claim; for what its creator has begun with its creation the time of the decision, as
    /// both are one.
    pub begun: Option<Time>,
}

impl Default for RecordStatus {
    fn default() -> RecordStatus {
        RecordStatus {
            phase: Phase::Pending,
            reason: Reason::Intended,
            message: String::new(),
            touched: Touched::No,
            claim: None,
            pods_done: Vec::new(),
            blocked_tries: 0,
            retry_at: None,
            applied: None,
            rolled_out: None,
            deadline: None,
            fresh: Fresh::default(),
            completed: None,
            revert: None,
            term: 0,
            begun: None,
        }
    }
}

/// Runs since the target settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fresh {
    /// Passes in a row.
    pub passes: u32,
    /// Failures.
    pub failures: u32,
    /// The last run counted.
    pub last: Option<RunId>,
}

/// Setting back the number of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revert {
    /// When.
    pub due: Time,
    /// What the target was like when the write was decided.
    pub claim: Option<Claim>,
    /// How it ended, once it has.
    pub end: Option<Reason>,
}

/// A Remediation object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Namespace and name.
    pub name: ObjectKey,
    /// UID.
    pub uid: String,
    /// resourceVersion.
    pub resource_version: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether somebody approved it.
    pub approved: bool,
    /// The intent.
    pub intent: Intent,
    /// What became of it.
    pub status: RecordStatus,
}

impl Record {
    /// The record of an intent as it is created, without what the API server adds.
    pub fn planned(intent: Intent) -> Record {
        let name = record_name(&intent.policy.name, &intent.incident.id, intent.attempt);
        Record {
            name: ObjectKey {
                namespace: intent.policy.namespace.clone(),
                name: name.into(),
            },
            uid: String::new(),
            resource_version: String::new(),
            deleting: false,
            approved: false,
            status: RecordStatus::default(),
            intent,
        }
    }

    /// Whether it may have been begun with its creation, for all that it says: nothing is written of what became of it.
    pub fn untold(&self) -> bool {
        let begins = self.intent.begun.is_some() && self.intent.at_once();
        // A write of which nobody knows whether it took effect has no leader's term.
        begins
            && self.status.term <= 0
            && RecordStatus::default()
                == RecordStatus {
                    term: 0,
                    ..self.status.clone()
                }
    }

    /// The record for who knows that it was begun with its creation, or has to reckon with that: it has its claim from
    /// there.
    #[must_use]
    pub fn begun_with_creation(self) -> Record {
        let status = match self.intent.begun.filter(|_| self.untold()) {
            Some(begun) => RecordStatus {
                claim: Some(self.intent.claim.clone()),
                term: begun.term,
                ..RecordStatus::default()
            },
            None => return self,
        };
        Record { status, ..self }
    }

    /// Whether nothing is to be done for it any more, other than setting back replicas.
    pub fn finished(&self) -> bool {
        self.status.completed.is_some()
    }

    /// Whether it is one of the tries that a step has. What a disruption budget refused is none: a harsher step would go
    /// round the budget. What the API server refused is one: it would refuse it again.
    pub fn is_try(&self) -> bool {
        let status = &self.status;
        let refused = matches!(status.reason, Reason::Forbidden | Reason::Refused);
        status.phase != Phase::Blocked
            && (status.touched != Touched::No || refused && self.finished())
    }
}

/// The number of the next attempt of an incident with these. The newest of an open incident is never pruned, so that no
/// number, and with it no name, is given twice.
pub fn next_attempt<'a>(tries: impl IntoIterator<Item = &'a Record>) -> u32 {
    let numbers = tries.into_iter().map(|record| record.intent.attempt);
    numbers.max().unwrap_or(0).saturating_add(1)
}

/// Bytes of a policy's name in its records' names, so that these stay below 63.
const POLICY_LENGTH: usize = 40;

/// The name of a record. It follows from policy, incident and attempt, so that creating it is the lock.
pub fn record_name(policy: &str, incident: &str, attempt: u32) -> String {
    let mut end = policy.len().min(POLICY_LENGTH);
    while !policy.is_char_boundary(end) {
        end -= 1;
    }
    let policy = policy
        .get(..end)
        .unwrap_or_default()
        .trim_end_matches(['-', '.']);
    format!("{policy}-{incident}-{attempt}")
}

#[cfg(test)]
mod tests {
    use super::record_name;

    #[test]
    fn a_records_name_is_a_valid_name_and_fits_into_a_label() {
        let dotted = format!("{}.-{}", "a".repeat(38), "b".repeat(100));
        for (policy, name) in [
            ("web", "web-0123456789-3".to_owned()),
            (&dotted, format!("{}-0123456789-3", "a".repeat(38))),
        ] {
            assert_eq!(record_name(policy, "0123456789", 3), name);
        }
        assert!(record_name(&"é".repeat(60), "0123456789", u32::MAX).len() <= 63);
    }
}
