//! ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, each as a patch that brings it back.
//!
//! Follows `pkg/controller/history` and `pkg/controller/daemon/update.go` of Kubernetes. `kubectl rollout undo` reads them.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::revision;
use super::values::text;
use super::world::{Kind, World, owner_reference};
use crate::api::ApiError;

/// The label by which pods name the template they are of.
pub(super) const POD_LABEL: &str = "controller-revision-hash";

/// All templates of an object, oldest number first, and the one it asks for now.
pub(super) struct History {
    all: Vec<Arc<Value>>,
    pub(super) update: Arc<Value>,
}

impl History {
    /// Finds or makes the revision for the owner's template. One that was there before gets a new number, as it is
    /// rolled back to. `hash_label` is where the revision carries its hash.
    pub(super) async fn settle(
        world: &mut World,
        kind: Kind,
        owner: &Value,
        hash_label: &str,
    ) -> Result<History, ApiError> {
        let mut all = world.owned(Kind::ControllerRevision, owner);
        all.sort_by_key(|revision| number(revision));
        let data = patch(&owner["spec"]["template"]);
        let next = all.last().map_or(0, |latest| number(latest)) + 1;
        let same = all.iter().rposition(|revision| revision["data"] == data);
        let update = match same {
            Some(at) if at + 1 == all.len() => Arc::clone(&all[at]),
            Some(at) => {
                let old = all.remove(at);
                let mut again = (*old).clone();
                again["revision"] = Value::from(next);
                let again = world.replace(Kind::ControllerRevision, &old, again).await?;
                all.push(Arc::clone(&again));
                again
            }
            None => {
                let made = made(kind, owner, data, next, hash_label);
                let made = world.create(Kind::ControllerRevision, made).await?;
                all.push(Arc::clone(&made));
                made
            }
        };
        Ok(History { all, update })
    }

    /// The revision of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Value>> {
        let mut all = self.all.iter();
        all.find(|revision| revision["metadata"]["name"] == name)
    }

    /// Deletes the oldest revisions beyond the owner's limit, except those that `live` names.
    pub(super) async fn truncate(
        &self,
        world: &mut World,
        owner: &Value,
        live: &HashSet<String>,
    ) -> Result<(), ApiError> {
        let limit = owner["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
        let idle: Vec<_> = self
            .all
            .iter()
            .filter(|revision| !live.contains(text(&revision["metadata"], "name")))
            .collect();
        let surplus = idle
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for revision in idle.into_iter().take(surplus) {
            world.delete(Kind::ControllerRevision, revision).await?;
        }
        Ok(())
    }
}

/// The owner as it was at a revision.
pub(super) fn at(owner: &Value, revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    let mut owner = owner.clone();
    owner["spec"]["template"] = template;
    owner
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or(0)
}

/// A strategic merge patch that replaces the template.
fn patch(template: &Value) -> Value {
    let mut template = template.clone();
    template["$patch"] = Value::from("replace");
    json!({"spec": {"template": template}})
}

fn made(kind: Kind, owner: &Value, data: Value, number: i64, hash_label: &str) -> Value {
    let hash = revision::hash(&data);
    let mut labels = match &owner["spec"]["template"]["metadata"]["labels"] {
        Value::Null => json!({}),
        labels => labels.clone(),
    };
    labels[hash_label] = Value::from(hash.as_str());
    let mut metadata = json!({
        "name": format!("{}-{hash}", text(&owner["metadata"], "name")),
        "namespace": owner["metadata"]["namespace"], "labels": labels,
        "ownerReferences": [owner_reference(kind, owner)],
    });
    if !owner["metadata"]["annotations"].is_null() {
        metadata["annotations"] = owner["metadata"]["annotations"].clone();
    }
    json!({"metadata": metadata, "data": data, "revision": number})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_brings_its_template_back() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}});
        let owner = json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "u"}, "spec": {"replicas": 3, "template": template},
        });
        let revision = made(Kind::StatefulSet, &owner, patch(&template), 2, "hash");
        let mut later = owner.clone();
        later["spec"]["template"] = json!({"spec": {"containers": [1]}});
        assert_eq!(at(&later, &revision), owner);
        let labels = &revision["metadata"]["labels"];
        assert_eq!(labels["a"], "b");
        assert_eq!(
            revision["metadata"]["name"],
            format!("web-{}", text(labels, "hash"))
        );
    }
}
