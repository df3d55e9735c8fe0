//! Outcomes per action: each finished record is counted once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Action, Time};

/// Which of the actions, without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionName {
    /// [`Action::RestartPods`].
    RestartPods,
    /// [`Action::RolloutRestart`].
    RolloutRestart,
    /// [`Action::Scale`].
    Scale,
    /// [`Action::Rollback`].
    Rollback,
}

impl ActionName {
    /// As a policy writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionName::RestartPods => "restartPods",
            ActionName::RolloutRestart => "rolloutRestart",
            ActionName::Scale => "scale",
            ActionName::Rollback => "rollback",
        }
    }
}

impl Action {
    /// Which of the actions.
    pub fn name(&self) -> ActionName {
        match self {
            Action::RestartPods { .. } => ActionName::RestartPods,
            Action::RolloutRestart => ActionName::RolloutRestart,
            Action::Scale(_) => ActionName::Scale,
            Action::Rollback => ActionName::Rollback,
        }
    }
}

/// Outcomes of a policy's remediations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Statistics {
    /// Per action.
    pub by_action: BTreeMap<ActionName, Tally>,
    /// `INCIDENT-ATTEMPT` of the finished records that are counted and still exist.
    pub counted: BTreeSet<String>,
}

/// How often an action ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// The check passed afterwards.
    pub succeeded: u64,
    /// It did not.
    pub failed: u64,
    /// Nobody can tell.
    pub inconclusive: u64,
    /// A disruption budget refused it until the incident was over.
    pub blocked: u64,
    /// Recorded only.
    pub dry_run: u64,
    /// When the last one ended.
    pub last: Option<Time>,
}
