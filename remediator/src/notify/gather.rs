//! What is put together before it is told: policies that one check holds, and an end that waits for what it ends.
//!
//! When a database fails, thirty policies open an incident and are held by the database's check. That is one thing to
//! tell, not sixty. Pure: the time is a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::notice::{Notice, Subject, Transition, path};
use crate::core::{Level, ObjectKey, Reason, Time};

/// How long it is waited for others that the same check holds, and for the end of a remediation.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// Subjects that wait at most, and checks whose policies are kept in mind at most.
const WAITING: usize = 4096;
const ROOTS: usize = 256;

/// Names of policies in one notice.
const NAMES: usize = 5;

/// What waits of one subject, in order.
struct Waiting {
    until: Instant,
    why: Why,
    notices: Vec<Notice>,
}

enum Why {
    /// This check holds it.
    Root(String),
    /// The incident is over, and a remediation of it is not yet.
    UnderWay,
}

/// The policies that one check holds and of which was told as one.
#[derive(Default)]
struct Cascade {
    /// And of each, whether its beginning was told as part of this one alone.
    members: BTreeMap<Subject, bool>,
    /// How many there were when that was last told, less those that have left.
    told: usize,
}

impl Cascade {
    /// Returns whether it was one, and whether its beginning was told as part of this alone.
    fn leave(&mut self, subject: &Subject) -> Option<bool> {
        let swallowed = self.members.remove(subject)?;
        self.told = self.told.min(self.members.len());
        Some(swallowed)
    }
}

/// Holds notices back for a short time, to put them together.
pub(super) struct Gather {
    threshold: usize,
    waiting: BTreeMap<Subject, Waiting>,
    cascades: BTreeMap<String, Cascade>,
}

/// What is to be told now, and how many notices were put together with others.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ready {
    pub(super) notices: Vec<Notice>,
    pub(super) grouped: usize,
}

impl Gather {
    /// More policies than `threshold` that one check holds are told of as one.
    pub(super) fn new(threshold: usize) -> Gather {
        Gather {
            threshold,
            waiting: BTreeMap::new(),
            cascades: BTreeMap::new(),
        }
    }

    /// How many notices wait.
    pub(super) fn len(&self) -> usize {
        let waiting = self.waiting.values();
        waiting.map(|waiting| waiting.notices.len()).sum()
    }

