//! Every running pod on its own address, from a small API server double.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn pod(namespace: &str, name: &str, phase: &str, ip: &str, port: u16) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}]},
    })
}

fn list(pods: &[Value]) -> Vec<u8> {
    page(pods, "")
}

fn page(pods: &[Value], next: &str) -> Vec<u8> {
    let body =
        json!({"kind": "PodList", "metadata": {"continue": next}, "items": pods}).to_string();
    answer(200, &[("Content-Type", "application/json")], &body)
}

fn status(code: u16, message: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    answer(
        code,
        headers,
        &json!({"kind": "Status", "code": code, "message": message}).to_string(),
    )
}

/// A web server on a loopback address of its own, as a pod has; all share one port number.
struct Web {
    servers: Vec<Server>,
    port: u16,
}

impl Web {
    /// One server for each status, on 127.0.1.1, 127.0.1.2 and so on.
    fn new(statuses: &[u16]) -> Web {
        let say = |code: u16| {
            move |_, _, stream: &mut dyn Stream| stream.write_all(&answer(code, &[], "")).unwrap()
        };
        // A port that is free on the first address may be taken on the next.
        loop {
            let first = Server::on("127.0.1.1:0", say(statuses[0]));
            let port = first.address.port();
            let free = (2..=statuses.len())
                .all(|n| std::net::TcpListener::bind(format!("127.0.1.{n}:{port}")).is_ok());
            if free {
                let rest = statuses.iter().enumerate().skip(1);
                let rest = rest
                    .map(|(n, code)| Server::on(&format!("127.0.1.{}:{port}", n + 1), say(*code)));
                return Web {
                    servers: std::iter::once(first).chain(rest).collect(),
                    port,
                };
            }
        }
    }
}

fn run(api: &Server, vars: &[(&str, &str)]) -> Verdict {
    check(&[
        ("POD_SELECTOR", "app=web"),
        ("POD_SELECTOR_NAMESPACE", "shop"),
        ("POD_TARGETPORT", "http"),
    ])
    .var("KUBE_API_URL", &api.url(""))
    // Proxies cannot reach pods; this one would break every probe.
    .var("HTTP_PROXY", &format!("http://127.0.0.1:{}", closed_port()))
    .with(vars)
    .run()
}

#[test]
fn each_failing_pod_is_a_finding() {
    let web = Web::new(&[200, 503, 200, 404]);
    let port = web.port;
    let api = Server::answering(move |_, _| {
        list(&[
            pod("shop", "web-d", "Running", "127.0.1.4", port),
            pod("shop", "web-b", "Running", "127.0.1.2", port),
            pod("shop", "web-a", "Running", "127.0.1.1", port),
            pod("shop", "web-e", "Pending", "", port),
            pod("shop", "web-f", "Succeeded", "127.0.1.3", port),
            pod("shop", "web-g", "Running", "", port),
            pod("shop", "web-h", "Running", "127.0.1.9", 1),
        ])
    });
    let expected = [
        "pod shop/web-b: expected status 200, got 503",
        "pod shop/web-d: expected status 200, got 404",
        "pod shop/web-g: has no IP address",
        "pod shop/web-h: connection refused",
    ];
    run(&api, &[("POD_PATH", "/healthz?full=1")]).failed(&expected);
    assert_eq!(
        api.seen()[0].path,
        "/api/v1/namespaces/shop/pods?limit=500&labelSelector=app%3Dweb"
    );
    assert_eq!(web.servers[0].seen()[0].path, "/healthz?full=1");
    assert!(web.servers[2].seen().is_empty());
    let by_number = port.to_string();
    run(
        &api,
        &[
            ("POD_TARGETPORT", &by_number),
            ("CONCURRENCY", "1"),
            ("HOST_HEADER", "web.shop"),
        ],
    )
    .failed(&expected);
    assert_eq!(web.servers[0].seen()[1].header("host"), "web.shop");
    // An address to connect to is for URLs; each pod has its own.
    run(&api, &[("RESOLVE_TO", "127.0.0.1")]).failed(&expected);
}

#[test]
fn urls_and_pods_go_together() {
    let web = Web::new(&[500]);
    let port = web.port;
    let api =
        Server::answering(move |_, _| list(&[pod("shop", "web-a", "Running", "127.0.1.1", port)]));
    let bad = Server::saying(404, &[], "");
    run(&api, &[("CHECK_URL", &bad.url("/"))]).failed(&[
        &format!("{}: expected status 200, got 404", bad.url("/")),
        "pod shop/web-a: expected status 200, got 500",
    ]);
}

#[test]
fn no_pod_is_a_failure_unless_allowed() {
    let none = Server::answering(|_, _| list(&[]));
    let gone = "no running pod matches app=web in namespace shop";
    run(&none, &[]).failed(&[gone]);
    run(&none, &[("POD_ALLOW_NONE", "true")]).passed();
    let pending = Server::answering(|_, _| list(&[pod("shop", "web-a", "Pending", "", 80)]));
    run(&pending, &[("POD_ALLOW_NONE", "true")]).failed(&[gone]);
}

