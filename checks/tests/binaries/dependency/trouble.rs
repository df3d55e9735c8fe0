//! An API server that cannot be asked.

use std::net::TcpListener;
use std::time::Duration;

use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::*;

#[test]
fn outside_a_cluster_the_rest_is_still_looked_at() {
    let closed = closed_port();
    check(&format!("shop/db,tcp:127.0.0.1:{closed},dns:localhost")).run().failed(&[
        "service shop/db: Kubernetes API: not running in a cluster: KUBERNETES_SERVICE_HOST is not set; set KUBE_API_URL, to http://127.0.0.1:8001 for kubectl proxy; no kubeconfig is read",
        &format!("tcp:127.0.0.1:{closed}: expected a connection, seen connection refused"),
    ]);
}

#[test]
fn a_token_that_is_not_accepted_is_no_missing_permission() {
    let cluster = Cluster::new();
    cluster.faults().add(Rule::refuse(401));
    cluster
        .dependencies("shop/db")
        .run()
        .failed(&["service shop/db: Kubernetes API: a token is expected (401), none was sent; set KUBE_API_TOKEN_FILE to a file with one"]);
}

/// Refusals as a real API server wrote them.
#[test]
fn recorded_refusals() {
    let recorded = |name: &str| {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/kubernetes/answers"
        );
        let text = std::fs::read(format!("{folder}/{name}.json")).unwrap();
        let recorded: Value = serde_json::from_slice(&text).unwrap();
        let body = match &recorded["body"] {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let status = recorded["status"].as_u64().unwrap();
        answer(status.try_into().unwrap(), &[], &body)
    };
    let service = r#"{"spec":{"clusterIP":"10.0.0.1","ports":[{"port":80}]}}"#;
    let api = Server::answering(move |_, seen| match seen.path.as_str() {
        "/api/v1/namespaces/default/services/db" => answer(200, &[], service),
        path if path.starts_with("/apis/discovery.k8s.io/") => recorded("forbidden-list"),
        path if path.starts_with("/apis/nothing.example/") => recorded("unknown-resource"),
        path if path.starts_with("/apis/apps/") => recorded("unauthorized"),
        _ => recorded("get-not-found"),
    });
    check("default/db,default/none,deployment:default/web,nothing.example/v1/Thing:default/a:Ready")
        .var("KUBE_API_URL", &api.url(""))
        .run()
        .failed(&[
            "service default/db: Kubernetes API: not allowed to list endpointslices in namespace default: the service \
             account needs a role with verb list on endpointslices.discovery.k8s.io",
            "service default/none: expected a service of this name, seen none",
            "deployment default/web: Kubernetes API: a token is expected (401), none was sent; set KUBE_API_TOKEN_FILE to a file with one",
            "thing default/a: expected the API server to serve kind Thing of nothing.example/v1, seen no such kind",
        ]);
}

#[test]
fn an_overloaded_api_server_is_asked_again() {
    let cluster = Cluster::new();
    cluster.service("db", json!({}));
    cluster.slice("db-1", "db", &[("db-0", ready())]);
    cluster
        .faults()
        .add(Rule::refuse(503).resource("services").times(1));
    cluster
        .faults()
        .add(Rule::hang_up().resource("endpointslices").times(1));
    cluster.dependencies("shop/db").run().passed();
}

#[test]
fn a_silent_api_server_does_not_hold_the_verdict() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let two = || check("shop/a,deployment:shop/b").var("KUBE_API_URL", &url);
    two().var("TIMEOUT_DURATION", "300ms").run().failed(&[
        "service shop/a: expected an answer within 300ms, seen none",
        "deployment shop/b: expected an answer within 300ms, seen none",
    ]);
    two()
        .var("CONCURRENCY", "1")
        .deadline(Duration::from_secs(7))
        .run()
        .failed(&[
            "service shop/a: expected an answer before the deadline of the run, seen none",
            "deployment shop/b: expected an answer before the deadline of the run, seen none",
        ]);
}
