//! A request for a resource, understood: what every operation on objects starts from.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::Shared;
use super::event;
use super::meta::Birth;
use super::query::Query;
use super::route::Target;
use crate::registry::{Resource, Version, group_version};
use crate::status::Status;
use crate::store::Key;

/// See the module's documentation.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) version: Arc<Version>,
    pub(crate) target: Target,
    pub(crate) query: Query,
}

impl Call<'_> {
    /// Where the object `name` of this call's collection and namespace is stored.
    pub(crate) fn key(&self, name: &str) -> Key {
        Key {
            collection: self.resource.place().clone(),
            namespace: self.target.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }

    /// The name in the path; only asked for where the verb implies one.
    pub(crate) fn name(&self) -> Result<&str, Status> {
        self.target
            .name
            .as_deref()
            .ok_or_else(Status::method_not_allowed)
    }

    pub(crate) fn not_found(&self, name: &str) -> Status {
        Status::not_found(self.resource.group(), self.resource.plural(), name)
    }

    /// `apiVersion` of the objects in the answer.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.resource.group(), &self.version.name)
    }

    /// The object as this call's version shows it.
    pub(crate) fn shown<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        shown(&self.resource, &self.version.name, Cow::Borrowed(object))
    }

    /// What a new object is given.
    pub(crate) fn birth(&self) -> Birth {
        // The alphabet of k8s.io/apimachinery/pkg/util/rand: no vowels, no look-alikes.
        const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        let uid = uuid::Uuid::new_v4();
        let random = uuid::Uuid::new_v4();
        let suffix = random.as_bytes()[..5]
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
            .collect();
        Birth {
            now: now(),
            uid: uid.to_string(),
            suffix,
        }
    }
}

/// An object as stored in the form of a version. Versions differ in name only (conversion strategy None).
pub(crate) fn shown<'a>(
    resource: &Resource,
    version: &str,
    mut object: Cow<'a, Value>,
) -> Cow<'a, Value> {
    if resource.view_of.is_some() {
        event::to_shown(object.to_mut());
    } else if resource.storage != version {
        object.to_mut()["apiVersion"] = group_version(resource.group(), version).into();
    }
    object
}

/// The time as Kubernetes writes it: RFC 3339, whole seconds, UTC.
pub(crate) fn now() -> String {
    after_seconds(0)
}

/// The time in `seconds` from now.
pub(crate) fn after_seconds(seconds: u64) -> String {
    let span = std::time::Duration::from_secs(seconds.min(10 * 365 * 86_400));
    let time = jiff::Timestamp::now()
        .checked_add(span)
        .unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
