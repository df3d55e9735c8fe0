//! What became of each check.

use std::time::Duration;

use super::manifest::CheckDocument;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Kuberhealthy would show it as OK.
    Passed,
    /// Kuberhealthy would show it as failing, with these errors.
    Failed(Vec<String>),
    /// It could not be run here at all: why.
    Unusable(String),
}

/// A check and its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The check.
    pub(crate) check: CheckDocument,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// From its start to the verdict.
    pub(crate) took: Duration,
}

impl Outcome {
    /// Whether it passed.
    pub(crate) fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// What was found, one text each; empty if it passed.
    pub(crate) fn findings(&self) -> Vec<String> {
        match &self.verdict {
            Verdict::Passed => Vec::new(),
            Verdict::Failed(errors) => errors.clone(),
            Verdict::Unusable(why) => vec![why.clone()],
        }
    }

    /// One word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::Unusable(_) => "not run",
        }
    }
}

impl CheckDocument {
    /// `NAMESPACE/NAME`.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
