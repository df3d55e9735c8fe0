//! Between what a policy's status remembers of each failure and the core.

use super::policy_status as crd;
use crate::core::learning::{FAILURES, OUTCOMES, STEP_LENGTH, STEPS};
use crate::core::pattern::PATTERN_LENGTH;
use crate::core::reason::bounded;
use crate::core::{KnownFailure, KnownStep, Learned, Pattern};

pub(super) fn read_learned(learned: Vec<crd::KnownFailure>) -> Learned {
    let step = |step: crd::KnownStep| KnownStep {
        step: bounded(&step.step, STEP_LENGTH),
        outcomes: step
            .outcomes
            .chars()
            .filter(|outcome| matches!(outcome, 'S' | 'F'))
            .take(OUTCOMES)
            .map(|outcome| outcome == 'S')
            .collect(),
    };
    let failure = |known: crd::KnownFailure| KnownFailure {
        pattern: Pattern {
            id: bounded(&known.id, 10),
            text: bounded(&known.text, PATTERN_LENGTH),
        },
        last: known.last_time,
        steps: known.steps.into_iter().take(STEPS).map(step).collect(),
    };
    Learned {
        failures: learned.into_iter().take(FAILURES).map(failure).collect(),
    }
}

pub(super) fn written_learned(learned: Learned) -> Vec<crd::KnownFailure> {
    let step = |known: KnownStep| crd::KnownStep {
        step: known.step,
        outcomes: known
            .outcomes
            .into_iter()
            .map(|helped| if helped { 'S' } else { 'F' })
            .collect(),
    };
    let failures = learned.failures.into_iter();
    failures
        .map(|known| crd::KnownFailure {
            id: known.pattern.id,
            text: known.pattern.text,
            last_time: known.last,
            steps: known.steps.into_iter().map(step).collect(),
        })
        .collect()
}
