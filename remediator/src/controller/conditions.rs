//! Conditions: their time moves only with their status.

use crate::core::reason::{MESSAGE_LENGTH, bounded};
use crate::core::{Reason, Time};
use crate::crd::{Condition, ConditionStatus};

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) status: ConditionStatus,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Says {
    pub(super) fn new(
        status: ConditionStatus,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Says {
        Says {
            status,
            reason,
            message: bounded(&message.into(), MESSAGE_LENGTH),
        }
    }

    /// A condition that holds or not, for a reason of the vocabulary.
    pub(super) fn because(holds: bool, reason: Reason) -> Says {
        let status = if holds {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        Says::new(status, reason.as_str(), reason.sentence())
    }
}

/// The condition of this type.
pub(super) fn get<'a>(conditions: &'a [Condition], name: &str) -> Option<&'a Condition> {
    conditions.iter().find(|known| known.type_ == name)
}

/// The reason of the vocabulary for which a condition does not hold, if it is one.
pub(super) fn why_not(conditions: &[Condition], name: &str) -> Option<Reason> {
    let condition = get(conditions, name)?;
    let all = Reason::ALL.iter().copied();
    (condition.status == ConditionStatus::False).then(|| {
        all.into_iter()
            .find(|reason| reason.as_str() == condition.reason)
    })?
}

/// Sets one condition.
pub(super) fn set(
    conditions: &mut Vec<Condition>,
    name: &str,
    says: Says,
    generation: i64,
    now: Time,
) {
    let Says {
        status,
        reason,
        message,
    } = says;
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
        message,
    };
    match known.and_then(|index| conditions.get_mut(index)) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::{Says, get, set, why_not};
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
            let says = Says::because(holds, reason);
            set(&mut conditions, "A", says, at, Time::from_unix(at));
            let says = Says::because(true, Reason::Healthy);
            set(&mut conditions, "B", says, 0, Time::from_unix(0));
            assert_eq!(conditions.len(), 2);
            let condition = get(&conditions, "A").unwrap();
            assert_eq!(condition.reason, reason.as_str());
            assert_eq!(condition.last_transition_time, Time::from_unix(since));
            assert_eq!(condition.observed_generation, Some(at));
            let expected = (!holds).then_some(reason);
            assert_eq!(why_not(&conditions, "A"), expected);
        }
    }
}
