//! From what the API server holds to what is worked with.

use kube::{Resource as _, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::Value;

use crate::core::{CheckKind, Record, Timing, parse_snapshot, record_name};
use crate::crd::{Remediation, RemediationPolicy, record_view};

/// An object of a type of its own.
pub(super) fn any<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// A policy; a status that cannot be read is taken for none, as it must not stop the policy for ever.
pub(super) fn policy(value: &Value) -> Result<RemediationPolicy, String> {
    RemediationPolicy::deserialize(value).or_else(|_| {
        let mut spec = value.clone();
        if let Some(object) = spec.as_object_mut() {
            object.remove("status");
        }
        any(spec)
    })
}

/// How often and how long a check of v2 runs. The fields are those of a HealthCheck's spec.
pub(super) fn schedule(object: &Value) -> Result<Timing, String> {
    let read = parse_snapshot(CheckKind::HealthCheck, object, Some(Timing::UNKNOWN));
    read.map(|schedule| schedule.timing)
        .map_err(|error| error.to_string())
}

/// The record in an object that the policy it names owns. One that somebody else has made, with no owner or under
/// another name, is no remediation: nothing is ever done because of it.
pub(in crate::controller) fn belonging(object: &Remediation) -> Result<Record, String> {
    let record = record_view(object).map_err(|invalid| invalid.to_string())?;
    let intent = &record.intent;
    let kind = RemediationPolicy::kind(&());
    let group = format!("{}/", RemediationPolicy::group(&()));
    let owned = object.owner_references().iter().any(|owner| {
        owner.controller == Some(true)
            && owner.kind == kind
            && owner.api_version.starts_with(&group)
            && owner.name == *intent.policy.name
            && owner.uid == intent.policy_uid
    });
    if !owned {
        return Err(format!(
            "expected an ownerReference to the RemediationPolicy {} with UID {} as its controller; nothing is done for a Remediation that the remediator has not made, or that was left behind when its policy was deleted",
            intent.policy.name, intent.policy_uid
        ));
    }
    let name = record_name(&intent.policy.name, &intent.incident.id, intent.attempt);
    if *record.name.name != *name {
        return Err(format!(
            "expected the name {name}, which follows from policy, incident and attempt; nothing is done for a Remediation that the remediator has not made: delete it"
        ));
    }
    Ok(record)
}
