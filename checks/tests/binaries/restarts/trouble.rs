//! An API server that refuses, is overloaded, slow or away.

use std::time::Duration;

use sandbox::faults::{Effect, Rule};

use super::*;

/// Lets the check list pods in a namespace.
fn allow(cluster: &Cluster, namespace: &str, role: &str) {
    cluster.add(
        &format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"),
        json!({
            "kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": "checks", "name": "checker"}],
        }),
    );
}

fn role(cluster: &Cluster, name: &str, resource: &str) {
    cluster.add(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        json!({
            "kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["list"]}],
        }),
    );
}

#[test]
fn what_is_not_allowed_is_named_and_the_rest_is_looked_at() {
    let cluster = Cluster::guarded();
    cluster.pods("shop", [failing("web-1")]);
    cluster.pods("bank", [failing("api-1")]);
    role(&cluster, "pods", "pods");
    allow(&cluster, "shop", "pods");
    let forbidden = |what: &str, resource: &str| {
        format!(
            "Kubernetes API: not allowed to {what}: the service account needs a role with verb list on {resource}"
        )
    };
    cluster
        .restarts(&[("POD_NAMESPACE", "shop")])
        .run()
        .failed(&[&finding("shop/web-1")]);
    cluster
        .restarts(&[])
        .run()
        .failed(&[&forbidden("list pods in all namespaces", "pods")]);
    cluster
        .restarts(&[("POD_NAMESPACE", "bank,shop,test")])
        .run()
        .failed(&[
            &forbidden("list pods in namespace bank", "pods"),
            &forbidden("list pods in namespace test", "pods"),
            &finding("shop/web-1"),
        ]);
    cluster
        .restarts(&[("POD_NAMESPACE_SELECTOR", "team=a")])
        .run()
        .failed(&[&forbidden("list namespaces", "namespaces")]);
}

/// The official check's role has no namespaces: then an empty one passes, whether it exists or not.
#[test]
fn whether_an_empty_namespace_exists_need_not_be_known() {
    let cluster = Cluster::guarded();
    role(&cluster, "pods", "pods");
    allow(&cluster, "shop", "pods");
    let verdict = cluster.restarts(&[("POD_NAMESPACE", "shop")]).run();
    verdict.passed();
    let log = "namespace shop has no pods; whether it exists is not known: Kubernetes API: not allowed to get namespaces";
    assert!(verdict.log.contains(log), "{}", verdict.log);
}