#[test]
fn lists_are_read_page_by_page() {
    let web = Web::new(&[500, 500]);
    let port = web.port;
    let api = Server::answering(move |number, seen| {
        let second = seen.path.contains("continue=next");
        match number {
            0 => status(503, "etcd is slow", &[("Retry-After", "0")]),
            1 => status(429, "too many requests", &[("Retry-After", "0")]),
            2 => page(&[pod("shop", "old", "Running", "127.0.1.1", port)], "next"),
            3 if second => status(410, "the provided continue parameter is too old", &[]),
            4 if !second => page(
                &[pod("shop", "web-a", "Running", "127.0.1.1", port)],
                "next",
            ),
            5 if second => page(&[pod("shop", "web-b", "Running", "127.0.1.2", port)], ""),
            _ => status(400, "unexpected request", &[]),
        }
    });
    run(&api, &[]).failed(&[
        "pod shop/web-a: expected status 200, got 500",
        "pod shop/web-b: expected status 200, got 500",
    ]);
    assert_eq!(api.seen().len(), 6);
}

#[test]
fn namespaces_can_be_several_or_all() {
    let api = Server::answering(|_, _| list(&[]));
    run(&api, &[("POD_SELECTOR_NAMESPACE", "a, b")])
        .failed(&["no running pod matches app=web in namespace a, b"]);
    run(&api, &[("POD_SELECTOR_NAMESPACE", "*")])
        .failed(&["no running pod matches app=web in any namespace"]);
    run(&api, &[("POD_SELECTOR_NAMESPACE", "")])
        .failed(&["no running pod matches app=web in namespace kuberhealthy"]);
    let paths: Vec<_> = api
        .seen()
        .iter()
        .map(|seen| seen.path.split('?').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "/api/v1/namespaces/a/pods",
            "/api/v1/namespaces/b/pods",
            "/api/v1/pods",
            "/api/v1/namespaces/kuberhealthy/pods"
        ]
    );
}

#[test]
fn api_trouble_says_who_has_to_do_what() {
    for (code, expected) in [
        (
            401,
            "Kubernetes API: a token is expected (401), none was sent; set KUBE_API_TOKEN_FILE to a file with one",
        ),
        (
            403,
            "Kubernetes API: not allowed to list pods in namespace shop: the service account needs a role with verb \
             list on pods",
        ),
        (
            404,
            "Kubernetes API: not found: list pods in namespace shop",
        ),
        (
            400,
            "Kubernetes API: cannot list pods in namespace shop: status 400: unable to parse requirement",
        ),
    ] {
        let api = Server::answering(move |_, _| status(code, "unable to parse requirement", &[]));
        run(&api, &[]).failed(&[expected]);
        assert_eq!(api.seen().len(), 1);
    }
    let junk = Server::saying(200, &[], "<html>");
    run(&junk, &[]).failed(&[
        "Kubernetes API: cannot list pods in namespace shop: the answer is not understood",
    ]);
    let busy = Server::answering(|_, _| status(429, "busy", &[("Retry-After", "0")]));
    run(&busy, &[])
        .failed(&["Kubernetes API: cannot list pods in namespace shop: status 429: busy"]);
    assert_eq!(busy.seen().len(), 5);
    check(&[("POD_SELECTOR", "app=web"), ("POD_TARGETPORT", "80")]).run().failed(&[
        "Kubernetes API: not running in a cluster: KUBERNETES_SERVICE_HOST is not set; set KUBE_API_URL, to http://127.0.0.1:8001 for kubectl proxy; no kubeconfig is read",
    ]);
    check(&[
        ("POD_SELECTOR", "app=web"),
        ("POD_TARGETPORT", "80"),
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
    ])
    .var("KUBE_API_CA_FILE", "/nowhere/ca.crt")
    .run()
    .failed_with(&["Kubernetes API: /nowhere/ca.crt cannot be used: "]);
}

#[test]
fn a_silent_api_server_does_not_hold_the_verdict() {
    let silent = Server::on("127.0.0.1:0", |_, _, _| std::thread::sleep(PATIENCE));
    let verdict = check(&[
        ("POD_SELECTOR", "app=web"),
        ("POD_SELECTOR_NAMESPACE", "shop"),
        ("POD_TARGETPORT", "80"),
    ])
    .var("KUBE_API_URL", &silent.url(""))
    .deadline(Duration::from_secs(6))
    .run();
    verdict.failed(&["Kubernetes API: unreachable: no answer before the deadline of the run"]);
}

#[test]
fn the_token_is_read_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "geheim\n").unwrap();
    let api = Server::answering(|_, _| list(&[]));
    run(
        &api,
        &[
            ("KUBE_API_TOKEN_FILE", token.to_str().unwrap()),
            ("POD_ALLOW_NONE", "true"),
        ],
    )
    .passed();
    run(&api, &[("POD_ALLOW_NONE", "true")]).passed();
    let tokens: Vec<_> = api
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").to_owned())
        .collect();
    assert_eq!(tokens, ["Bearer geheim", ""]);
}
