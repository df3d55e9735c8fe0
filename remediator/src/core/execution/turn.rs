//! Whose turn it is, so that no more remediations are under way at once than are allowed.
//!
//! The limit holds although leaders change and each has but a cache, for three reasons. A record is marked as begun, by
//! its claim, before its first write, and one that is begun goes before all that are not. A leader takes a record that it
//! has not written itself for one that may be begun at any moment, until it has written it. Of those that are begun only
//! the first, as many as are allowed, can have been written, because the others were begun by requests whose answers
//! nobody saw.
//!
//! Most are begun with their creation, which saves a request on the way to the action. No later write keeps the creation
//! of such a record from arriving late, so there is more to them as long as nothing is written of what became of them
//! ([`unwritten`]). None is begun while another one is known. So of several the last, by term and number, is the only
//! one that can have been written, and it goes before the others and after all that are told more of. Who has created one
//! acts at once, or else nobody does before it is written that it is begun, or that it is not: [`next`](super::next()).

use std::cmp::Reverse;

use crate::core::{Begun, Mode, Phase, Record, Time, Touched};

/// Whether a write to the target may have been made for the record.
pub fn begun(record: &Record) -> bool {
    let status = &record.status;
    status.claim.is_some()
        || status.touched != Touched::No
        || matches!(status.phase, Phase::Applied | Phase::Verifying)
}

/// Whether the record was begun with its creation, and nothing is written yet of what became of it.
pub fn unwritten(record: &Record) -> bool {
    // Whatever is written of one that is begun says since when.
    let status = &record.status;
    record.intent.begun.is_some() && status.claim.is_some() && status.begun.is_none()
}

/// Whether the record could be begun with its creation, as the leader of this term knows the others.
pub fn at_once<'a>(
    record: &Record,
    all: impl IntoIterator<Item = &'a Record>,
    term: i64,
    limit: u32,
) -> bool {
    record.intent.mode == Mode::Enforce && rank(record, all, term) < limit
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

/// Whether another one that was begun with its creation goes after this one. Of that something has to be written first: a
/// former leader may have written that it is begun, and that may arrive at any moment.
pub fn precedes<'a>(record: &Record, all: impl IntoIterator<Item = &'a Record>) -> bool {
    let after = |other: &Record| acts(other) && unwritten(other) && place(record) < place(other);
    all.into_iter().any(after)
}

/// How many other records go before this one, as the leader of this term knows them; the greatest number if it may not
/// be begun before something is written of another.
pub fn rank<'a>(record: &Record, all: impl IntoIterator<Item = &'a Record>, term: i64) -> u32 {
    let before = |other: &Record| match (begun(record), begun(other)) {
        (true, false) => false,
        (false, true) => true,
        (false, false) if foreign(other, term) => true,
        _ => place(other) < place(record),
    };
    let mut rank: u32 = 0;
    for other in all {
        if other.name == record.name || !acts(other) {
            continue;
        }
        if !begun(record) && unwritten(other) {
            return u32::MAX;
        }
        rank = rank.saturating_add(before(other).into());
    }
    rank
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
fn place(record: &Record) -> (Option<Reverse<Begun>>, bool, Time, &str, &str) {
    let name = &record.name;
    let unwritten = record.intent.begun.filter(|_| unwritten(record));
    (
        unwritten.map(Reverse),
        record.status.phase == Phase::Blocked,
        record.intent.time,
        &name.namespace,
        &name.name,
    )
}
