//! Metrics for Prometheus.
//!
//! What has happened is counted when it happens. What is the case is asked for at each scrape, so that a series can
//! be neither old nor left over from a policy that was deleted.

mod format;
mod policy;
mod reference;
mod states;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::controller::{Tally, WorkloadHealth};
use crate::core::guards::Guard;
use crate::core::{ActionName, Mode, Phase, Reason};
use crate::notify;

pub use format::Format;
pub use reference::{Kind, METRICS, MetricDoc};
pub use states::{Gauges, PolicyGauges, WatchGauges};

/// Upper bounds of the durations of remediations, in seconds: from an eviction that is verified by the next run of a
/// check that runs each minute, to the longest verification.
const DURATIONS: [f64; 10] = [
    15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    action: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    action: &'static str,
    outcome: &'static str,
    mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Because {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Notified {
    receiver: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    receiver: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HealthAnswer {
    answer: &'static str,
}

/// What becomes of alerts, and the answers to who asks for a workload's health.
const ALERT_OUTCOMES: [&str; 6] = [
    "taken",
    "known",
    "unmatched",
    "truncated",
    "refused",
    "malformed",
];
const HEALTH_ANSWERS: [&str; 4] = ["healthy", "unhealthy", "held", "unknown"];

/// The code of a request that was not answered.
const NO_ANSWER: &str = "none";

type Durations = Family<Outcome, Histogram, fn() -> Histogram>;

/// Counts, and shows what was counted. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    states: Arc<states::States>,
    remediations: Family<Ended, Counter>,
    durations: Durations,
    blocked: Family<Because, Counter>,
    watch_errors: Family<Watched, Counter>,
    request_errors: Family<Answered, Counter>,
    leader: Gauge<i64>,
    notifications: Family<Notified, Counter>,
    queued: Family<Told, Gauge>,
    alerts: Family<AlertOutcome, Counter>,
    webhook: Family<Answered, Counter>,
    workload_health: Family<HealthAnswer, Counter>,
}

/// Shows counters of what may happen from the start: a rate does not see the first time if there was no series before.
fn show_all(
    remediations: &Family<Ended, Counter>,
    durations: &Durations,
    blocked: &Family<Because, Counter>,
) {
    let actions = [
        ActionName::RestartPods,
        ActionName::RolloutRestart,
        ActionName::Scale,
        ActionName::Rollback,
    ];
    let outcomes = [
        Phase::Succeeded,
        Phase::Failed,
        Phase::Inconclusive,
        Phase::Blocked,
    ];
    let acting = outcomes.map(|outcome| [(outcome, Mode::Enforce), (outcome, Mode::Manual)]);
    for action in actions {
        // Alone of the outcomes: it is the time to recovery, and each of these is a series for every bucket.
        drop(durations.get_or_create(&Outcome {
            action: action.as_str(),
            outcome: phase(Phase::Succeeded),
        }));
        for (outcome, mode) in acting
            .into_iter()
            .flatten()
            .chain([(Phase::DryRun, Mode::DryRun)])
        {
            let (action, outcome, mode) = (action.as_str(), phase(outcome), mode_name(mode));
            drop(remediations.get_or_create(&Ended {
                action,
                outcome,
                mode,
            }));
        }
    }
    for reason in Guard::ALL.iter().flat_map(|guard| guard.reasons()) {
        let reason = reason.as_str();
        drop(blocked.get_or_create(&Because { reason }));
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Metrics {
        let states = Arc::new(states::States::default());
        let remediations: Family<Ended, Counter> = Family::default();
        let histogram: fn() -> Histogram = || Histogram::new(DURATIONS);
        let durations = Durations::new_with_constructor(histogram);
        let blocked: Family<Because, Counter> = Family::default();
        let watch_errors: Family<Watched, Counter> = Family::default();
        let request_errors: Family<Answered, Counter> = Family::default();
        let leader = Gauge::<i64>::default();
        let notifications: Family<Notified, Counter> = Family::default();
        let queued: Family<Told, Gauge> = Family::default();
        let alerts: Family<AlertOutcome, Counter> = Family::default();
        let webhook: Family<Answered, Counter> = Family::default();
        let workload_health: Family<HealthAnswer, Counter> = Family::default();

        let mut registry = Registry::with_prefix(reference::PREFIX);
        add(&mut registry, reference::REMEDIATIONS, &remediations);
        add(&mut registry, reference::DURATION, &durations);
        add(&mut registry, reference::BLOCKED, &blocked);
        add(&mut registry, reference::WATCH_ERRORS, &watch_errors);
        add(&mut registry, reference::REQUEST_ERRORS, &request_errors);
        add(&mut registry, reference::LEADER, &leader);
        add(&mut registry, reference::NOTIFICATIONS, &notifications);
        add(&mut registry, reference::NOTIFICATIONS_QUEUED, &queued);
        add(&mut registry, reference::ALERTS, &alerts);
        add(&mut registry, reference::WEBHOOK, &webhook);
        add(&mut registry, reference::WORKLOAD_HEALTH, &workload_health);
        for outcome in ALERT_OUTCOMES {
            drop(alerts.get_or_create(&AlertOutcome { outcome }));
        }
        for answer in HEALTH_ANSWERS {
            drop(workload_health.get_or_create(&HealthAnswer { answer }));
        }
        for code in ["200", "400", "401", "413", "503"].map(str::to_owned) {
            drop(webhook.get_or_create(&Answered { code }));
        }
        registry.register_collector(Box::new(states.clone()));
        show_all(&remediations, &durations, &blocked);
        let code = NO_ANSWER.to_owned();
        drop(request_errors.get_or_create(&Answered { code }));
        Metrics {
            registry: Arc::new(registry),
            states,
            remediations,
            durations,
            blocked,
            watch_errors,
            request_errors,
            leader,
            notifications,
            queued,
            alerts,
            webhook,
            workload_health,
        }
    }

    /// A remediation has ended, so many seconds after it was recorded. Told once of each.
    pub fn remediation_ended(&self, action: ActionName, outcome: Phase, mode: Mode, seconds: f64) {
        let (action, outcome) = (action.as_str(), phase(outcome));
        self.remediations
            .get_or_create(&Ended {
                action,
                outcome,
                mode: mode_name(mode),
            })
            .inc();
        self.durations
            .get_or_create(&Outcome { action, outcome })
            .observe(seconds.max(0.0));
    }

    /// A policy is held back from now on. Told when that or its reason begins, not again while it lasts.
    ///
    /// A counter's series stay for the life of the process, so that only the reason is a label of it; which policy is
    /// held now is one of [`PolicyGauges`].
    pub fn held(&self, _namespace: &str, _policy: &str, reason: Reason) {
        let reason = reason.as_str();
        self.blocked.get_or_create(&Because { reason }).inc();
    }

    /// Lists or watches of this kind (its plural name) may fail. Its count is shown from now on, so that a rate sees the
    /// first failure too.
    pub fn watches(&self, kind: &str) {
        let kind = kind.to_owned();
        drop(self.watch_errors.get_or_create(&Watched { kind }));
    }

    /// A list or watch of this kind (its plural name) failed.
    pub fn watch_error(&self, kind: &str) {
        let kind = kind.to_owned();
        self.watch_errors.get_or_create(&Watched { kind }).inc();
    }

    /// A request failed, with this HTTP status code; none if there was no answer.
    pub fn request_failed(&self, code: Option<u16>) {
        let code = code.map_or_else(|| NO_ANSWER.to_owned(), |code| code.to_string());
        self.request_errors.get_or_create(&Answered { code }).inc();
    }

    /// This receiver may be told something: its counters are shown from now on.
    pub fn receiver(&self, name: &str) {
        for outcome in notify::Outcome::OF_RECEIVER {
            self.notified(name, outcome.as_str(), 0);
        }
        self.notifications_queued(name, 0);
    }

    /// So many notifications for this receiver have had this outcome.
    pub fn notified(&self, receiver: &str, outcome: &'static str, count: usize) {
        let receiver = receiver.to_owned();
        let labels = Notified { receiver, outcome };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.notifications.get_or_create(&labels).inc_by(count);
    }

    /// So many notifications wait for this receiver.
    pub fn notifications_queued(&self, receiver: &str, count: usize) {
        let receiver = receiver.to_owned();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.queued.get_or_create(&Told { receiver }).set(count);
    }

    /// So many alerts were received, with these outcomes.
    pub fn alerts_received(&self, tally: Tally, malformed: usize) {
        let Tally {
            taken,
            known,
            truncated,
            unmatched,
            refused,
        } = tally;
        let counts = [taken, known, unmatched, truncated, refused, malformed];
        for (outcome, count) in ALERT_OUTCOMES.into_iter().zip(counts) {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.alerts
                .get_or_create(&AlertOutcome { outcome })
                .inc_by(count);
        }
    }

    /// A delivery of alerts was answered with this HTTP status code.
    pub fn webhook_answered(&self, code: u16) {
        let code = code.to_string();
        self.webhook.get_or_create(&Answered { code }).inc();
    }

    /// Somebody was told the health of a workload.
    pub fn health_told(&self, health: &WorkloadHealth) {
        let answer = match health {
            WorkloadHealth::Healthy => "healthy",
            WorkloadHealth::Unhealthy { .. } => "unhealthy",
            WorkloadHealth::Held(_) => "held",
            WorkloadHealth::Unknown => "unknown",
        };
        self.workload_health
            .get_or_create(&HealthAnswer { answer })
            .inc();
    }

    /// Whether this replica leads.
    pub fn leading(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// What to ask at each scrape. It replaces what was asked before; until then there are no such series.
    ///
    /// It is called while nothing of this is locked, by the thread that serves the scrape, and should take no longer
    /// than a few milliseconds.
    pub fn observe(&self, ask: impl Fn() -> Gauges + Send + Sync + 'static) {
        self.states.observe(Arc::new(ask));
    }

    /// What is the case now; none before [`Metrics::observe`].
    pub fn gauges(&self) -> Option<Gauges> {
        self.states.now()
    }

    /// All metrics now.
    ///
    /// # Errors
    /// Never, unless the encoder has a defect.
    pub fn text(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(format.of(text))
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, doc: MetricDoc, metric: &M) {
    // The encoder ends each help text with a full stop.
    registry.register(doc.stem(), doc.help, metric.clone());
}

/// As the Remediation's status has it.
fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Applied => "Applied",
        Phase::Verifying => "Verifying",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
        Phase::Inconclusive => "Inconclusive",
        Phase::Blocked => "Blocked",
        Phase::DryRun => "DryRun",
    }
}

/// As the policy has it.
fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "DryRun",
        Mode::Enforce => "Enforce",
        Mode::Manual => "Manual",
    }
}

#[cfg(test)]
mod tests;
