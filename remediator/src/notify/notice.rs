//! What receivers are told: one transition of one incident, or of something that concerns all policies.

use std::sync::Arc;

use crate::core::reason::bounded;
use crate::core::{Level, Notify as Wanted, ObjectKey, Reason, TargetKind, Time};

/// Characters of a message at most.
pub const MESSAGE: usize = 512;

/// Errors of a check that are told, and characters of each.
pub const ERRORS: usize = 5;
const ERROR: usize = 256;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transition {
    /// The check has failed often enough.
    Opened,
    /// Nothing is done, for another reason than before.
    Held,
    /// An action has taken effect.
    Applied,
    /// The check has passed after an action.
    Verified,
    /// The check has failed after an action.
    Failed,
    /// An action was refused.
    Blocked,
    /// Nobody can say whether an action has helped.
    Inconclusive,
    /// A policy in mode DryRun would have acted.
    Simulated,
    /// What a step had changed was set back, or was not.
    Reverted,
    /// All steps were tried and none has helped.
    Exhausted,
    /// The incident is over.
    Recovered,
    /// Too many checks fail at once: nothing is begun.
    StormBegan,
    /// Actions may begin again.
    StormEnded,
    /// Kuberhealthy itself seems to be down.
    SourceStale,
    /// Kuberhealthy is back.
    SourceBack,
    /// Many policies are held by one check.
    CascadeBegan,
    /// All of these have recovered.
    CascadeEnded,
}

impl Transition {
    /// Every transition.
    pub const ALL: [Transition; 17] = [
        Transition::Opened,
        Transition::Held,
        Transition::Applied,
        Transition::Verified,
        Transition::Failed,
        Transition::Blocked,
        Transition::Inconclusive,
        Transition::Simulated,
        Transition::Reverted,
        Transition::Exhausted,
        Transition::Recovered,
        Transition::StormBegan,
        Transition::StormEnded,
        Transition::SourceStale,
        Transition::SourceBack,
        Transition::CascadeBegan,
        Transition::CascadeEnded,
    ];

    /// What it is about and what has happened to that, as the types of CloudEvents have it: `incident.opened`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transition::Opened => "incident.opened",
            Transition::Held => "incident.held",
            Transition::Applied => "remediation.applied",
            Transition::Verified => "remediation.verified",
            Transition::Failed => "remediation.failed",
            Transition::Blocked => "remediation.blocked",
            Transition::Inconclusive => "remediation.inconclusive",
            Transition::Simulated => "remediation.simulated",
            Transition::Reverted => "remediation.reverted",
            Transition::Exhausted => "incident.exhausted",
            Transition::Recovered => "incident.recovered",
            Transition::StormBegan => "storm.began",
            Transition::StormEnded => "storm.ended",
            Transition::SourceStale => "source.stale",
            Transition::SourceBack => "source.recovered",
            Transition::CascadeBegan => "cascade.began",
            Transition::CascadeEnded => "cascade.ended",
        }
    }

    /// The same for people.
    pub fn title(self) -> &'static str {
        match self {
            Transition::Opened => "Incident opened",
            Transition::Held => "Held back",
            Transition::Applied => "Action taken",
            Transition::Verified => "Action helped",
            Transition::Failed => "Action did not help",
            Transition::Blocked => "Action blocked",
            Transition::Inconclusive => "Action inconclusive",
            Transition::Simulated => "Action only recorded",
            Transition::Reverted => "Change set back",
            Transition::Exhausted => "Nothing is left to try",
            Transition::Recovered => "Recovered",
            Transition::StormBegan => "Storm: nothing is begun",
            Transition::StormEnded => "Storm over",
            Transition::SourceStale => "Kuberhealthy seems to be down",
            Transition::SourceBack => "Kuberhealthy is back",
            Transition::CascadeBegan => "Many wait for one cause",
            Transition::CascadeEnded => "Recovered from one cause",
        }
    }

    /// Whether what it is about is over with it.
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Transition::Recovered
                | Transition::StormEnded
                | Transition::SourceBack
                | Transition::CascadeEnded
        )
    }

    /// Whether a remediation ends with it.
    pub fn ends_remediation(self) -> bool {
        matches!(
            self,
            Transition::Verified
                | Transition::Failed
                | Transition::Blocked
                | Transition::Inconclusive
        )
    }

    /// Whether it may be left out when there are too many: what begins, what ends and what needs a person may not.
    pub(super) fn may_be_dropped(self) -> bool {
        !(self.is_end()
            || matches!(
                self,
                Transition::Opened
                    | Transition::Exhausted
                    | Transition::StormBegan
                    | Transition::SourceStale
                    | Transition::CascadeBegan
            ))
    }

    /// Whether it is good news.
    pub(super) fn is_good(self) -> bool {
        self.is_end() || self == Transition::Verified
    }
}

