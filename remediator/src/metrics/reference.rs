//! The table of metrics: what is registered, and what documents list.

/// What kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Counts up since the process began.
    Counter,
    /// What is the case.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// As Prometheus writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric, for documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDoc {
    /// Its whole name, such as `kuberhealer_leader`.
    pub name: &'static str,
    /// What kind of metric.
    pub kind: Kind,
    /// Its labels, but for a histogram's `le`.
    pub labels: &'static [&'static str],
    /// What it says, without a full stop.
    pub help: &'static str,
}

/// What all names begin with.
pub(super) const PREFIX: &str = "kuberhealer";

impl MetricDoc {
    /// What the encoder is given: it adds the prefix and a counter's `_total`.
    pub(super) fn stem(&self) -> &'static str {
        let name = self.name.strip_prefix(PREFIX).unwrap_or(self.name);
        let name = name.strip_prefix('_').unwrap_or(name);
        name.strip_suffix("_total").unwrap_or(name)
    }
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricDoc {
    MetricDoc {
        name,
        kind,
        labels,
        help,
    }
}

const POLICY: &[&str] = &["namespace", "policy"];

pub(super) const REMEDIATIONS: MetricDoc = metric(
    "kuberhealer_remediations_total",
    Kind::Counter,
    &["action", "outcome", "mode"],
    "Remediations that ended, by action, outcome (the phase of the Remediation) and mode of the policy",
);
pub(super) const DURATION: MetricDoc = metric(
    "kuberhealer_remediation_duration_seconds",
    Kind::Histogram,
    &["action", "outcome"],
    "From the record of a remediation to its outcome",
);
pub(super) const BLOCKED: MetricDoc = metric(
    "kuberhealer_remediations_blocked_total",
    Kind::Counter,
    &["reason"],
    "How often a policy began to be held back, by reason",
);
pub(super) const WATCH_ERRORS: MetricDoc = metric(
    "kuberhealer_watch_errors_total",
    Kind::Counter,
    &["kind"],
    "Watches and lists that failed and were begun anew, by kind",
);
pub(super) const REQUEST_ERRORS: MetricDoc = metric(
    "kuberhealer_request_errors_total",
    Kind::Counter,
    &["code"],
    "Requests to the API server that failed, by HTTP status code; none if there was no answer",
);
pub(super) const NOTIFICATIONS: MetricDoc = metric(
    "kuberhealer_notifications_total",
    Kind::Counter,
    &["receiver", "outcome"],
    "Notifications, by receiver and outcome: sent, retried, failed, dropped, grouped; unknown_receiver, of no receiver, if a policy names one that there is not",
);
pub(super) const NOTIFICATIONS_QUEUED: MetricDoc = metric(
    "kuberhealer_notifications_queued",
    Kind::Gauge,
    &["receiver"],
    "Notifications that wait to be sent, by receiver",
);
pub(super) const LEADER: MetricDoc = metric(
    "kuberhealer_leader",
    Kind::Gauge,
    &[],
    "1 if this replica holds the lease and acts, else 0",
);
pub(super) const BUILD: MetricDoc = metric(
    "kuberhealer_build_info",
    Kind::Gauge,
    &["version"],
    "1, with the version as its label",
);
pub(super) const IN_FLIGHT: MetricDoc = metric(
    "kuberhealer_remediations_in_flight",
    Kind::Gauge,
    &[],
    "Remediations begun and not ended, which use up the limit of those at once",
);
pub(super) const STORM: MetricDoc = metric(
    "kuberhealer_storm",
    Kind::Gauge,
    &["state"],
    "1 for the state that holds: active (too many checks fail at once and nothing is begun), cooling (that was so a short time ago), calm",
);
pub(super) const LISTED: MetricDoc = metric(
    "kuberhealer_watch_listed",
    Kind::Gauge,
    &["kind"],
    "1 if all objects of the kind have been read once, else 0: the replica is not ready",
);
pub(super) const HEALTHY: MetricDoc = metric(
    "kuberhealer_policy_check_healthy",
    Kind::Gauge,
    POLICY,
    "1 if the last run of the policy's check passed, 0 if it failed; no series if no run says",
);
pub(super) const STALE: MetricDoc = metric(
    "kuberhealer_policy_check_stale",
    Kind::Gauge,
    POLICY,
    "1 if the policy's check has not been written for too long, else 0",
);
pub(super) const FAILURES: MetricDoc = metric(
    "kuberhealer_policy_check_consecutive_failures",
    Kind::Gauge,
    POLICY,
    "Failing runs of the policy's check in a row",
);
pub(super) const SUCCESS: MetricDoc = metric(
    "kuberhealer_policy_success_ratio",
    Kind::Gauge,
    POLICY,
    "Share of the policy's remediations, of those that succeeded or failed, that succeeded; no series if there is none",
);
pub(super) const HELD: MetricDoc = metric(
    "kuberhealer_policy_held",
    Kind::Gauge,
    &["namespace", "policy", "reason"],
    "1 for the reason for which the policy is held back; no series if it is not",
);

pub(super) const ALERTS: MetricDoc = metric(
    "kuberhealer_alerts_received_total",
    Kind::Counter,
    &["outcome"],
    "Alerts that were sent to the webhook: taken, known (repeated too soon, or late), unmatched (no policy is triggered by it), truncated (too many fire for a policy), refused (the policy's status may not be written), malformed",
);
pub(super) const WEBHOOK: MetricDoc = metric(
    "kuberhealer_webhook_requests_total",
    Kind::Counter,
    &["code"],
    "Deliveries to the webhook, by the HTTP status code they were answered with",
);
pub(super) const WORKLOAD_HEALTH: MetricDoc = metric(
    "kuberhealer_workload_health_requests_total",
    Kind::Counter,
    &["answer"],
    "Questions for the health of a workload, by answer: healthy, unhealthy, held (unhealthy, but nothing is to be done now), unknown",
);

/// All metrics, in the order in which they are best read.
pub const METRICS: [MetricDoc; 20] = [
    REMEDIATIONS,
    DURATION,
    BLOCKED,
    IN_FLIGHT,
    STORM,
    HEALTHY,
    STALE,
    FAILURES,
    SUCCESS,
    HELD,
    NOTIFICATIONS,
    NOTIFICATIONS_QUEUED,
    LEADER,
    LISTED,
    WATCH_ERRORS,
    REQUEST_ERRORS,
    ALERTS,
    WEBHOOK,
    WORKLOAD_HEALTH,
    BUILD,
];
