//! Changes a workload's pod template: a restart, and going back to a former one.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::answer::{Write, invalid, not_sent, refusal};
use super::super::kinds::{Workload, controller, frozen, workloads};
use super::super::limited;
use super::super::read::RESTARTED;
use super::super::revisions::{revisions, template};
use super::Place;
use crate::core::execution::{Answer, Refusal};
use crate::core::{Claim, TargetKind, TargetRef, Time};

/// Restarts the pods as `kubectl rollout restart` does.
pub(super) async fn restart(
    place: Place<'_>,
    target: &TargetRef,
    claim: &Claim,
    at: Time,
) -> Answer {
    if let Err(answer) = reaches_pods(place, target, claim).await {
        return answer;
    }
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": claim.resource_version},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED: at.to_string()}}}},
    }));
    change(place, target, &patch).await
}

/// Goes back to the revision of this name, if it has this UID, as `kubectl rollout undo` does. Of a revision nothing but
/// the pod template is put in place.
pub(super) async fn roll_back(
    place: Place<'_>,
    target: &TargetRef,
    claim: &Claim,
    revision: (&str, &str),
) -> Answer {
    if let Err(answer) = reaches_pods(place, target, claim).await {
        return answer;
    }
    let mut template = match former(place, target, revision).await {
        Ok(template) => template,
        Err(refusal) => return Answer::Refused(refusal),
    };
    // Replaced as a whole: what the former template does not have goes.
    template["$patch"] = Value::from("replace");
    let patch = Patch::Strategic(json!({
        "metadata": {"resourceVersion": claim.resource_version},
        "spec": {"template": template},
    }));
    change(place, target, &patch).await
}

async fn change(place: Place<'_>, target: &TargetRef, patch: &Patch<Value>) -> Answer {
    let api = workloads(place.client, place.namespace, target.kind);
    let parameters = PatchParams::default();
    let request = api.patch(&target.name, &parameters, patch);
    place.send(Write::Change, request).await
}

/// Whether the workload's controller would bring a new template to its pods; if not, why nothing is written.
async fn reaches_pods(place: Place<'_>, target: &TargetRef, claim: &Claim) -> Result<(), Answer> {
    // A Deployment's always does, unless it is paused, which moves what the claim holds.
    if target.kind == TargetKind::Deployment {
        return Ok(());
    }
    let api = workloads(place.client, place.namespace, target.kind);
    let found: Workload = match limited(api.get(&target.name)).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(Answer::Gone),
        Err(error) => return Err(Answer::Refused(unread(&error))),
    };
    if found.metadata.resource_version.as_ref() != Some(&claim.resource_version) {
        return Err(Answer::Conflict);
    }
    match frozen(target.kind, &found.spec) {
        Some(why) => Err(Answer::Refused(invalid(why))),
        None => Ok(()),
    }
}

/// The template of the revision. It is asked for by a list, as revisions are elsewhere, so that no further permission is
/// needed.
async fn former(
    place: Place<'_>,
    target: &TargetRef,
    (name, uid): (&str, &str),
) -> Result<Value, Refusal> {
    let kind = target.kind;
    let api = revisions(place.client, place.namespace, kind);
    let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = limited(api.list(&parameters)).await;
    let found = found.map_err(|why| unread(&why))?.items;
    let changed = |code, reason: &str, what: &str| Refusal {
        code,
        reason: reason.to_owned(),
        message: format!("revision {name} was expected to have UID {uid}; {what}"),
    };
    let mut named = found
        .iter()
        .filter(|one| one.metadata.name.as_deref() == Some(name));
    let Some(found) = named.next() else {
        return Err(changed(404, "NotFound", "it does not exist any more"));
    };
    if found.metadata.uid.as_deref() != Some(uid) {
        return Err(changed(409, "Conflict", "it was created anew"));
    }
    // A record is only what somebody has written: of another workload's template nothing gets into this one.
    if controller(&found.metadata) != Some(target.uid.as_str()) {
        let kind = kind.as_str();
        return Err(invalid(format!(
            "revision {name} was expected to belong to {kind} {} with UID {}; it does not",
            target.name, target.uid
        )));
    }
    template(kind, found).ok_or_else(|| {
        invalid(format!(
            "revision {name} keeps no pod template to go back to"
        ))
    })
}

/// A read before a write failed: what is forbidden stays so, anything else can be tried again.
fn unread(error: &kube::Error) -> Refusal {
    match error {
        kube::Error::Api(status) if status.code == 403 => refusal(status),
        error => not_sent(error),
    }
}
