//! Whose turn it is, so that no more remediations are under way at once than are allowed.
//!
//! The limit holds although leaders change and each has but a cache, for three reasons. A record is marked as begun, by
//! its claim, before its first write, and one that is begun goes before all that are not. A leader takes a record that it
//! has not written itself for one that may be begun at any moment, until it has written it. Of two that are begun only
//! the first can have been written, because the second was begun by a request whose answer nobody saw.

use crate::core::{Mode, Phase, Record, Time, Touched};

/// Whether a write to the target may have been made for the record.
pub fn begun(record: &Record) -> bool {
    let status = &record.status;
    status.claim.is_some()
        || status.touched != Touched::No
        || matches!(status.phase, Phase::Applied | Phase::Verifying)
}

/// Whether nothing is done for the record as it is, whatever its target is like: nobody has approved it, or it is a dry
/// run.
pub fn idle(record: &Record) -> bool {
    !record.finished() && !begun(record) && !acts(record)
}

/// Whether the record uses up the limit of remediations at once. One that waits for a disruption budget does not.
pub fn in_flight(record: &Record) -> bool {
    acts(record) && (record.status.phase != Phase::Blocked || begun(record))
}

/// When the record's write may last have taken effect, if it uses up the limit of remediations in an hour: not when it was
/// decided, as it may have waited for long. One that is under way uses it up however long that takes.
pub fn used(now: Time, record: &Record) -> Option<Time> {
    let status = &record.status;
    if begun(record) && !record.finished() && status.applied.is_none() {
        return Some(now);
    }
    let last = status.applied.or(status.completed).or(status.begun);
    (status.touched != Touched::No).then(|| last.unwrap_or(record.intent.time))
}

/// How many other records go before this one, as the leader of this term knows them.
pub fn rank<'a>(record: &Record, all: impl IntoIterator<Item = &'a Record>, term: i64) -> u32 {
    let before = |other: &&Record| match (begun(record), begun(other)) {
        (true, false) => false,
        (false, true) => true,
        (false, false) if foreign(other, term) => true,
        _ => place(other) < place(record),
    };
    let others = all
        .into_iter()
        .filter(|other| other.name != record.name && acts(other));
    u32::try_from(others.filter(before).count()).unwrap_or(u32::MAX)
}

/// Whether the leader of this term has not written the record yet.
pub(super) fn foreign(record: &Record, term: i64) -> bool {
    record.status.term != term
}

/// Whether the record may be begun although the leader of this term does not see it.
pub fn may_be_begun(record: &Record, term: i64) -> bool {
    acts(record) && !begun(record) && foreign(record, term)
}

fn acts(record: &Record) -> bool {
    let may = match record.intent.mode {
        Mode::Enforce => true,
        Mode::Manual => record.approved,
        Mode::DryRun => false,
    };
    may && !record.finished()
}

/// What waits for a disruption budget comes last, so that nothing waits for it.
fn place(record: &Record) -> (bool, Time, &str, &str) {
    let name = &record.name;
    (
        record.status.phase == Phase::Blocked,
        record.intent.time,
        &name.namespace,
        &name.name,
    )
}
