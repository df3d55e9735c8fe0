//! What an Alertmanager is told: what is the case, not what has happened. The last word on an incident is all it needs.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::notice::{Notice, Subject, Transition};
use crate::core::{Level, Time};

/// Alerts that are kept at most.
pub(super) const MOST: usize = 4096;

/// Subjects in one request.
pub(super) const BATCH: usize = 64;

/// One incident, or what concerns all policies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    /// The last that was told of it.
    pub(super) notice: Notice,
    /// What matters less than this is no alert.
    pub(super) level: Level,
    /// When it was over, if it is.
    pub(super) over: Option<Time>,
    /// Whether all steps were tried.
    pub(super) exhausted: bool,
    dirty: bool,
    revision: u64,
}

/// Names what was sent, so that what has changed meanwhile is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent(Vec<(Subject, u64)>);

/// The alerts of one Alertmanager.
#[derive(Default)]
pub(super) struct Alerts {
    known: BTreeMap<Subject, Alert>,
    revision: u64,
}

impl Alerts {
    /// How many have something to be told.
    pub(super) fn len(&self) -> usize {
        self.known.values().filter(|alert| alert.dirty).count()
    }

    /// Whether something fires, so that it has to be repeated.
    pub(super) fn fires(&self) -> bool {
        self.known.values().any(|alert| alert.over.is_none())
    }

    /// Takes a notice. Returns whether there was no room for it.
    pub(super) fn take(&mut self, notice: Notice, level: Level) -> bool {
        self.revision += 1;
        let known = self.known.get(&notice.subject);
        if known.is_none() && self.known.len() >= MOST {
            return true;
        }
        let over = if notice.what.is_end() {
            Some(notice.time)
        } else if ends_late(notice.what) {
            // A remediation that ends after its incident does not open it again.
            match known {
                Some(known) => known.over,
                None => return false,
            }
        } else {
            None
        };
        let exhausted = is_exhausted(&notice);
        let alert = Alert {
            level,
            over,
            exhausted,
            dirty: true,
            revision: self.revision,
            notice,
        };
        self.known.insert(alert.notice.subject.clone(), alert);
        false
    }

    /// Counts what is taken: what [`Alerts::align`] needs, from before it is asked what is open.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Brings this in line with what is open, unless it has taken something newer since it was at revision `asked`. Returns
    /// for how many there was no room.
    pub(super) fn align(&mut self, open: Vec<(Notice, Level)>, asked: u64, now: Time) -> usize {
        let subjects: BTreeSet<&Subject> = open.iter().map(|(notice, _)| &notice.subject).collect();
        for (subject, alert) in &mut self.known {
            let newer = alert.revision > asked;
            if !newer && alert.over.is_none() && !subjects.contains(subject) {
                self.revision += 1;
                alert.over = Some(now);
                alert.dirty = true;
                alert.revision = self.revision;
            }
        }
        let mut without_room = 0;
        for (notice, level) in open {
            let known = self.known.get(&notice.subject);
            let exhausted = is_exhausted(&notice);
            let differs = |known: &Alert| known.over.is_some() || known.exhausted != exhausted;
            let newer = known.is_some_and(|known| known.revision > asked);
            if !newer && known.is_none_or(differs) {
                without_room += usize::from(self.take(notice, level));
            }
        }
        without_room
    }

    /// All that fires is to be sent again.
    pub(super) fn repeat(&mut self) {
        for alert in self.known.values_mut() {
            alert.dirty = true;
        }
    }

    /// What to send next.
    pub(super) fn next(&self) -> Option<(Vec<Alert>, Sent)> {
        let dirty = self.known.values().filter(|alert| alert.dirty);
        let alerts: Vec<Alert> = dirty.take(BATCH).cloned().collect();
        let of = |alert: &Alert| (alert.notice.subject.clone(), alert.revision);
        let sent = Sent(alerts.iter().map(of).collect());
        (!alerts.is_empty()).then_some((alerts, sent))
    }

    /// These were taken, or never will be.
    pub(super) fn done(&mut self, sent: &Sent) {
        for (subject, revision) in &sent.0 {
            let Some(alert) = self.known.get_mut(subject) else {
                continue;
            };
            if alert.revision != *revision {
                continue;
            }
            alert.dirty = false;
            if alert.over.is_some() {
                self.known.remove(subject);
            }
        }
    }
}

fn is_exhausted(notice: &Notice) -> bool {
    let about = notice.about.as_ref();
    notice.what == Transition::Exhausted || about.is_some_and(|about| about.exhausted)
}

fn ends_late(what: Transition) -> bool {
    what.ends_remediation() || matches!(what, Transition::Reverted | Transition::Simulated)
}
