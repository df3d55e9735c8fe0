//! The way to the API server: what a pod is not to blame for has no pod as its subject.

use serde_json::json;

use super::api::*;
use super::*;

fn forbidden(verb: &str) -> Reply {
    let message = format!(
        "pods \"web-1\" is forbidden: User \"system:serviceaccount:shop:weak\" cannot {verb} resource \"pods/exec\" in API group \"\" in the namespace \"shop\""
    );
    Reply::Refuse(
        403,
        json!({"kind": "Status", "reason": "Forbidden", "message": message, "code": 403})
            .to_string(),
    )
}

#[test]
fn a_missing_permission_is_named_once() {
    for (cannot, verb) in [("create", "create"), ("get", "get and create")] {
        let api = Api::with(&[("web-1", forbidden(cannot)), ("web-2", forbidden(cannot))]);
        api.exec("x").run().failed(&[&format!(
            "Kubernetes API: not allowed to run commands in pods in namespace shop: the service account needs a role with verb {verb} on pods/exec"
        )]);
    }
}

#[test]
fn a_refusal_of_admission_is_the_pods() {
    let denied = Reply::Refuse(
        403,
        json!({"message": "admission webhook \"guard\" denied the request: no"}).to_string(),
    );
    let api = Api::with(&[("web-1", denied), ("web-2", ends(0))]);
    api.exec("x").run().failed(&[
        r#"pod shop/web-1: expected exec to be admitted, it is forbidden: admission webhook "guard" denied the request: no"#,
    ]);
}

#[test]
fn a_token_that_is_not_accepted_is_told_once() {
    let refused = || {
        Reply::Refuse(
            401,
            json!({"reason": "Unauthorized", "message": "Unauthorized", "code": 401}).to_string(),
        )
    };
    let api = Api::with(&[("web-1", refused()), ("web-2", refused())]);
    api.exec("x")
        .run()
        .failed(&["Kubernetes API: a token is expected (401), none was sent; set KUBE_API_TOKEN_FILE to a file with one"]);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "old").unwrap();
    api.exec("x")
        .var("KUBE_API_TOKEN_FILE", token.path().to_str().unwrap())
        .run()
        .failed(&["Kubernetes API: the token is not accepted (401)"]);
}

#[test]
fn a_node_that_cannot_be_reached_is_told_without_its_pods() {
    let refused = Reply::Refuse(
        500,
        "error dialing backend: dial tcp 10.0.0.7:10250: connect: connection refused".to_owned(),
    );
    let api = Api::with(&[("web-1", refused), ("web-2", ends(0))]);
    api.exec("x").run().failed(&[
        "Kubernetes API: cannot run commands in pods in namespace shop: status 500: error dialing backend: dial tcp <address>: connect: connection refused",
    ]);
}

#[test]
fn a_busy_api_server_is_asked_again() {
    let busy = |status| Reply::Refuse(status, json!({"message": "too many requests"}).to_string());
    let api = Api::with(&[("web-1", Reply::Turns(vec![busy(429), busy(503), ends(0)]))]);
    api.exec("x").run().passed();
    assert_eq!(api.asked().len(), 3);
    let api = Api::with(&[("web-1", busy(503))]);
    api.exec("x").var("TIMEOUT_DURATION", "1s").run().failed(&[
        "Kubernetes API: cannot run commands in pods in namespace shop: status 503: too many requests",
    ]);
}

#[test]
fn what_is_no_websocket_is_no_success() {
    let words = "Kubernetes API: unreachable: expected a WebSocket that speaks v5.channel.k8s.io or v4.channel.k8s.io, it offers none of these";
    let odd = [
        vec![],
        vec![("Sec-WebSocket-Protocol", V5.to_owned())],
        vec![
            ("Sec-WebSocket-Accept", "x".to_owned()),
            ("Sec-WebSocket-Protocol", V5.to_owned()),
        ],
    ];
    for headers in odd {
        Api::with(&[("web-1", Reply::Odd(headers))])
            .exec("x")
            .run()
            .failed(&[words]);
    }
    let api = Api::with(&[("web-1", Reply::Speak("channel.k8s.io".to_owned(), vec![]))]);
    api.exec("x").run().failed(&[words]);
    let api = Api::with(&[("web-1", Reply::Refuse(200, "welcome".to_owned()))]);
    api.exec("x").run().failed(&[
        "pod shop/web-1: expected the API server to run a command, it answered 200: welcome",
    ]);
}

#[test]
fn without_a_cluster_or_an_answer_it_says_so() {
    let run = |vars: &[(&str, &str)]| {
        exec(&[("EXEC_COMMAND", "x"), ("POD_SELECTOR", "app=web")])
            .var("POD_SELECTOR_NAMESPACE", "shop")
            .with(vars)
            .run()
    };
    run(&[]).failed_with(&["Kubernetes API: not running in a cluster"]);
    run(&[
        ("KUBE_API_URL", "http://127.0.0.1:1"),
        ("KUBE_API_TOKEN_FILE", "/nowhere/token"),
    ])
    .failed_with(&["Kubernetes API: /nowhere/token cannot be used"]);
    let closed = format!("http://127.0.0.1:{}", closed_port());
    run(&[("KUBE_API_URL", &closed)]).failed(&["Kubernetes API: unreachable: connection refused"]);
}

#[test]
fn the_token_is_sent_over_tls_that_the_given_ca_vouches_for() {
    let folder = Folder::new();
    let ca = Ca::new("cluster");
    let leaf = ca.leaf(&["127.0.0.1"], 90);
    let tls = Tls {
        // As a real API server would, which upgrades only HTTP/1.1.
        alpn: &["h2", "http/1.1"],
        ..Tls::of(&leaf)
    };
    let api = Api::silent(vec![list(&[pod("web-1")])], &[("web-1", ends(0))]);
    let handler = api.clone();
    let server = TlsServer::on(&tls, move |_, seen, stream| handler.handle(&seen, stream));
    std::fs::write(folder.path("token"), "geheim\n").unwrap();
    let verdict = exec(&[("EXEC_COMMAND", "x"), ("POD_SELECTOR", "app=web")])
        .var("KUBE_API_URL", &server.url("127.0.0.1"))
        .var("KUBE_API_CA_FILE", &ca.file())
        .var("KUBE_API_TOKEN_FILE", &folder.text("token"))
        .run();
    verdict.passed();
    assert!(!verdict.log.contains("geheim"));
    let asked = api.asked();
    assert_eq!(asked[0].request.header("authorization"), "Bearer geheim");
    assert_eq!(server.server.seen().len(), 2);
}
