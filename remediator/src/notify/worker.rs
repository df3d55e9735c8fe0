//! Tells one receiver, one request at a time.

use std::time::{Duration, Instant};

use super::config::{Kind, Receiver};
use super::notice::Notice;
use super::render;
use super::retry::{Pauses, Verdict, verdict};
use super::send::Sender;
use super::slot::{Outcome, Queue, Slot};
use super::{Ask, Config};
use crate::clock;
use crate::core::{Level, Time};
use crate::fence::Fence;

/// What could not be told for so long, in seconds, is not told any more.
const TOO_OLD: i64 = 3600;

/// An Alertmanager is brought in line with what is open at least this often; that costs no request.
const ALIGN: Duration = Duration::from_secs(60);

/// What fires is repeated this many times before an Alertmanager takes it for resolved.
const REPEATS: u32 = 4;

/// What tells a receiver.
pub(super) struct Worker<'a> {
    pub(super) config: &'a Config,
    pub(super) receiver: &'a Receiver,
    pub(super) slot: &'a Slot,
    pub(super) fence: Fence,
    /// What is open at this moment.
    pub(super) ask: Ask,
}

/// How it goes with a receiver.
struct Health {
    pauses: Pauses,
    /// Before this nothing is sent.
    not_before: Option<Instant>,
    failing: bool,
    /// Whether the last answer was a refusal.
    refusing: bool,
}

