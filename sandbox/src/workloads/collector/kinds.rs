//! The kinds that a server serves, from its discovery documents.

use serde_json::Value;

use crate::api::{Api, ApiError};
use crate::registry::group_version;
use crate::workloads::values::text;

/// A kind whose objects can be listed, watched and deleted, in its group's preferred version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Served {
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    pub(super) root: String,
    /// Empty for the core group.
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
}

impl Served {
    /// The collection over all namespaces.
    pub(super) fn everywhere(&self) -> String {
        format!("{}/{}", self.root, self.plural)
    }

    /// Path of an object. The namespace counts only for a namespaced kind.
    pub(super) fn path(&self, namespace: &str, name: &str) -> String {
        match self.namespaced {
            true => format!(
                "{}/namespaces/{namespace}/{}/{name}",
                self.root, self.plural
            ),
            false => format!("{}/{}/{name}", self.root, self.plural),
        }
    }
}

/// Asks the server what it serves. As in Kubernetes, events are left out: nobody owns them.
pub(super) async fn served(api: &Api) -> Result<Vec<Served>, ApiError> {
    let mut served = read("", "/api/v1".to_owned(), &api.get("/api/v1").await?);
    let groups = api.get("/apis").await?;
    for group in groups["groups"].as_array().into_iter().flatten() {
        let root = format!("/apis/{}", text(&group["preferredVersion"], "groupVersion"));
        match api.get(&root).await {
            Ok(list) => served.extend(read(text(group, "name"), root, &list)),
            // The group's last kind has just gone.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(served)
}

fn read(group: &str, root: String, list: &Value) -> Vec<Served> {
    let resources = list["resources"].as_array().into_iter().flatten();
    resources
        .filter(|resource| {
            let verbs = resource["verbs"].as_array().map_or(&[][..], Vec::as_slice);
            let can = |verb: &&str| verbs.iter().any(|have| have == verb);
            ["list", "watch", "delete"].iter().all(can)
        })
        .map(|resource| Served {
            root: root.clone(),
            group: group.to_owned(),
            plural: text(resource, "name").to_owned(),
            kind: text(resource, "kind").to_owned(),
            namespaced: resource["namespaced"] == true,
        })
        .filter(|served| !(served.plural == "events" && ["", "events.k8s.io"].contains(&group)))
        .collect()
}

/// The kind that an owner reference names; its version may be another one than the preferred one.
pub(super) fn of_owner<'a>(
    mut served: impl Iterator<Item = &'a Served>,
    owner: &Value,
) -> Option<&'a Served> {
    let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
    served.find(|served| {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        served.kind == kind && group_version(&served.group, version) == api_version
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_kinds_that_can_be_collected_are_read() {
        let all = json!(["create", "delete", "get", "list", "watch"]);
        let list = json!({"resources": [
            {"name": "pods", "kind": "Pod", "namespaced": true, "verbs": all},
            {"name": "pods/status", "kind": "Pod", "namespaced": true, "verbs": ["get", "patch"]},
            {"name": "events", "kind": "Event", "namespaced": true, "verbs": all},
            {"name": "nodes", "kind": "Node", "namespaced": false, "verbs": all},
        ]});
        let served = read("", "/api/v1".to_owned(), &list);
        let paths: Vec<String> = served.iter().map(|kind| kind.path("a", "b")).collect();
        assert_eq!(paths, ["/api/v1/namespaces/a/pods/b", "/api/v1/nodes/b"]);
        for (api_version, kind, found) in [
            ("v1", "Pod", true),
            ("v2", "Pod", true),
            ("apps/v1", "Pod", false),
            ("v1", "Event", false),
        ] {
            let owner = json!({"apiVersion": api_version, "kind": kind});
            assert_eq!(of_owner(served.iter(), &owner).is_some(), found, "{owner}");
        }
    }
}
