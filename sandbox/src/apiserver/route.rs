//! What a method and a path ask for.

use percent_encoding::percent_decode_str;

/// A path below `/api/v1` or `/apis/GROUP/VERSION` that names a collection, an object or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    /// `None` for cluster-scoped kinds and for a list over all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/healthz`, `/readyz`, `/livez` and what is below them.
    Health,
    /// `/version`
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1` (empty group) and `/apis/GROUP/VERSION`
    Resources(String, String),
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`, or the document of one group version below it
    OpenApiV3(Option<(String, String)>),
    Resource(Target),
    Unknown,
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Route {
    let Some(parts) = segments(path) else {
        return Route::Unknown;
    };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => Route::Health,
        ["version"] => Route::Version,
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiV3(None),
        ["openapi", "v3", "api", version] => {
            Route::OpenApiV3(Some((String::new(), (*version).to_owned())))
        }
        ["openapi", "v3", "apis", group, version] => {
            Route::OpenApiV3(Some(((*group).to_owned(), (*version).to_owned())))
        }
        ["api", version] => Route::Resources(String::new(), (*version).to_owned()),
        ["apis", group, version] => Route::Resources((*group).to_owned(), (*version).to_owned()),
        ["api", version, rest @ ..] => target("", version, rest),
        ["apis", group, version, rest @ ..] => target(group, version, rest),
        _ => Route::Unknown,
    }
}

/// Decoded segments; `None` if one is not UTF-8 or empty in the middle.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    path.strip_suffix('/')
        .unwrap_or(path)
        .split('/')
        .map(|segment| {
            let segment = percent_decode_str(segment).decode_utf8().ok()?;
            (!segment.is_empty()).then(|| segment.into_owned())
        })
        .collect()
}

fn target(group: &str, version: &str, rest: &[&str]) -> Route {
    let (namespace, rest) = match rest {
        // The namespace itself and its own parts, rather than something in it.
        ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => {
            (None, rest)
        }
        ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (resource, None, None),
        [resource, name] => (resource, Some(name), None),
        [resource, name, subresource] => (resource, Some(name), Some(subresource)),
        _ => return Route::Unknown,
    };
    Route::Resource(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace,
        resource: (*resource).to_owned(),
        name: name.map(|name| (*name).to_owned()),
        subresource: subresource.map(|part| (*part).to_owned()),
    })
}

/// The verb, in the words of access rules, of a method on a target.
pub(crate) fn verb(method: &http::Method, named: bool, watch: bool) -> Option<&'static str> {
    Some(match (method.as_str(), named) {
        ("GET", _) if watch => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        match route(path) {
            Route::Resource(target) => format!(
                "{}/{} ns={} {} name={} sub={}",
                target.group,
                target.version,
                target.namespace.unwrap_or_default(),
                target.resource,
                target.name.unwrap_or_default(),
                target.subresource.unwrap_or_default()
            ),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_read_as_kubernetes_reads_them() {
        for (path, expected) in [
            ("/api/v1/pods", "/v1 ns= pods name= sub="),
            ("/api/v1/namespaces/a/pods", "/v1 ns=a pods name= sub="),
            ("/api/v1/namespaces/a/pods/p", "/v1 ns=a pods name=p sub="),
            (
                "/api/v1/namespaces/a/pods/p/eviction",
                "/v1 ns=a pods name=p sub=eviction",
            ),
            ("/api/v1/namespaces", "/v1 ns= namespaces name= sub="),
            ("/api/v1/namespaces/a", "/v1 ns= namespaces name=a sub="),
            (
                "/api/v1/namespaces/a/status",
                "/v1 ns= namespaces name=a sub=status",
            ),
            ("/api/v1/nodes/n/status", "/v1 ns= nodes name=n sub=status"),
            (
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "apps/v1 ns=a deployments name=d sub=scale",
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "rbac.authorization.k8s.io/v1 ns= clusterroles name=system:node sub=",
            ),
            ("/apis/apps/v1/", "Resources(\"apps\", \"v1\")"),
            ("/apis/apps", "Group(\"apps\")"),
            ("/api", "CoreVersions"),
            (
                "/openapi/v3/apis/apps/v1",
                "OpenApiV3(Some((\"apps\", \"v1\")))",
            ),
            ("/readyz/ping", "Health"),
            ("/api/v1/namespaces/a/pods/p/x/y", "Unknown"),
            ("/api//v1", "Unknown"),
            ("/nothing", "Unknown"),
            ("", "Unknown"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }
}
