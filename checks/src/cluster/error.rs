//! Why the Kubernetes API could not be read.

use std::path::PathBuf;

/// Each says who has to do what about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Not in a cluster, and none named.
    #[error(
        "Kubernetes API: not running in a cluster: KUBERNETES_SERVICE_HOST is not set; set KUBE_API_URL, to http://127.0.0.1:8001 for kubectl proxy; no kubeconfig is read"
    )]
    NoCluster,
    /// A token or CA file that cannot be used.
    #[error("Kubernetes API: {path} cannot be used: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No answer.
    #[error("Kubernetes API: unreachable: {0}")]
    Unreachable(String),
    /// 401 to a token.
    #[error("Kubernetes API: the token is not accepted (401)")]
    Unauthorized,
    /// 401 to a request without a token.
    #[error(
        "Kubernetes API: a token is expected (401), none was sent; set KUBE_API_TOKEN_FILE to a file with one"
    )]
    NoToken,
    /// 403: RBAC.
    #[error(
        "Kubernetes API: not allowed to {what}: the service account needs a role with verb {verb} on {resource}"
    )]
    Forbidden {
        /// Such as `list pods in namespace shop`.
        what: String,
        /// Such as `list`.
        verb: &'static str,
        /// Such as `pods`.
        resource: String,
    },
    /// 404: the object, or the whole kind, is not there.
    #[error("Kubernetes API: not found: {0}")]
    NotFound(String),
    /// 404 from something else.
    #[error(
        "Kubernetes API: cannot {what}: status 404, not from a Kubernetes API server; set KUBE_API_URL to the URL of one"
    )]
    Foreign {
        /// Such as `list pods in namespace shop`.
        what: String,
    },
    /// Another answer that is no success.
    #[error("Kubernetes API: cannot {what}: status {status}{message}")]
    Refused {
        /// Such as `list pods in namespace shop`.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the API server said, after a colon and a space; may be empty.
        message: String,
    },
    /// An answer that is not what was asked for.
    #[error("Kubernetes API: cannot {what}: the answer is not understood")]
    Malformed {
        /// Such as `list pods in namespace shop`.
        what: String,
    },
}

impl From<ClusterError> for khclient::Finding {
    fn from(error: ClusterError) -> khclient::Finding {
        khclient::Finding::new(error.to_string())
    }
}
