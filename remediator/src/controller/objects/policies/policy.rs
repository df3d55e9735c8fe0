//! One policy as it was read, and what it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;

use crate::controller::conditions::why_not;
use crate::controller::status::ALLOWED;
use crate::core::{CheckKey, Inferred, ObjectKey, PolicySpec, Reason, TargetKind};
use crate::crd::{Invalid, RemediationPolicy, policy_status, policy_view, upstreams_view};

/// A policy.
#[derive(Debug)]
pub(in crate::controller) struct Policy {
    pub(in crate::controller) object: RemediationPolicy,
    pub(in crate::controller) spec: Result<PolicySpec, Invalid>,
}

impl Policy {
    pub(in crate::controller) fn new(mut object: RemediationPolicy) -> Policy {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        Policy {
            spec: policy_view(&object),
            object,
        }
    }

    /// Its UID and resourceVersion.
    pub(in crate::controller) fn version(&self) -> (Option<&str>, Option<&str>) {
        let metadata = &self.object.metadata;
        (
            metadata.uid.as_deref(),
            metadata.resource_version.as_deref(),
        )
    }

    /// The incident that its status tells of, open or over.
    pub(in crate::controller) fn incident(&self) -> Option<&policy_status::Incident> {
        self.object.status.as_ref()?.incident.as_ref()
    }

    /// When it was created, and its UID: the older one of two with one target goes first.
    pub(super) fn age(&self) -> Age {
        let created = self.object.creation_timestamp();
        let created = created.map_or(0, |time| time.0.as_second());
        (created, self.object.uid().unwrap_or_default())
    }

    /// The checks that the errors of its open incident lead to, if that is asked for.
    pub(in crate::controller) fn inferred(&self) -> Vec<Inferred> {
        match &self.spec {
            Ok(spec) if spec.infer_dependencies => upstreams_view(&self.object),
            _ => Vec::new(),
        }
    }

    /// Whether its status says that it waits for a place among the remediations in flight.
    pub(super) fn waits(&self) -> bool {
        let status = self.object.status.as_ref();
        let why = status.and_then(|status| why_not(&status.conditions, ALLOWED));
        self.spec.is_ok() && why == Some(Reason::TooManyInFlight)
    }

    /// The checks it names: its own, those it depends on, and those its errors lead to.
    pub(super) fn named(&self) -> BTreeSet<(Role, ObjectKey)> {
        let Ok(spec) = &self.spec else {
            return BTreeSet::new();
        };
        let inferred = self.inferred();
        let inferred = inferred.iter().map(|inferred| key_of(&inferred.check));
        let upstream = spec.depends_on.iter().map(|(_, key)| key.clone());
        let upstream = upstream.chain(inferred).map(|key| (Role::Upstream, key));
        upstream
            .chain([(Role::Trigger, spec.check.clone())])
            .collect()
    }

    pub(super) fn target(&self) -> Option<Target> {
        let spec = self.spec.as_ref().ok()?;
        let (kind, name) = spec.target.clone();
        Some((spec.key.namespace.clone(), kind, name))
    }
}

/// Namespace and name of a check.
pub(in crate::controller) fn key_of(check: &CheckKey) -> ObjectKey {
    ObjectKey {
        namespace: check.namespace.clone(),
        name: check.name.clone(),
    }
}

pub(super) type Age = (i64, String);
/// Namespace, kind and name of a workload.
pub(in crate::controller) type Target = (Arc<str>, TargetKind, Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    Trigger,
    Upstream,
}
