//! Creating, replacing and patching objects.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::meta::{self, Part};
use super::patch::{self, Kind};
use super::{kinds, respond};
use crate::status::Status;
use crate::store::{Key, Transaction};

impl Call<'_> {
    /// POST to a collection.
    pub(crate) fn create(&self, object: Value) -> Result<Response, Status> {
        let dry_run = self.query.dry_run()?;
        let stored = self
            .shared
            .store
            .write(dry_run, |tx| self.create_in(tx, object))?;
        Ok(respond::json(StatusCode::CREATED, &self.shown(&stored)))
    }

    fn create_in(&self, tx: &mut Transaction<'_>, mut object: Value) -> Result<Arc<Value>, Status> {
        let namespace = self.target.namespace.as_deref();
        meta::belongs(&self.resource, &self.version.name, namespace, &mut object)?;
        let mut name = meta::create(&self.resource, &self.version, &mut object, &self.birth())?;
        // A generated name that is taken is generated anew, as the API server does since 1.30.
        while tx.get(&self.key(&name)).is_some() {
            if object["metadata"]["generateName"].is_null() {
                let (group, plural) = (self.resource.group(), self.resource.plural());
                return Err(Status::already_exists(group, plural, &name));
            }
            meta::remove(&mut object["metadata"], "name");
            name = meta::create(&self.resource, &self.version, &mut object, &self.birth())?;
        }
        if let Some(namespace) = namespace {
            kinds::namespace_takes(tx, &self.resource, namespace, &name)?;
        }
        kinds::complete(self, None, &mut object)?;
        kinds::check(self, None, &object)?;
        self.store_in(tx, &self.key(&name), object)
    }

    /// PUT of an object or its status.
    pub(crate) fn replace(&self, part: Part, object: Value) -> Result<Response, Status> {
        let dry_run = self.query.dry_run()?;
        let stored = self.shared.store.write(dry_run, |tx| {
            let key = self.key(self.name()?);
            let old = tx.get(&key).ok_or_else(|| self.not_found(&key.name))?;
            self.update_in(tx, &key, part, &old, object)
        })?;
        Ok(respond::json(StatusCode::OK, &self.shown(&stored)))
    }

    /// PATCH of an object or its status.
    pub(crate) fn patch(&self, part: Part, kind: Kind, patch: &Value) -> Result<Response, Status> {
        let dry_run = self.query.dry_run()?;
        if kind == Kind::Apply && self.query.get("fieldManager").is_none() {
            let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return Err(Status::new(422, "Invalid", message));
        }
        let (code, stored) = self.shared.store.write(dry_run, |tx| {
            let key = self.key(self.name()?);
            let Some(old) = tx.get(&key) else {
                if kind != Kind::Apply || part == Part::Status {
                    return Err(self.not_found(&key.name));
                }
                let mut object = Value::Null;
                json_patch::merge(&mut object, patch);
                if object["metadata"]["name"].is_null() {
                    json_patch::merge(&mut object, &json!({"metadata": {"name": key.name}}));
                }
                return Ok((StatusCode::CREATED, self.create_in(tx, object)?));
            };
            let object = patch::apply(kind, &self.resource, &self.shown(&old), patch)?;
            Ok((
                StatusCode::OK,
                self.update_in(tx, &key, part, &old, object)?,
            ))
        })?;
        Ok(respond::json(code, &self.shown(&stored)))
    }

    pub(crate) fn update_in(
        &self,
        tx: &mut Transaction<'_>,
        key: &Key,
        part: Part,
        old: &Value,
        mut object: Value,
    ) -> Result<Arc<Value>, Status> {
        let namespace = self.target.namespace.as_deref();
        meta::belongs(&self.resource, &self.version.name, namespace, &mut object)?;
        kinds::complete(self, Some(old), &mut object)?;
        meta::update(&self.resource, &self.version, part, old, &mut object)?;
        kinds::check(self, Some(old), &object)?;
        self.store_in(tx, key, object)
    }

    fn store_in(
        &self,
        tx: &mut Transaction<'_>,
        key: &Key,
        mut object: Value,
    ) -> Result<Arc<Value>, Status> {
        if self.resource.storage != self.version.name {
            object["apiVersion"] =
                crate::registry::group_version(self.resource.group(), &self.resource.storage)
                    .into();
        }
        let stored = tx.put(key, object)?;
        if !tx.dry_run() {
            kinds::stored(self.shared, key, &stored);
        }
        if meta::released(&stored) {
            super::delete::finish(self.shared, tx, key);
        }
        Ok(stored)
    }
}
