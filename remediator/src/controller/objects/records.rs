//! Records, by policy, by name and by time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::core::execution::{in_flight, rank};
use crate::core::{ObjectKey, Record, Time, Touched};

/// An hour, for the limit of remediations in it.
const HOUR: u32 = 3600;

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
    unfinished: BTreeSet<ObjectKey>,
    times: BTreeSet<(Time, ObjectKey)>,
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
        self.remove(&record.name);
        let owner = Owner {
            policy: record.intent.policy.clone(),
            uid: record.intent.policy_uid.clone(),
        };
        if !record.finished() {
            self.unfinished.insert(record.name.clone());
        }
        self.times.insert((record.intent.time, record.name.clone()));
        self.owners.insert(record.name.clone(), owner.clone());
        Arc::make_mut(self.by_owner.entry(owner).or_default()).push(record);
    }

    /// Nobody knows whether a write of the record took effect: it is taken for another leader's until it is written
    /// again.
    pub(in crate::controller) fn doubt(&mut self, record: &Record) {
        let owner = self.owners.get(&record.name);
        let Some(records) = owner.and_then(|owner| self.by_owner.get_mut(owner)) else {
            return;
        };
        let known = Arc::make_mut(records)
            .iter_mut()
            .find(|known| known.name == record.name);
        if let Some(known) = known.filter(|known| known.resource_version == record.resource_version)
        {
            known.status.term = UNSURE;
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        let Some(owner) = self.owners.remove(key) else {
            return;
        };
        let Some(records) = self.by_owner.get_mut(&owner) else {
            return;
        };
        self.unfinished.remove(key);
        let own = Arc::make_mut(records);
        for record in own.iter().filter(|record| record.name == *key) {
            self.times.remove(&(record.intent.time, key.clone()));
        }
        own.retain(|record| record.name != *key);
        if own.is_empty() {
            self.by_owner.remove(&owner);
        }
    }

    pub(in crate::controller) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.owners.keys()
    }

    fn unfinished(&self) -> impl Iterator<Item = &Record> {
        self.unfinished.iter().filter_map(|key| self.get(key))
    }

    fn in_flight(&self) -> impl Iterator<Item = &Record> {
        self.unfinished().filter(|record| in_flight(record))
    }

    /// How many use up the limit of those at once.
    pub(in crate::controller) fn count_in_flight(&self) -> u32 {
        count(self.in_flight())
    }

    /// How many were begun in the last hour.
    pub(in crate::controller) fn count_last_hour(&self, now: Time) -> u32 {
        let since = Time::from_unix(now.unix().saturating_sub(i64::from(HOUR)));
        let latest = self.times.iter().rev().take_while(|(at, _)| *at > since);
        let latest = latest.filter_map(|(_, key)| self.get(key));
        count(latest.filter(|record| record.status.touched != Touched::No || in_flight(record)))
    }

    /// Policies with a remediation in flight.
    pub(in crate::controller) fn remediated(&self) -> BTreeSet<&ObjectKey> {
        self.in_flight()
            .map(|record| &record.intent.policy)
            .collect()
    }

    /// How many others go before this one, as the leader of this term knows them.
    pub(in crate::controller) fn rank(&self, record: &Record, term: i64) -> u32 {
        rank(record, self.unfinished(), term)
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}
