//! The log path without a step: an alert, a livenessProbe that asks the remediator for the workload's health, and a
//! kubelet that restarts the containers by itself.

use std::net::TcpListener;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{DEADLINE, DEPLOYMENTS, LOOK, PODS, POLICIES, Shop, rolled_out, unix_now};

const TOKEN: &str = "s3cret-token";
const HEALTH: &str = "/workloads/shop/deployment/checkout/health";

/// What Grafana sends for a rule over logs.
fn delivery(status: &str, starts: u64, ends: Option<u64>) -> Value {
    let time = |unix: u64| {
        let time = remediator::core::Time::from_unix(i64::try_from(unix).unwrap());
        time.to_string()
    };
    json!({
        "receiver": "kuberhealer", "status": status, "orgId": 1, "version": "1", "groupKey": "{}:{service=\"checkout\"}",
        "alerts": [{
            "status": status, "startsAt": time(starts),
            "endsAt": ends.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), time),
            "labels": {"alertname": "NoSuccessfulRequest", "service": "checkout"},
            "annotations": {"summary": "no successful request in 10 minutes"},
            "values": {"A": 0}, "fingerprint": "c6eadffa33fcdf37",
        }],
    })
}

/// How often containers of the Deployment were restarted, each.
async fn restarts(shop: &Shop) -> Vec<u64> {
    let pods = shop.api.list(PODS).await.unwrap().items;
    let own = pods
        .iter()
        .filter(|pod| pod["metadata"]["labels"]["app"] == "checkout");
    own.map(|pod| {
        let container = &pod["status"]["containerStatuses"][0];
        container["restartCount"].as_u64().unwrap_or(0)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liveness_probe_that_asks_for_health_has_the_kubelet_restart_what_an_alert_is_about() {
    khclient::install_crypto_provider();
    let shop = Shop::start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let token = shop.directory.join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let listen = format!("--webhook-listen={address}");
    let token = format!("--webhook-token-file={}", token.display());
    let _replica = shop.replica("a", &[&listen, &token]);
    shop.wait_for_leader("a").await;

    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "checkout"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "checkout"}},
            "template": {
                "metadata": {"labels": {"app": "checkout"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                    "name": "web", "image": "web",
                    "livenessProbe": {
                        "httpGet": {"host": "127.0.0.1", "port": address.port(), "path": HEALTH},
                        "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 2,
                    },
                }]},
            },
        },
    });
    shop.api.create(DEPLOYMENTS, &deployment).await.unwrap();
    let path = format!("{DEPLOYMENTS}/checkout");
    shop.until(&path, "rolled out", rolled_out).await;
    let policy = json!({
        "trigger": {"alert": {"matchLabels": {"service": "checkout"}}},
    });
    shop.create_policy("checkout", json!([]), policy).await;
    let policy = format!("{POLICIES}/checkout");
    shop.until(&policy, "looked at", |policy| {
        policy["status"]["observedGeneration"].is_number()
    })
    .await;
    let pods = shop.pods("checkout").await;
    assert_eq!(restarts(&shop).await, [0, 0]);

    let (hook, health) = (
        format!("http://{address}/hooks/alerts"),
        format!("http://{address}{HEALTH}"),
    );
    let deliver = async |payload: Value| {
        let sent = client.post(&hook).bearer_auth(TOKEN).json(&payload);
        let answer = sent.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    };
    let starts = unix_now();
    deliver(delivery("firing", starts, None)).await;
    let deadline = Instant::now() + DEADLINE;
    while restarts(&shop).await.contains(&0) {
        assert!(Instant::now() < deadline, "{}", shop.story().await);
        sleep(LOOK).await;
    }
    deliver(delivery("resolved", starts, Some(unix_now()))).await;
    while client.get(&health).send().await.unwrap().status() != 200 {
        assert!(Instant::now() < deadline, "{}", shop.story().await);
        sleep(LOOK).await;
    }
    shop.until(&path, "available again", rolled_out).await;
    // It was the kubelet alone: the same pods, no record, and nothing that the remediator wrote.
    assert_eq!(shop.pods("checkout").await, pods);
    assert!(shop.records().await.is_empty());
    assert!(shop.writes().is_empty(), "{:?}", shop.writes());
    let known = shop.until(&policy, "healthy", |policy| {
        let conditions = policy["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "CheckHealthy" && condition["status"] == "True")
    });
    known.await;
}
