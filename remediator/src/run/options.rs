//! What can be set.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::identity::LONGEST;
use super::logging::{LogFormat, LogLevel};
use crate::core::Limits;
use crate::hooks::Credentials;

const CLUSTER: &str = "Cluster";
const LEADERSHIP: &str = "Leadership";
const LIMITS: &str = "Limits of the whole remediator";
const WEBHOOK: &str = "Alerts in";
const SERVING: &str = "Metrics, health, logs, shutdown";
const NOTIFICATIONS: &str = "Notifications";

/// A day, in seconds: longer than anything here should last.
const DAY: u32 = 86_400;

/// What can be set. Each is a flag and a variable of the same name with `KUBERHEALER_` before it; see
/// [`parse`](super::parse).
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The kubeconfig to use
    ///
    /// Without it: the files that KUBECONFIG names; else, in a pod, its service account; else ~/.kube/config.
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig, instead of its current one
    #[arg(long, value_name = "NAME", help_heading = CLUSTER)]
    pub context: Option<String>,

    /// Namespaces in which policies are followed and workloads remediated, separated by commas; all if there is none
    ///
    /// In these it needs RoleBindings in place of the ClusterRoleBindings, as manifests/remediator/restricted has them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = namespace, help_heading = CLUSTER)]
    pub namespaces: Vec<String>,

    /// Namespaces whose checks are read, separated by commas; all if there is none
    ///
    /// A policy whose check is elsewhere is held with the reason CheckNotFound.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = namespace, help_heading = CLUSTER)]
    pub check_namespaces: Vec<String>,

    /// Begin nothing: go on watching, counting and telling, and hold every policy with the reason GloballyPaused
    ///
    /// What has begun already is still watched to its end, and replicas are set back when that is due.
    #[arg(
        long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value_t = Limits::default().paused,
        default_missing_value = "true", hide_possible_values = true, action = clap::ArgAction::Set, help_heading = LIMITS
    )]
    pub pause: bool,

    /// Most remediations under way at once
    #[arg(long, value_name = "NUMBER", value_parser = number(1..=1000), default_value_t = Limits::default().in_flight, help_heading = LIMITS)]
    pub max_in_flight: u32,

    /// Most remediations begun in any hour
    #[arg(long, value_name = "NUMBER", value_parser = number(1..=10_000), default_value_t = Limits::default().per_hour, help_heading = LIMITS)]
    pub max_per_hour: u32,

    /// Begin nothing while a larger share than this of the checks that policies name fails: a storm
    ///
    /// When so much fails at once the cause is not one workload. 100 never is a storm. As many stale checks hold everything
    /// back too, with the reason SourceStale.
    #[arg(long, value_name = "PERCENT", value_parser = number(0..=100), default_value_t = Limits::default().storm_percent, help_heading = LIMITS)]
    pub storm_percent: u32,

    /// Fewer failing checks than this never are a storm
    #[arg(long, value_name = "NUMBER", value_parser = number(1..=10_000), default_value_t = Limits::default().storm_minimum, help_heading = LIMITS)]
    pub storm_minimum: u32,

    /// Begin nothing for so long after a storm
    #[arg(long, value_name = "SECONDS", value_parser = number(0..=DAY), default_value_t = Limits::default().storm_cooldown, help_heading = LIMITS)]
    pub storm_cooldown_seconds: u32,

    /// Namespace of the lease that replicas share; by default that of the pod or of the kubeconfig's context
    #[arg(long, value_name = "NAME", value_parser = namespace, help_heading = LEADERSHIP)]
    pub lease_namespace: Option<String>,

    /// Name of the lease: replicas that share it act one at a time
    #[arg(long, value_name = "NAME", default_value = "kuberhealer-remediator", value_parser = subdomain, help_heading = LEADERSHIP)]
    pub lease_name: String,

    /// After so long without a sign of life of the leader another replica takes over
    ///
    /// At least 15: the leader stops writing after two thirds of it, and a write that has begun by then ends within 4
    /// seconds.
    #[arg(long, value_name = "SECONDS", value_parser = number(15..=300), default_value_t = 15, help_heading = LEADERSHIP)]
    pub lease_seconds: u32,

    /// Name of this replica in the lease, to which a random part is added; by default the host's, which is the pod's
    #[arg(long, value_name = "NAME", value_parser = identity, help_heading = LEADERSHIP)]
    pub identity: Option<String>,

    /// Where /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address, default_value = "0.0.0.0:8080", help_heading = SERVING)]
    pub listen: SocketAddr,

    /// How log lines are written, to standard error: text for people, json for machines
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = LogFormat::Text, help_heading = SERVING)]
    pub log_format: LogFormat,

    /// What is logged: off, error, warn, info, debug, trace
    ///
    /// That is the level of the remediator's own lines; libraries only warn. A list such as info,kube_client=debug sets
    /// levels by module.
    #[arg(long, value_name = "LEVEL", default_value = "info", help_heading = SERVING)]
    pub log_level: LogLevel,

    /// When asked to end, wait at most so long for writes under way
    ///
    /// Then the lease is given up, which takes 10 seconds at most. In a pod the sum should be less than
    /// terminationGracePeriodSeconds, which is 30 by default.
    #[arg(long, value_name = "SECONDS", value_parser = number(0..=3600), default_value_t = 15, help_heading = SERVING)]
    pub shutdown_seconds: u32,

    /// Where alerts are taken in and the health of workloads is told; without it neither is
    ///
    /// POST /hooks/alerts takes what Alertmanager and Grafana send to a webhook, from who knows the token or the password.
    /// GET /workloads/NAMESPACE/KIND/NAME/health answers anybody.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address, help_heading = WEBHOOK)]
    pub webhook_listen: Option<SocketAddr>,

    /// A file with the token that senders of alerts give: Authorization: Bearer TOKEN
    ///
    /// It is read again for each delivery.
    #[arg(long, value_name = "FILE", help_heading = WEBHOOK)]
    pub webhook_token_file: Option<PathBuf>,

    /// A file with USER:PASSWORD, which senders of alerts give by basic authentication
    ///
    /// It is read again for each delivery. With a token file too either will do.
    #[arg(long, value_name = "FILE", help_heading = WEBHOOK)]
    pub webhook_basic_file: Option<PathBuf>,

    /// A YAML file with the receivers that are told of incidents, actions and storms; nobody is told without it
    ///
    /// Alertmanager, Slack and webhooks that take CloudEvents; docs/notifications.md says what is in it. It is read once,
    /// the files with secrets that it names each time that something is sent.
    #[arg(long, value_name = "FILE", help_heading = NOTIFICATIONS)]
    pub notify_config: Option<PathBuf>,
}

