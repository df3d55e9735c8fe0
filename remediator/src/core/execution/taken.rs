//! Whether a write has taken effect, told from the target alone.

use crate::core::{Claim, Facts, Record};

/// Whether the record's write has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// No: the target's spec is what it was when the write was decided.
    Not,
    /// Yes.
    Yes,
    /// The target's spec was changed, and not by this record, or not only.
    Changed,
}

/// Whether the record's write has taken effect.
///
/// Nothing else than a change of spec moves `generation`, and only this write leaves this value; an autoscaler, which
/// keeps no generation, carries the record's name instead. For pods this says only whether the target is still the same:
/// their own UIDs tell the rest. What a record has not claimed it has not written either.
pub fn taken(record: &Record, live: &Facts) -> Taken {
    let intent = &record.intent;
    if live.uid != intent.target.uid {
        return Taken::Changed;
    }
    if !intent.pods.is_empty() {
        return Taken::Not;
    }
    if let Some(name) = &intent.autoscaler {
        return match &live.autoscaler {
            Some(found) if found.name != *name => Taken::Changed,
            Some(found) if found.raised_by.as_deref() == Some(&*record.name.name) => Taken::Yes,
            Some(found) if intent.replicas.is_some_and(|(from, _)| from == found.min) => Taken::Not,
            Some(_) | None => Taken::Changed,
        };
    }
    let claim = claim(record);
    if live.resource_version == claim.resource_version || live.generation == claim.generation {
        return Taken::Not;
    }
    if record.status.claim.is_none() {
        return Taken::Changed;
    }
    let in_place = match (&intent.replicas, &intent.revision) {
        (Some((_, to)), _) => live.replicas == *to,
        (None, Some((_, uid, _))) => live.current_revision.as_ref() == Some(uid),
        (None, None) => live.restarted_at == Some(intent.time),
    };
    if in_place { Taken::Yes } else { Taken::Changed }
}

/// The claim that holds: the newest.
fn claim(record: &Record) -> &Claim {
    record.status.claim.as_ref().unwrap_or(&record.intent.claim)
}
