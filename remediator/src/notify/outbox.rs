//! What waits to be told to a receiver that hears of each transition, in the order of each incident. Pure.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use super::gather::{Gather, Ready};
use super::notice::{Notice, Subject};
use crate::core::{Level, ObjectKey, Time};

/// Incidents that wait at most, and notices of each.
pub(super) const SUBJECTS: usize = 256;
pub(super) const EACH: usize = 16;

/// What became of notices that are not told one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Put together with others.
    pub(super) grouped: usize,
    /// Left out, because there were too many.
    pub(super) dropped: usize,
}

/// What waits. The subject that is told of next is the first.
pub(super) struct Outbox {
    gather: Gather,
    order: VecDeque<Subject>,
    pending: HashMap<Subject, VecDeque<Notice>>,
}

impl Outbox {
    pub(super) fn new(cascade_threshold: usize) -> Outbox {
        Outbox {
            gather: Gather::new(cascade_threshold),
            order: VecDeque::new(),
            pending: HashMap::new(),
        }
    }

    /// How many notices wait.
    pub(super) fn len(&self) -> usize {
        let pending = self.pending.values();
        pending.map(VecDeque::len).sum::<usize>() + self.gather.len()
    }

    /// Takes a notice.
    pub(super) fn take(&mut self, notice: Notice, now: Instant) -> Lost {
        let ready = self.gather.take(notice, now);
        self.queue(ready)
    }

    /// The policy was deleted.
    pub(super) fn forget(&mut self, policy: &ObjectKey, now: Time) -> Lost {
        let ready = self.gather.forget(policy, now);
        self.queue(ready)
    }

    /// Others may have told meanwhile, and only of these it is not over.
    pub(super) fn resume(&mut self, open: &BTreeSet<Subject>, now: Time) -> Lost {
        let ready = self.gather.resume(open, now);
        self.queue(ready)
    }

    /// Lets go of what has waited for others long enough.
    pub(super) fn release(&mut self, now: Instant) -> Lost {
        let ready = self.gather.release(now);
        self.queue(ready)
    }

    /// When [`Outbox::release`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.gather.due()
    }

    /// What is told next.
    pub(super) fn next(&self) -> Option<&Notice> {
        self.pending.get(self.order.front()?)?.front()
    }

    /// This notice was told, or never will be.
    pub(super) fn done(&mut self, notice: &Notice) {
        let Some(pending) = self.pending.get_mut(&notice.subject) else {
            return;
        };
        // It may have been left out meanwhile.
        if pending.front().is_some_and(|first| first.id == notice.id) {
            pending.pop_front();
        }
        if pending.is_empty() {
            self.pending.remove(&notice.subject);
            self.order.retain(|subject| *subject != notice.subject);
        } else {
            self.later(&notice.subject);
        }
    }

    /// Lets others go first: what a receiver cannot take must not hold up the rest.
    pub(super) fn later(&mut self, subject: &Subject) {
        if self.order.front() == Some(subject) {
            self.order.rotate_left(1);
        }
    }

    fn queue(&mut self, ready: Ready) -> Lost {
        let mut lost = Lost {
            grouped: ready.grouped,
            dropped: 0,
        };
        for notice in ready.notices {
            lost.dropped += self.push(notice);
        }
        lost
    }

    fn push(&mut self, notice: Notice) -> usize {
        let subject = notice.subject.clone();
        let mut dropped = 0;
        if !self.pending.contains_key(&subject) {
            if self.order.len() >= SUBJECTS {
                let Some(least) = self.least(&notice) else {
                    return 1;
                };
                let gone = self.order.remove(least);
                let gone = gone.and_then(|gone| self.pending.remove(&gone));
                dropped += gone.map_or(0, |gone| gone.len());
            }
            self.order.push_back(subject.clone());
        }
        // What is first of all may be under way.
        let under_way = usize::from(self.order.front() == Some(&subject));
        let pending = self.pending.entry(subject).or_default();
        pending.push_back(notice);
        if pending.len() > EACH {
            let mut others = pending.iter().skip(under_way);
            let least = others.position(|notice| notice.what.may_be_dropped());
            pending.remove(least.unwrap_or(0) + under_way);
            dropped += 1;
        }
        dropped
    }

    /// The place of the subject that is left out for one more: what has waited longest is worth least, and what is critical
    /// most. None if that is the new one itself. The first may be under way.
    fn least(&self, new: &Notice) -> Option<usize> {
        let critical = |subject: &Subject| {
            let pending = self.pending.get(subject);
            pending.is_some_and(|pending| pending.iter().any(is_critical))
        };
        let mut others = self.order.iter().skip(1);
        let least = others.position(|subject| !critical(subject));
        let least = least.or_else(|| is_critical(new).then_some(0));
        least.map(|least| least + 1)
    }
}

fn is_critical(notice: &Notice) -> bool {
    notice.level == Level::Critical
}
