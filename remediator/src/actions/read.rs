//! From a workload to what decisions look at.

use kube::core::Selector;
use kube::{Client, ResourceExt as _};

use super::kinds::{Spec, Status, Workload, controller, frozen, workloads};
use super::pages::NotRead;
use super::revisions::Revisions;
use super::{answer, autoscaler, limited, pods, revisions};
use crate::core::execution::Live;
use crate::core::{Facts, FactsNeed, TargetKind, Time};

/// Annotation of a pod template: when it was restarted.
pub(super) const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Label of a workload that is to be left alone.
const EXCLUDE: &str = "kuberhealer.io/exclude";

/// Reads a workload and what else is needed.
pub(super) async fn live(
    client: &Client,
    namespace: &str,
    target: (TargetKind, &str),
    need: FactsNeed,
) -> Result<Live, kube::Error> {
    match facts(client, namespace, target, need).await {
        Ok(Some(facts)) => Ok(Live::Target(Box::new(facts))),
        Ok(None) => Ok(Live::Gone),
        Err(NotRead::Refused(refusal)) => Ok(Live::Unreadable(refusal)),
        Err(NotRead::Failed(error)) => Err(error),
    }
}

async fn facts(
    client: &Client,
    namespace: &str,
    (kind, name): (TargetKind, &str),
    need: FactsNeed,
) -> Result<Option<Facts>, NotRead> {
    let api = workloads(client, namespace, kind);
    let found = limited(api.get_opt(name));
    // What does not depend on the workload is read beside it: who waits for this acts on it.
    let (found, autoscaler) = match need {
        FactsNeed::Autoscaler | FactsNeed::All => {
            tokio::join!(found, autoscaler::of(client, namespace, kind, name))
        }
        FactsNeed::Target | FactsNeed::Pods | FactsNeed::Revision => (found.await, Ok(None)),
    };
    let Some(found) = found? else {
        return Ok(None);
    };
    let selector = selector(&found)?;
    let mut facts = shown(kind, &found)?;
    if matches!(need, FactsNeed::Autoscaler | FactsNeed::All) {
        facts.autoscaler = autoscaler?;
    }
    if matches!(need, FactsNeed::Pods | FactsNeed::All) {
        facts.pods = pods::of(client, namespace, kind, &facts.uid, &selector).await?;
    }
    if matches!(need, FactsNeed::Revision | FactsNeed::All) {
        let template = &found.spec.template;
        let Revisions { current, previous } =
            revisions::of(client, namespace, kind, &facts.uid, &selector, template).await?;
        facts.current_revision = current;
        facts.revision = previous;
    }
    Ok(Some(facts))
}

/// The workload's selector.
fn selector(found: &Workload) -> Result<Selector, NotRead> {
    let selector = Selector::try_from(found.spec.selector.clone());
    selector.map_err(|why| malformed(&format!("spec.selector: {why}")))
}

fn malformed(what: &str) -> NotRead {
    NotRead::Refused(answer::invalid(format!(
        "the target cannot be read: {what}"
    )))
}

/// What the workload itself says.
fn shown(kind: TargetKind, found: &Workload) -> Result<Facts, NotRead> {
    let (metadata, spec) = (&found.metadata, &found.spec);
    let uid = metadata.uid.clone();
    let resource_version = metadata.resource_version.clone();
    let none = Status::default();
    let status = found.status.as_ref().unwrap_or(&none);
    let counts = counts(kind, spec, status);
    let restarted = spec.template.pointer("/metadata/annotations");
    let restarted = restarted.and_then(|annotations| annotations.get(RESTARTED));
    Ok(Facts {
        uid: uid.ok_or_else(|| malformed("it has no uid"))?,
        resource_version: resource_version.ok_or_else(|| malformed("it has no resourceVersion"))?,
        generation: metadata.generation.unwrap_or(0),
        observed_generation: status.observed_generation,
        replicas: counts.replicas,
        updated: counts.updated,
        ready: counts.ready,
        paused: spec.paused,
        stalled: kind == TargetKind::Deployment && stalled(status),
        controlled: controller(metadata).is_some(),
        excluded: found
            .labels()
            .get(EXCLUDE)
            .is_some_and(|value| value == "true"),
        deleting: metadata.deletion_timestamp.is_some(),
        autoscaler: None,
        pods: Vec::new(),
        revision: None,
        restarted_at: restarted
            .and_then(|at| at.as_str())
            .and_then(|at| at.parse::<Time>().ok()),
        current_revision: None,
    })
}

fn stalled(status: &Status) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|condition| {
        condition.kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded"
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    replicas: i32,
    updated: i32,
    ready: i32,
}

