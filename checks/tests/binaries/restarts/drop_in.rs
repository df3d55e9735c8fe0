//! The official check's variables, with its defaults and meanings.

use super::*;

#[test]
fn without_options_all_namespaces_and_ten_restarts() {
    let cluster = Cluster::new();
    cluster.pods("shop", [failing("web-1"), healthy("web-2")]);
    cluster.pods("bank", [failing("api-1")]);
    let both = [finding("bank/api-1"), finding("shop/web-1")];
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    cluster.restarts(&[]).run().failed(&both);
    cluster
        .restarts(&[("POD_NAMESPACE", ""), ("MAX_FAILURES_ALLOWED", "")])
        .run()
        .failed(&both);
    cluster.restarts(&[]).line(Line::V2).run().failed(&both);
    let paths: Vec<String> = cluster
        .requests()
        .into_iter()
        .map(|seen| seen.path)
        .collect();
    assert!(
        paths.iter().all(|path| path == "/api/v1/pods?limit=500"),
        "{paths:?}"
    );
}

#[test]
fn one_namespace_and_another_limit() {
    let cluster = Cluster::new();
    cluster.pods("shop", [failing("web-1"), healthy("web-2")]);
    cluster.pods("bank", [failing("api-1")]);
    cluster
        .restarts(&[("POD_NAMESPACE", "shop")])
        .run()
        .failed(&[&finding("shop/web-1")]);
    assert_eq!(
        cluster.requests()[0].path,
        "/api/v1/namespaces/shop/pods?limit=500"
    );
    let other = |limit: &str| {
        cluster
            .restarts(&[("POD_NAMESPACE", "shop"), ("MAX_FAILURES_ALLOWED", limit)])
            .run()
    };
    other("11").passed();
    assert_eq!(other("9").errors.len(), 2);
    assert_eq!(other("0").errors.len(), 2);
}

/// The official check counts events, which name pods that are long gone.
#[test]
fn events_are_not_looked_at() {
    let cluster = Cluster::new();
    cluster.add(
        "/api/v1/namespaces/shop/events",
        json!({
            "kind": "Event", "apiVersion": "v1", "metadata": {"name": "gone.1"}, "type": "Warning", "reason": "BackOff",
            "count": 500, "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "gone"},
        }),
    );
    cluster.pods("shop", [healthy("web-1")]);
    cluster
        .restarts(&[("POD_NAMESPACE", "shop")])
        .run()
        .passed();
    assert!(
        cluster
            .requests()
            .iter()
            .all(|seen| seen.resource == "pods")
    );
}
