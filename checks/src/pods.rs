//! Pods as targets: every running one that a selector matches, each by its own address.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Instant;

use khclient::{Finding, Subject};
use tokio::time::timeout_at;

use crate::cli::ConfigError;
use crate::cluster::{Access, Cluster, ClusterArgs, ClusterError, Container, Pod, Resource};
use crate::values::{BadValue, IpFamily, Selector, Switch};

/// Options of every check that can look at pods one by one.
///
/// The names keep clear of `POD_NAMESPACE`, which manifests set from the downward API, and of names that end in
/// `_PORT`, which Kubernetes sets for every service of the namespace.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Pods")]
pub struct PodArgs {
    /// Label selector: every running pod it matches is probed on its own address
    #[arg(long, value_name = "SELECTOR")]
    pub pod_selector: Option<Selector>,
    /// Namespaces of the pods, separated by commas, or `*` for all; unset: the namespace of the check
    #[arg(long, value_name = "NAMESPACES")]
    pub pod_selector_namespace: Option<Namespaces>,
    /// Pass if there is no pod to probe
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pod_allow_none: Switch,
    /// How to reach the Kubernetes API.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Namespaces to look in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them.
    All,
    /// These.
    Named(Vec<String>),
}

impl FromStr for Namespaces {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Namespaces, BadValue> {
        if text.trim() == "*" {
            return Ok(Namespaces::All);
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().all(|name| is_namespace(name)) {
            true => Ok(Namespaces::Named(names)),
            false => Err(BadValue::expected(
                "names of namespaces, separated by commas, or `*`",
            )),
        }
    }
}

/// A DNS label (RFC 1123).
fn is_namespace(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= 63
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A port of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortRef {
    /// A number.
    Number(u16),
    /// The name of a container port.
    Name(String),
}

impl FromStr for PortRef {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<PortRef, BadValue> {
        let text = text.trim();
        let wrong = || BadValue::expected("a port number or the name of a container port");
        if let Ok(number) = text.parse::<u16>() {
            return if number == 0 {
                Err(wrong())
            } else {
                Ok(PortRef::Number(number))
            };
        }
        // Port names have a letter, which keeps them apart from numbers (IANA service names, RFC 6335).
        let named = is_namespace(text)
            && text.len() <= 15
            && text.contains(|c: char| c.is_ascii_lowercase());
        if named {
            Ok(PortRef::Name(text.to_owned()))
        } else {
            Err(wrong())
        }
    }
}

/// A pod to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTarget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What tells it from a pod of the same name before or after it.
    pub uid: String,
    containers: Vec<String>,
    default_container: Option<String>,
    ips: Vec<IpAddr>,
    ports: Vec<(String, u16)>,
}

impl PodTarget {
    /// The subject of findings about it.
    pub fn subject(&self) -> Option<Subject> {
        Subject::namespaced("pod", &self.namespace, &self.name)
    }

    /// A finding about it.
    pub fn finding(&self, message: &str) -> Finding {
        match self.subject() {
            Some(subject) => Finding::about(subject, message),
            None => Finding::new(format!("{}/{}: {message}", self.namespace, self.name)),
        }
    }

    /// The container that commands go to: as kubectl has it, the one its annotation names, else its first.
    pub fn default_container(&self) -> &str {
        let named = self.default_container.as_ref();
        let named = named.filter(|name| self.containers.contains(name));
        named.or(self.containers.first()).map_or("", String::as_str)
    }

    /// Its address of `family`.
    ///
    /// # Errors
    ///
    /// A message for a finding, if it has none.
    pub fn ip(&self, family: IpFamily) -> Result<IpAddr, String> {
        let ips = family.order(self.ips.clone(), |ip| *ip);
        ips.first()
            .copied()
            .ok_or_else(|| format!("has no {family} address"))
    }

