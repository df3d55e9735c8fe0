//! Alertmanager itself as the sender. `scripts/alertmanager-hook-test` runs this where it is installed.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remediator::clock;
use serde_json::{Value, json};

use super::support::{Scene, after, send, time};

/// Alertmanager, which is killed when this is dropped.
struct Alertmanager {
    child: Child,
    address: SocketAddr,
}

impl Alertmanager {
    fn start(scene: &Scene, hooks: SocketAddr) -> Alertmanager {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let token = scene.path("token");
        let config = format!(
            "route:
  receiver: kuberhealer
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: kuberhealer
    webhook_configs:
      - url: http://{hooks}/hooks/alerts
        max_alerts: 512
        http_config:
          authorization: {{type: Bearer, credentials_file: {token}}}
"
        );
        scene.write("alertmanager.yml", &config);
        let child = Command::new(std::env::var("ALERTMANAGER").unwrap())
            .arg(format!("--config.file={}", scene.path("alertmanager.yml")))
            .arg(format!("--storage.path={}", scene.path("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Alertmanager { child, address }
    }

    /// Tells it of an alert, as Prometheus does, as soon as it listens.
    async fn tell(&self, alert: &Value) {
        let body = json!([alert]).to_string();
        let length = body.len();
        let request = format!(
            "POST /api/v2/alerts HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        for _ in 0..600 {
            if let Some(answer) = send(self.address, request.as_bytes()).await {
                assert_eq!(answer.code, 200, "{answer:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("Alertmanager never listened");
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // Refused only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs Alertmanager: scripts/alertmanager-hook-test"]
async fn alertmanager_has_the_workload_restarted_and_verifies_that() {
    let scene = Scene::new().await;
    let hooked = scene.replica(&[]).await;
    let alertmanager = Alertmanager::start(&scene, hooked.address);
    let starts = clock::now();
    let mut alert = json!({
        "labels": {"alertname": "CheckoutErrors", "service": "checkout", "severity": "page"},
        "annotations": {"summary": "5 % of the requests fail"},
        "startsAt": starts, "endsAt": starts.plus(3600),
        "generatorURL": "http://prometheus.example.com/graph",
    });
    alertmanager.tell(&alert).await;
    scene.restarted().await;
    let verifying = scene.remediation("Verifying").await;
    assert_eq!(
        verifying["spec"]["errors"],
        json!(["5 % of the requests fail"])
    );
    let ends = after(time(&verifying["status"]["rolledOutTime"])).await;
    alert["endsAt"] = json!(ends);
    alertmanager.tell(&alert).await;
    scene.remediation("Succeeded").await;
    assert_eq!(scene.restarts(), 1);
    let kept = scene.status().await["alerts"].clone();
    assert_eq!(kept[0]["startsAt"], json!(starts), "{kept:#}");
}
