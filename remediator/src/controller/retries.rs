//! Deliveries that were not taken as a whole, and are to be sent again: which policies know them already, so that they
//! do not count there twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use super::alerts::{Told, more};
use crate::core::ObjectKey;

/// Deliveries that are known at once, and for how long: senders give up by then.
const KNOWN: usize = 256;
const FRESH: Duration = Duration::from_secs(600);

/// A delivery, by its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Delivery(u64);

/// What of a delivery is written down.
#[derive(Debug)]
struct Written {
    since: Instant,
    policies: BTreeSet<ObjectKey>,
    told: BTreeMap<usize, Told>,
}

/// What of which deliveries is written down.
#[derive(Debug, Default)]
pub(super) struct Retries {
    hasher: RandomState,
    written: HashMap<Delivery, Written>,
}

impl Retries {
    pub(super) fn delivery(&self, body: &[u8]) -> Delivery {
        Delivery(self.hasher.hash_one(body))
    }

    /// The policies that know the delivery, and what it has told them.
    pub(super) fn known(
        &self,
        delivery: Delivery,
        now: Instant,
    ) -> (BTreeSet<ObjectKey>, Vec<(usize, Told)>) {
        let written = self.written.get(&delivery);
        let fresh = |written: &&Written| now.saturating_duration_since(written.since) < FRESH;
        match written.filter(fresh) {
            Some(written) => {
                let told = written.told.iter();
                let told = told.map(|(index, told)| (*index, *told)).collect();
                (written.policies.clone(), told)
            }
            None => Default::default(),
        }
    }

    /// The policy knows the delivery now.
    pub(super) fn put(
        &mut self,
        delivery: Delivery,
        policy: &ObjectKey,
        told: &[(usize, Told)],
        now: Instant,
    ) {
        let fresh = |written: &Written| now.saturating_duration_since(written.since) < FRESH;
        self.written
            .retain(|other, written| *other == delivery || fresh(written));
        if self.written.len() >= KNOWN && !self.written.contains_key(&delivery) {
            let oldest = self.written.iter().min_by_key(|(_, written)| written.since);
            if let Some(oldest) = oldest.map(|(delivery, _)| *delivery) {
                self.written.remove(&oldest);
            }
        }
        let new = || Written {
            since: now,
            policies: BTreeSet::new(),
            told: BTreeMap::new(),
        };
        let written = self.written.entry(delivery).or_insert_with(new);
        if !fresh(written) {
            *written = new();
        }
        written.policies.insert(policy.clone());
        for (index, told) in told {
            more(&mut written.told, *index, *told);
        }
    }

    /// The delivery was taken as a whole: the next one with this body is another one.
    pub(super) fn taken(&mut self, delivery: Delivery) {
        self.written.remove(&delivery);
    }
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::{FRESH, KNOWN, Retries};
    use crate::clock;
    use crate::core::alerts::Taken;

    #[test]
    fn what_is_sent_again_is_known_where_it_was_written_until_it_was_taken() {
        let (mut retries, now) = (Retries::default(), clock::instant());
        let (first, other) = (retries.delivery(b"first"), retries.delivery(b"other"));
        let (web, db) = (key("shop", "web"), key("shop", "db"));
        retries.put(first, &web, &[(0, Some(Taken::Known))], now);
        retries.put(first, &db, &[(0, Some(Taken::New)), (1, None)], now);
        let (policies, told) = retries.known(first, now);
        assert!(policies.iter().eq([&db, &web]));
        assert_eq!(told, [(0, Some(Taken::New)), (1, None)]);
        assert!(retries.known(other, now).0.is_empty());
        assert!(retries.known(first, now + FRESH).0.is_empty());
        retries.put(first, &web, &[], now + FRESH);
        assert!(retries.known(first, now + FRESH).0.iter().eq([&web]));
        retries.taken(first);
        assert!(retries.known(first, now).0.is_empty());
    }

    #[test]
    fn not_too_many_are_known() {
        let (mut retries, now) = (Retries::default(), clock::instant());
        for number in 0..3 * KNOWN {
            let delivery = retries.delivery(&number.to_be_bytes());
            retries.put(delivery, &key("shop", "web"), &[], now);
            assert!(retries.written.len() <= KNOWN);
            assert!(!retries.known(delivery, now).0.is_empty());
        }
        let last = retries.delivery(b"last");
        retries.put(last, &key("shop", "web"), &[], now + FRESH);
        assert_eq!(retries.written.len(), 1);
    }
}
