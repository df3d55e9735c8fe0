//! What Alertmanager (version 4) and Grafana send to a webhook: read as far as it is needed, and within bounds.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::core::Time;
use crate::core::alerts::{DeliveredState, Sent};

/// The largest body that is read, in bytes.
pub(super) const BODY: usize = 1 << 20;

/// Most alerts in a delivery.
pub(super) const ALERTS: usize = 512;

/// Most labels of an alert, and the longest name or value, in bytes: one that has more is no alert of ours.
const LABELS: usize = 64;
const LABEL: usize = 4096;

/// What was sent.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The alerts that can be read.
    pub(super) alerts: Vec<Sent>,
    /// How many cannot.
    pub(super) malformed: usize,
    /// How many the sender left out.
    pub(super) truncated: u64,
}

/// Why a body is no delivery.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoDelivery {
    #[error("expected the JSON of an Alertmanager or Grafana webhook: {0}")]
    Malformed(String),
    #[error(
        "alerts: {0} alerts, at most {ALERTS} are taken in one delivery; set max_alerts (Alertmanager) or Max Alerts (Grafana)"
    )]
    TooMany(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    alerts: Alerts,
    #[serde(default)]
    truncated_alerts: u64,
}

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Result<Delivery, NoDelivery> {
    let payload: Payload = serde_json::from_slice(body).map_err(|error| {
        NoDelivery::Malformed(crate::core::reason::bounded(&error.to_string(), 200))
    })?;
    let Alerts { kept, total } = payload.alerts;
    if total > ALERTS {
        return Err(NoDelivery::TooMany(total));
    }
    let alerts: Vec<Sent> = kept.into_iter().flatten().filter_map(sent).collect();
    Ok(Delivery {
        malformed: total.saturating_sub(alerts.len()),
        alerts,
        truncated: payload.truncated_alerts,
    })
}

fn sent(alert: Alert) -> Option<Sent> {
    let Alert {
        status,
        labels,
        mut annotations,
        starts_at,
        ends_at,
    } = alert;
    let short = |(name, value): (&String, &String)| name.len() <= LABEL && value.len() <= LABEL;
    if labels.is_empty() || labels.len() > LABELS || !labels.iter().all(short) {
        return None;
    }
    let state = match status.as_str() {
        "firing" => DeliveredState::Firing,
        "resolved" => DeliveredState::Resolved(moment(&ends_at).unwrap_or(LATEST)),
        _ => return None,
    };
    let said = ["summary", "description", "message"].iter();
    let text = said
        .filter_map(|name| annotations.remove(*name))
        .find(|text| !text.trim().is_empty());
    Some(Sent {
        labels,
        text: text.unwrap_or_default(),
        starts: moment(&starts_at)?,
        state,
    })
}

/// A time, unless it is Go's zero time, which stands for none.
fn moment(text: &str) -> Option<Time> {
    let time: Time = text.parse().ok()?;
    (time.unix() > 0).then_some(time)
}

/// What does not say when it was resolved was resolved when it was received, which is what becomes of a time that is far
/// in the future.
const LATEST: Time = Time::LATEST;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    #[serde(default)]
    ends_at: String,
}

/// The list, of which no more is kept than may be in it. What is no alert is none, so that it does not keep the others
/// from being read.
struct Alerts {
    kept: Vec<Option<Alert>>,
    total: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Alert(Alert),
    Other(IgnoredAny),
}

impl<'de> Deserialize<'de> for Alerts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Alerts, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Alerts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("in alerts a list of alerts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Alerts, A::Error> {
                let mut alerts = Alerts {
                    kept: Vec::new(),
                    total: 0,
                };
                loop {
                    let kept = alerts.total < ALERTS;
                    let element = if kept {
                        list.next_element::<Element>()?
                    } else {
                        list.next_element::<IgnoredAny>()?.map(Element::Other)
                    };
                    match element {
                        None => return Ok(alerts),
                        Some(Element::Alert(alert)) => alerts.kept.push(Some(alert)),
                        Some(Element::Other(IgnoredAny)) if kept => alerts.kept.push(None),
                        Some(Element::Other(IgnoredAny)) => {}
                    }
                    alerts.total = alerts.total.saturating_add(1);
                }
            }
        }
        deserializer.deserialize_seq(List)
    }
}
