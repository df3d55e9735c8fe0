//! Alerts in a policy: which ones trigger it, and what of them was received.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::time;
use super::policy::RemediationPolicy;
use super::view::{Invalid, invalid, text, within};
use crate::core::alerts::KEPT;
use crate::core::{Alert, AlertMatch, Alerts, Body, CheckKey, CheckKind, Snapshot, Time, Timing};

/// Labels that can be asked for, and characters of a name and of a value.
const LABELS: usize = 16;
const LABEL_NAME: usize = 128;
const LABEL_VALUE: usize = 256;

/// The schema of the labels that are asked for.
fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "minProperties": 1, "maxProperties": LABELS,
        "additionalProperties": {"type": "string", "maxLength": LABEL_VALUE},
    })
}

fn stale() -> i32 {
    18_000
}

/// Alerts by their labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertTrigger {
    /// Labels that an alert must have, with exactly these values, as `alertname: CheckoutErrors`; 1 to 16 of them. All
    /// alerts that have them count.
    #[schemars(schema_with = "match_labels")]
    pub match_labels: BTreeMap<String, String>,
    /// After how many seconds an alert that fires and was not repeated is not relied on, 60 to 604800 (a week): nothing
    /// is done (Stale). It should be longer than the sender's repeat_interval; the default is an hour more than
    /// Alertmanager's.
    #[serde(default = "stale")]
    #[schemars(range(min = 60, max = 604_800))]
    pub stale_seconds: i32,
}

/// One episode of an alert, from when it began to fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedAlert {
    /// Which alert: a hash of its labels.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    pub fingerprint: String,
    /// When it began to fire, by its sender's clock.
    #[schemars(schema_with = "time")]
    pub starts_at: Time,
    /// When it was resolved, by its sender's clock. Unset: it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub ends_at: Option<Time>,
    /// When it was last told.
    #[schemars(schema_with = "time")]
    pub received_at: Time,
    /// How often it was told to fire. The same within 30 seconds counts once.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub count: i64,
    /// What it says.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub summary: String,
    /// Hash of the matchLabels it was received for. When these are edited, what was received before does not count.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub matched: String,
}

/// Which alerts a trigger means, if it makes sense.
pub(super) fn alert_match(field: &str, wanted: &AlertTrigger) -> Result<AlertMatch, Invalid> {
    let labels = format!("{field}.matchLabels");
    let length = wanted.match_labels.len();
    if !(1..=LABELS).contains(&length) {
        return Err(invalid(
            labels,
            format!("expected 1 to {LABELS} labels, found {length}"),
        ));
    }
    for (name, value) in &wanted.match_labels {
        text(labels.as_str(), name, LABEL_NAME)?;
        if value.chars().count() > LABEL_VALUE {
            return Err(invalid(
                format!("{labels}.{name}"),
                format!("at most {LABEL_VALUE} characters are allowed"),
            ));
        }
    }
    Ok(AlertMatch {
        labels: wanted.match_labels.clone(),
        stale: within(
            format!("{field}.staleSeconds"),
            wanted.stale_seconds,
            60,
            604_800,
        )?,
    })
}

/// What was received for a policy; what nobody has written is brought within bounds.
pub fn received(policy: &RemediationPolicy, wanted: &AlertMatch) -> Alerts {
    let id = wanted.id();
    let status = policy.status.iter();
    let episodes = status.flat_map(|status| &status.alerts);
    let episodes = episodes.filter(|alert| alert.matched == id).take(KEPT);
    Alerts {
        episodes: episodes
            .map(|alert| Alert {
                fingerprint: alert.fingerprint.clone(),
                starts: alert.starts_at,
                ends: alert.ends_at,
                received: alert.received_at,
                count: alert
                    .count
                    .clamp(0, u32::MAX.into())
                    .try_into()
                    .unwrap_or_default(),
                summary: alert.summary.clone(),
            })
            .collect(),
        stale: wanted.stale,
    }
}

/// Writes what was received into a policy's status; what else is in it stays.
pub fn write_received(alerts: &Alerts, wanted: &AlertMatch, policy: &mut RemediationPolicy) {
    let matched = wanted.id();
    let status = policy.status.get_or_insert_default();
    let episodes = alerts.episodes.iter().cloned();
    status.alerts = episodes
        .map(|alert| {
            let Alert {
                fingerprint,
                starts,
                ends,
                received,
                count,
                summary,
            } = alert;
            ReceivedAlert {
                fingerprint,
                starts_at: starts,
                ends_at: ends,
                received_at: received,
                count: count.into(),
                summary,
                matched: matched.clone(),
            }
        })
        .collect();
}

/// What was received for a policy as the snapshot of a check; none if alerts do not trigger it.
pub fn alert_snapshot(policy: &RemediationPolicy) -> Option<Snapshot> {
    let wanted = policy.spec.trigger.alert.as_ref()?;
    let wanted = alert_match("spec.trigger.alert", wanted).ok()?;
    Some(Snapshot {
        key: CheckKey {
            kind: CheckKind::Alert,
            namespace: policy.namespace().unwrap_or_default().into(),
            name: policy.name_any().into(),
        },
        // Other labels are another check.
        uid: format!("{}-{}", wanted.id(), policy.uid().unwrap_or_default()),
        resource_version: String::new(),
        deleting: policy.metadata.deletion_timestamp.is_some(),
        timing: TIMING,
        body: Body::Alerts(received(policy, &wanted)),
    })
}

/// Half of the interval is what is taken for one delivery. Verification has a default of its own.
const TIMING: Timing = Timing {
    interval: 2 * crate::core::alerts::SAME,
    timeout: 0,
};