/// What it is about. Of one subject everything is told in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// An incident.
    Incident {
        /// Of this policy.
        policy: ObjectKey,
        /// Its id.
        id: String,
    },
    /// Too many checks fail at once.
    Storm,
    /// All checks are stale.
    Source,
    /// The policies that one check holds.
    Cascade {
        /// That check's name.
        root: String,
    },
}

/// What is known of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// UID of the policy.
    pub policy_uid: String,
    /// The check: namespace and name.
    pub check: ObjectKey,
    /// The workload, in the policy's namespace.
    pub target: (TargetKind, Arc<str>),
    /// When the incident was opened.
    pub opened: Time,
    /// Whether all steps were tried.
    pub exhausted: bool,
    /// The first errors of the check.
    pub errors: Vec<String>,
    /// The remediation it is about.
    pub remediation: Option<Attempt>,
    /// The check that holds this policy, if one does.
    pub root: Option<String>,
    /// Whether a remediation of the incident is under way.
    pub under_way: bool,
    /// Who is told, as the policy has it.
    pub notify: Option<Wanted>,
}

impl About {
    /// At most [`ERRORS`] errors, each of one short line.
    pub fn errors(all: &[String]) -> Vec<String> {
        let few = all.iter().take(ERRORS);
        few.map(|error| bounded(error, ERROR)).collect()
    }
}

/// One remediation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Name of the Remediation, in the policy's namespace.
    pub name: String,
    /// What was done, such as `restartPods`.
    pub action: &'static str,
    /// Of the incident, counted from 1.
    pub number: u32,
    /// Of the policy's steps, counted from 1.
    pub step: u32,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// About what.
    pub subject: Subject,
    /// What has happened.
    pub what: Transition,
    /// How much that matters.
    pub level: Level,
    /// Why: the same word as in conditions, events and metrics.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// When.
    pub time: Time,
    /// The same whoever tells this, and however often: receivers can tell by it what they know already.
    pub id: String,
    /// What is known of the incident; none of what concerns all policies.
    pub about: Option<About>,
}

impl Notice {
    /// An id that follows from what makes the notice what it is.
    pub fn id_of<'a>(what: Transition, parts: impl IntoIterator<Item = &'a str>) -> String {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in std::iter::once(what.as_str()).chain(parts) {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        let digest = context.finish();
        let short = digest.as_ref().iter().take(16);
        short.map(|byte| format!("{byte:02x}")).collect()
    }

    /// Something that concerns all policies, since `since`.
    pub fn general(subject: Subject, what: Transition, message: &str, since: Time) -> Notice {
        let (reason, level) = match what {
            Transition::SourceStale => (Reason::SourceStale, Level::Critical),
            Transition::StormBegan => (Reason::StormActive, Level::Critical),
            Transition::CascadeBegan => (Reason::UpstreamUnhealthy, Level::Warning),
            Transition::CascadeEnded => (Reason::Recovered, Level::Warning),
            _ => (Reason::Recovered, Level::Critical),
        };
        let root = match &subject {
            Subject::Cascade { root } => root.as_str(),
            _ => "",
        };
        let id = Notice::id_of(what, [root, &since.to_string()]);
        Notice {
            what,
            level,
            reason,
            message: bounded(message, MESSAGE),
            time: since,
            id,
            about: None,
            subject,
        }
    }

    /// The check that holds the policy, if this says that the policy is held by one.
    pub(super) fn root(&self) -> Option<&str> {
        self.about.as_ref()?.root.as_deref()
    }

    /// One line for people: what, and of what.
    pub fn headline(&self) -> String {
        let what = self.what.title();
        match (&self.subject, &self.about) {
            (Subject::Incident { policy, .. }, Some(about)) => format!(
                "{what}: {} {} ({})",
                about.target.0.as_str(),
                about.target.1,
                path(policy)
            ),
            (Subject::Incident { policy, .. }, None) => format!("{what}: {}", path(policy)),
            (Subject::Cascade { root }, _) => format!("{what}: {root}"),
            _ => what.to_owned(),
        }
    }
}

/// Namespace and name.
pub(super) fn path(key: &ObjectKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}