/// The numbers of a rollout, such that it is over exactly if `updated` has reached `replicas`, by the rules of
/// `kubectl rollout status`.
fn counts(kind: TargetKind, spec: &Spec, status: &Status) -> Counts {
    let replicas = spec.replicas.unwrap_or(1);
    match kind {
        TargetKind::Deployment => {
            // An old replica that still runs stands for one that is not updated: without this, a new pod that is
            // not ready beside an old one that is would look like the end.
            let old = status.replicas.saturating_sub(status.updated_replicas);
            Counts {
                replicas,
                updated: status.updated_replicas.saturating_sub(old).max(0),
                ready: status.ready_replicas,
            }
        }
        TargetKind::StatefulSet => {
            let partition = spec.update_strategy.partition();
            let one_revision = !status.update_revision.is_empty()
                && status.update_revision == status.current_revision;
            // What no rollout would touch is as updated as it will be.
            let updated = if one_revision || frozen(kind, spec).is_some() {
                replicas
            } else {
                status
                    .updated_replicas
                    .saturating_add(partition)
                    .min(replicas)
            };
            Counts {
                replicas,
                updated,
                ready: status.ready_replicas,
            }
        }
        TargetKind::DaemonSet => {
            let replicas = status.desired_number_scheduled;
            let updated = match frozen(kind, spec) {
                Some(_) => replicas,
                None => status.updated_number_scheduled,
            };
            Counts {
                replicas,
                updated,
                ready: status.number_ready,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::kinds::Workload;
    use super::{Counts, counts, shown};
    use crate::core::TargetKind::{self, DaemonSet, Deployment, StatefulSet};

    fn workload(spec: &Value, status: &Value) -> Workload {
        let metadata = json!({"name": "web", "uid": "u", "resourceVersion": "1"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status}))
            .unwrap()
    }

    fn counted(kind: TargetKind, spec: &Value, status: &Value) -> (i32, i32, i32) {
        let found = workload(spec, status);
        let Counts {
            replicas,
            updated,
            ready,
        } = counts(kind, &found.spec, &found.status.unwrap_or_default());
        (replicas, updated, ready)
    }

    #[test]
    fn a_rollout_is_over_when_kubectl_says_so() {
        let deployment = |replicas: i32, updated: i32, ready: i32| json!({"replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready});
        let stateful = |updated: i32, revision: &str| json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": updated, "currentRevision": "a", "updateRevision": revision});
        let partition = |partition: i32| json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}});
        let on_delete =
            json!({"replicas": 3, "updateStrategy": {"type": "OnDelete", "rollingUpdate": null}});
        let daemon =
            json!({"desiredNumberScheduled": 4, "updatedNumberScheduled": 1, "numberReady": 3});
        for (kind, spec, status, expected) in [
            (
                Deployment,
                json!({"replicas": 3}),
                deployment(3, 3, 3),
                (3, 3, 3),
            ),
            (Deployment, json!({}), json!({}), (1, 0, 0)),
            // A crashed pod is no rollout.
            (
                Deployment,
                json!({"replicas": 3}),
                deployment(3, 3, 2),
                (3, 3, 2),
            ),
            // The new pod is not ready, the old one is.
            (
                Deployment,
                json!({"replicas": 1}),
                deployment(2, 1, 1),
                (1, 0, 1),
            ),
            (
                Deployment,
                json!({"replicas": 3}),
                deployment(4, 1, 3),
                (3, 0, 3),
            ),
            (
                StatefulSet,
                json!({"replicas": 3}),
                stateful(3, "a"),
                (3, 3, 3),
            ),
            (
                StatefulSet,
                json!({"replicas": 3}),
                stateful(1, "b"),
                (3, 1, 3),
            ),
            // A pod that is missing is no rollout.
            (
                StatefulSet,
                json!({"replicas": 3}),
                stateful(2, "a"),
                (3, 3, 3),
            ),
            (StatefulSet, partition(1), stateful(1, "b"), (3, 2, 3)),
            (StatefulSet, partition(1), stateful(2, "b"), (3, 3, 3)),
            (StatefulSet, partition(9), stateful(0, "b"), (3, 3, 3)),
            (StatefulSet, on_delete.clone(), stateful(0, "b"), (3, 3, 3)),
            (DaemonSet, json!({}), daemon.clone(), (4, 1, 3)),
            (DaemonSet, on_delete, daemon, (4, 4, 3)),
        ] {
            assert_eq!(
                counted(kind, &spec, &status),
                expected,
                "{kind:?} {spec} {status}"
            );
        }
    }

    #[test]
    fn only_a_deployment_past_its_deadline_has_stalled() {
        let status = |reason: &str| {
            json!({"conditions": [
                {"type": "Available", "status": "False", "reason": "ProgressDeadlineExceeded"},
                {"type": "Progressing", "status": "False", "reason": reason},
            ]})
        };
        for (reason, stalled) in [
            ("ProgressDeadlineExceeded", true),
            ("ReplicaSetUpdated", false),
        ] {
            let found = shown(Deployment, &workload(&json!({}), &status(reason))).unwrap();
            assert_eq!(found.stalled, stalled, "{reason}");
        }
    }
}
