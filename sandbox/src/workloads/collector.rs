//! Collects what has lost its owner, as background deletion leaves it. Owners of other kinds than those that are
//! followed count as there.

use serde_json::Value;

use super::values::text;
use super::world::{Kind, World, is_terminating};

pub(super) async fn sync(world: &mut World) {
    for kind in Kind::ALL {
        for object in world.all(kind) {
            if !is_terminating(&object) && is_orphaned(world, &object).await {
                // Tried again in the next pass.
                let _ = world.delete(kind, &object).await;
            }
        }
    }
}

/// Whether the object has owners and none of them is there. A watch may lag behind, so the server has the last word.
async fn is_orphaned(world: &World, object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let owners = owners.map_or(&[][..], Vec::as_slice);
    let mut missing = Vec::new();
    for owner in owners {
        let uid = text(owner, "uid");
        let kind = Kind::ALL.into_iter().find(|kind| {
            let (api_version, name, _) = kind.names();
            owner["apiVersion"] == api_version && owner["kind"] == name
        });
        match kind {
            Some(kind) if !world.has(uid) => missing.push((kind, owner)),
            _ => return false,
        }
    }
    for (kind, owner) in &missing {
        let namespace = object["metadata"]["namespace"].clone();
        let place =
            serde_json::json!({"metadata": {"name": owner["name"], "namespace": namespace}});
        let there = world.exists(&kind.path(&place), text(owner, "uid")).await;
        if there.unwrap_or(true) {
            return false;
        }
    }
    !missing.is_empty()
}
