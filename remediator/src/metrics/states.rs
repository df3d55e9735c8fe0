//! What is the case, asked for at each scrape.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
};
use prometheus_client::metrics::MetricType;

use super::reference::{self, MetricDoc};
use crate::core::{ObjectKey, Reason, StormState};

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

type Ask = Arc<dyn Fn() -> Gauges + Send + Sync>;

/// Where to ask.
#[derive(Default)]
pub(super) struct States(Mutex<Option<Ask>>);

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("States")
    }
}

impl States {
    pub(super) fn observe(&self, ask: Ask) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ask);
    }

    pub(super) fn now(&self) -> Option<Gauges> {
        let ask = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        ask.map(|ask| ask())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    namespace: Arc<str>,
    policy: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Held {
    namespace: Arc<str>,
    policy: Arc<str>,
    reason: &'static str,
}

fn of(gauges: &PolicyGauges) -> Of {
    Of {
        namespace: gauges.policy.namespace.clone(),
        policy: gauges.policy.name.clone(),
    }
}

impl Collector for States {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let version = env!("CARGO_PKG_VERSION");
        let build = [(Build { version }, 1_u32)];
        gauge(&mut encoder, reference::BUILD, build)?;
        let Some(gauges) = self.now() else {
            return Ok(());
        };
        describe(&mut encoder, reference::IN_FLIGHT)?.encode_gauge(&gauges.in_flight)?;
        gauge(&mut encoder, reference::STORM, storm(gauges.storm))?;
        gauge(
            &mut encoder,
            reference::LISTED,
            gauges.watches.iter().map(|watch| {
                let kind = watch.kind.clone();
                (Watched { kind }, u32::from(watch.listed))
            }),
        )?;
        let policies = || gauges.policies.iter();
        gauge(
            &mut encoder,
            reference::HEALTHY,
            policies().filter_map(|one| Some((of(one), u32::from(one.healthy?)))),
        )?;
        gauge(
            &mut encoder,
            reference::STALE,
            policies().map(|one| (of(one), u32::from(one.stale))),
        )?;
        gauge(
            &mut encoder,
            reference::FAILURES,
            policies().map(|one| (of(one), one.consecutive_failures)),
        )?;
        gauge(
            &mut encoder,
            reference::SUCCESS,
            policies().filter_map(|one| Some((of(one), one.success_ratio?))),
        )?;
        gauge(
            &mut encoder,
            reference::HELD,
            policies().filter_map(|one| {
                let Of { namespace, policy } = of(one);
                let reason = one.held?.as_str();
                let held = Held {
                    namespace,
                    policy,
                    reason,
                };
                Some((held, 1_u32))
            }),
        )
    }
}

fn storm(storm: StormState) -> [(State, u32); 3] {
    let now = match storm {
        StormState::Calm => "calm",
        StormState::Active { .. } => "active",
        StormState::Cooling { .. } => "cooling",
    };
    ["active", "calm", "cooling"].map(|state| (State { state }, u32::from(state == now)))
}

fn describe<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    doc: MetricDoc,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    let help = format!("{}.", doc.help);
    encoder.encode_descriptor(doc.stem(), &help, None, MetricType::Gauge)
}

fn gauge<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    doc: MetricDoc,
    series: impl IntoIterator<Item = (L, V)>,
) -> Result<(), fmt::Error> {
    let mut metric = describe(encoder, doc)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}
