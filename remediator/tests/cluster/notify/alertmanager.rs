//! A real Alertmanager, if the variable ALERTMANAGER names its program: scripts/alertmanager-test sets it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remediator::notify::notice::Transition;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::faults::Teller;
use super::receiver::Receiver;

/// Groups by name and namespace, at once, and tells a webhook.
const CONFIG: &str = "
route: {receiver: hook, group_by: [alertname, namespace], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: 'URL', send_resolved: true}]}]
";

struct Alertmanager {
    child: Child,
    url: String,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Alertmanager {
    async fn start(program: &str, hook: &str) -> Alertmanager {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("alertmanager.yaml");
        std::fs::write(&config, CONFIG.replace("URL", hook)).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        khclient::install_crypto_provider();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy();
        let alertmanager = Alertmanager {
            child,
            url: format!("http://{address}"),
            client: client.build().unwrap(),
            _folder: folder,
        };
        alertmanager
            .until("/api/v2/status", |status| status["uptime"].is_string())
            .await;
        alertmanager
    }

    async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..600 {
            let answer = self.client.get(format!("{}{path}", self.url)).send().await;
            if let Ok(answer) = answer {
                last = answer.json().await.unwrap();
                if holds(&last) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never so: {last:#}");
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // Refused only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn policies(alerts: &Value) -> Vec<&str> {
    let alerts = alerts.as_array().map_or(&[][..], Vec::as_slice);
    let named = alerts.iter().map(|alert| &alert["labels"]["policy"]);
    let mut names: Vec<&str> = named.filter_map(Value::as_str).collect();
    names.sort_unstable();
    names
}

fn moment(value: &Value) -> jiff::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_real_alertmanager_fires_groups_is_kept_firing_and_resolves() {
    let Some(program) = std::env::var_os("ALERTMANAGER") else {
        eprintln!("skipped: ALERTMANAGER does not name the program of an Alertmanager");
        return;
    };
    let hook = Receiver::start().await;
    let alertmanager = Alertmanager::start(program.to_str().unwrap(), &hook.url()).await;
    let receiver = json!({
        "name": "hook",
        "alertmanager": {"url": alertmanager.url, "resendSeconds": 1, "labels": {"cluster": "test"}},
    });
    let teller = Teller::start(receiver);
    teller.opens("a");
    teller.opens("b");
    teller.tell(&["a", "b"], &[Transition::Opened]);

    let fired = alertmanager
        .until("/api/v2/alerts", |alerts| policies(alerts) == ["a", "b"])
        .await;
    assert_eq!(fired[0]["status"]["state"], "active");
    assert_eq!(fired[0]["labels"]["alertname"], "KuberhealerIncident");
    assert_eq!(fired[0]["annotations"]["state"], "incident.opened");
    let groups = alertmanager
        .until("/api/v2/alerts/groups", |groups| {
            policies(&groups[0]["alerts"]) == ["a", "b"]
        })
        .await;
    assert_eq!(groups.as_array().unwrap().len(), 1);
    assert_eq!(
        groups[0]["labels"],
        json!({"alertname": "KuberhealerIncident", "namespace": "shop"})
    );
    let both = |told: &[super::receiver::Request]| {
        told.last()
            .is_some_and(|last| policies(&last.json()["alerts"]) == ["a", "b"])
    };
    hook.until(both).await;

    // It would count as resolved by now if it were not repeated.
    let first = moment(&fired[0]["endsAt"]);
    let again = alertmanager
        .until("/api/v2/alerts", |alerts| {
            alerts[0]["updatedAt"].is_string() && moment(&alerts[0]["updatedAt"]) > first
        })
        .await;
    assert_eq!(policies(&again), ["a", "b"]);
    assert_eq!(again[0]["fingerprint"], fired[0]["fingerprint"]);
    assert_eq!(again[0]["startsAt"], fired[0]["startsAt"]);

    // What has changed is told of the same alert.
    teller.tell(&["a"], &[Transition::Applied]);
    let acted = alertmanager
        .until("/api/v2/alerts", |alerts| {
            let mut all = alerts.as_array().unwrap().iter();
            all.any(|alert| alert["annotations"]["state"] == "remediation.applied")
        })
        .await;
    assert_eq!(policies(&acted), ["a", "b"]);

    teller.closes("a");
    teller.tell(&["a"], &[Transition::Recovered]);
    alertmanager
        .until("/api/v2/alerts", |alerts| policies(alerts) == ["b"])
        .await;
    let resolved = |told: &[super::receiver::Request]| {
        told.iter().any(|request| {
            let body = request.json();
            let mut alerts = body["alerts"].as_array().unwrap().iter();
            alerts.any(|alert| alert["status"] == "resolved" && alert["labels"]["policy"] == "a")
        })
    };
    hook.until(resolved).await;

    // A policy that was deleted in the middle of its incident is not told of, and is found to be gone.
    teller.closes("b");
    alertmanager
        .until("/api/v2/alerts", |alerts| policies(alerts).is_empty())
        .await;
}
