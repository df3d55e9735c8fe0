//! From the start of a process to its clean end, and what it says when it cannot begin.

use nix::sys::signal::Signal;
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use serde_json::json;

use super::replica::{AGENT, Replica, holder, install, remediator};

async fn server() -> (ApiServer, Api) {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    (server, api)
}

#[tokio::test]
async fn a_process_becomes_ready_leads_and_ends_cleanly() {
    let (server, api) = server().await;
    install(&api).await;
    let mut replica = Replica::start(&server, &[]);
    replica.answers("/readyz", 200, "ok").await;
    replica.leads().await;
    assert_eq!(holder(&api).await, replica.identity().await);
    assert_eq!(replica.get("/healthz").await, (200, "ok\n".to_owned()));
    let (_, index) = replica.get("/").await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert!(index.contains(path), "{index}");
    }
    let (_, metrics) = replica.get("/metrics").await;
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(series.starts_with("kuberhealer_"), "{line}");
        value.parse::<f64>().unwrap();
    }
    assert!(
        metrics.contains("kuberhealer_watch_listed{kind=\"remediations\"} 1\n"),
        "{metrics}"
    );
    assert!(
        server
            .requests()
            .iter()
            .any(|request| request.agent == AGENT)
    );

    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.ended().await.code(), Some(0));
    assert_eq!(holder(&api).await, "", "given up");
    replica.says("stopped").await;
    for line in replica.log() {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
}

/// On a node that gives huge pages unasked, too.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn its_memory_is_in_small_pages() {
    let (server, _) = server().await;
    let replica = Replica::start(&server, &[]);
    replica.says("starting").await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", replica.id())).unwrap();
    // See proc_pid_status(5).
    let line = status.lines().find(|line| line.starts_with("THP_enabled:"));
    assert_eq!(line, Some("THP_enabled:\t0"), "{status}");
}

#[tokio::test]
async fn missing_definitions_are_waited_for_and_the_way_to_install_them_is_told() {
    let (server, api) = server().await;
    let replica = Replica::start(&server, &[]);
    let command = "remediator crds | kubectl apply --server-side -f -";
    let line = replica.says(command).await;
    assert_eq!(line["level"], "WARN");
    replica.answers("/readyz", 503, command).await;
    assert_eq!(replica.get("/healthz").await.0, 200);
    assert_eq!(
        api.get(super::replica::LEASE).await.unwrap_err().code(),
        Some(404)
    );
    install(&api).await;
    replica.answers("/readyz", 200, "ok").await;
    replica.leads().await;
}

#[tokio::test]
async fn an_api_server_that_cannot_be_reached_is_waited_for() {
    let (server, _) = server().await;
    let (url, kubeconfig) = (server.url(), server.kubeconfig());
    server.stop().await;
    let mut replica = Replica::with_kubeconfig(&kubeconfig, &[]);
    let expected = format!("the API server at {url}/ cannot be reached");
    replica.says(&expected).await;
    replica.answers("/readyz", 503, &expected).await;
    assert_eq!(replica.get("/healthz").await.0, 200);
    replica.signal(Signal::SIGINT);
    assert_eq!(replica.ended().await.code(), Some(0));
}

#[tokio::test]
async fn credentials_that_are_not_accepted_are_told_without_them() {
    let (server, _) = server().await;
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&server.kubeconfig()).unwrap();
    kubeconfig["users"][0]["user"] = json!({"token": "s3cret-token"});
    server.faults().add(sandbox::faults::Rule::refuse(401));
    let replica = Replica::with_kubeconfig(
        &kubeconfig.to_string(),
        &["--log-level", "trace,kube_client=trace,hyper_util=trace"],
    );
    replica.says("does not accept the credentials").await;
    let log = format!("{:?}", replica.log());
    assert!(!log.contains("s3cret-token"), "{log}");
}

/// Runs to its end, which must be a failure, and returns what was said.
fn refused(variables: &[(&str, &str)], words: &[&str]) -> String {
    let mut command = remediator();
    command.envs(variables.iter().copied()).args(words);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_variable_that_sets_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("HOME", folder.path().to_str().unwrap()),
        ("KUBERHEALER_LISTEN", "127.0.0.1:0"),
        ("KUBERHEALER_LOG_FORMAT", "json"),
        ("KUBERHEALER_MAX_PER_HUOR", "s3cret"),
    ];
    let said = refused(&variables, &[]);
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut warnings: Vec<serde_json::Value> = lines.collect();
    warnings.retain(|line| line["level"] == "WARN");
    let [warning] = warnings.as_slice() else {
        panic!("{said}");
    };
    let message = warning["message"].as_str().unwrap();
    assert!(
        message.starts_with("KUBERHEALER_MAX_PER_HUOR is no option's variable"),
        "{message}"
    );
    assert!(
        message.ends_with("is KUBERHEALER_MAX_PER_HOUR meant?"),
        "{message}"
    );
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn what_is_right_in_form_and_cannot_be_used_is_told_by_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let none = format!("{home}/none");
    let variables = [("HOME", home), ("KUBERHEALER_LISTEN", "127.0.0.1:0")];
    for (words, expected) in [
        (
            &["--webhook-listen", "127.0.0.1:0"][..],
            "--webhook-token-file",
        ),
        (
            &[
                "--webhook-listen",
                "127.0.0.1:0",
                "--webhook-token-file",
                &none,
            ],
            "none",
        ),
        (&["--notify-config", &none], "none"),
        (&["--context", "nope"], "kubeconfig"),
    ] {
        let said = refused(&variables, words);
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}

#[test]
fn without_a_cluster_it_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let none = format!("{home}/none");
    let empty = format!("{home}/empty");
    std::fs::write(&empty, "{apiVersion: v1, kind: Config}").unwrap();
    for (variables, words, expected) in [
        (
            &[][..],
            &[][..],
            &[
                "no cluster to work on",
                "--kubeconfig",
                "KUBECONFIG",
                "~/.kube/config",
            ][..],
        ),
        (
            &[],
            &["--kubeconfig", &none],
            &["the kubeconfig cannot be used", "none"],
        ),
        (
            &[("KUBECONFIG", none.as_str())],
            &[],
            &["the kubeconfig cannot be used", "none"],
        ),
        (
            &[("KUBECONFIG", empty.as_str())],
            &["--context", "staging"],
            &["the kubeconfig cannot be used", "staging"],
        ),
        (
            &[
                ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
                ("KUBERNETES_SERVICE_PORT", "443"),
            ],
            &[],
            &["the pod's service account cannot be used"],
        ),
        (
            &[],
            &["--listen", &taken],
            &["cannot listen on", &taken, "--listen"],
        ),
    ] {
        let mut all = vec![("HOME", home)];
        all.extend(variables);
        all.push(("KUBERHEALER_LISTEN", "127.0.0.1:0"));
        let said = refused(&all, words);
        for part in expected {
            assert!(said.contains(part), "expected {part:?}: {said}");
        }
        assert!(!said.contains('\u{1b}'), "no colours in a file: {said}");
    }
}
