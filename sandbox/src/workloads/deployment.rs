//! Deployments: one ReplicaSet for each template, and the way from one to the next.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pods;
use super::progress;
use super::revision::{self, HASH, REVISION, annotate, annotate_size, hash, is_of};
use super::rollout::{Bounds, Size, grown, shrunk};
use super::values::{count, text};
use super::world::{Kind, World, is_terminating, owner_reference};
use crate::api::ApiError;

pub(super) async fn sync(world: &mut World, deployment: &Arc<Value>) -> Result<(), ApiError> {
    if is_terminating(deployment) {
        return Ok(());
    }
    let template = &deployment["spec"]["template"];
    let mut old = world.owned(Kind::ReplicaSet, deployment);
    old.sort_by_key(|set| revision::revision(set));
    let mut new = old
        .iter()
        .position(|set| is_of(set, template))
        .map(|at| old.remove(at));
    let paused = deployment["spec"]["paused"] == true;
    let bounds = Bounds::of(deployment);
    let mut created = false;
    if paused {
        // Only scaled: what runs now keeps running.
        if let Some(active) = new.clone().or_else(|| old.last().cloned()) {
            resize(world, deployment, bounds, &active, bounds.replicas).await?;
        }
    } else {
        let number = old.last().map_or(0, |set| revision::revision(set)) + 1;
        let set = match new {
            Some(set) => {
                let mut changed = (*set).clone();
                annotate(&mut changed, deployment, number);
                world.replace(Kind::ReplicaSet, &set, changed).await?
            }
            None => {
                created = true;
                let set = made(deployment, bounds, number);
                world.create(Kind::ReplicaSet, set).await?
            }
        };
        set_revision(world, deployment, &set).await?;
        match deployment["spec"]["strategy"]["type"] == "Recreate" {
            true => recreate(world, deployment, bounds, &set, &old).await?,
            false => roll(world, deployment, bounds, &set, &old).await?,
        }
        new = Some(set);
    }
    let status = progress::of(world, deployment, bounds, new.as_deref(), created);
    if status["conditions"][0]["reason"] == progress::DONE {
        forget_history(world, deployment, &old).await?;
    }
    // Its revision may just have been written.
    let path = |found: &Value| found["metadata"]["uid"] == deployment["metadata"]["uid"];
    let latest = world.beside(Kind::Deployment, deployment, path);
    world
        .set_status(
            Kind::Deployment,
            latest.first().unwrap_or(deployment),
            status,
        )
        .await
}

/// The ReplicaSet for the Deployment's template.
fn made(deployment: &Value, bounds: Bounds, number: i64) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let hash = hash(&template);
    template["metadata"]["labels"][HASH] = Value::from(hash.as_str());
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = Value::from(hash.as_str());
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", text(&deployment["metadata"], "name")),
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner_reference(Kind::Deployment, deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    if count(&deployment["spec"]["minReadySeconds"]) > 0 {
        set["spec"]["minReadySeconds"] = deployment["spec"]["minReadySeconds"].clone();
    }
    annotate(&mut set, deployment, number);
    annotate_size(&mut set, bounds.replicas, bounds.replicas + bounds.surge);
    set
}

async fn set_revision(
    world: &mut World,
    deployment: &Arc<Value>,
    set: &Value,
) -> Result<(), ApiError> {
    let mut changed = (**deployment).clone();
    if !changed["metadata"]["annotations"].is_object() {
        changed["metadata"]["annotations"] = json!({});
    }
    changed["metadata"]["annotations"][REVISION] = set["metadata"]["annotations"][REVISION].clone();
    world
        .replace(Kind::Deployment, deployment, changed)
        .await
        .map(drop)
}

fn size(set: &Value) -> Size {
    Size {
        asked: count(&set["spec"]["replicas"]),
        available: count(&set["status"]["availableReplicas"]),
    }
}

async fn roll(
    world: &mut World,
    deployment: &Value,
    bounds: Bounds,
    new: &Arc<Value>,
    old: &[Arc<Value>],
) -> Result<(), ApiError> {
    let mut sizes: Vec<Size> = old.iter().map(|set| size(set)).collect();
    let next = grown(bounds, size(new), &sizes);
    resize(world, deployment, bounds, new, next).await?;
    let now = Size {
        asked: next,
        ..size(new)
    };
    // A set that was told to shrink may still have more that serve than it is to have.
    for size in &mut sizes {
        size.available = size.available.min(size.asked);
    }
    for (set, next) in old.iter().zip(shrunk(bounds, now, &sizes)) {
        resize(world, deployment, bounds, set, next).await?;
    }
    Ok(())
}

/// All old pods end before a new one begins.
async fn recreate(
    world: &mut World,
    deployment: &Value,
    bounds: Bounds,
    new: &Arc<Value>,
    old: &[Arc<Value>],
) -> Result<(), ApiError> {
    for set in old {
        resize(world, deployment, bounds, set, 0).await?;
    }
    let running = |set: &Arc<Value>| {
        world
            .owned(Kind::Pod, set)
            .iter()
            .any(|pod| !pods::is_over(pod))
    };
    if old.iter().any(running) {
        return Ok(());
    }
    resize(world, deployment, bounds, new, bounds.replicas).await
}

async fn resize(
    world: &mut World,
    deployment: &Value,
    bounds: Bounds,
    set: &Arc<Value>,
    replicas: i64,
) -> Result<(), ApiError> {
    let mut changed = (**set).clone();
    changed["spec"]["replicas"] = Value::from(replicas);
    let goes_on = replicas > 0 || is_of(set, &deployment["spec"]["template"]);
    if goes_on || changed["spec"] != set["spec"] {
        annotate_size(
            &mut changed,
            bounds.replicas,
            bounds.replicas + bounds.surge,
        );
    }
    world
        .replace(Kind::ReplicaSet, set, changed)
        .await
        .map(drop)
}

/// Deletes the oldest of the templates that nothing runs of any more.
async fn forget_history(
    world: &mut World,
    deployment: &Value,
    old: &[Arc<Value>],
) -> Result<(), ApiError> {
    let limit = deployment["spec"]["revisionHistoryLimit"]
        .as_u64()
        .unwrap_or(10);
    let idle: Vec<_> = old
        .iter()
        .filter(|set| {
            count(&set["spec"]["replicas"]) == 0 && count(&set["status"]["replicas"]) == 0
        })
        .collect();
    let surplus = idle
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for set in idle.into_iter().take(surplus) {
        world.delete(Kind::ReplicaSet, set).await?;
    }
    Ok(())
}
