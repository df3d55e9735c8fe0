//! What earlier remediations of the same failure teach: which step is taken next by a policy that learns from them.
//!
//! There is no chance in it. The same outcomes lead to the same choice.

use serde::{Deserialize, Serialize};

use super::pattern::{Pattern, pattern};
use super::{Action, Phase, Record, Scaling, Step, Time, Touched};

/// Failures that are remembered; of more, those whose last outcome is the longest time ago are forgotten.
pub const FAILURES: usize = 16;
/// Steps that are remembered of each; of more, those whose last outcome is the longest time ago are forgotten.
pub const STEPS: usize = 5;
/// Outcomes that are remembered of each, the last ones: what was once true is unlearned.
pub const OUTCOMES: usize = 10;
/// A step needs so many outcomes of its own to come before a gentler one.
pub const EVIDENCE: usize = 3;
/// Characters of a step's name at most.
pub const STEP_LENGTH: usize = 64;

/// What became of the steps that were tried, by failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Learned {
    /// Those with the newest outcomes last, at most [`FAILURES`].
    pub failures: Vec<KnownFailure>,
}

/// What became of the steps that were tried on one failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownFailure {
    /// Which.
    pub pattern: Pattern,
    /// When the last remediation of it ended.
    pub last: Time,
    /// Those with the newest outcomes last, at most [`STEPS`].
    pub steps: Vec<KnownStep>,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownStep {
    /// Which: [`step_name`].
    pub step: String,
    /// Whether the check passed afterwards, newest last, at most [`OUTCOMES`].
    pub outcomes: Vec<bool>,
}

/// Why a step was taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Choice {
    /// The failure.
    pub failure: Pattern,
    /// All steps of the policy, in its order.
    pub steps: Vec<Candidate>,
}

/// A step that could have been taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// [`step_name`].
    pub step: String,
    /// Outcomes that are remembered.
    pub tries: u32,
    /// After how many of them the check passed.
    pub successes: u32,
    /// What is expected of it, by its price: [`score`].
    pub score: u32,
    /// What was made of it.
    pub standing: Standing,
}

/// What was made of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// It is taken.
    Chosen,
    /// It comes later.
    Waiting,
    /// It has no try left in this incident.
    Used,
    /// It is for the pods that the check names, and the check names none.
    NoPodNamed,
    /// It would be taken, but the target does not allow it now.
    Held,
}

/// What a step is remembered by: what it does, not where in the policy it is, so that the order can be edited.
pub fn step_name(action: &Action) -> String {
    match action {
        Action::RestartPods { pods, max } => format!("restartPods({pods:?}, {max})"),
        Action::RolloutRestart | Action::Rollback => action.name().as_str().to_owned(),
        Action::Scale(Scaling::Absolute { replicas, .. }) => format!("scale(to {replicas})"),
        Action::Scale(Scaling::By { step, max, .. }) => format!("scale(by {step}, to {max})"),
    }
}

/// What is expected of a step for its price, in thousandths.
///
/// The expected share of successes is (successes + 1) / (tries + 2): a half while nothing is known. Divided by the price, 1
/// for a policy's first step and a half more for each one after it, that is the order in which tries until the first
/// success cost the least, if gentler means cheaper; and while nothing is known it is the order of the policy.
pub fn score(successes: u32, tries: u32, position: usize) -> u32 {
    let position = u64::try_from(position).unwrap_or(u64::MAX).min(1000);
    let helped = 2000 * (u64::from(successes) + 1);
    let price = (u64::from(tries) + 2) * (position + 2);
    u32::try_from(helped / price).unwrap_or(u32::MAX)
}

impl Learned {
    /// What is known of a failure.
    pub fn of(&self, id: &str) -> Option<&KnownFailure> {
        self.failures.iter().find(|known| known.pattern.id == id)
    }