    /// The number of `port`.
    ///
    /// # Errors
    ///
    /// A message for a finding, if no container has a port of that name.
    pub fn port(&self, port: &PortRef) -> Result<u16, String> {
        match port {
            PortRef::Number(number) => Ok(*number),
            PortRef::Name(wanted) => {
                let found = self.ports.iter().find(|(name, _)| name == wanted);
                found
                    .map(|(_, number)| *number)
                    .ok_or_else(|| format!("has no container port named {wanted}"))
            }
        }
    }
}

/// Why there are no pods to probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPods {
    /// The options do not say where.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The API could not be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing that matches runs.
    #[error("no running pod matches {selector} in {place}")]
    NoMatch {
        /// The selector.
        selector: String,
        /// The namespaces.
        place: String,
    },
}

/// Lists the running pods that `selector` matches, ordered by namespace and name.
///
/// Pods that are being deleted and pods that have finished are left out. A pod that has not started is no target
/// either, but where nothing but such pods is found, that is a failure even with `allow_none`.
///
/// # Errors
///
/// [`NoPods`].
async fn running(
    cluster: &Cluster,
    namespaces: &Namespaces,
    selector: &str,
    allow_none: bool,
) -> Result<Vec<PodTarget>, NoPods> {
    let mut pods: Vec<Pod> = Vec::new();
    let place = match namespaces {
        Namespaces::All => {
            pods = cluster.list(Resource::PODS, None, Some(selector)).await?;
            "any namespace".to_owned()
        }
        Namespaces::Named(names) => {
            for name in names {
                pods.extend(
                    cluster
                        .list::<Pod>(Resource::PODS, Some(name), Some(selector))
                        .await?,
                );
            }
            format!("namespace {}", names.join(", "))
        }
    };
    let pending = pods
        .iter()
        .any(|pod| pod.status.phase == "Pending" && pod.metadata.deletion_timestamp.is_none());
    let mut targets: Vec<PodTarget> = pods.into_iter().filter_map(target).collect();
    targets.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    targets.dedup_by(|a, b| (&a.namespace, &a.name) == (&b.namespace, &b.name));
    if targets.is_empty() && (pending || !allow_none) {
        return Err(NoPods::NoMatch {
            selector: selector.to_owned(),
            place,
        });
    }
    Ok(targets)
}

/// The pods that the options of a check ask for: [`running`], in the namespace `own` if they name none, and not beyond
/// `until`.
///
/// # Errors
///
/// [`NoPods`].
pub async fn select(
    args: &PodArgs,
    cluster: &Cluster,
    own: Option<&str>,
    until: Option<Instant>,
) -> Result<Vec<PodTarget>, NoPods> {
    let own = || own.map(str::to_owned).or_else(Access::own_namespace);
    let namespaces = match &args.pod_selector_namespace {
        Some(namespaces) => namespaces.clone(),
        None => Namespaces::Named(vec![own().ok_or_else(|| {
            ConfigError::of(
                "POD_SELECTOR_NAMESPACE",
                "expected the namespace of the pods",
            )
        })?]),
    };
    let selector = args.pod_selector.as_ref().map_or("", Selector::as_str);
    let listing = running(cluster, &namespaces, selector, args.pod_allow_none.0);
    match until {
        Some(until) => timeout_at(until.into(), listing).await.unwrap_or_else(|_| {
            let reason = "no answer before the deadline of the run".to_owned();
            Err(ClusterError::Unreachable(reason).into())
        }),
        None => listing.await,
    }
}

