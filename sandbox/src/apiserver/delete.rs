//! Deleting objects: grace periods, finalizers, preconditions, and what goes with an object.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::{Call, after_seconds, now};
use super::form::Form;
use super::read::Listing;
use super::{Shared, kinds, meta, respond};
use crate::finalizers::ORPHAN;
use crate::status::{Cause, Status};
use crate::store::{Key, Transaction};

/// How an object is to go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    /// Seconds its processes have; `None` for what its spec says.
    grace: Option<u64>,
    /// Whether its dependents are to be left; `None` for what its finalizers say.
    orphan: Option<bool>,
}

/// What a DELETE asks for; the query's parameters win over the body's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) how: How,
    uid: Option<String>,
    resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl Options {
    pub(crate) fn read(call: &Call<'_>, body: &Value) -> Result<Options, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Options {
            how: How {
                grace: call
                    .query
                    .number("gracePeriodSeconds")?
                    .or_else(|| body["gracePeriodSeconds"].as_u64()),
                orphan: orphan(call, body)?,
            },
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: call.query.dry_run()?
                || body["dryRun"].as_array().is_some_and(|all| !all.is_empty()),
        })
    }
}

/// Whether a deletion leaves the dependents. `Foreground` is taken as `Background`: they go after the object.
fn orphan(call: &Call<'_>, body: &Value) -> Result<Option<bool>, Status> {
    let policy = call.query.get("propagationPolicy");
    let policy = policy.or_else(|| body["propagationPolicy"].as_str());
    // Deprecated since 1.7, and still accepted.
    let flag = match call.query.get("orphanDependents") {
        Some(_) => Some(call.query.flag("orphanDependents")),
        None => body["orphanDependents"].as_bool(),
    };
    let cause = match (policy, flag) {
        (Some("Orphan"), None) => return Ok(Some(true)),
        (Some("Background" | "Foreground"), None) => return Ok(Some(false)),
        (None, flag) => return Ok(flag),
        (Some(policy), Some(_)) => {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            Cause::invalid("propagationPolicy", &json!(policy), why)
        }
        (Some(policy), None) => {
            let allowed = ["Foreground", "Background", "Orphan", "nil"].map(Value::from);
            Cause::unsupported("propagationPolicy", &json!(policy), &allowed)
        }
    };
    Err(Status::invalid(
        "meta.k8s.io",
        "DeleteOptions",
        "",
        &[cause],
    ))
}

impl Call<'_> {
    /// DELETE of one object.
    pub(crate) fn delete(&self, options: &Options) -> Result<Response, Status> {
        let key = self.key(self.name()?);
        let (object, gone) = self.shared.store.write(options.dry_run, |tx| {
            let object = tx.get(&key).ok_or_else(|| self.not_found(&key.name))?;
            self.precondition(options, &object)?;
            start(self.shared, tx, &key, &object, options.how)
        })?;
        // Most kinds answer with a Status once the object is gone, pods with what was there.
        if !gone || key.collection.resource == "pods" {
            return Ok(respond::json(StatusCode::OK, &self.shown(&object)));
        }
        let mut details = json!({
            "name": key.name, "kind": self.resource.plural(), "uid": object["metadata"]["uid"],
        });
        if !self.resource.group().is_empty() {
            details["group"] = Value::from(self.resource.group());
        }
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        });
        Ok(respond::json(StatusCode::OK, &status))
    }

    /// DELETE of a collection: of what the selectors match.
    pub(crate) fn delete_collection(&self, options: &Options) -> Result<Response, Status> {
        let selector = self.selector()?;
        let namespace = self.target.namespace.as_deref();
        let deleted = self.shared.store.write(options.dry_run, |tx| {
            let mut deleted = Vec::new();
            for (key, object) in tx.list(self.resource.place(), namespace) {
                if selector.matches(&object) {
                    deleted.push(start(self.shared, tx, &key, &object, options.how)?.0);
                }
            }
            Ok(deleted)
        })?;
        let metadata = json!({"resourceVersion": self.shared.store.version().to_string()});
        let listing = Listing {
            items: deleted,
            metadata,
        };
        Ok(self.list_response(&listing, &Form::Whole))
    }

    /// Refuses if the object is another one than the client means.
    pub(crate) fn precondition(&self, options: &Options, object: &Value) -> Result<(), Status> {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let refuse = |why: String| {
            Status::conflict_because(self.resource.group(), &self.resource.kind, name, &why)
        };
        let uid = metadata["uid"].as_str().unwrap_or_default();
        if let Some(asked) = options.uid.as_deref().filter(|asked| *asked != uid) {
            return Err(refuse(format!(
                "the UID in the precondition ({asked}) does not match the UID in record ({uid}). \
                 The object might have been deleted and then recreated"
            )));
        }
        let version = metadata["resourceVersion"].as_str().unwrap_or_default();
        if let Some(asked) = options
            .resource_version
            .as_deref()
            .filter(|asked| *asked != version)
        {
            return Err(refuse(format!(
                "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record \
                 ({version}). The object might have been modified"
            )));
        }
        Ok(())
    }
}

