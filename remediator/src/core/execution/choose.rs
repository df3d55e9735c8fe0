//! Which step of a policy is next in an incident.

use crate::core::{Phase, PolicySpec, Record, Touched};

/// What is next in an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// This step.
    Step {
        /// Its index.
        step: u32,
        /// The number of this attempt in the incident, counted from 1.
        attempt: u32,
    },
    /// Every step has been tried as often as the policy allows.
    Exhausted,
}

/// The next step in the incident: the same again until it has been tried `retry.maxRetry` times more, then the next.
///
/// A remediation that touched nothing uses up no try; one that a disruption budget refused never does, since a harsher
/// step would go round the budget.
pub fn choose_step(policy: &PolicySpec, incident: &str, records: &[Record]) -> Choice {
    let mine = || {
        records
            .iter()
            .filter(|record| record.intent.incident.id == incident)
    };
    let attempts = mine().map(|record| record.intent.attempt).max();
    let tries = || {
        mine().filter(|record| {
            record.status.touched != Touched::No && record.status.phase != Phase::Blocked
        })
    };
    let last = tries().map(|record| record.intent.step).max().unwrap_or(0);
    let used = tries().filter(|record| record.intent.step == last).count();
    let again = usize::try_from(policy.retry.max_retry).is_ok_and(|more| used <= more);
    let step = if again { last } else { last.saturating_add(1) };
    match usize::try_from(step) {
        Ok(index) if index < policy.steps.len() => Choice::Step {
            step,
            attempt: attempts.unwrap_or(0).saturating_add(1),
        },
        _ => Choice::Exhausted,
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, choose_step};
    use crate::core::execution::tests::{policy, record};
    use crate::core::{Action, Phase, Touched};

    #[test]
    fn steps_follow_each_other_and_what_touched_nothing_uses_up_no_try() {
        use Phase::{Blocked, Failed, Inconclusive, Succeeded};
        use Touched::{Maybe, No, Yes};
        type History<'a> = &'a [(u32, Phase, Touched)];
        let table: &[(u32, History<'_>, Option<u32>)] = &[
            (0, &[], Some(0)),
            (0, &[(0, Failed, Yes)], Some(1)),
            (0, &[(0, Succeeded, Yes)], Some(1)),
            (0, &[(0, Inconclusive, Maybe)], Some(1)),
            (0, &[(0, Inconclusive, No), (0, Inconclusive, No)], Some(0)),
            (0, &[(0, Blocked, No)], Some(0)),
            (0, &[(0, Blocked, Maybe)], Some(0)),
            (1, &[(0, Failed, Yes)], Some(0)),
            (1, &[(0, Failed, Yes), (0, Failed, Yes)], Some(1)),
            (0, &[(0, Failed, Yes), (1, Failed, Yes)], None),
        ];
        for (retries, history, expected) in table {
            let policy = policy(*retries, 2);
            let mut attempt = 0;
            let records: Vec<_> = history
                .iter()
                .map(|(step, phase, touched)| {
                    attempt += 1;
                    let mut record = record(Action::RolloutRestart);
                    record.intent.attempt = attempt;
                    record.intent.step = *step;
                    record.status.phase = *phase;
                    record.status.touched = *touched;
                    record
                })
                .collect();
            let expected = expected.map_or(Choice::Exhausted, |step| Choice::Step {
                step,
                attempt: attempt + 1,
            });
            let found = choose_step(&policy, "0123456789", &records);
            assert_eq!(found, expected, "{history:?}");
            let other = choose_step(&policy, "another", &records);
            assert_eq!(
                other,
                Choice::Step {
                    step: 0,
                    attempt: 1
                }
            );
        }
    }
}
