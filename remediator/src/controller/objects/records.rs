//! Records, by policy, by name and by time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::window::Window;
use crate::clock;
use crate::core::execution::{
    Creator, at_once, begun, doubtful, greatest, in_flight, last, rank, unwritten, used,
};
use crate::core::{Begun, Limits, ObjectKey, Record, Time};

/// An hour, for the limit of remediations in it.
const HOUR: i64 = 3600;

/// Records that do not exist any more of which it is remembered when they were begun: as many as the limit can be.
const FORGOTTEN: usize = 10_000;

/// The end of time, for what is under way.
fn never() -> Time {
    Time::from_unix(i64::MAX)
}

/// No leader's term.
const UNSURE: i64 = -1;

/// Whose records: a policy deleted and created anew is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::controller) struct Owner {
    pub(in crate::controller) policy: ObjectKey,
    pub(in crate::controller) uid: String,
}

/// All records that belong to policies.
#[derive(Debug, Default)]
pub(in crate::controller) struct Records {
    owners: HashMap<ObjectKey, Owner>,
    by_owner: HashMap<Owner, Arc<Vec<Record>>>,
    /// Again, as they are gone through for each decision.
    unfinished: BTreeMap<ObjectKey, Record>,
    times: Window,
    gone: Gone,
    /// UIDs of those that may have been acted on without a word of that in their status: at most one that a leader has
    /// found and one that it has created itself.
    at_once: BTreeSet<String>,
    /// The greatest that any record was begun as, whether it still exists or not.
    greatest: Option<Begun>,
}

/// When records were begun that do not exist any more: whoever deletes a policy and creates it anew, or deletes records,
/// does not get around the limit in an hour. A process that starts knows of none.
#[derive(Debug, Default)]
struct Gone(BTreeSet<(Time, String)>);

impl Gone {
    fn remember(&mut self, record: &Record) {
        // What was under way may have taken effect until now.
        let Some(at) = used(clock::now(), record) else {
            return;
        };
        self.0.insert((at, record.uid.clone()));
        if self.0.len() > FORGOTTEN {
            self.0.pop_first();
        }
    }

    fn count(&mut self, since: Time) -> u32 {
        while self.0.first().is_some_and(|(at, _)| *at <= since) {
            self.0.pop_first();
        }
        count(self.0.len())
    }
}

impl Records {
    pub(in crate::controller) fn get(&self, key: &ObjectKey) -> Option<&Record> {
        let records = self.by_owner.get(self.owners.get(key)?)?;
        records.iter().find(|record| record.name == *key)
    }

    /// Records of one policy.
    pub(in crate::controller) fn of(&self, owner: &Owner) -> Arc<Vec<Record>> {
        self.by_owner.get(owner).cloned().unwrap_or_default()
    }

    /// Takes a record. A watch may be behind what was written meanwhile: what is known of a record never becomes older.
    pub(super) fn insert(&mut self, record: Record) {
        let version = |record: &Record| record.resource_version.parse::<u64>().ok();
        let known = self.get(&record.name);
        let older = known.is_some_and(|known| {
            known.uid == record.uid
                && version(&record).is_some()
                && version(&record) <= version(known)
        });
        if older {
            return;
        }
        // One of the same name that is another is gone.
        let replaced = self.take(&record.name);
        if let Some(replaced) = replaced.filter(|replaced| replaced.uid != record.uid) {
            self.at_once.remove(&replaced.uid);
            self.gone.remember(&replaced);
        }
        if !record.untold() {
            self.at_once.remove(&record.uid);
        }
        self.greatest = greatest(self.greatest, [&record]);
        self.put(record);
    }

    /// The record was begun with its creation, or may have been: this is taken for granted until something is written of
    /// it.
    pub(in crate::controller) fn begin(&mut self, record: &Record) {
        if let Some(known) = self.take(&record.name) {
            self.at_once.insert(record.uid.clone());
            self.put(known);
        }
    }

    /// All records are known that a former leader may have acted on.
    pub(in crate::controller) fn inherit(&mut self) {
        if let Some(last) = last(self.unfinished()).cloned() {
            self.begin(&last);
        }
    }

