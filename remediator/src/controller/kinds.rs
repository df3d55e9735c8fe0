//! The kinds that are watched.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

use crate::core::CheckKind;
use crate::crd::{Remediation, RemediationPolicy};

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
            ApiResource::from_gvk_with_plural(&gvk, self.plural())
        };
        match self {
            Kind::Policy | Kind::Check(CheckKind::Alert) => {
                ApiResource::erase::<RemediationPolicy>(&())
            }
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

    /// The name in request paths.
    pub(super) fn plural(self) -> &'static str {
        match self {
            // What was received of alerts is kept in the policy.
            Kind::Policy | Kind::Check(CheckKind::Alert) => "remediationpolicies",
            Kind::Record => "remediations",
            Kind::Check(CheckKind::KuberhealthyState) => "khstates",
            Kind::Check(CheckKind::HealthCheck) => "healthchecks",
            Kind::Schedule => "khchecks",
        }
    }

    /// Whether a cluster without this kind is an ordinary one: most have one line of Kuberhealthy only.
    pub(super) fn may_be_missing(self) -> bool {
        self.is_kuberhealthys()
    }

    /// Whether it is Kuberhealthy's, and not our own.
    pub(super) fn is_kuberhealthys(self) -> bool {
        matches!(self, Kind::Check(_) | Kind::Schedule)
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource as _;

    use super::Kind;
    use crate::crd::{Remediation, RemediationPolicy};

    #[test]
    fn our_own_kinds_have_the_names_of_their_definitions() {
        assert_eq!(Kind::Policy.plural(), RemediationPolicy::plural(&()));
        assert_eq!(Kind::Record.plural(), Remediation::plural(&()));
    }
}
