//! A Deployment, a policy that alerts trigger, and what Alertmanager and Grafana send. The test plays the controller of
//! Deployments.

use std::net::SocketAddr;
use std::time::Duration;

use remediator::clock;
use remediator::core::Time;
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::replica::{AGENT, POLICIES, Replica, install};

pub(super) const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
pub(super) const REMEDIATIONS: &str =
    "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediations";
pub(super) const HEALTH: &str = "/workloads/default/deployment/web/health";
const TOKEN: &str = "s3cret-token";
const BASIC: &str = "grafana:pa:ss";

/// An API server with the Deployment `web` and the policy `web`.
pub(super) struct Scene {
    pub(super) server: ApiServer,
    pub(super) api: Api,
    folder: TempDir,
}

impl Scene {
    pub(super) async fn new() -> Scene {
        let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
        let api = Api::new(&server.url(), None, "test").unwrap();
        install(&api).await;
        let labels = json!({"app": "web"});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "main", "image": "none"}]},
                },
            },
        });
        let deployments = "/apis/apps/v1/namespaces/default/deployments";
        api.create(deployments, &deployment).await.unwrap();
        let scene = Scene {
            server,
            api,
            folder: tempfile::tempdir().unwrap(),
        };
        scene.roll_out().await;
        scene.policy("web", json!({})).await;
        scene.write("token", &format!("{TOKEN}\n"));
        scene.write("basic", BASIC);
        scene
    }

    /// Takes the API server away; what is returned keeps the files of the credentials.
    pub(super) async fn stop(self) -> TempDir {
        self.server.stop().await;
        self.folder
    }

    /// A policy that the alert `CheckoutErrors` triggers, with these changes to its spec.
    pub(super) async fn policy(&self, name: &str, changes: Value) {
        let mut spec = json!({
            "mode": "Enforce",
            "trigger": {"alert": {"matchLabels": {"alertname": "CheckoutErrors", "service": "checkout"}}},
            "target": {"kind": "Deployment", "name": "web"},
            "steps": [{"rolloutRestart": {}}],
        });
        for (field, value) in changes.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let policy = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
            "metadata": {"name": name}, "spec": spec,
        });
        self.api.create(POLICIES, &policy).await.unwrap();
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The Deployment's controller has done what was asked of it.
    pub(super) async fn roll_out(&self) {
        let found = self.api.get(DEPLOYMENT).await.unwrap();
        let status = json!({"status": {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        }});
        let path = format!("{DEPLOYMENT}/status");
        self.api.patch(&path, Patch::Merge, &status).await.unwrap();
    }

    /// A replica that takes alerts in.
    pub(super) async fn replica(&self, options: &[&str]) -> Hooked {
        let (token, basic) = (self.path("token"), self.path("basic"));
        let mut all = vec![
            "--webhook-listen=127.0.0.1:0",
            "--webhook-token-file",
            &token,
            "--webhook-basic-file",
            &basic,
        ];
        all.extend(options);
        let replica = Replica::start(&self.server, &all);
        let line = replica.says("alerts are taken in").await;
        let address = line["listen"].as_str().unwrap().parse().unwrap();
        let hooked = Hooked { replica, address };
        // Until it knows the policies it asks to be called again.
        hooked.replica.answers("/readyz", 200, "ok").await;
        hooked
    }

    pub(super) fn restarts(&self) -> usize {
        let requests = self.server.requests();
        let own = requests.iter().filter(|request| request.agent == AGENT);
        own.filter(|request| request.resource == "deployments" && request.verb == "patch")
            .count()
    }

    pub(super) async fn status(&self) -> Value {
        let policy = self.api.get(&format!("{POLICIES}/web")).await.unwrap();
        policy["status"].clone()
    }

    /// Waits until the object is so.
    pub(super) async fn becomes(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..600 {
            last = self.api.get(path).await.unwrap();
            if holds(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never became so: {last:#}");
    }

    /// Waits until the Deployment is told to restart, and rolls it out.
    pub(super) async fn restarted(&self) {
        self.becomes(DEPLOYMENT, |found| {
            let annotations = &found["spec"]["template"]["metadata"]["annotations"];
            annotations["kubectl.kubernetes.io/restartedAt"].is_string()
        })
        .await;
        self.roll_out().await;
    }

    /// Waits until the only Remediation is in this phase.
    pub(super) async fn remediation(&self, phase: &str) -> Value {
        let found = self
            .becomes(REMEDIATIONS, |found| {
                found["items"][0]["status"]["phase"] == phase
            })
            .await;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found:#}");
        found["items"][0].clone()
    }
}

/// A replica and where it takes alerts in.
pub(super) struct Hooked {
    pub(super) replica: Replica,
    pub(super) address: SocketAddr,
}

/// Sends the bytes of a request and reads its answer, if anybody listens.
pub(super) async fn send(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    // A refusal may come before all was written.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let answer = String::from_utf8(bytes).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Some(Answer {
        code: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Hooked {
    /// Sends the bytes of a request and reads its answer.
    pub(super) async fn send(&self, request: &[u8]) -> Answer {
        send(self.address, request).await.unwrap()
    }

    pub(super) async fn post(&self, authorization: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "POST /hooks/alerts HTTP/1.1\r\nHost: test\r\n{authorization}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.send(request.as_bytes()).await
    }

    /// Delivers with the token; returns what was matched, unmatched and ignored.
    pub(super) async fn deliver(&self, payload: &Value) -> [u64; 3] {
        let answer = self.post(&bearer(TOKEN), &payload.to_string()).await;
        assert_eq!(answer.code, 200, "{answer:?}");
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        ["matched", "unmatched", "ignored"].map(|field| told[field].as_u64().unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        self.send(request.as_bytes()).await
    }

    /// Waits until the health of the Deployment is answered so.
    pub(super) async fn health(&self, code: u16, head: &str) -> Answer {
        let mut last = self.get(HEALTH).await;
        for _ in 0..600 {
            if last.code == code && last.head.contains(head) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            last = self.get(HEALTH).await;
        }
        panic!("the health was never {code} {head:?}: {last:?}");
    }
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(super) fn token() -> String {
    bearer(TOKEN)
}

/// `grafana:pa:ss`, as `curl -u` sends it.
pub(super) fn basic() -> String {
    "Authorization: Basic Z3JhZmFuYTpwYTpzcw==\r\n".to_owned()
}

/// What Grafana's webhook sends of one alert that fires since `starts`.
pub(super) fn grafana_firing(starts: Time) -> Value {
    json!({
        "receiver": "kuberhealer", "status": "firing", "orgId": 1,
        "alerts": [{
            "status": "firing",
            "labels": {
                "alertname": "CheckoutErrors", "service": "checkout", "grafana_folder": "shop",
                "namespace": "default", "pod": "web-1",
            },
            "annotations": {"summary": "panic in the log of checkout", "runbook_url": "https://example.com/r"},
            "startsAt": format!("{}.157076+00:00", starts.to_string().trim_end_matches('Z')),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://grafana.example.com/alerting/grafana/1afz29v7z/view?orgId=1",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://grafana.example.com/alerting/silence/new?alertmanager=grafana",
            "dashboardURL": "", "panelURL": "",
            "values": {"B": 44.23943737541908, "C": 1}, "valueString": "[ var='B' labels={} value=44.2 ]",
        }],
        "groupLabels": {"alertname": "CheckoutErrors"},
        "commonLabels": {"alertname": "CheckoutErrors", "service": "checkout"},
        "commonAnnotations": {}, "externalURL": "https://grafana.example.com/", "version": "1",
        "groupKey": "{}:{alertname=\"CheckoutErrors\"}", "truncatedAlerts": 0,
        "title": "[FIRING:1] CheckoutErrors", "state": "alerting", "message": "**Firing**",
    })
}

/// The same alert, resolved.
pub(super) fn grafana_resolved(starts: Time, ends: Time) -> Value {
    let mut payload = grafana_firing(starts);
    payload["status"] = json!("resolved");
    payload["state"] = json!("ok");
    payload["alerts"][0]["status"] = json!("resolved");
    payload["alerts"][0]["endsAt"] = json!(ends);
    payload
}

/// What Alertmanager's webhook sends of one alert that fires since `starts`, with these labels.
pub(super) fn alertmanager_firing(labels: &Value, starts: Time) -> Value {
    json!({
        "receiver": "kuberhealer", "status": "firing",
        "alerts": [{
            "status": "firing", "labels": labels,
            "annotations": {"description": "too many errors"},
            "startsAt": starts, "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.com/graph?g0.expr=up",
            "fingerprint": "f0d3a3ea4a4d1b5c",
        }],
        "groupLabels": {"alertname": labels["alertname"]}, "commonLabels": labels,
        "commonAnnotations": {"description": "too many errors"},
        "externalURL": "http://alertmanager.example.com", "version": "4",
        "groupKey": "{}/{service=\"checkout\"}:{alertname=\"CheckoutErrors\"}", "truncatedAlerts": 0,
    })
}

/// Waits until the clock has passed `time`, and returns what it shows.
pub(super) async fn after(time: Time) -> Time {
    while clock::now() <= time {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    clock::now()
}

pub(super) fn time(value: &Value) -> Time {
    value.as_str().unwrap().parse().unwrap()
}
