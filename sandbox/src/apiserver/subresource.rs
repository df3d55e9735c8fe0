//! Parts of an object that are served by a path of their own. Each is one arm of [`Call::subresource`].

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::{Call, now};
use super::meta::Part;
use super::patch::Kind;
use super::respond;
use crate::status::Status;

impl Call<'_> {
    /// Answers a request for `name`, a part of this call's object.
    pub(crate) fn subresource(
        &self,
        name: &str,
        verb: &str,
        content_type: &str,
        body: impl FnOnce() -> Result<Value, Status>,
    ) -> Result<Response, Status> {
        let pod = self.resource.group().is_empty() && self.resource.plural() == "pods";
        let scale = self.version.scale && !self.resource.custom;
        match (name, verb) {
            ("status", "get") if self.version.status => {
                Ok(respond::json(StatusCode::OK, &self.shown(&*self.read()?)))
            }
            ("status", "update") if self.version.status => self.replace(Part::Status, body()?),
            ("status", "patch") if self.version.status => {
                let kind = Kind::of(content_type, &self.resource)?;
                self.patch(Part::Status, kind, &body()?)
            }
            ("scale", "get") if scale => self.scale(),
            ("scale", "update") if scale => self.replace_scale(&body()?),
            ("scale", "patch") if scale => {
                let kind = Kind::of(content_type, &self.resource)?;
                self.patch_scale(kind, &body()?)
            }
            ("binding", "create") if pod => self.bind(&body()?),
            ("eviction", "create") if pod => self.evict(&body()?),
            ("log", "get") if pod => self.log(),
            ("status", _) if self.version.status => Err(Status::method_not_allowed()),
            ("scale", _) if scale => Err(Status::method_not_allowed()),
            ("binding" | "eviction" | "log", _) if pod => Err(Status::method_not_allowed()),
            _ => Ok(respond::unknown_path()),
        }
    }

    /// POST of `pods/binding`: what a scheduler does to place a pod on a node.
    fn bind(&self, binding: &Value) -> Result<Response, Status> {
        let dry_run = self.query.dry_run()?;
        let node = binding["target"]["name"].as_str().unwrap_or_default();
        if node.is_empty() {
            return Err(Status::bad_request(
                "Binding: target.name: Required value: name of the node",
            ));
        }
        self.shared.store.write(dry_run, |tx| {
            let key = self.key(self.name()?);
            let old = tx.get(&key).ok_or_else(|| self.not_found(&key.name))?;
            let refuse = |why: String| Status::conflict_because("", "pods/binding", &key.name, &why);
            if old["metadata"]["deletionTimestamp"].is_string() {
                return Err(refuse(format!(
                    "pod {} is being deleted, cannot be assigned to a host",
                    key.name
                )));
            }
            if let Some(placed) = old["spec"]["nodeName"].as_str().filter(|placed| !placed.is_empty()) {
                let why = format!("pod {} is already assigned to node \"{placed}\"", key.name);
                return Err(refuse(why));
            }
            let mut pod = (*old).clone();
            pod["spec"]["nodeName"] = Value::from(node);
            let scheduled = json!({
                "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now(),
            });
            match pod["status"]["conditions"].as_array_mut() {
                Some(conditions) => {
                    conditions.retain(|condition| condition["type"] != "PodScheduled");
                    conditions.push(scheduled);
                }
                None => pod["status"]["conditions"] = json!([scheduled]),
            }
            tx.put(&key, pod)
        })?;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        Ok(respond::json(StatusCode::CREATED, &done))
    }
}
