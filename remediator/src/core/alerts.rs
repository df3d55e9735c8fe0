//! Alerts that are sent here, as a webhook of Alertmanager or Grafana tells them: what is kept of them, and what a
//! delivery changes.
//!
//! An episode is one firing of one alert: its fingerprint and when it began. Of each alert the newest episode is kept.
//! Deliveries may come late, twice, and in any order; each can only add what was not known.

use std::collections::BTreeMap;

use khclient::{Finding, Subject};

use super::Time;
use super::reason::bounded;

/// Alerts kept of a policy.
pub const KEPT: usize = 32;

/// A delivery within so many seconds of the last one is the same one, by another of two senders or tried again.
pub const SAME: u32 = 30;

/// How far the sender's clock may be ahead, and how far two senders may differ on when an alert began, in seconds.
pub const SKEW: u32 = 300;

/// A firing that was resolved and is told again so many seconds later fires: its sender was wrong about its end, as
/// nothing is under way for that long.
pub const LATE: u32 = 3600;

/// Characters kept of what an alert says.
const SUMMARY: usize = 256;

/// Which alerts trigger a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertMatch {
    /// Labels that an alert must have, with these values; at least one.
    pub labels: BTreeMap<String, String>,
    /// Seconds after which a firing alert that was not repeated is not relied on.
    pub stale: u32,
}

impl AlertMatch {
    /// Whether an alert with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    }

    /// What stands for the labels asked for, 16 hexadecimal digits: what was received for others is not meant any more.
    pub fn id(&self) -> String {
        hash(&self.labels)
    }
}

/// What was received for a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    /// The newest episode of each alert, by fingerprint.
    pub episodes: Vec<Alert>,
    /// Seconds after which a firing alert that was not repeated is not relied on.
    pub stale: u32,
}

/// One episode of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which alert: 16 hexadecimal digits.
    pub fingerprint: String,
    /// When it began to fire, by its sender's clock.
    pub starts: Time,
    /// When it was resolved, by its sender's clock; none: it fires.
    pub ends: Option<Time>,
    /// When it was last told.
    pub received: Time,
    /// How often it was told to fire.
    pub count: u32,
    /// What it says.
    pub summary: String,
}

impl Alert {
    /// Whether it fires, as far as is known.
    pub fn fires(&self) -> bool {
        self.ends.is_none()
    }

    /// Whether it was told to fire so long ago that it may not any more.
    pub fn stale(&self, after: u32, now: Time) -> bool {
        self.fires() && now.since(self.received) > i64::from(after)
    }
}

/// An alert as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Which alert.
    pub fingerprint: String,
    /// When it began to fire.
    pub starts: Time,
    /// Whether it fires, or when it was resolved.
    pub state: DeliveredState,
    /// What it says.
    pub summary: String,
}

/// Whether a delivered alert fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveredState {
    /// It fires.
    Firing,
    /// It was resolved then.
    Resolved(Time),
}

/// What became of a delivered alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It told something new.
    New,
    /// It told nothing new: it was told before, or something newer is known.
    Known,
    /// So many alerts fire that it was left out.
    Truncated,
}

/// Takes in what was delivered for one policy at `now`. Says what became of each, in their order.
pub fn receive(alerts: &mut Alerts, delivered: &[Delivered], now: Time) -> Vec<Taken> {
    let stale = alerts.stale;
    let mut news = Vec::new();
    for alert in delivered {
        let known = alerts
            .episodes
            .iter_mut()
            .find(|known| known.fingerprint == alert.fingerprint);
        let taken = match known {
            Some(known) => take(known, alert, now),
            None => {
                alerts.episodes.push(first(alert, now));
                Taken::New
            }
        };
        news.push(taken);
    }
    if !news.contains(&Taken::New) {
        return news;
    }
    for left_out in shorten(&mut alerts.episodes, stale, now) {
        for (alert, taken) in delivered.iter().zip(&mut news) {
            if alert.fingerprint == left_out && *taken == Taken::New {
                *taken = Taken::Truncated;
            }
        }
    }
    alerts
        .episodes
        .sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
    news
}

/// Drops what is too much: those that nobody repeats, the oldest that are resolved, then the last that began to fire.
/// Returns those that fire.
fn shorten(episodes: &mut Vec<Alert>, stale: u32, now: Time) -> Vec<String> {
    if episodes.len() <= KEPT {
        return Vec::new();
    }
    episodes.sort_by(|one, other| {
        let silent = |alert: &Alert| alert.stale(stale, now);
        if silent(one) != silent(other) {
            return silent(one).cmp(&silent(other));
        }
        let place = |alert: &Alert| (alert.fires(), alert.received);
        let both = (place(one), place(other));
        match both {
            ((true, first), (true, second)) => first
                .cmp(&second)
                .then(one.starts.cmp(&other.starts))
                .then_with(|| one.fingerprint.cmp(&other.fingerprint)),
            ((true, _), (false, _)) => std::cmp::Ordering::Less,
            ((false, _), (true, _)) => std::cmp::Ordering::Greater,
            // The newest first.
            ((false, first), (false, second)) => second
                .cmp(&first)
                .then_with(|| one.fingerprint.cmp(&other.fingerprint)),
        }
    });
    let dropped = episodes.split_off(KEPT);
    let firing = dropped.into_iter().filter(Alert::fires);
    firing.map(|alert| alert.fingerprint).collect()
}