#[test]
fn a_token_that_is_missing_or_not_accepted_is_told() {
    let refusing = Server::answering(|_, _| answer(401, &[], r#"{"kind": "Status", "code": 401}"#));
    check(&[("KUBE_API_URL", &refusing.url(""))]).run().failed(&[
        "Kubernetes API: a token is expected (401), none was sent; set KUBE_API_TOKEN_FILE to a file with one",
    ]);
    let cluster = Cluster::guarded();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "someone else's").unwrap();
    cluster
        .restarts(&[])
        .var("KUBE_API_TOKEN_FILE", file.path().to_str().unwrap())
        .run()
        .failed(&["Kubernetes API: the token is not accepted (401)"]);
}

/// Neither is read to its end, which it may not have.
#[test]
fn token_and_ca_files_are_bounded() {
    let cluster = Cluster::guarded();
    let token = |path: &str| {
        let check = cluster.restarts(&[]).var("KUBE_API_TOKEN_FILE", path);
        check.run()
    };
    let ca = |path: &str| {
        let check = check(&[
            ("KUBE_API_URL", "https://127.0.0.1:1"),
            ("KUBE_API_CA_FILE", path),
        ]);
        check.run()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
    let missing = dir.path().join("missing");
    for (path, reason) in [
        (file.to_str().unwrap(), "it is larger than 1MiB"),
        (dir.path().to_str().unwrap(), "it is no regular file"),
        ("/dev/zero", "it is no regular file"),
        (missing.to_str().unwrap(), "no such file"),
    ] {
        let expected = format!("Kubernetes API: {path} cannot be used: {reason}");
        token(path).failed(&[&expected]);
        ca(path).failed(&[&expected]);
    }
}

/// What is no API server knows of no pods, which is something else than that there are none.
#[test]
fn another_web_server_is_no_empty_cluster() {
    for (code, body, expected) in [
        (
            404,
            "<html>not here</html>",
            "Kubernetes API: cannot list pods in namespace shop: status 404, not from a Kubernetes API server; set \
             KUBE_API_URL to the URL of one",
        ),
        // What Go's web servers say; Kubernetes' own has a path for pods.
        (
            404,
            "404 page not found\n",
            "Kubernetes API: cannot list pods in namespace shop: status 404, not from a Kubernetes API server; set \
             KUBE_API_URL to the URL of one",
        ),
        (
            404,
            r#"{"error": "not found"}"#,
            "Kubernetes API: cannot list pods in namespace shop: status 404, not from a Kubernetes API server; set \
             KUBE_API_URL to the URL of one",
        ),
        (
            404,
            r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}"#,
            "Kubernetes API: not found: list pods in namespace shop",
        ),
    ] {
        let server = Server::answering(move |_, _| answer(code, &[], body));
        let verdict = check(&[("KUBE_API_URL", &server.url("")), ("POD_NAMESPACE", "shop")]).run();
        verdict.failed(&[expected]);
    }
}

#[test]
fn nobody_to_ask_is_told() {
    check(&[]).run().failed(&[
        "Kubernetes API: not running in a cluster: KUBERNETES_SERVICE_HOST is not set; set KUBE_API_URL, to http://127.0.0.1:8001 for kubectl proxy; no kubeconfig is read",
    ]);
    let url = format!("http://127.0.0.1:{}", closed_port());
    let verdict = check(&[("KUBE_API_URL", &url)])
        .deadline(Some(Duration::from_secs(4)))
        .run();
    verdict.failed(&["Kubernetes API: unreachable: connection refused"]);
}

#[test]
fn overload_and_outages_are_waited_for() {
    let cluster = Cluster::new();
    cluster.pods("shop", [failing("web-1")]);
    let pods = |effect: Effect| Rule::new(effect).resource("pods").verb("list");
    let refuse = |code, retry_after| Effect::Refuse { code, retry_after };
    for effect in [
        refuse(429, Some(1)),
        refuse(429, None),
        refuse(503, None),
        refuse(504, Some(0)),
        refuse(500, None),
        Effect::Drop,
    ] {
        let rule = cluster.faults().add(pods(effect.clone()).times(1));
        cluster
            .restarts(&[])
            .run()
            .failed(&[&finding("shop/web-1")]);
        assert_eq!(cluster.faults().strikes(rule), 1, "{effect:?}");
    }
}

/// More often than a request is usually tried: there is still time.
#[test]
fn overload_is_waited_for_while_there_is_time() {
    let cluster = Cluster::new();
    cluster.pods("shop", [failing("web-1")]);
    let busy = Rule::new(Effect::Refuse {
        code: 429,
        retry_after: Some(0),
    });
    let rule = cluster.faults().add(busy.resource("pods").times(5));
    cluster
        .restarts(&[])
        .run()
        .failed(&[&finding("shop/web-1")]);
    assert_eq!(cluster.faults().strikes(rule), 5);
}

#[test]
fn overload_that_lasts_is_told_before_the_deadline() {
    let busy = Server::answering(|_, _| {
        let body = json!({"kind": "Status", "code": 429, "message": "too many requests"});
        answer(429, &[("Retry-After", "0")], &body.to_string())
    });
    let verdict = check(&[("KUBE_API_URL", &busy.url(""))])
        .deadline(Some(Duration::from_secs(5)))
        .run();
    verdict.failed(&[
        "Kubernetes API: cannot list pods in all namespaces: status 429: too many requests",
    ]);
    // Not as fast as it can.
    assert!((2..7).contains(&busy.seen().len()), "{}", busy.seen().len());
    // Nobody said how long there is: a few times.
    let output = check(&[("KUBE_API_URL", &busy.url(""))]).alone();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_silent_api_server_does_not_hold_the_verdict() {
    let silent = Server::on("127.0.0.1:0", |_, _, _| std::thread::sleep(PATIENCE));
    let verdict = check(&[("KUBE_API_URL", &silent.url(""))])
        .deadline(Some(Duration::from_secs(4)))
        .run();
    verdict.failed(&["Kubernetes API: unreachable: no answer before the deadline of the run"]);
}

/// What was found by then is reported, too.
#[test]
fn what_is_found_before_the_deadline_is_reported() {
    let api = Server::on("127.0.0.1:0", |number, _, stream| {
        if number > 0 {
            std::thread::sleep(PATIENCE);
        }
        let mut pod = failing("web-1");
        pod["metadata"]["namespace"] = json!("shop");
        let list = json!({"kind": "PodList", "metadata": {"continue": "next"}, "items": [pod]});
        let _ = stream.write_all(&answer(200, &[], &list.to_string()));
    });
    check(&[("KUBE_API_URL", &api.url(""))])
        .deadline(Some(Duration::from_secs(4)))
        .run()
        .failed(&[
            "Kubernetes API: unreachable: no answer before the deadline of the run",
            &finding("shop/web-1"),
        ]);
}

#[test]
fn answers_that_are_no_list_are_told() {
    let expected =
        "Kubernetes API: cannot list pods in all namespaces: the answer is not understood";
    let pod =
        json!({"metadata": {"name": 7}, "status": {"containerStatuses": [{"restartCount": 11}]}});
    let statuses = json!({"status": {"containerStatuses": [{"restartCount": "many"}]}});
    let list = |item: &Value| json!({"kind": "PodList", "items": [item]}).to_string();
    for body in [
        "<html>sign in</html>",
        "",
        "{}",
        "[]",
        r#"{"kind":"PodList","items":[{"metadata":{"name":"a"}}"#,
        &list(&pod),
        &list(&statuses),
    ] {
        let junk = Server::saying(200, &[], body);
        check(&[("KUBE_API_URL", &junk.url(""))])
            .run()
            .failed(&[expected]);
        assert_eq!(junk.seen().len(), 1);
    }
    let refusing = Server::answering(|_, _| {
        let body = json!({"kind": "Status", "code": 400, "message": "unable to parse requirement"});
        answer(400, &[], &body.to_string())
    });
    check(&[("KUBE_API_URL", &refusing.url("")), ("POD_SELECTOR", "a=b")])
        .run()
        .failed(&[
            "Kubernetes API: cannot list pods in all namespaces: status 400: unable to parse requirement",
        ]);
}