/// Starts the deletion of an object, and ends it if nothing holds the object back. Answers with its last state and
/// whether it is gone.
pub(crate) fn start(
    shared: &Shared,
    tx: &mut Transaction<'_>,
    key: &Key,
    object: &Value,
    how: How,
) -> Result<(Arc<Value>, bool), Status> {
    let grace = grace_period(key, object, how.grace);
    let finalizers = finalizers(key, object, how.orphan);
    let namespace = key.collection.resource == "namespaces" && key.collection.group.is_empty();
    if grace == 0 && finalizers.is_empty() && !namespace {
        return match remove(shared, tx, key) {
            Some(last) => Ok((last, true)),
            None => Err(Status::not_found(
                &key.collection.group,
                &key.collection.resource,
                &key.name,
            )),
        };
    }
    let metadata = &object["metadata"];
    let shortened = metadata["deletionGracePeriodSeconds"]
        .as_u64()
        .is_none_or(|old| grace < old);
    let mut object = object.clone();
    let finalizers = match finalizers.is_empty() {
        true => Value::Null,
        false => Value::from(finalizers),
    };
    meta::set(&mut object["metadata"], "finalizers", finalizers);
    if shortened {
        let first = metadata["deletionTimestamp"].is_null();
        object["metadata"]["deletionTimestamp"] = Value::from(after_seconds(grace));
        object["metadata"]["deletionGracePeriodSeconds"] = Value::from(grace);
        if let Some(generation) = metadata["generation"].as_i64().filter(|_| first) {
            object["metadata"]["generation"] = Value::from(generation + 1);
        }
    }
    if namespace {
        meta::remove(&mut object["metadata"], "deletionGracePeriodSeconds");
        object["metadata"]["deletionTimestamp"] = Value::from(now());
        object["status"] = json!({"phase": "Terminating"});
    }
    let stored = tx.put(key, object)?;
    if namespace {
        for (inner, object) in tx.find(|inner, _| inner.namespace == key.name) {
            start(shared, tx, &inner, &object, How::default())?;
        }
        return Ok((
            stored,
            tx.get(key).is_none() || remove_if_empty(tx, &key.name),
        ));
    }
    Ok((stored, false))
}

/// The finalizers that an object is to go with: `orphan` is the request's matter as far as the garbage collector works
/// it off. It knows no events, and a namespace is emptied without it.
fn finalizers(key: &Key, object: &Value, orphan: Option<bool>) -> Vec<Value> {
    let mut finalizers = meta::finalizers(object).to_vec();
    let collected = !key.collection.group.is_empty()
        || !matches!(key.collection.resource.as_str(), "events" | "namespaces");
    // Once a grace period has begun, it stays with what was asked for at its beginning.
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_u64();
    if let Some(orphan) = orphan.filter(|_| collected && grace.unwrap_or(0) == 0) {
        finalizers.retain(|finalizer| finalizer != ORPHAN);
        if orphan {
            finalizers.push(Value::from(ORPHAN));
        }
    }
    finalizers
}

/// Seconds until an object may be removed; only pods have any, and only while they may be running.
fn grace_period(key: &Key, object: &Value, asked: Option<u64>) -> u64 {
    let pod = key.collection.resource == "pods" && key.collection.group.is_empty();
    let placed = object["spec"]["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let over = matches!(
        object["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if !pod || !placed || over {
        return 0;
    }
    asked.unwrap_or_else(|| {
        object["spec"]["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap_or(30)
    })
}

/// Removes an object whose deletion was asked for and that nothing of its own holds back: a namespace only once it is
/// empty.
pub(crate) fn finish(shared: &Shared, tx: &mut Transaction<'_>, key: &Key) {
    if *key == kinds::namespace_key(&key.name) {
        remove_if_empty(tx, &key.name);
    } else {
        remove(shared, tx, key);
    }
}

/// Removes an object and whatever cannot be without it.
pub(crate) fn remove(shared: &Shared, tx: &mut Transaction<'_>, key: &Key) -> Option<Arc<Value>> {
    let last = tx.remove(key)?;
    kinds::removed(shared, tx, key, &last);
    if !key.namespace.is_empty() {
        remove_if_empty(tx, &key.namespace);
    }
    Some(last)
}

/// Ends a namespace whose deletion was asked for once nothing is left in it.
fn remove_if_empty(tx: &mut Transaction<'_>, namespace: &str) -> bool {
    let key = kinds::namespace_key(namespace);
    let terminating = tx
        .get(&key)
        .is_some_and(|found| found["metadata"]["deletionTimestamp"].is_string());
    let empty = terminating && tx.find(|inner, _| inner.namespace == namespace).is_empty();
    if empty {
        tx.remove(&key);
    }
    empty
}
