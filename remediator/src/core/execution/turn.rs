//! Whose turn it is, so that no more remediations are under way at once than are allowed.
//!
//! The limit holds although leaders change and each has but a cache, for three reasons. A record is marked as begun, by
//! its claim, before its first write, and one that is begun goes before all that are not. A leader takes a record that it
//! has not written itself for one that may be begun at any moment, until it has written it. Of those that are begun only
//! the first, as many as are allowed, can have been written, because the others were begun by requests whose answers
//! nobody saw.
//!
//! Most are begun with their creation, which saves a request on the way to the action. What a record says of that is not
//! believed: it may be anybody's, or its creation may have arrived too late for who sent it. A leader knows of two that
//! may have been acted on without a word of that in their status ([`unwritten`]): the one it has created and acted on
//! itself, until its status is written; and of those that it finds when it begins to lead the [`last`]. No other one can
//! have been, as none is begun with its creation while such a one is known, or while one is known that comes later by
//! term and number. All others are begun by a claim, if at all.
//!
//! Such a one takes a place like all that are begun, and comes last of them: the others were begun while it was counted, or
//! it has not been acted on. Which of both is not known while others may still turn out to be begun, so those are written
//! first if there is no place for all.
//!
//! If its status cannot be written, it keeps its place and nothing else is begun with its creation, but what finds a
//! place is begun by a claim: whoever leads next finds it still the last, and among no more than are allowed. It is never
//! acted on (again) before its status is written.

use crate::core::{Begun, Limits, Mode, Phase, Record, Time, Touched};

/// Whether a write to the target may have been made for the record.
pub fn begun(record: &Record) -> bool {
    let status = &record.status;
    status.claim.is_some()
        || status.touched != Touched::No
        || matches!(status.phase, Phase::Applied | Phase::Verifying)
}

/// Whether the record is known to have been begun with its creation, or may have been, and nothing is written yet of what
/// became of it: [`Record::begun_with_creation`].
pub fn unwritten(record: &Record) -> bool {
    // Whatever is written of one that is begun says since when.
    let status = &record.status;
    record.intent.begun.is_some() && status.claim.is_some() && status.begun.is_none()
}

/// Of the records that a leader finds when it begins, the one that may have been begun with its creation and acted on.
pub fn last<'a>(all: impl IntoIterator<Item = &'a Record>) -> Option<&'a Record> {
    let untold = all.into_iter().filter(|record| record.untold());
    untold.max_by_key(|record| record.intent.begun)
}

/// A leader that is about to create a record.
#[derive(Clone, Copy, Debug)]
pub struct Creator {
    /// Its term, and how many records it has begun with their creation.
    pub made: Begun,
    /// The [`greatest`] of all records that it knows, over or not.
    pub greatest: Option<Begun>,
    /// How many others have used up the limit of an hour, or may have.
    pub last_hour: u32,
    /// The remediator's limits.
    pub limits: Limits,
}

/// The greatest that any record was begun as with its creation: of these and of those seen before, of which it was `before`
/// and which need not exist any more.
pub fn greatest<'a>(
    before: Option<Begun>,
    records: impl IntoIterator<Item = &'a Record>,
) -> Option<Begun> {
    let begun = records.into_iter().map(|record| record.intent.begun);
    begun.fold(before, Ord::max)
}

/// Whether the record could be begun with its creation, as its creator knows the others. A greater one that another leader
/// seems to have made means that terms do not follow each other: the lease was deleted, or the record is forged.
pub fn at_once<'a>(
    record: &Record,
    all: impl IntoIterator<Item = &'a Record> + Clone,
    creator: &Creator,
) -> bool {
    let Creator {
        made,
        greatest,
        last_hour,
        limits,
    } = *creator;
    record.intent.at_once()
        && greatest <= Some(made)
        && last_hour < limits.per_hour
        && rank(record, all.clone(), made.term) < limits.in_flight
        && !all.into_iter().any(unwritten)
}

/// Whether it is settled that the record was begun, or that nothing is begun for it: then it can be worked on while others
/// are begun.
pub fn certain(record: &Record) -> bool {
    record.finished() || idle(record) || begun(record) && !unwritten(record)
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
    let before = |other: &Record| match (begun(record), begun(other)) {
        (true, false) => false,
        (false, true) => true,
        (false, false) if foreign(other, term) => true,
        _ => place(other) < place(record),
    };
    count(others(record, all).filter(|other| before(other)))
}

/// Whether the leader of this term has not written the record yet.
pub(super) fn foreign(record: &Record, term: i64) -> bool {
    record.status.term != term
}

/// How many others may be begun although the leader of this term does not see it: by another leader's claim, or by one whose
/// answer was lost.
pub fn doubtful<'a>(record: &Record, all: impl IntoIterator<Item = &'a Record>, term: i64) -> u32 {
    count(others(record, all).filter(|other| !begun(other) && foreign(other, term)))
}

/// The other records that something is or may be done for.
fn others<'a>(
    record: &Record,
    all: impl IntoIterator<Item = &'a Record>,
) -> impl Iterator<Item = &'a Record> {
    let others = all.into_iter();
    others.filter(|other| other.name != record.name && acts(other))
}

fn count<'a>(records: impl Iterator<Item = &'a Record>) -> u32 {
    u32::try_from(records.count()).unwrap_or(u32::MAX)
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
fn place(record: &Record) -> (bool, bool, Time, &str, &str) {
    let name = &record.name;
    (
        unwritten(record),
        record.status.phase == Phase::Blocked,
        record.intent.time,
        &name.namespace,
        &name.name,
    )
}
