//! What it means when the API server answers an exec with something else than an upgrade.

use super::status::{Status, is_not_running};
use crate::cluster::ClusterError;
use crate::describe::shorten;
use crate::exec::stable::stable;

/// Why there is no connection to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The pod is not there any more.
    Gone,
    /// Something is wrong with the pod, or with what was asked of it.
    Pod(String),
    /// Something is wrong with the check's access to the API.
    Access(ClusterError),
    /// The API server is busy; the command did not start and the same may work in a moment.
    Busy(ClusterError),
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) namespace: &'a str,
    pub(super) container: &'a str,
    /// What a 401 means.
    pub(super) unauthorized: &'a ClusterError,
}

/// The meaning of an answer with `status` and `body`.
pub(super) fn refusal(asked: Asked<'_>, status: u16, body: &str) -> Refusal {
    // The kubelet's errors come through as plain text.
    let details: Status = serde_json::from_str(body).unwrap_or_default();
    let message = if details.message.is_empty() {
        body.trim()
    } else {
        &details.message
    };
    let Asked {
        namespace,
        container,
        unauthorized,
    } = asked;
    let shown = match message {
        "" => String::new(),
        message => format!(": {}", shorten(&stable(message), 120)),
    };
    match status {
        401 => Refusal::Access(unauthorized.clone()),
        403 => match missing_verb(message) {
            Some(verb) => Refusal::Access(ClusterError::Forbidden {
                what: what(namespace),
                verb,
                resource: "pods/exec".to_owned(),
            }),
            // An admission webhook or plugin, which may judge each pod by itself.
            None => Refusal::Pod(format!(
                "expected exec to be admitted, it is forbidden{shown}"
            )),
        },
        404 if details.details.kind == "pods" => Refusal::Gone,
        // The way from the API server to the node, and a proxy before the API server: no pod can help it.
        _ if status == 504 || message.contains("error dialing backend") => {
            Refusal::Access(ClusterError::Refused {
                what: what(namespace),
                status,
                message: shown,
            })
        }
        429 | 502 | 503 => Refusal::Busy(ClusterError::Refused {
            what: what(namespace),
            status,
            message: shown,
        }),
        _ if is_not_running(message) => Refusal::Pod(format!(
            "expected container {container} to be running, it is not"
        )),
        400 if message.contains("is not valid for pod") => Refusal::Pod(format!(
            "expected a container {container}, the pod has none of that name"
        )),
        _ => Refusal::Pod(format!(
            "expected the API server to run a command, it answered {status}{shown}"
        )),
    }
}

fn what(namespace: &str) -> String {
    format!("run commands in pods in namespace {namespace}")
}

/// What RBAC misses, by the API server's message. A WebSocket is opened with GET, which needs `get`; since Kubernetes 1.35
/// it needs `create` as well (AuthorizePodWebsocketUpgradeCreatePermission), which is asked for second.
fn missing_verb(message: &str) -> Option<&'static str> {
    let (_, verb) = message.split_once(" cannot ")?;
    match verb.split_once(' ')? {
        ("get", _) => Some("get and create"),
        (_, rest) if rest.contains("pods/exec") => Some("create"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, body: &str) -> Refusal {
        refusal(
            Asked {
                namespace: "shop",
                container: "main",
                unauthorized: &ClusterError::Unauthorized,
            },
            status,
            body,
        )
    }

    fn pod(text: &str) -> Refusal {
        Refusal::Pod(text.to_owned())
    }

    #[test]
    fn refusals_by_the_pod() {
        assert_eq!(
            seen(500, "container not found (\"main\")"),
            pod("expected container main to be running, it is not")
        );
        assert_eq!(
            seen(
                400,
                r#"{"kind":"Status","message":"container main is not valid for pod web-1","reason":"BadRequest"}"#
            ),
            pod("expected a container main, the pod has none of that name")
        );
        assert_eq!(
            seen(
                404,
                r#"{"message":"pods \"x\" not found","details":{"kind":"pods"}}"#
            ),
            Refusal::Gone
        );
        assert_eq!(
            seen(404, "404 page not found"),
            pod("expected the API server to run a command, it answered 404: <n> page not found")
        );
        assert_eq!(
            seen(200, ""),
            pod("expected the API server to run a command, it answered 200")
        );
        assert_eq!(
            seen(
                403,
                r#"{"message":"admission webhook \"x\" denied the request: no exec"}"#
            ),
            pod(
                r#"expected exec to be admitted, it is forbidden: admission webhook "x" denied the request: no exec"#
            )
        );
    }

    #[test]
    fn refusals_on_the_way_to_the_pod() {
        for status in [429, 502, 503] {
            assert!(matches!(seen(status, ""), Refusal::Busy(_)));
        }
        assert!(matches!(seen(504, ""), Refusal::Access(_)));
        for status in [500, 502, 503] {
            let refusal = seen(
                status,
                "error dialing backend: dial tcp 10.1.2.3:10250: EOF",
            );
            let Refusal::Access(error) = refusal else {
                panic!("{refusal:?}");
            };
            let words = format!("status {status}: error dialing backend: dial tcp <address>: EOF");
            assert!(error.to_string().ends_with(&words), "{error}");
        }
    }

    #[test]
    fn missing_permissions_name_verb_and_resource() {
        for (cannot, verb) in [("create", "create"), ("get", "get and create")] {
            let body = format!(
                r#"{{"message":"pods \"web-1\" is forbidden: User \"system:serviceaccount:a:b\" cannot {cannot} resource \"pods/exec\" in API group \"\" in the namespace \"shop\"","details":{{"kind":"pods"}},"code":403}}"#
            );
            let Refusal::Access(error) = seen(403, &body) else {
                panic!()
            };
            assert_eq!(
                error.to_string(),
                format!(
                    "Kubernetes API: not allowed to run commands in pods in namespace shop: the service account needs a role with verb {verb} on pods/exec"
                )
            );
        }
        assert_eq!(seen(401, "{}"), Refusal::Access(ClusterError::Unauthorized));
    }
}