    /// Learns from a finished record, if it teaches anything: the workload was written, and the check has passed or
    /// failed in a run after that. A success did not last if the next record of the incident, which is among `records`,
    /// is for the same failure: it becomes a failure.
    pub(super) fn learn(&mut self, record: &Record, ended: Time, records: &[Record]) {
        let pattern = pattern(&record.intent.errors);
        let earlier = records.iter().filter(|earlier| {
            earlier.intent.incident.id == record.intent.incident.id
                && earlier.intent.attempt < record.intent.attempt
        });
        if let Some(earlier) = earlier.max_by_key(|earlier| earlier.intent.attempt)
            && taught(earlier) == Some(true)
            && super::pattern::pattern(&earlier.intent.errors).id == pattern.id
        {
            self.did_not_last(&pattern, &step_name(&earlier.intent.action));
        }
        let Some(helped) = taught(record) else {
            return;
        };
        let at = self
            .failures
            .iter()
            .position(|known| known.pattern.id == pattern.id);
        let mut known = match at {
            Some(at) => self.failures.remove(at),
            None => KnownFailure {
                pattern,
                last: ended,
                steps: Vec::new(),
            },
        };
        known.last = known.last.max(ended);
        let name = step_name(&record.intent.action);
        let at = known.steps.iter().position(|known| known.step == name);
        let mut step = match at {
            Some(at) => known.steps.remove(at),
            None => KnownStep {
                step: name,
                outcomes: Vec::new(),
            },
        };
        step.outcomes.push(helped);
        newest(&mut step.outcomes, OUTCOMES);
        known.steps.push(step);
        newest(&mut known.steps, STEPS);
        self.failures.push(known);
        newest(&mut self.failures, FAILURES);
    }

    fn did_not_last(&mut self, pattern: &Pattern, step: &str) {
        let known = self.failures.iter_mut();
        let outcome = known
            .filter(|known| known.pattern.id == pattern.id)
            .flat_map(|known| &mut known.steps)
            .find(|known| known.step == step)
            .and_then(|known| known.outcomes.last_mut());
        if let Some(outcome) = outcome {
            *outcome = false;
        }
    }
}

/// Whether a finished record helped, if that can be told.
fn taught(record: &Record) -> Option<bool> {
    match (record.status.phase, record.status.touched) {
        (Phase::Succeeded, Touched::Yes) => Some(true),
        (Phase::Failed, Touched::Yes) => Some(false),
        _ => None,
    }
}

fn newest<T>(list: &mut Vec<T>, most: usize) {
    let surplus = list.len().saturating_sub(most);
    list.drain(..surplus);
}

/// Weighs the steps of a policy for a failure; `standing` says which of them can be taken, as [`Standing::Waiting`].
/// `None` if none can.
///
/// The gentlest is taken, unless a harsher one has [`EVIDENCE`] and a higher score than every gentler one.
pub(super) fn choose(
    learned: &Learned,
    failure: Pattern,
    steps: &[Step],
    standing: impl Fn(usize) -> Standing,
) -> Option<(usize, Choice)> {
    let known = learned.of(&failure.id);
    let mut candidates: Vec<Candidate> = steps
        .iter()
        .enumerate()
        .map(|(position, step)| {
            let name = step_name(&step.action);
            let outcomes = known
                .and_then(|known| known.steps.iter().find(|known| known.step == name))
                .map_or(&[][..], |known| &known.outcomes);
            let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
            let tries = count(outcomes.len());
            let successes = count(outcomes.iter().filter(|helped| **helped).count());
            Candidate {
                step: name,
                tries,
                successes,
                score: score(successes, tries, position),
                standing: standing(position),
            }
        })
        .collect();
    let mut chosen: Option<usize> = None;
    let mut highest = 0;
    for (position, candidate) in candidates.iter().enumerate() {
        if candidate.standing != Standing::Waiting {
            continue;
        }
        let known = usize::try_from(candidate.tries).is_ok_and(|tries| tries >= EVIDENCE);
        if chosen.is_none() || known && candidate.score > highest {
            chosen = Some(position);
        }
        highest = highest.max(candidate.score);
    }
    let chosen = chosen?;
    candidates.get_mut(chosen)?.standing = Standing::Chosen;
    Some((
        chosen,
        Choice {
            failure,
            steps: candidates,
        },
    ))
}

impl Choice {
    /// Why a step was taken before gentler ones; nothing if it was not.
    pub fn sentence(&self) -> Option<String> {
        let chosen = self
            .steps
            .iter()
            .position(|candidate| candidate.standing == Standing::Chosen)?;
        let (gentler, rest) = self.steps.split_at_checked(chosen)?;
        let chosen = rest.first()?;
        let passed: Vec<String> = gentler
            .iter()
            .filter(|candidate| candidate.standing == Standing::Waiting)
            .map(|candidate| {
                format!(
                    "{} {} of {}",
                    candidate.step, candidate.successes, candidate.tries
                )
            })
            .collect();
        if passed.is_empty() {
            return None;
        }
        Some(format!(
            "{} first: it helped {} of {} times with this failure, {}",
            chosen.step,
            chosen.successes,
            chosen.tries,
            passed.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests;
