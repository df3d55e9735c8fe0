//! What a check can depend on.

use std::fmt;

use khclient::Subject;
use url::Url;

use crate::values::Selector;

/// One thing that must be available, or, if optional, is only told about in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// What it is.
    pub(crate) target: Target,
    /// Whether the check passes without it.
    pub(crate) optional: bool,
}

/// Where an object is; without a namespace it is in that of the check's pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Namespace, if one was named.
    pub(crate) namespace: Option<String>,
    /// Name of the object.
    pub(crate) name: String,
}

/// What must be available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A service, judged by its endpoints.
    Service {
        /// Where it is.
        place: Place,
        /// The port that must be served.
        port: Option<Port>,
        /// Ready endpoints.
        minimum: Minimum,
    },
    /// A workload, judged by its available replicas.
    Workload {
        /// Deployment, StatefulSet or DaemonSet.
        kind: Workload,
        /// Where it is.
        place: Place,
        /// Available replicas.
        minimum: Minimum,
    },
    /// A job that must have completed.
    Job(Place),
    /// A claim that must be bound to a volume.
    Claim(Place),
    /// Pods that must be ready.
    Pods {
        /// Namespace, if one was named.
        namespace: Option<String>,
        /// Which pods.
        selector: Selector,
        /// Ready pods.
        minimum: Minimum,
    },
    /// A condition of any object.
    Condition {
        /// `v1`, or group and version as in `cert-manager.io/v1`.
        api_version: String,
        /// Kind as in manifests.
        kind: String,
        /// Where it is; the namespace says nothing for kinds that have none.
        place: Place,
        /// Type of the condition.
        condition: String,
        /// Status it must have.
        status: String,
    },
    /// A name that must have an address.
    Dns(String),
    /// A port that must accept connections.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A URL that must answer.
    Http(Url),
}

/// The workloads that count available replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// `deployment:`
    Deployment,
    /// `statefulset:`
    StatefulSet,
    /// `daemonset:`
    DaemonSet,
}

impl Workload {
    /// The kind as in subjects of findings.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Workload::Deployment => "deployment",
            Workload::StatefulSet => "statefulset",
            Workload::DaemonSet => "daemonset",
        }
    }

    /// The resource, as in paths and in roles.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Workload::Deployment => "deployments",
            Workload::StatefulSet => "statefulsets",
            Workload::DaemonSet => "daemonsets",
        }
    }
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Port {
    /// By its name in the service.
    Name(String),
    /// By its number in the service, not in the pods.
    Number(u16),
}

/// How many must be available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Minimum {
    /// So many, at least one.
    Count(u32),
    /// A share of all in percent, 1 to 100, rounded up, and at least one.
    Percent(u8),
}

impl Minimum {
    /// What counts as available if nothing is said.
    pub(crate) const ONE: Minimum = Minimum::Count(1);

    /// How many of `all` must be available. Never none: what has nothing is not available.
    pub(crate) fn of(self, all: usize) -> usize {
        match self {
            Minimum::Count(count) => count.max(1) as usize,
            Minimum::Percent(percent) => (all * usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

impl fmt::Display for Minimum {
    /// As in "expected at least 50% of".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Minimum::Count(count) => write!(f, "{count}"),
            Minimum::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Name(name) => write!(f, "port \"{name}\""),
            Port::Number(number) => write!(f, "port {number}"),
        }
    }
}

impl Target {
    /// The object that a finding is about, for those that have one; `namespace` is that of the check's pod.
    pub(crate) fn subject(&self, namespace: &str) -> Option<Subject> {
        let about = |kind: &str, place: &Place| {
            Subject::namespaced(
                kind,
                place.namespace.as_deref().unwrap_or(namespace),
                &place.name,
            )
        };
        match self {
            Target::Service { place, .. } => about("service", place),
            Target::Workload { kind, place, .. } => about(kind.kind(), place),
            Target::Job(place) => about("job", place),
            Target::Claim(place) => about("persistentvolumeclaim", place),
            Target::Condition { kind, place, .. } => {
                let kind = kind.to_ascii_lowercase();
                match &place.namespace {
                    None => Subject::cluster(&kind, &place.name).or_else(|| about(&kind, place)),
                    Some(_) => about(&kind, place),
                }
            }
            Target::Pods { .. } | Target::Dns(_) | Target::Tcp { .. } | Target::Http(_) => None,
        }
    }

    /// Whether it is looked at through the Kubernetes API.
    pub(crate) fn needs_cluster(&self) -> bool {
        !matches!(self, Target::Dns(_) | Target::Tcp { .. } | Target::Http(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_never_nothing() {
        for (minimum, all, needed) in [
            (Minimum::Count(1), 0, 1),
            (Minimum::Count(3), 10, 3),
            (Minimum::Percent(50), 0, 1),
            (Minimum::Percent(50), 1, 1),
            (Minimum::Percent(50), 3, 2),
            (Minimum::Percent(50), 4, 2),
            (Minimum::Percent(1), 100, 1),
            (Minimum::Percent(1), 101, 2),
            (Minimum::Percent(100), 7, 7),
        ] {
            assert_eq!(minimum.of(all), needed, "{minimum} of {all}");
        }
    }
}
