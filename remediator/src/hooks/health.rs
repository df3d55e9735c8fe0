//! The path and the answer of a workload's health.

use http::{HeaderValue, Response, StatusCode};

use super::text;
use crate::controller::WorkloadHealth;
use crate::core::TargetKind;

const KINDS: [TargetKind; 3] = [
    TargetKind::Deployment,
    TargetKind::StatefulSet,
    TargetKind::DaemonSet,
];

/// Whether it is known how the workload is.
const KNOWN: &str = "x-kuberhealer-known";
/// Why an unhealthy workload is not called so.
const HELD: &str = "x-kuberhealer-held";

/// Namespace, kind and name in the path `/workloads/NAMESPACE/KIND/NAME/health`, or what is wrong with the kind; none if
/// the path is another one.
pub(super) fn workload(path: &str) -> Option<Result<(&str, TargetKind, &str), String>> {
    let rest = path.strip_prefix("/workloads/")?.strip_suffix("/health")?;
    let mut parts = rest.split('/');
    let (namespace, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || namespace.is_empty() || name.is_empty() {
        return None;
    }
    let known = KINDS
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(kind));
    Some(match known {
        Some(kind) => Ok((namespace, kind, name)),
        None => Err("expected the kind deployment, statefulset or daemonset\n".to_owned()),
    })
}

pub(super) fn response(health: &WorkloadHealth) -> Response<String> {
    let mut response = match health {
        WorkloadHealth::Healthy | WorkloadHealth::Unknown | WorkloadHealth::Held(_) => {
            text(StatusCode::OK, "ok\n".to_owned())
        }
        WorkloadHealth::Unhealthy { policy, since } => {
            let why = format!("policy {policy}: failing since {since}\n");
            text(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    };
    let headers = response.headers_mut();
    let known = HeaderValue::from_static(match health {
        WorkloadHealth::Unknown => "false",
        _ => "true",
    });
    headers.insert(KNOWN, known);
    if let WorkloadHealth::Held(reason) = health {
        headers.insert(HELD, HeaderValue::from_static(reason.as_str()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::workload;
    use crate::core::TargetKind;

    #[test]
    fn a_path_names_a_workload_or_nothing() {
        for (path, expected) in [
            (
                "/workloads/shop/deployment/web/health",
                Some(Some(TargetKind::Deployment)),
            ),
            (
                "/workloads/shop/StatefulSet/web/health",
                Some(Some(TargetKind::StatefulSet)),
            ),
            ("/workloads/shop/pod/web/health", Some(None)),
            ("/workloads/shop/deployment/web", None),
            ("/workloads/shop/deployment/a/b/health", None),
            ("/workloads//deployment/web/health", None),
            ("/workloads/shop/deployment//health", None),
            ("/workloads/health", None),
        ] {
            let found = workload(path).map(|found| found.ok().map(|(_, kind, _)| kind));
            assert_eq!(found, expected, "{path}");
        }
    }
}
