//! `/scale` of built-in kinds: how many replicas, without the rest of the object.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::meta::Part;
use super::patch::{self, Kind};
use super::respond;
use crate::labels;
use crate::status::{Cause, Status};
use crate::store::{Key, Transaction};

impl Call<'_> {
    /// GET of `/scale`.
    pub(crate) fn scale(&self) -> Result<Response, Status> {
        Ok(respond::json(StatusCode::OK, &shown(&*self.read()?)))
    }

    /// PUT of `/scale`. A uid and a resourceVersion in it are those of the object that is scaled.
    pub(crate) fn replace_scale(&self, scale: &Value) -> Result<Response, Status> {
        let stored = self.shared.store.write(self.query.dry_run()?, |tx| {
            let key = self.key(self.name()?);
            let old = tx.get(&key).ok_or_else(|| self.not_found(&key.name))?;
            self.scale_in(tx, &key, &old, scale)
        })?;
        Ok(respond::json(StatusCode::OK, &shown(&stored)))
    }

    /// PATCH of `/scale`.
    pub(crate) fn patch_scale(&self, kind: Kind, patch: &Value) -> Result<Response, Status> {
        let stored = self.shared.store.write(self.query.dry_run()?, |tx| {
            let key = self.key(self.name()?);
            let old = tx.get(&key).ok_or_else(|| self.not_found(&key.name))?;
            let scale = patch::apply(kind, &self.resource, &shown(&old), patch)?;
            self.scale_in(tx, &key, &old, &scale)
        })?;
        Ok(respond::json(StatusCode::OK, &shown(&stored)))
    }

    fn scale_in(
        &self,
        tx: &mut Transaction<'_>,
        key: &Key,
        old: &Value,
        scale: &Value,
    ) -> Result<Arc<Value>, Status> {
        let given = scale["metadata"]["name"].as_str().unwrap_or(&key.name);
        if given != key.name {
            return Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                key.name
            )));
        }
        // As in Go, a number that is left out is 0.
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => json!(0),
            replicas => replicas.clone(),
        };
        if replicas.as_i64().is_none_or(|replicas| replicas < 0) {
            let why = "must be greater than or equal to 0";
            let cause = Cause::invalid("spec.replicas", &replicas, why);
            return Err(Status::invalid("autoscaling", "Scale", &key.name, &[cause]));
        }
        let mut object = old.clone();
        object["spec"]["replicas"] = replicas;
        for field in ["uid", "resourceVersion"] {
            object["metadata"][field] = match &scale["metadata"][field] {
                Value::Null => old["metadata"][field].clone(),
                given => given.clone(),
            };
        }
        self.update_in(tx, key, Part::Object, old, object)
    }
}

/// The Scale of an object.
fn shown(object: &Value) -> Value {
    let count = |part: &str| object[part]["replicas"].as_i64().unwrap_or(0);
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        metadata[field] = object["metadata"][field].clone();
    }
    let mut status = json!({"replicas": count("status")});
    let selector = match &object["spec"]["selector"] {
        // A ReplicationController's is the labels alone.
        plain if object["kind"] == "ReplicationController" => {
            labels::written(&json!({"matchLabels": plain}))
        }
        selector => labels::written(selector),
    };
    if !selector.is_empty() {
        status["selector"] = Value::from(selector);
    }
    let mut spec = json!({});
    // As in Go, no replicas are left out.
    if count("spec") != 0 {
        spec["replicas"] = Value::from(count("spec"));
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status,
    })
}
