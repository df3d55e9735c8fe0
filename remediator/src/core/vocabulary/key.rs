//! What a check, a policy or a Remediation is called.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What tells runs: Kuberhealthy's two kinds of check result, or alerts that are sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CheckKind {
    /// Kuberhealthy v2: `comcast.github.io/v1` KuberhealthyState.
    KuberhealthyState,
    /// Kuberhealthy v3: `kuberhealthy.github.io/v2` HealthCheck.
    HealthCheck,
    /// Alerts that a policy is triggered by. Namespace and name are the policy's, and its object is the check's: what was
    /// received stands in its status.
    Alert,
}

impl CheckKind {
    /// The kind as policies write it.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckKind::KuberhealthyState => "KuberhealthyState",
            CheckKind::HealthCheck => "HealthCheck",
            CheckKind::Alert => "Alert",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CheckKey {
    /// Its kind.
    pub kind: CheckKind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// Namespace and name of a policy, a check or a Remediation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}
