//! The whole process tells three receivers of an incident, and is restarted in the middle of it.

use nix::sys::signal::Signal;
use remediator::clock;
use ring::hmac;
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::remedy::{CHECK, DEPLOYMENT, becomes, fail, set_status, set_up};
use super::replica::{Replica, install};
use crate::notify::receiver::{Receiver, Request};

const SECRET: &str = "correct horse battery staple";

struct Receivers {
    alertmanager: Receiver,
    chat: Receiver,
    hook: Receiver,
    folder: TempDir,
}

impl Receivers {
    async fn start() -> Receivers {
        let receivers = Receivers {
            alertmanager: Receiver::start().await,
            chat: Receiver::start().await,
            hook: Receiver::start().await,
            folder: tempfile::tempdir().unwrap(),
        };
        let config = json!({
            "externalUrl": "https://remediator.example",
            "receivers": [
                {
                    "name": "oncall", "severity": "info",
                    "alertmanager": {
                        "url": receivers.alertmanager.url(), "resendSeconds": 1, "labels": {"cluster": "test"},
                    },
                },
                {"name": "chat", "severity": "info", "slack": {"urlFile": "chat-url"}},
                {
                    "name": "hook", "severity": "info",
                    "webhook": {"url": receivers.hook.url(), "secretFile": "secret"},
                },
            ],
        });
        let path = receivers.folder.path();
        std::fs::write(path.join("notify.yaml"), config.to_string()).unwrap();
        let url = format!("{}/services/T/B/secret\n", receivers.chat.url());
        std::fs::write(path.join("chat-url"), url).unwrap();
        std::fs::write(path.join("secret"), format!("{SECRET}\n")).unwrap();
        receivers
    }

    fn config(&self) -> String {
        let path = self.folder.path().join("notify.yaml");
        path.to_str().unwrap().to_owned()
    }
}

fn types(requests: &[Request]) -> Vec<String> {
    let events = requests.iter().map(Request::json);
    events
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

fn colours(requests: &[Request]) -> Vec<String> {
    let messages = requests.iter().map(Request::json);
    let colour = |message: Value| {
        message["attachments"][0]["color"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    messages.map(colour).collect()
}

/// The alerts of the last request.
fn last(requests: &[Request]) -> Value {
    requests.last().map_or(Value::Null, Request::json)
}

fn ends(alert: &Value) -> i64 {
    let text = alert["endsAt"].as_str().unwrap();
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn is_signed(request: &Request) -> bool {
    let header = request.header("x-kuberhealer-signature");
    let (time, signature) = header.split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let signature = signature.strip_prefix("v1=").unwrap();
    let pairs = signature.as_bytes().chunks(2);
    let bytes: Vec<u8> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [time.as_bytes(), b".", &request.body].concat();
    hmac::verify(&key, &signed, &bytes).is_ok()
}

async fn rolls_out(api: &Api) {
    becomes(api, DEPLOYMENT, |found| {
        let annotations = &found["spec"]["template"]["metadata"]["annotations"];
        annotations["kubectl.kubernetes.io/restartedAt"].is_string()
    })
    .await;
    let status = json!({
        "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
    });
    set_status(api, DEPLOYMENT, status).await;
}

async fn pass(api: &Api, count: i64) {
    let now = clock::now().unix();
    let passed = json!({
        "ok": true, "errors": [], "lastRunUnix": now, "lastOKUnix": now, "successCount": 1 + count,
    });
    set_status(api, CHECK, passed).await;
}

#[tokio::test]
async fn each_transition_is_told_once_and_in_order_and_what_fires_survives_a_restart() {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    install(&api).await;
    set_up(&api).await;
    let receivers = Receivers::start().await;
    let config = receivers.config();
    let options = ["--notify-config", config.as_str()];
    let mut replica = Replica::start(&server, &options);
    replica
        .answers("/metrics", 200, "policy_check_healthy")
        .await;
    fail(&api).await;

    let begun = [
        "io.kuberhealer.incident.opened",
        "io.kuberhealer.remediation.applied",
    ];
    receivers.hook.until(|told| types(told) == begun).await;
    receivers
        .chat
        .until(|told| colours(told) == ["warning", "#439fe0"])
        .await;
    let told = receivers
        .alertmanager
        .until(|told| last(told)[0]["annotations"]["state"] == "remediation.applied")
        .await;
    let alert = last(&told)[0].clone();
    assert_eq!(alert["labels"]["alertname"], "KuberhealerIncident");
    assert_eq!(alert["labels"]["cluster"], "test");
    assert_eq!(alert["annotations"]["action"], "rolloutRestart");
    assert_eq!(alert["generatorURL"], "https://remediator.example");
    assert!(told.iter().all(|request| request.path == "/api/v2/alerts"));

    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.ended().await.code(), Some(0));
    let before = receivers.alertmanager.taken().len();
    let replica = Replica::start(&server, &options);
    let told = receivers
        .alertmanager
        .until(|told| told.len() > before + 1)
        .await;
    let again = last(&told)[0].clone();
    assert_eq!(again["labels"], alert["labels"], "the same alert");
    assert_eq!(again["startsAt"], alert["startsAt"]);
    assert!(ends(&again) > clock::now().unix(), "it fires");

    rolls_out(&api).await;
    let all = [
        "io.kuberhealer.incident.opened",
        "io.kuberhealer.remediation.applied",
        "io.kuberhealer.remediation.verified",
        "io.kuberhealer.incident.recovered",
    ];
    for count in 1.. {
        pass(&api, count).await;
        if receivers.hook.taken().len() >= all.len() {
            break;
        }
        assert!(count < 60, "never told: {:#?}", replica.log());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let told = receivers.hook.until(|told| types(told) == all).await;
    for request in &told {
        assert_eq!(
            request.header("content-type"),
            "application/cloudevents+json"
        );
        assert!(is_signed(request), "{request:?}");
    }
    receivers
        .chat
        .until(|told| colours(told) == ["warning", "#439fe0", "good", "good"])
        .await;
    let told = receivers
        .alertmanager
        .until(|told| last(told)[0]["annotations"]["state"] == "incident.recovered")
        .await;
    let over = last(&told)[0].clone();
    assert_eq!(over["labels"], alert["labels"], "the same alert");
    assert!(ends(&over) <= clock::now().unix(), "it is resolved");
    replica
        .answers(
            "/metrics",
            200,
            "\nkuberhealer_notifications_total{receiver=\"hook\",outcome=\"sent\"} 2\n",
        )
        .await;
    for line in replica.log() {
        let line = line.to_string();
        assert!(!line.contains("secret") && !line.contains(SECRET), "{line}");
    }
}
