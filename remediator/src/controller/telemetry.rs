//! What the controller tells whoever measures it.

use std::sync::Arc;

use crate::core::{ActionName, Limits, Mode, ObjectKey, Phase, Reason, StormState};

/// What the controller is run with.
#[derive(Clone)]
pub struct Settings {
    /// Limits of all policies together.
    pub limits: Limits,
    /// Namespaces whose policies and remediations are worked on; none: all.
    pub namespaces: Vec<String>,
    /// Namespaces whose checks are read; none: all.
    pub check_namespaces: Vec<String>,
    /// This process's name, as events show it: 1 to 128 bytes.
    pub instance: String,
    /// What is told what happens.
    pub telemetry: Arc<dyn Telemetry>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: Limits::default(),
            namespaces: Vec::new(),
            check_namespaces: Vec::new(),
            instance: "remediator".to_owned(),
            telemetry: Arc::new(Unmeasured),
        }
    }
}

/// Is told what happens. Nothing waits for it: a call has to return at once.
pub trait Telemetry: Send + Sync + 'static {
    /// A remediation has ended, so many seconds after it was recorded. Told once of each.
    fn remediation_ended(&self, action: ActionName, outcome: Phase, mode: Mode, seconds: f64);

    /// A policy is held back from now on. Told when that or its reason begins, not again while it lasts.
    fn held(&self, namespace: &str, policy: &str, reason: Reason);

    /// A list or watch of this kind (its plural name) failed.
    fn watch_error(&self, kind: &str);

    /// Whether this replica leads.
    fn leading(&self, leads: bool);

    /// What to ask for the state, whenever it is wanted. It takes a few milliseconds at most.
    fn observe(&self, ask: Box<dyn Fn() -> Gauges + Send + Sync>);
}

/// Nobody measures.
struct Unmeasured;

impl Telemetry for Unmeasured {
    fn remediation_ended(&self, _: ActionName, _: Phase, _: Mode, _: f64) {}
    fn held(&self, _: &str, _: &str, _: Reason) {}
    fn watch_error(&self, _: &str) {}
    fn leading(&self, _: bool) {}
    fn observe(&self, _: Box<dyn Fn() -> Gauges + Send + Sync>) {}
}

/// What is the case now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Remediations that use up the limit of those at once.
    pub in_flight: u32,
    /// Whether too many checks fail at once.
    pub storm: StormState,
    /// Each kind that is watched once.
    pub watches: Vec<WatchGauges>,
    /// Each policy once.
    pub policies: Vec<PolicyGauges>,
}

/// What is the case of one kind that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchGauges {
    /// The kind's plural name.
    pub kind: String,
    /// Whether all of its objects have been read once; so it is if the kind is not installed and need not be.
    pub listed: bool,
}

/// What is the case of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyGauges {
    /// Which policy.
    pub policy: ObjectKey,
    /// Whether the last settled run of its check passed; none if there is no such run, or it says nothing.
    pub healthy: Option<bool>,
    /// Whether its check has not been written for too long.
    pub stale: bool,
    /// Failing runs in a row.
    pub consecutive_failures: u32,
    /// Share of its remediations, of those that succeeded or failed, that succeeded: 0 to 1.
    pub success_ratio: Option<f64>,
    /// Why it is held back, if it is.
    pub held: Option<Reason>,
}