    fn put(&mut self, record: Record) {
        let record = match self.at_once.contains(&record.uid) {
            true => record.begun_with_creation(),
            false => record,
        };
        let owner = Owner {
            policy: record.intent.policy.clone(),
            uid: record.intent.policy_uid.clone(),
        };
        if !record.finished() {
            self.unfinished.insert(record.name.clone(), record.clone());
        }
        if let Some(at) = used(never(), &record) {
            self.times.add(at);
        }
        self.owners.insert(record.name.clone(), owner.clone());
        Arc::make_mut(self.by_owner.entry(owner).or_default()).push(record);
    }

    /// Nobody knows whether a write of the record took effect: it is taken for another leader's until it is written
    /// again.
    pub(in crate::controller) fn doubt(&mut self, record: &Record) {
        let known = self.get(&record.name);
        if known.is_none_or(|known| known.resource_version != record.resource_version) {
            return;
        }
        if let Some(mut known) = self.take(&record.name) {
            known.status.term = UNSURE;
            self.put(known);
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        if let Some(record) = self.take(key) {
            self.at_once.remove(&record.uid);
            self.gone.remember(&record);
        }
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Record> {
        let owner = self.owners.remove(key)?;
        let own = Arc::make_mut(self.by_owner.get_mut(&owner)?);
        let at = own.iter().position(|record| record.name == *key)?;
        let record = own.swap_remove(at);
        if own.is_empty() {
            self.by_owner.remove(&owner);
        }
        self.unfinished.remove(key);
        if let Some(at) = used(never(), &record) {
            self.times.remove(at);
        }
        Some(record)
    }

    pub(in crate::controller) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.owners.keys()
    }

    fn unfinished(&self) -> impl Iterator<Item = &Record> {
        self.unfinished.values()
    }

    fn in_flight(&self) -> impl Iterator<Item = &Record> {
        self.unfinished().filter(|record| in_flight(record))
    }

    /// How many use up the limit of those at once.
    pub(in crate::controller) fn count_in_flight(&self) -> u32 {
        count(self.in_flight().count())
    }

    /// How many were begun in the last hour, whether they still exist or not.
    pub(in crate::controller) fn count_begun(&mut self, now: Time) -> u32 {
        let since = Time::from_unix(now.unix().saturating_sub(HOUR));
        let known = self.times.count(since);
        known.saturating_add(self.gone.count(since))
    }

    /// How many were begun in the last hour, or are about to be.
    pub(in crate::controller) fn count_last_hour(&mut self, now: Time) -> u32 {
        let about_to = count(self.in_flight().filter(|record| !begun(record)).count());
        self.count_begun(now).saturating_add(about_to)
    }

    /// How many others may be begun although the leader of this term does not see it.
    pub(in crate::controller) fn doubtful(&self, record: &Record, term: i64) -> u32 {
        doubtful(record, self.unfinished(), term)
    }

    /// Policies with a remediation in flight.
    pub(in crate::controller) fn remediated(&self) -> BTreeSet<&ObjectKey> {
        self.in_flight()
            .map(|record| &record.intent.policy)
            .collect()
    }

    /// How many others have used up the limit of an hour, or may have, as the leader of this term knows them.
    pub(in crate::controller) fn count_others(
        &mut self,
        now: Time,
        record: &Record,
        term: i64,
    ) -> u32 {
        let own = self.get(&record.name).is_some_and(unwritten);
        let begun = self.count_begun(now).saturating_sub(own.into());
        begun.saturating_add(self.doubtful(record, term))
    }

    /// Whether a leader that has made so many like this could begin the record with its creation.
    pub(in crate::controller) fn at_once(
        &mut self,
        now: Time,
        record: &Record,
        made: Begun,
        limits: Limits,
    ) -> bool {
        let creator = Creator {
            made,
            greatest: self.greatest,
            last_hour: self.count_others(now, record, made.term),
            limits,
        };
        at_once(record, self.unfinished.values(), &creator)
    }

    /// How many others go before this one, as the leader of this term knows them.
    pub(in crate::controller) fn rank(&self, record: &Record, term: i64) -> u32 {
        rank(record, self.unfinished(), term)
    }
}

/// A length as it is counted in limits.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
