//! The kinds that are watched.

use kube::Resource as _;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;

use crate::core::CheckKind;
use crate::crd::{Remediation, RemediationPolicy};

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Policy,
    Record,
    Check(CheckKind),
    /// Kuberhealthy v2's KuberhealthyCheck: how often and how long the check of the same name runs.
    Schedule,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [
        Kind::Policy,
        Kind::Record,
        Kind::Check(CheckKind::KuberhealthyState),
        Kind::Check(CheckKind::HealthCheck),
        Kind::Schedule,
    ];

    pub(super) fn resource(self) -> ApiResource {
        let foreign = |group, version, kind| {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            ApiResource::from_gvk_with_plural(&gvk, &self.plural())
        };
        match self {
            Kind::Policy => ApiResource::erase::<RemediationPolicy>(&()),
            Kind::Record => ApiResource::erase::<Remediation>(&()),
            Kind::Check(CheckKind::KuberhealthyState) => {
                foreign("comcast.github.io", "v1", "KuberhealthyState")
            }
            Kind::Check(CheckKind::HealthCheck) => {
                foreign("kuberhealthy.github.io", "v2", "HealthCheck")
            }
            Kind::Schedule => foreign("comcast.github.io", "v1", "KuberhealthyCheck"),
        }
    }

    pub(super) fn plural(self) -> String {
        match self {
            Kind::Policy => RemediationPolicy::plural(&()).into_owned(),
            Kind::Record => Remediation::plural(&()).into_owned(),
            Kind::Check(CheckKind::KuberhealthyState) => "khstates".to_owned(),
            Kind::Check(CheckKind::HealthCheck) => "healthchecks".to_owned(),
            Kind::Schedule => "khchecks".to_owned(),
        }
    }

    /// Whether a cluster without this kind is an ordinary one: most have one line of Kuberhealthy only.
    pub(super) fn may_be_missing(self) -> bool {
        matches!(self, Kind::Check(_) | Kind::Schedule)
    }
}
