//! Conditions: their time moves only with their status.

use crate::core::{Reason, Time};
use crate::crd::{Condition, ConditionStatus};

/// Sets one condition.
pub(super) fn set(
    conditions: &mut Vec<Condition>,
    name: &str,
    (status, reason, message): (ConditionStatus, &str, &str),
    generation: i64,
    now: Time,
) {
    let known = conditions.iter().position(|known| known.type_ == name);
    let since = known
        .and_then(|index| conditions.get(index))
        .filter(|known| known.status == status)
        .map(|known| known.last_transition_time);
    let condition = Condition {
        type_: name.to_owned(),
        status,
        observed_generation: Some(generation),
        last_transition_time: since.unwrap_or(now),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    match known.and_then(|index| conditions.get_mut(index)) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

/// A condition that holds or not, for a reason of the vocabulary.
pub(super) fn because(
    holds: bool,
    reason: Reason,
) -> (ConditionStatus, &'static str, &'static str) {
    let status = if holds {
        ConditionStatus::True
    } else {
        ConditionStatus::False
    };
    (status, reason.as_str(), reason.sentence())
}

#[cfg(test)]
mod tests {
    use super::{because, set};
    use crate::core::{Reason, Time};

    #[test]
    fn a_conditions_time_moves_only_with_its_status() {
        let mut conditions = Vec::new();
        for (at, holds, reason, since) in [
            (1, true, Reason::Healthy, 1),
            (2, true, Reason::BelowThreshold, 1),
            (3, false, Reason::Stale, 3),
            (4, false, Reason::Stale, 3),
        ] {
            let value = because(holds, reason);
            set(&mut conditions, "A", value, at, Time::from_unix(at));
            set(
                &mut conditions,
                "B",
                because(true, Reason::Healthy),
                0,
                Time::from_unix(0),
            );
            assert_eq!(conditions.len(), 2);
            assert_eq!(conditions[0].reason, reason.as_str());
            assert_eq!(conditions[0].last_transition_time, Time::from_unix(since));
            assert_eq!(conditions[0].observed_generation, Some(at));
        }
    }
}