impl Worker<'_> {
    /// Tells, as long as this process leads.
    pub(super) async fn run(self) {
        let mut sender = Sender::new(self.receiver);
        let mut health = Health {
            pauses: Pauses::new(),
            not_before: None,
            failing: false,
            refusing: false,
        };
        match &self.receiver.kind {
            Kind::Alertmanager { resend, .. } => {
                self.repeat(&mut sender, &mut health, *resend).await;
            }
            Kind::Slack { .. } | Kind::Webhook { .. } => {
                self.in_order(&mut sender, &mut health).await;
            }
        }
    }

    /// Tells each transition.
    async fn in_order(&self, sender: &mut Sender<'_>, health: &mut Health) {
        loop {
            let (next, due) = self.slot.look(|queue| match queue {
                Queue::Ordered(outbox) => {
                    let lost = outbox.release(clock::instant());
                    self.slot.lost(lost);
                    (outbox.next().cloned(), outbox.due())
                }
                Queue::State(_) => (None, None),
            });
            let Some(notice) = next else {
                self.slot.wait(due).await;
                continue;
            };
            if health.waits(self.slot).await {
                continue;
            }
            if self.fence.check(clock::instant()).is_err() {
                return;
            }
            let given_up = clock::now().since(notice.time) > TOO_OLD;
            let verdict = if given_up {
                Verdict::Refused
            } else {
                let body = self.message(&notice);
                self.send(sender, health, body, 1).await
            };
            self.slot.look(|queue| {
                if let Queue::Ordered(outbox) = queue {
                    match verdict {
                        Verdict::Later(_) => outbox.later(&notice.subject),
                        Verdict::Taken | Verdict::Refused => outbox.done(&notice),
                    }
                }
            });
            if given_up {
                self.slot.count(Outcome::Dropped, 1);
            }
        }
    }

    fn message(&self, notice: &Notice) -> Vec<u8> {
        let url = self.config.external_url.as_deref();
        let message = match &self.receiver.kind {
            Kind::Slack { channel, .. } => render::message(notice, channel.as_deref(), url),
            _ => render::event(notice, url),
        };
        message.to_string().into_bytes()
    }

    /// Tells what is the case, again and again as long as something fires.
    async fn repeat(&self, sender: &mut Sender<'_>, health: &mut Health, resend: Duration) {
        let often = resend.min(ALIGN);
        let mut align = clock::instant();
        let mut again = align + resend;
        loop {
            let now = clock::instant();
            if now >= again {
                self.slot.look(|queue| {
                    if let Queue::State(alerts) = queue {
                        alerts.repeat();
                    }
                });
                again = now + resend;
            }
            if now >= align {
                self.align();
                align = now + often;
            }
            let (next, fires) = self.slot.look(|queue| match queue {
                Queue::State(alerts) => (alerts.next(), alerts.fires()),
                Queue::Ordered(_) => (None, false),
            });
            let Some((alerts, sent)) = next else {
                if !fires {
                    // The first alert is repeated that long after it, not after the last one before.
                    self.slot.wait(Some(align)).await;
                    again = clock::instant() + resend;
                } else {
                    self.slot.wait(Some(again.min(align))).await;
                }
                continue;
            };
            if health.waits(self.slot).await {
                continue;
            }
            if self.fence.check(clock::instant()).is_err() {
                return;
            }
            let lasts = u32::try_from(resend.as_secs()).unwrap_or(60);
            let until = clock::now().plus(lasts.saturating_mul(REPEATS));
            let body = self.alerts(&alerts, until);
            let verdict = if body.is_empty() {
                Verdict::Taken
            } else {
                let body = serde_json::Value::Array(body).to_string().into_bytes();
                self.send(sender, health, body, alerts.len()).await
            };
            if !matches!(verdict, Verdict::Later(_)) {
                self.slot.look(|queue| {
                    if let Queue::State(alerts) = queue {
                        alerts.done(&sent);
                    }
                });
            }
        }
    }

    fn alerts(&self, alerts: &[super::alerts::Alert], until: Time) -> Vec<serde_json::Value> {
        let Kind::Alertmanager { labels, .. } = &self.receiver.kind else {
            return Vec::new();
        };
        let url = self.config.external_url.as_deref();
        let of = |alert| render::alerts(alert, labels, url, until);
        alerts.iter().flat_map(of).collect()
    }

    fn align(&self) {
        let asked = self.slot.look(|queue| match queue {
            Queue::State(alerts) => alerts.revision(),
            Queue::Ordered(_) => 0,
        });
        let open: Vec<(Notice, Level)> = (self.ask)()
            .into_iter()
            .filter_map(|notice| {
                let level = self.level(&notice)?;
                Some((notice, level))
            })
            .collect();
        let without_room = self.slot.look(|queue| match queue {
            Queue::State(alerts) => alerts.align(open, asked, clock::now()),
            Queue::Ordered(_) => 0,
        });
        self.slot.count(Outcome::Dropped, without_room);
    }

    /// What matters enough to this receiver, if it is meant by the notice.
    fn level(&self, notice: &Notice) -> Option<Level> {
        let route = super::route::of_notice(&self.config.receivers, notice);
        let mut meant = route.receivers.into_iter();
        let own = meant.find(|(index, _)| *index == self.slot.index())?;
        Some(own.1)
    }

    async fn send(
        &self,
        sender: &mut Sender<'_>,
        health: &mut Health,
        body: Vec<u8>,
        count: usize,
    ) -> Verdict {
        let (verdict, why) = match sender.send(body).await {
            Ok(answer) => {
                let asked = answer.retry_after.as_deref();
                let verdict = verdict(answer.code, asked, clock::now());
                (verdict, format!("{} {}", answer.code, answer.text))
            }
            Err(error) => (Verdict::Later(None), error.to_string()),
        };
        let (receiver, place) = (self.receiver.name.as_str(), sender.place());
        let why = why.trim_end();
        match verdict {
            Verdict::Taken => {
                if std::mem::take(&mut health.failing) | std::mem::take(&mut health.refusing) {
                    tracing::info!(receiver, place, "notifications are taken again");
                }
                health.pauses = Pauses::new();
                self.slot.count(Outcome::Sent, count);
            }
            Verdict::Refused => {
                if !std::mem::replace(&mut health.refusing, true) {
                    tracing::warn!(
                        receiver,
                        place,
                        why,
                        "notifications are refused; what is refused is not sent again"
                    );
                }
                self.slot.count(Outcome::Failed, count);
            }
            Verdict::Later(asked) => {
                let pause = health.pauses.next(asked);
                health.not_before = Some(clock::instant() + pause);
                if !std::mem::replace(&mut health.failing, true) {
                    tracing::warn!(
                        receiver,
                        place,
                        why,
                        "notifications are not taken; they are sent again"
                    );
                }
                self.slot.count(Outcome::Retried, 1);
            }
        }
        verdict
    }
}

impl Health {
    /// Waits until something may be sent. Returns whether it has waited, and something may have changed.
    async fn waits(&mut self, slot: &Slot) -> bool {
        let Some(until) = self.not_before.take() else {
            return false;
        };
        if until <= clock::instant() {
            return false;
        }
        slot.sleep(until).await;
        true
    }
}
