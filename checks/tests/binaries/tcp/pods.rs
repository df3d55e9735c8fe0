//! Every running pod on its own address, from a small API server double.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn pod(name: &str, phase: &str, ip: &str, port: u16) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": "db"}},
        "spec": {"containers": [{"name": "db", "ports": [{"name": "pg", "containerPort": port}]}]},
        "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}]},
    })
}

fn api(pods: Vec<Value>) -> Server {
    let list = json!({"kind": "PodList", "metadata": {}, "items": pods}).to_string();
    Server::answering(move |_, seen| {
        assert_eq!(
            seen.path,
            "/api/v1/namespaces/shop/pods?limit=500&labelSelector=app%3Ddb"
        );
        answer(200, &[("Content-Type", "application/json")], &list)
    })
}

fn run(api: &Server, vars: &[(&str, &str)]) -> Verdict {
    check(&[
        ("POD_SELECTOR", "app=db"),
        ("POD_SELECTOR_NAMESPACE", "shop"),
        ("POD_TARGETPORT", "pg"),
        ("KUBE_API_URL", &api.url("")),
    ])
    .with(vars)
    .run()
}

/// Servers with these banners on 127.0.2.1, 127.0.2.2 and so on, all on one port, which nobody uses on 127.0.2.9.
fn serve_pods(banners: [&'static [u8]; 3]) -> u16 {
    loop {
        let port = TcpListener::bind("127.0.2.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        if [1, 2, 3, 9]
            .iter()
            .any(|n| TcpListener::bind((format!("127.0.2.{n}").as_str(), port)).is_err())
        {
            continue;
        }
        for (n, banner) in banners.into_iter().enumerate() {
            serve_on(&format!("127.0.2.{}:{port}", n + 1), move |mut stream| {
                let _ = std::io::Write::write_all(&mut stream, banner);
                wait_for_end(&mut stream);
            });
        }
        return port;
    }
}

fn pods(port: u16) -> Vec<Value> {
    vec![
        pod("db-c", "Running", "127.0.2.3", port),
        pod("db-a", "Running", "127.0.2.1", port),
        pod("db-b", "Running", "127.0.2.2", port),
        pod("db-d", "Running", "127.0.2.9", port),
        pod("db-e", "Pending", "", port),
        pod("db-f", "Failed", "127.0.2.9", port),
    ]
}

#[test]
fn each_failing_pod_is_a_finding() {
    let port = serve_pods([b"ready\n", b"loading\n", b"ready\n"]);
    let api = api(pods(port));
    let refused = "pod shop/db-d: expected a connection, seen connection refused";
    run(&api, &[]).failed(&[refused]);
    run(&api, &[("POD_TARGETPORT", &port.to_string())]).failed(&[refused]);
    run(&api, &[("EXPECT_BANNER", "prefix:ready")]).failed(&[
        "pod shop/db-b: expected an answer that begins with ready, seen \"loading\"",
        refused,
    ]);
    run(&api, &[("POD_TARGETPORT", "admin")]).failed(&[
        "pod shop/db-a: has no container port named admin",
        "pod shop/db-b: has no container port named admin",
        "pod shop/db-c: has no container port named admin",
        "pod shop/db-d: has no container port named admin",
    ]);
    let silent = "expected the server SERVING, seen a server that does not speak HTTP/2 here";
    let verdict = run(
        &api,
        &[("POD_SCHEME", "grpc"), ("CONNECTION_TIMEOUT", "2s")],
    );
    assert_eq!(verdict.errors.len(), 4, "{verdict:#?}");
    assert!(
        verdict.errors[0].starts_with("pod shop/db-a: expected the server SERVING, seen "),
        "{silent}"
    );
    assert_eq!(verdict.errors[3], refused);
}

#[test]
fn pods_can_be_tested_to_be_out_of_reach() {
    let port = serve_pods([b"", b"", b""]);
    let vars = [("CONNECTION_TARGET_UNREACHABLE", "true")];
    let reached = "expected no connection, seen one (CONNECTION_TARGET_UNREACHABLE is set)";
    run(&api(pods(port)), &vars).failed(&[
        &format!("pod shop/db-a: {reached}"),
        &format!("pod shop/db-b: {reached}"),
        &format!("pod shop/db-c: {reached}"),
    ]);
    run(&api(vec![pod("db-d", "Running", "127.0.2.9", port)]), &vars).passed();
}

/// Nothing is known of them, so nobody may act on them.
#[test]
fn pods_that_the_run_has_no_time_for_are_not_named() {
    let target = dropping();
    let port = target.address.port();
    let pods = ["db-a", "db-b", "db-c"].map(|name| pod(name, "Running", "127.0.0.1", port));
    let api = api(pods.to_vec());
    let verdict = check(&[
        ("POD_SELECTOR", "app=db"),
        ("POD_SELECTOR_NAMESPACE", "shop"),
        ("POD_TARGETPORT", "pg"),
        ("KUBE_API_URL", &api.url("")),
        ("CONCURRENCY", "1"),
    ])
    .deadline(Duration::from_secs(8))
    .run();
    verdict.failed(&[
        "pod shop/db-a: expected a connection, seen no answer before the run's deadline",
        "expected time to try every pod, seen none left before the run's deadline",
    ]);
}

#[test]
fn targets_and_pods_go_together() {
    let port = closed_port();
    let target = format!("127.0.0.1:{port}");
    run(
        &api(vec![pod("db-a", "Running", "127.0.0.1", port)]),
        &[("CONNECTION_TARGET", &target)],
    )
    .failed(&[
        &format!("tcp://{target}: expected a connection, seen connection refused"),
        "pod shop/db-a: expected a connection, seen connection refused",
    ]);
}

#[test]
fn no_pod_is_a_failure_unless_allowed() {
    run(&api(vec![]), &[]).failed(&["no running pod matches app=db in namespace shop"]);
    run(&api(vec![]), &[("POD_ALLOW_NONE", "true")]).passed();
}

#[test]
fn an_api_server_that_refuses_is_told() {
    let refusing = Server::saying(403, &[], "");
    let verdict = run(&refusing, &[]);
    assert!(
        verdict.errors.len() == 1 && verdict.errors[0].contains("list on pods"),
        "{verdict:#?}"
    );
}