    /// When something has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.until).min()
    }

    /// Takes a notice.
    pub(super) fn take(&mut self, notice: Notice, now: Instant) -> Ready {
        let mut ready = Ready::default();
        if let (Transition::Opened, Subject::Incident { policy, .. }) =
            (notice.what, &notice.subject)
        {
            // An older incident of the policy is over, whoever has told that.
            let older = |subject: &Subject| {
                let of = matches!(subject, Subject::Incident { policy: of, .. } if of == policy);
                of && *subject != notice.subject
            };
            ready = self.leave(older, notice.time);
        }
        ready.add(self.take_one(notice, now));
        ready
    }

    /// The policy was deleted: of its incident nothing more is told.
    pub(super) fn forget(&mut self, policy: &ObjectKey, now: Time) -> Ready {
        let mut ready = Ready::default();
        let of_policy = |subject: &Subject| matches!(subject, Subject::Incident { policy: of, .. } if of == policy);
        self.waiting.retain(|subject, waiting| {
            let gone = of_policy(subject) && matches!(waiting.why, Why::Root(_));
            if gone {
                ready.grouped += waiting.notices.len();
            }
            !gone
        });
        ready.add(self.leave(of_policy, now));
        ready
    }

    /// Who tells leads anew: what is neither `open` nor has an end that waits to be told was ended by another leader.
    pub(super) fn resume(&mut self, open: &BTreeSet<Subject>, now: Time) -> Ready {
        let waiting: BTreeSet<Subject> = self.waiting.keys().cloned().collect();
        let known = |subject: &Subject| open.contains(subject) || waiting.contains(subject);
        self.leave(|subject| !known(subject), now)
    }

    /// Members that `goes` says so of leave their cascades without being told of.
    fn leave(&mut self, goes: impl Fn(&Subject) -> bool, now: Time) -> Ready {
        let mut ready = Ready::default();
        let mut left = Vec::new();
        for (root, cascade) in &mut self.cascades {
            let going = cascade.members.keys().filter(|subject| goes(subject));
            let going: Vec<Subject> = going.cloned().collect();
            for subject in &going {
                cascade.leave(subject);
            }
            if !going.is_empty() {
                left.push(root.clone());
            }
        }
        for root in left {
            self.end(root, now, &mut ready);
        }
        ready
    }

    /// A cascade that nobody is left in is over.
    fn end(&mut self, root: String, now: Time, ready: &mut Ready) {
        let cascade = self.cascades.get(&root);
        if cascade.is_some_and(|cascade| cascade.members.is_empty()) {
            self.cascades.remove(&root);
            let message = format!("all policies that waited for the check {root} are over it");
            let subject = Subject::Cascade { root };
            let what = Transition::CascadeEnded;
            let ended = Notice::general(subject, what, &message, now);
            ready.notices.push(ended);
        }
    }

    fn take_one(&mut self, notice: Notice, now: Instant) -> Ready {
        if let Some(waiting) = self.waiting.get_mut(&notice.subject) {
            return match waiting.why {
                Why::Root(_) => {
                    waiting.notices.push(notice);
                    Ready::default()
                }
                // What was waited for comes first. A relapse comes after the end before it.
                Why::UnderWay => {
                    let mut notices = Vec::new();
                    let before = notice.what.ends_remediation();
                    let rest = self.waiting.remove(&notice.subject);
                    let rest = rest.map_or_else(Vec::new, |rest| rest.notices);
                    if before {
                        notices.push(notice);
                        notices.extend(rest);
                    } else {
                        notices.extend(rest);
                        notices.push(notice);
                    }
                    self.settle(notices)
                }
            };
        }
        let full = self.waiting.len() >= WAITING;
        let why = match (notice.what, notice.root()) {
            _ if full => None,
            (Transition::Opened | Transition::Held, Some(root)) => Some(Why::Root(root.to_owned())),
            (Transition::Recovered, _) => {
                let about = notice.about.as_ref();
                about
                    .is_some_and(|about| about.under_way)
                    .then_some(Why::UnderWay)
            }
            _ => None,
        };
        let Some(why) = why else {
            return self.settle(vec![notice]);
        };
        let until = match &why {
            Why::Root(root) => self.window(root),
            Why::UnderWay => None,
        };
        let waiting = Waiting {
            until: until.unwrap_or(now + WAIT),
            why,
            notices: vec![notice.clone()],
        };
        self.waiting.insert(notice.subject, waiting);
        Ready::default()
    }

    /// Until when others wait that this check holds.
    fn window(&self, root: &str) -> Option<Instant> {
        let of_root = |waiting: &&Waiting| matches!(&waiting.why, Why::Root(of) if of == root);
        let known = self.waiting.values().find(of_root);
        known.map(|waiting| waiting.until)
    }

    /// Gives out what has waited long enough.
    pub(super) fn release(&mut self, now: Instant) -> Ready {
        let mut ready = Ready::default();
        if self.due().is_none_or(|due| due > now) {
            return ready;
        }
        let mut roots: BTreeMap<String, Vec<(Subject, Vec<Notice>)>> = BTreeMap::new();
        let mut others = Vec::new();
        for (subject, waiting) in std::mem::take(&mut self.waiting) {
            if waiting.until > now {
                self.waiting.insert(subject, waiting);
                continue;
            }
            match waiting.why {
                Why::Root(root) => {
                    let group = roots.entry(root).or_default();
                    group.push((subject, waiting.notices));
                }
                Why::UnderWay => others.extend(waiting.notices),
            }
        }
        for (root, group) in roots {
            self.group(root, group, &mut ready);
        }
        ready.add(self.settle(others));
        ready
    }

    fn group(&mut self, root: String, group: Vec<(Subject, Vec<Notice>)>, ready: &mut Ready) {
        let lasts = |notices: &[Notice]| !notices.iter().any(|notice| notice.what.is_end());
        let held = group.iter().filter(|(_, notices)| lasts(notices)).count();
        let known = self.cascades.contains_key(&root);
        let room = known || self.cascades.len() < ROOTS;
        if !(room && (known || held > self.threshold)) {
            let notices = group.into_iter().flat_map(|(_, notices)| notices);
            ready.notices.extend(notices);
            return;
        }
        let cascade = self.cascades.entry(root.clone()).or_default();
        let mut reason = Reason::UpstreamUnhealthy;
        let mut level = Level::Info;
        let mut since = None;
        let mut rest = Vec::new();
        let mut ended = None;
        for (subject, notices) in group {
            let opened = |notice: &Notice| notice.what == Transition::Opened;
            let swallowed = notices.iter().any(opened);
            if !lasts(&notices) {
                // It has gone within the wait. Who was told that it had come is told so.
                ended = notices.last().map(|notice| notice.time).or(ended);
                if cascade.leave(&subject).unwrap_or(false) || swallowed {
                    ready.grouped += notices.len();
                } else {
                    rest.extend(notices);
                }
                continue;
            }
            *cascade.members.entry(subject).or_default() |= swallowed;
            for notice in notices {
                if matches!(notice.what, Transition::Opened | Transition::Held) {
                    ready.grouped += 1;
                    reason = if notice.what == Transition::Held {
                        notice.reason
                    } else {
                        reason
                    };
                    level = level.max(notice.level);
                    since = since.max(Some(notice.time));
                } else {
                    rest.push(notice);
                }
            }
        }
        let count = cascade.members.len();
        // It grows: told each time that it has doubled.
        if let Some(since) = since
            && (cascade.told == 0 || count >= 2 * cascade.told)
        {
            cascade.told = count;
            let names = cascade.members.keys().filter_map(policy_name);
            let names: Vec<String> = names.take(NAMES).collect();
            let more = match count - names.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!(
                "{count} policies wait for the check {root}: {}{more}",
                names.join(", ")
            );
            let subject = Subject::Cascade { root: root.clone() };
            ready.notices.push(Notice {
                reason,
                level,
                ..Notice::general(subject, Transition::CascadeBegan, &message, since)
            });
        }
        ready.notices.extend(rest);
        if let Some(ended) = ended.filter(|_| count == 0) {
            self.end(root, ended, ready);
        }
    }

    /// Ends of incidents of which was told as one are told as one too.
    fn settle(&mut self, notices: Vec<Notice>) -> Ready {
        let mut ready = Ready::default();
        for notice in notices {
            let of = |(root, cascade): (&String, &Cascade)| {
                cascade
                    .members
                    .contains_key(&notice.subject)
                    .then(|| root.clone())
            };
            let root = match notice.what {
                Transition::Recovered => self.cascades.iter().find_map(of),
                _ => None,
            };
            let Some(root) = root else {
                ready.notices.push(notice);
                continue;
            };
            let cascade = self.cascades.get_mut(&root);
            let time = notice.time;
            if cascade.and_then(|cascade| cascade.leave(&notice.subject)) == Some(true) {
                ready.grouped += 1;
            } else {
                ready.notices.push(notice);
            }
            self.end(root, time, &mut ready);
        }
        ready
    }
}

impl Ready {
    fn add(&mut self, other: Ready) {
        self.notices.extend(other.notices);
        self.grouped += other.grouped;
    }
}

fn policy_name(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Incident { policy, .. } => Some(path(policy)),
        _ => None,
    }
}
