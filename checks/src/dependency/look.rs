//! One look at one dependency.

mod cluster;
mod network;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use khclient::{Finding, Subject};

use super::item::Target;
use super::judge::NotReady;
use super::objects::ApiResource;
use super::rounds::Standing;
use crate::cluster::{Cluster, ClusterError};
use crate::describe::shown_url;
use crate::tls::Tls;
use crate::values::{Span, StatusSet};

/// Looks at dependencies.
pub(super) struct Looker {
    /// `None` if nothing needs it.
    pub(super) cluster: Option<Result<Cluster, ClusterError>>,
    /// The namespace of objects that name none.
    pub(super) namespace: String,
    pub(super) tls: Tls,
    /// Days that certificates must stay valid; `tls` notes those that do not.
    pub(super) min_cert_days: u32,
    /// Accepted status codes.
    pub(super) accepted: StatusSet,
    /// Time for one look.
    pub(super) timeout: Duration,
    /// When the run must be over.
    pub(super) until: Option<Instant>,
    /// Kinds that discovery found, by API version and kind.
    pub(super) served: Mutex<HashMap<(String, String), ApiResource>>,
}

/// Why a dependency is not available. Each reads differently, because each has another remedy.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// There is no such object.
    #[error("expected a {0} of this name, seen none")]
    Missing(String),
    /// It is there, but not available.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// It could not be seen: forbidden by RBAC, or no answer.
    #[error(transparent)]
    Hidden(#[from] ClusterError),
}

/// A [`Trouble`] and what it is about.
struct About {
    subject: Option<Subject>,
    /// In place of a subject where there is none.
    label: String,
}

impl About {
    fn finding(&self, reason: &str) -> Finding {
        match &self.subject {
            Some(subject) => Finding::about(subject.clone(), reason),
            None => Finding::new(format!("{}: {reason}", self.label)),
        }
    }
}

impl Looker {
    /// What is wrong with `target`; nothing if it is available.
    pub(super) async fn look(&self, target: &Target) -> Standing {
        let now = Instant::now();
        let left = self.until.map(|until| until.saturating_duration_since(now));
        let time = left.map_or(self.timeout, |left| left.min(self.timeout));
        match tokio::time::timeout(time, self.one(target)).await {
            Ok(standing) => standing,
            Err(_) => {
                let limit = match time < self.timeout {
                    true => "before the deadline of the run".to_owned(),
                    false => format!("within {}", Span(time)),
                };
                vec![
                    self.about(target)
                        .finding(&format!("expected an answer {limit}, seen none")),
                ]
            }
        }
    }

    async fn one(&self, target: &Target) -> Standing {
        let result = match target {
            Target::Service {
                place,
                port,
                minimum,
            } => self.service(place, port.as_ref(), *minimum).await,
            Target::Workload {
                kind,
                place,
                minimum,
            } => self.workload(*kind, place, *minimum).await,
            Target::Job(place) => self.job(place).await,
            Target::Claim(place) => self.claim(place).await,
            Target::Pods {
                namespace,
                selector,
                minimum,
            } => {
                let namespace = namespace.as_deref().unwrap_or(&self.namespace);
                return self
                    .pods(namespace, selector, *minimum)
                    .await
                    .unwrap_or_else(|error| vec![self.about(target).finding(&error.to_string())]);
            }
            Target::Condition { .. } => return self.condition(target).await,
            Target::Dns(name) => network::dns(name).await.map_err(Trouble::from),
            Target::Tcp { host, port } => network::tcp(host, *port).await.map_err(Trouble::from),
            Target::Http(url) => self.http(url).await.map_err(Trouble::from),
        };
        match result {
            Ok(()) => Standing::new(),
            Err(trouble) => vec![self.about(target).finding(&trouble.to_string())],
        }
    }

    fn cluster(&self) -> Result<&Cluster, Trouble> {
        match &self.cluster {
            Some(Ok(cluster)) => Ok(cluster),
            Some(Err(error)) => Err(error.clone().into()),
            None => Err(ClusterError::NoCluster.into()),
        }
    }

    fn about(&self, target: &Target) -> About {
        let label = match target {
            Target::Pods {
                namespace,
                selector,
                ..
            } => {
                let namespace = namespace.as_deref().unwrap_or(&self.namespace);
                format!("pod:{namespace}/{selector}")
            }
            Target::Dns(name) => format!("dns:{name}"),
            Target::Tcp { host, port } if host.contains(':') => format!("tcp:[{host}]:{port}"),
            Target::Tcp { host, port } => format!("tcp:{host}:{port}"),
            Target::Http(url) => shown_url(url),
            Target::Condition { kind, place, .. } => {
                format!("{} {}", kind.to_ascii_lowercase(), place.name)
            }
            // These have a subject: their names were checked when they were read.
            Target::Service { place, .. } | Target::Workload { place, .. } => place.name.clone(),
            Target::Job(place) | Target::Claim(place) => place.name.clone(),
        };
        About {
            subject: target.subject(&self.namespace),
            label,
        }
    }
}
