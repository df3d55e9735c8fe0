//! kubectl, if it is installed.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use sandbox::apiserver::ApiServer;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::{custom, start};

pub(crate) struct Kubectl {
    kubeconfig: tempfile::NamedTempFile,
    home: tempfile::TempDir,
}

impl Kubectl {
    /// `None`, said on stderr, if there is no kubectl.
    pub(crate) async fn new(server: &ApiServer) -> Option<Kubectl> {
        let version = Command::new("kubectl")
            .args(["version", "--client"])
            .output()
            .await;
        if !version.is_ok_and(|output| output.status.success()) {
            eprintln!("kubectl is not installed: this test has shown nothing");
            return None;
        }
        let mut kubeconfig = tempfile::NamedTempFile::new().unwrap();
        kubeconfig
            .write_all(server.kubeconfig().as_bytes())
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        Some(Kubectl { kubeconfig, home })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            // kubectl caches discovery documents below the home directory, by host and port.
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.kubeconfig.path())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {errors}{text}"
        );
        text
    }

    pub(crate) async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().await.unwrap();
        assert!(!output.status.success(), "kubectl {arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn manifest(&self, name: &str, object: &serde_json::Value) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, object.to_string()).unwrap();
        path.display().to_string()
    }
}

fn squeezed(text: &str) -> Vec<String> {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(squeeze).collect()
}

#[tokio::test]
async fn kubectl_applies_gets_patches_describes_and_deletes() {
    let (server, _) = start().await;
    let Some(kubectl) = Kubectl::new(&server).await else {
        return;
    };
    let mut pod = super::pod("p");
    let file = kubectl.manifest("pod.json", &pod);
    assert_eq!(
        kubectl.run(&["apply", "-f", &file]).await,
        "pod/p created\n"
    );
    assert_eq!(
        kubectl.run(&["apply", "-f", &file]).await,
        "pod/p unchanged\n"
    );
    pod["spec"]["containers"][0]["image"] = "two".into();
    let file = kubectl.manifest("pod.json", &pod);
    assert_eq!(
        kubectl.run(&["apply", "-f", &file]).await,
        "pod/p configured\n"
    );
    let image = "jsonpath={.spec.containers[0].image}";
    assert_eq!(kubectl.run(&["get", "pod", "p", "-o", image]).await, "two");
    kubectl
        .run(&[
            "patch",
            "pod",
            "p",
            "-p",
            r#"{"metadata":{"labels":{"x":"y"}}}"#,
        ])
        .await;

    let table = squeezed(&kubectl.run(&["get", "po", "-A", "-l", "x=y"]).await);
    assert_eq!(table[0], "NAMESPACE NAME READY STATUS RESTARTS AGE");
    assert!(
        table[1].starts_with("default p 0/1 Pending 0 "),
        "{table:?}"
    );
    let described = squeezed(&kubectl.run(&["describe", "pod", "p"]).await);
    assert!(
        described.contains(&"QoS Class: BestEffort".to_owned()),
        "{described:?}"
    );
    assert_eq!(
        kubectl.run(&["apply", "--server-side", "-f", &file]).await,
        "pod/p serverside-applied\n"
    );

    assert_eq!(
        kubectl.run(&["delete", "pod", "p"]).await.lines().next(),
        Some("pod \"p\" deleted")
    );
    let gone = kubectl.refused(&["get", "pod", "p"]).await;
    assert_eq!(gone, "Error from server (NotFound): pods \"p\" not found\n");
}

#[tokio::test]
async fn kubectl_knows_custom_kinds() {
    let (server, _) = start().await;
    let Some(kubectl) = Kubectl::new(&server).await else {
        return;
    };
    let file = kubectl.manifest("crd.json", &custom::definition());
    kubectl.run(&["apply", "-f", &file]).await;
    kubectl
        .run(&[
            "wait",
            "--for=condition=established",
            "crd/things.example.com",
            "--timeout=10s",
        ])
        .await;
    let kinds = squeezed(&kubectl.run(&["api-resources"]).await);
    assert!(
        kinds.contains(&"things th example.com/v1 true Thing".to_owned()),
        "{kinds:?}"
    );

    let mut thing = serde_json::json!({
        "apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": 3},
    });
    let file = kubectl.manifest("thing.json", &thing);
    kubectl.run(&["apply", "-f", &file]).await;
    assert_eq!(
        squeezed(&kubectl.run(&["get", "th"]).await),
        ["NAME SIZE", "t 3"]
    );
    thing["spec"]["size"] = 0.into();
    let file = kubectl.manifest("thing.json", &thing);
    let refused = kubectl.refused(&["apply", "-f", &file]).await;
    assert!(
        refused.contains("spec.size in body should be greater than or equal to 1"),
        "{refused}"
    );
    kubectl.run(&["delete", "crd", "things.example.com"]).await;
}

#[tokio::test]
async fn kubectl_follows_changes() {
    let (server, api) = start().await;
    let Some(kubectl) = Kubectl::new(&server).await else {
        return;
    };
    api.create(super::PODS, &super::pod("p")).await.unwrap();
    let mut child = kubectl
        .command(&[
            "get",
            "pods",
            "-w",
            "-o",
            "custom-columns=N:.metadata.name,P:.status.phase",
            "--no-headers",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = async || {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        squeezed(&line.expect("no line within 20 s").unwrap().unwrap()).concat()
    };
    assert_eq!(line().await, "p Pending");
    let status = serde_json::json!({"status": {"phase": "Running"}});
    let path = format!("{}/p", super::PODS);
    api.patch(
        &format!("{path}/status"),
        sandbox::api::Patch::Merge,
        &status,
    )
    .await
    .unwrap();
    assert_eq!(line().await, "p Running");
    child.kill().await.unwrap();
}