fn first(alert: &Delivered, now: Time) -> Alert {
    let (ends, count) = match alert.state {
        DeliveredState::Firing => (None, 1),
        DeliveredState::Resolved(ends) => (Some(clamped(ends, now)), 0),
    };
    Alert {
        fingerprint: alert.fingerprint.clone(),
        starts: clamped(alert.starts, now),
        ends,
        received: now,
        count,
        summary: bounded(&alert.summary, SUMMARY),
    }
}

fn take(known: &mut Alert, alert: &Delivered, now: Time) -> Taken {
    match (alert.state, known.ends) {
        (DeliveredState::Firing, None) => {
            let ahead = alert.starts > now.plus(SKEW);
            if !ahead && alert.starts > known.starts.plus(SKEW) {
                // Another episode: that this one was resolved was never told.
                *known = first(alert, now);
                return Taken::New;
            }
            let older = !ahead && known.starts.since(alert.starts) > i64::from(SKEW);
            if older || now.since(known.received) < i64::from(SAME) {
                return Taken::Known;
            }
            known.received = now;
            known.count = known.count.saturating_add(1);
            known.summary = bounded(&alert.summary, SUMMARY);
            Taken::New
        }
        // One that began before the last one had ended is that one.
        (DeliveredState::Firing, Some(ends)) => {
            let another = alert.starts > known.starts && alert.starts >= ends;
            let same = known.starts.since(alert.starts) <= i64::from(SKEW);
            let late = now.since(known.received) > i64::from(LATE);
            if !(another || same && late) {
                return Taken::Known;
            }
            *known = first(alert, now);
            Taken::New
        }
        (DeliveredState::Resolved(ends), None) => {
            let ends = clamped(ends, now);
            // Two senders may differ on when it began, so it is its end that tells one before from this one.
            if ends < known.starts && alert.starts < known.starts {
                return Taken::Known;
            }
            known.ends = Some(ends.max(known.starts));
            known.received = now;
            Taken::New
        }
        (DeliveredState::Resolved(ends), Some(before)) => {
            let ends = clamped(ends, now);
            let starts = clamped(alert.starts, now);
            if starts <= known.starts || ends <= before {
                return Taken::Known;
            }
            *known = first(alert, now);
            Taken::New
        }
    }
}

/// A sender's clock that is far ahead is not believed.
fn clamped(time: Time, now: Time) -> Time {
    if time > now.plus(SKEW) { now } else { time }
}

/// An alert as its sender tells it, before it is known which policies it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it says, in its sender's words; empty if it says nothing.
    pub text: String,
    /// When it began to fire.
    pub starts: Time,
    /// Whether it fires.
    pub state: DeliveredState,
}

/// Labels that are shown of an alert that says nothing.
const SHOWN: usize = 8;

impl Sent {
    /// What it is to a policy of this namespace. A pod of the namespace that its labels name is what it is about, as if
    /// a check had reported it.
    pub fn to(&self, namespace: &str) -> Delivered {
        let label = |name: &str| self.labels.get(name).map(String::as_str);
        let text = match self.text.trim() {
            "" => self.rendered(),
            text => text.to_owned(),
        };
        let pod = label("pod").filter(|_| label("namespace") == Some(namespace));
        let subject = pod.and_then(|pod| Subject::namespaced("pod", namespace, pod));
        let finding = match subject {
            Some(subject) => Finding::about(subject, &text),
            // Whatever it says, it names no pod by it.
            None => Finding::new(&text),
        };
        Delivered {
            fingerprint: self.fingerprint(),
            starts: self.starts,
            state: self.state,
            summary: bounded(&finding.to_string(), SUMMARY),
        }
    }

    /// Its labels, the rule's name first.
    fn rendered(&self) -> String {
        const NAME: &str = "alertname";
        let name = self.labels.get_key_value(NAME).into_iter();
        let others = self.labels.iter().filter(|(name, _)| *name != NAME);
        let shown: Vec<String> = name
            .chain(others)
            .take(SHOWN)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        shown.join(", ")
    }

    /// A hash of its labels: what senders call the fingerprint differs among them.
    fn fingerprint(&self) -> String {
        hash(&self.labels)
    }
}

fn hash(labels: &BTreeMap<String, String>) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    // A byte that is in no text.
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    format!("{:016x}", super::incident::fnv(bytes))
}

#[cfg(test)]
mod tests;
