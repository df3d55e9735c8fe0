//! The options of pod-restarts-check. Their defaults and meanings are the official check's where that has them.

use std::str::FromStr;

use super::globs::{NamespaceGlobs, PodGlobs};
use crate::cli::Names;
use crate::cluster::ClusterArgs;
use crate::pods::Namespaces;
use crate::values::{BadValue, Selector, Span, Switch, UpTo};

pub(super) const NAMES: Names = Names {
    official: &["POD_NAMESPACE", "MAX_FAILURES_ALLOWED"],
    secret: &[],
};

/// Restart counts are signed in the API.
const MOST_RESTARTS: u32 = i32::MAX.unsigned_abs();

/// Every option of pod-restarts-check.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Restarts")]
pub(super) struct RestartsArgs {
    /// Restarts that a container may have had; one more is a failure. Kubernetes counts them from the pod's creation on
    #[arg(long, value_name = "NUMBER", default_value = "10")]
    pub(super) max_failures_allowed: UpTo<MOST_RESTARTS>,
    /// Only containers that last ended this recently (or are in CrashLoopBackOff) fail. Kubernetes keeps the time of the
    /// last end alone, so this does not say how many restarts were in that time; 0: however long ago
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(super) restart_window: Span,

    /// Namespaces of the pods, separated by commas; unset or `*`: all, or those of POD_NAMESPACE_SELECTOR
    #[arg(long, value_name = "NAMESPACES", help_heading = "Pods")]
    pub(super) pod_namespace: Option<Place>,
    /// Label selector of namespaces, whose pods are looked at besides those of POD_NAMESPACE
    #[arg(long, value_name = "SELECTOR", help_heading = "Pods")]
    pub(super) pod_namespace_selector: Option<Selector>,
    /// Label selector of the pods
    #[arg(long, value_name = "SELECTOR", help_heading = "Pods")]
    pub(super) pod_selector: Option<Selector>,
    /// Namespaces to leave out, separated by commas; `*` stands for any characters, as in `kube-*`
    #[arg(long, value_name = "NAMESPACES", help_heading = "Pods")]
    pub(super) exclude_namespaces: Option<NamespaceGlobs>,
    /// Pods to leave out, separated by commas; `*` stands for any characters, as in `import-*` or `shop/import-*`
    #[arg(long, value_name = "PODS", help_heading = "Pods")]
    pub(super) exclude_pods: Option<PodGlobs>,
    /// Pass if no namespace or no pod matches the selectors
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Pods")]
    pub(super) pod_allow_none: Switch,

    /// How to reach the Kubernetes API.
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
}

/// `POD_NAMESPACE`, of which the official check takes nothing as all namespaces, also in an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(pub(super) Namespaces);

impl FromStr for Place {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Place, BadValue> {
        match text.trim() {
            "" => Ok(Place(Namespaces::All)),
            text => text.parse().map(Place),
        }
    }
}