fn target(pod: Pod) -> Option<PodTarget> {
    if pod.status.phase != "Running" || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut ips: Vec<IpAddr> = pod
        .status
        .pod_ips
        .iter()
        .filter_map(|ip| ip.ip.parse().ok())
        .collect();
    if ips.is_empty() {
        ips.extend(
            pod.status
                .pod_ip
                .iter()
                .filter_map(|ip| ip.parse::<IpAddr>().ok()),
        );
    }
    let names = pod.spec.containers.iter();
    let names = names.map(|container| container.name.clone()).collect();
    let containers = pod
        .spec
        .containers
        .into_iter()
        .chain(pod.spec.init_containers);
    let ports = containers
        .flat_map(|Container { ports, .. }| ports)
        .map(|port| (port.name, port.container_port));
    Some(PodTarget {
        namespace: pod.metadata.namespace,
        name: pod.metadata.name,
        uid: pod.metadata.uid,
        containers: names,
        default_container: pod.metadata.annotations.default_container,
        ips,
        ports: ports.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_blank_selector_does_not_stand_for_every_pod() {
        use clap::Args;
        let parse = |selector: &str| {
            PodArgs::augment_args(clap::Command::new("x"))
                .try_get_matches_from(["x", "--pod-selector", selector])
                .map(|matches| matches.get_one::<Selector>("pod_selector").cloned())
        };
        let found = parse(" app=web\n").unwrap();
        assert_eq!(found.as_ref().map(Selector::as_str), Some("app=web"));
        assert!(parse(" \t").is_err());
    }

    fn pod(phase: &str, deleted: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web-1", "deletionTimestamp": deleted.then_some("2026-01-01T00:00:00Z")},
            "spec": {"containers": [{"name": "web", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]}]},
            "status": {"phase": phase, "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
        }))
        .unwrap()
    }

    #[test]
    fn running_pods_are_targets() {
        let found = target(pod("Running", false)).unwrap();
        assert_eq!(found.finding("down").to_string(), "pod shop/web-1: down");
        assert_eq!(found.ip(IpFamily::Any), Ok("10.0.0.1".parse().unwrap()));
        assert_eq!(found.ip(IpFamily::V6), Ok("fd00::1".parse().unwrap()));
        assert_eq!(found.port(&PortRef::Number(1)), Ok(1));
        assert_eq!(found.port(&PortRef::Name("http".into())), Ok(8080));
        assert_eq!(
            found.port(&PortRef::Name("admin".into())),
            Err("has no container port named admin".into())
        );
        assert_eq!(target(pod("Running", true)), None);
        assert_eq!(target(pod("Pending", false)), None);
        assert_eq!(target(pod("Succeeded", false)), None);
    }

    #[test]
    fn commands_go_to_the_container_kubectl_would_choose() {
        let mut two = pod("Running", false);
        let proxy = Container {
            name: "proxy".to_owned(),
            ports: vec![],
        };
        two.spec.containers.insert(0, proxy);
        let container = |pod: &Pod| target(pod.clone()).unwrap().default_container().to_owned();
        assert_eq!(container(&two), "proxy");
        two.metadata.annotations.default_container = Some("web".to_owned());
        assert_eq!(container(&two), "web");
        two.metadata.annotations.default_container = Some("gone".to_owned());
        assert_eq!(container(&two), "proxy");
    }

    #[test]
    fn a_pod_without_an_address_is_still_a_target() {
        let mut bare = pod("Running", false);
        (bare.status.pod_ip, bare.status.pod_ips) = (None, vec![]);
        assert_eq!(
            target(bare).unwrap().ip(IpFamily::Any),
            Err("has no IP address".into())
        );
    }

    #[test]
    fn namespaces_and_ports_are_checked() {
        assert_eq!("*".parse(), Ok(Namespaces::All));
        assert_eq!(
            "a, b".parse(),
            Ok(Namespaces::Named(vec!["a".into(), "b".into()]))
        );
        for text in ["", "a,", "A", "a_b", "-a", "*,a"] {
            assert!(text.parse::<Namespaces>().is_err(), "{text}");
        }
        assert_eq!("8080".parse(), Ok(PortRef::Number(8080)));
        assert_eq!("http".parse(), Ok(PortRef::Name("http".into())));
        for text in [
            "",
            "0",
            "65536",
            "-1",
            "HTTP",
            "much-too-long-name",
            "80 81",
            "tcp://10.0.0.1:80",
        ] {
            assert!(text.parse::<PortRef>().is_err(), "{text}");
        }
    }
}