impl Options {
    /// The limits of the whole remediator.
    pub fn limits(&self) -> Limits {
        Limits {
            in_flight: self.max_in_flight,
            per_hour: self.max_per_hour,
            storm_percent: self.storm_percent,
            storm_minimum: self.storm_minimum,
            storm_cooldown: self.storm_cooldown_seconds,
            paused: self.pause,
        }
    }

    /// Where the credentials of who sends alerts are.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials {
            token: self.webhook_token_file.clone(),
            basic: self.webhook_basic_file.clone(),
        }
    }

    /// How long to wait for writes under way.
    pub(super) fn shutdown(&self) -> Duration {
        Duration::from_secs(u64::from(self.shutdown_seconds))
    }
}

fn number(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("expected a whole number from {least} to {most}")
        })
    }
}

/// A DNS label (RFC 1123), which a namespace's name is.
fn namespace(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() <= 63 && is_label(text) {
        return Ok(text.to_owned());
    }
    Err(
        "expected names of namespaces: lower-case letters, digits and hyphens, at most 63 of them"
            .to_owned(),
    )
}

/// A DNS subdomain (RFC 1123), which most objects' names are.
fn subdomain(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err("expected a name: lower-case letters, digits, hyphens and dots".to_owned())
}

fn is_label(text: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|b| plain(b) || *b == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

fn identity(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=LONGEST).contains(&text.len()) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected at most {LONGEST} letters, digits, hyphens, underscores and dots"
    ))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 0.0.0.0:8080 or [::]:8080".to_owned()
    })
}
