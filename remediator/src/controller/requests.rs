//! Reads and writes of policies and checks.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DynamicObject, ObjectMeta, PostParams};
use serde_json::json;

use super::conditions::{Says, set};
use super::kinds::Kind;
use super::objects::Policy;
use super::status::ACCEPTED;
use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::{CheckKey, CheckKind, ObjectKey, Reason, Snapshot, parse_snapshot};
use crate::crd::{ConditionStatus, RemediationPolicy, RemediationPolicyStatus, alert_snapshot};

impl<W: Workloads> Leader<W> {
    /// The check as it is now; none if it does not exist; the API server's words if it may not be read. Of one that is known
    /// only the version is asked for, and the rest if that is another.
    pub(super) async fn read_check(
        &self,
        check: &CheckKey,
    ) -> Result<Result<Option<Arc<Snapshot>>, String>, Failed> {
        if check.kind == CheckKind::Alert {
            let key = super::key(&check.namespace, &check.name);
            let policy = denied(self.get_policy(&key).await)?;
            return Ok(policy.map(|policy| alert_snapshot(&policy?.object).map(Arc::new)));
        }
        if let Some(known) = self.snapshot(check) {
            let read = self.checks(check);
            let read = self.limited(read.get_metadata_opt(&check.name)).await;
            match denied(read)? {
                Ok(Some(read)) if !is_version(&read.metadata, known.version()) => {}
                other => return Ok(other.map(|read| read.map(|_| known))),
            }
        }
        self.read_whole_check(check).await
    }

    async fn read_whole_check(
        &self,
        check: &CheckKey,
    ) -> Result<Result<Option<Arc<Snapshot>>, String>, Failed> {
        let read = self.checks(check);
        let read = self.limited(read.get_opt(&check.name)).await;
        let read = match denied(read)? {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Ok(None)),
            Err(message) => return Ok(Err(message)),
        };
        let key = ObjectKey {
            namespace: check.namespace.clone(),
            name: check.name.clone(),
        };
        let timing = self.with_objects(|objects| objects.checks.schedule(&key));
        let timing = timing.filter(|_| check.kind == CheckKind::KuberhealthyState);
        let value = serde_json::to_value(&read).map_err(|error| Failed::Read(error.to_string()))?;
        let snapshot = parse_snapshot(check.kind, &value, timing)
            .map_err(|error| Failed::Read(error.to_string()))?;
        Ok(Ok(Some(Arc::new(snapshot))))
    }

    /// The policy as it is now. Of one that is known only the version is asked for, and the rest if that is another.
    pub(super) async fn get_policy(&self, key: &ObjectKey) -> Result<Option<Arc<Policy>>, Failed> {
        let known = self.with_objects(|objects| objects.policies.get(key).cloned());
        if let Some(known) = known {
            let read = self.policies(&key.namespace);
            match self.limited(read.get_metadata_opt(&key.name)).await? {
                Some(read) if !is_version(&read.metadata, known.version()) => {}
                other => return Ok(other.map(|_| known)),
            }
        }
        self.get_whole_policy(key).await
    }

    async fn get_whole_policy(&self, key: &ObjectKey) -> Result<Option<Arc<Policy>>, Failed> {
        let read = self.policies(&key.namespace);
        let read = self.limited(read.get_opt(&key.name)).await?;
        Ok(read.map(|object| self.take_policy(key, object)))
    }

    fn checks(&self, check: &CheckKey) -> Api<DynamicObject> {
        let kind = Kind::Check(check.kind).resource();
        Api::namespaced_with(self.client.clone(), &check.namespace, &kind)
    }

    fn policies(&self, namespace: &str) -> Api<RemediationPolicy> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Takes a policy that was read or written into the cache; returns it.
    fn take_policy(&self, key: &ObjectKey, object: RemediationPolicy) -> Arc<Policy> {
        let policy = Arc::new(Policy::new(object));
        self.with_objects(|objects| objects.put_policy(key, policy.clone(), clock::now()));
        policy
    }

    /// Writes the status if it is not what it was, and tells what has changed.
    pub(super) async fn put_policy(
        &self,
        policy: &Arc<Policy>,
        status: RemediationPolicyStatus,
    ) -> Result<Arc<Policy>, Failed> {
        let before = policy.object.status.as_ref();
        if before == Some(&status) {
            return Ok(policy.clone());
        }
        let mut object = policy.object.clone();
        object.status = Some(status);
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let parameters = PostParams::default();
        let policies = self.policies(&namespace);
        let written = self
            .write(policies.replace_status(&name, &parameters, &object))
            .await;
        let key = super::key(&namespace, &name);
        if let Err(Failed::Request(kube::Error::Api(answer))) = &written
            && answer.code == 409
        {
            // What is known is old, and a watch that fails may take a while to tell.
            self.get_whole_policy(&key).await?;
        }
        let taken = self.take_policy(&key, written?);
        if let Some(after) = &object.status {
            self.tell_policy(&object, before, after);
            if before.is_none_or(|before| before.upstreams != after.upstreams) {
                self.look_at_upstreams(after);
            }
            self.notify_policy(&taken, before, after);
        }
        Ok(taken)
    }

    /// Says of a policy that is none by its types that it is not used. The object itself cannot be written back, so only
    /// its conditions are.
    pub(super) async fn malformed(&self, key: &ObjectKey) -> Result<Option<Duration>, Failed> {
        let malformed = self.with_objects(|objects| objects.policies.malformed(key).cloned());
        let Some(malformed) = malformed.filter(|malformed| !malformed.told) else {
            return Ok(None);
        };
        let mut conditions = Vec::new();
        let (generation, now) = (malformed.generation, clock::now());
        let why = malformed.why.as_str();
        let says = Says::new(
            ConditionStatus::False,
            Reason::InvalidPolicy.as_str(),
            why.to_owned(),
        );
        set(&mut conditions, ACCEPTED, says, generation, now);
        let resource = Kind::Policy.resource();
        let mut object = DynamicObject::new(&key.name, &resource).within(&key.namespace);
        object.metadata.resource_version = Some(malformed.resource_version);
        object.data = json!({
            "status": {"observedGeneration": generation, "conditions": conditions},
        });
        let policies: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource);
        let parameters = PostParams::default();
        let written = self
            .write(policies.replace_status(&key.name, &parameters, &object))
            .await;
        match written {
            // A definition that the object itself does not meet: nothing can be said in it.
            Err(Failed::Request(kube::Error::Api(status))) if status.code == 422 => {
                let message = &status.message;
                tracing::warn!(?key, %message, "the policy cannot be told that it is not used");
                Ok(None)
            }
            other => other.map(|_| None),
        }
    }
}

/// Whether an object is what is known of it, by UID and resourceVersion. Another definition of its kind may show the same
/// version with other defaults; those that decide are ours, and the same as the definition's.
fn is_version(metadata: &ObjectMeta, known: (Option<&str>, Option<&str>)) -> bool {
    let version = metadata.resource_version.as_deref();
    version.is_some() && (metadata.uid.as_deref(), version) == known
}

/// Whether this HTTP status code says that something is not allowed.
pub(super) fn is_denial(code: u16) -> bool {
    matches!(code, 401 | 403)
}

/// A request that was denied is an answer, not a failure: it is not tried again and again, but told.
pub(super) fn denied<T>(result: Result<T, Failed>) -> Result<Result<T, String>, Failed> {
    match result {
        Err(Failed::Request(kube::Error::Api(status))) if is_denial(status.code) => {
            Ok(Err(status.message))
        }
        other => other.map(Ok),
    }
}
