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
    truncated_alerts: Option<u64>,
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
        truncated: payload.truncated_alerts.unwrap_or(0),
    })
}

fn sent(alert: Alert) -> Option<Sent> {
    let Alert {
        status,
        labels,
        annotations,
        starts_at,
        ends_at,
    } = alert;
    let short = |(name, value): (&String, &String)| name.len() <= LABEL && value.len() <= LABEL;
    if labels.is_empty() || labels.len() > LABELS || !labels.iter().all(short) {
        return None;
    }
    let state = match status.as_str() {
        "firing" => DeliveredState::Firing,
        "resolved" => {
            DeliveredState::Resolved(ends_at.as_deref().and_then(moment).unwrap_or(LATEST))
        }
        _ => return None,
    };
    let mut annotations = annotations.unwrap_or_default();
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
    annotations: Option<BTreeMap<String, String>>,
    starts_at: String,
    #[serde(default)]
    ends_at: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::{ALERTS, NoDelivery, read};
    use crate::core::Time;
    use crate::core::alerts::DeliveredState;

    fn delivery(alerts: &str) -> String {
        format!(
            r#"{{"version":"4","alerts":[{alerts}],"unknown":{{"a":[1]}},"truncatedAlerts":null}}"#
        )
    }

    #[test]
    fn an_alert_is_read_or_counted_as_malformed() {
        for (alert, expected) in [
            (
                r#"{"status":"firing","labels":{"alertname":"A"},"annotations":{"description":"d","summary":" "},"startsAt":"2026-01-01T00:00:00.123+01:00","endsAt":"0001-01-01T00:00:00Z","values":{"B":1.5}}"#,
                Some(("d", None)),
            ),
            (
                r#"{"status":"resolved","labels":{"alertname":"A"},"annotations":null,"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-01T00:01:00Z"}"#,
                Some(("", Some("2026-01-01T00:01:00Z"))),
            ),
            (
                r#"{"status":"resolved","labels":{"alertname":"A"},"startsAt":"2026-01-01T00:00:00Z"}"#,
                Some(("", Some("9999-12-30T22:00:00Z"))),
            ),
            (
                r#"{"status":"firing","labels":{},"startsAt":"2026-01-01T00:00:00Z"}"#,
                None,
            ),
            (
                r#"{"status":"firing","labels":{"a":1},"startsAt":"2026-01-01T00:00:00Z"}"#,
                None,
            ),
            (
                r#"{"status":"firing","labels":{"a":"b"},"startsAt":"0001-01-01T00:00:00Z"}"#,
                None,
            ),
            (
                r#"{"status":"firing","labels":{"a":"b"},"startsAt":"noon"}"#,
                None,
            ),
            (
                r#"{"status":"suppressed","labels":{"a":"b"},"startsAt":"2026-01-01T00:00:00Z"}"#,
                None,
            ),
            ("[]", None),
        ] {
            let delivery = read(delivery(alert).as_bytes()).unwrap();
            let read: Vec<(&str, Option<Time>)> = delivery
                .alerts
                .iter()
                .map(|alert| match alert.state {
                    DeliveredState::Firing => (alert.text.as_str(), None),
                    DeliveredState::Resolved(ends) => (alert.text.as_str(), Some(ends)),
                })
                .collect();
            let expected: Vec<(&str, Option<Time>)> = expected
                .into_iter()
                .map(|(text, ends)| (text, ends.map(|ends| ends.parse().unwrap())))
                .collect();
            assert_eq!(read, expected, "{alert}");
            assert_eq!(delivery.malformed, 1 - read.len(), "{alert}");
        }
    }

    #[test]
    fn a_delivery_is_bounded() {
        let many = vec!["{}"; ALERTS].join(",");
        assert_eq!(read(delivery(&many).as_bytes()).unwrap().malformed, ALERTS);
        let more = vec!["0"; 100_000].join(",");
        let error = read(delivery(&more).as_bytes()).unwrap_err();
        assert_eq!(error, NoDelivery::TooMany(100_000));
        let deep = "[".repeat(500_000);
        for body in [deep.as_str(), "", "\u{0}", "null", r#"{"alerts":{}}"#] {
            let error = read(body.as_bytes()).unwrap_err();
            assert!(matches!(error, NoDelivery::Malformed(_)), "{error}");
            assert!(error.to_string().len() < 400, "{error}");
        }
    }
}
