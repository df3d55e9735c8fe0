//! What each request is answered with.

use nix::sys::signal::Signal;
use remediator::clock;
use serde_json::{Value, json};

use super::super::replica::{POLICIES, remediator};
use super::support::{
    HEALTH, Scene, alertmanager_firing, basic, bearer, grafana_firing, grafana_resolved, token,
};

#[tokio::test]
async fn only_who_knows_the_credential_is_listened_to() {
    let scene = Scene::new().await;
    let hooked = scene.replica(&["--pause"]).await;
    let body = grafana_firing(clock::now()).to_string();
    for authorization in [
        String::new(),
        bearer("s3cret-tokeN"),
        bearer(""),
        "Authorization: Basic Z3JhZmFuYTpwYQ==\r\n".to_owned(),
        "Authorization: Basic %%%\r\n".to_owned(),
        "Authorization: s3cret-token\r\n".to_owned(),
    ] {
        let answer = hooked.post(&authorization, &body).await;
        let asked = ["bearer realm", "basic realm"];
        let asked = asked.iter().all(|scheme| {
            let line = format!("www-authenticate: {scheme}");
            answer.head.contains(&line)
        });
        assert!(answer.code == 401 && asked, "{authorization:?} {answer:?}");
    }
    assert_eq!(scene.status().await["alerts"], Value::Null);
    let answer = hooked.post(&basic(), &body).await;
    assert_eq!(answer.code, 200, "{answer:?}");
    // Another token counts from the next delivery on.
    scene.write("token", "n3w-token\n");
    assert_eq!(hooked.post(&token(), &body).await.code, 401);
    assert_eq!(hooked.post(&bearer("n3w-token"), &body).await.code, 200);
    scene.write("token", "\n");
    let answer = hooked.post(&bearer("any"), &body).await;
    assert_eq!(answer.code, 503, "{answer:?}");
    let line = hooked.replica.says("is empty").await.to_string();
    assert!(line.contains("--webhook-token-file"), "{line}");
    let log = format!("{:?}", hooked.replica.log());
    assert!(!log.contains("s3cret") && !log.contains("n3w"), "{log}");
}

#[tokio::test]
async fn each_request_has_its_answer() {
    let scene = Scene::new().await;
    let hooked = scene.replica(&["--pause"]).await;
    let many = json!({"alerts": vec![json!({}); 513]}).to_string();
    for (body, code, holds) in [
        ("", 400, "JSON"),
        ("{", 400, "JSON"),
        ("[]", 400, "JSON"),
        ("{}", 400, "alerts"),
        (r#"{"alerts": 5}"#, 400, "alerts"),
        (many.as_str(), 413, "max_alerts"),
        (r#"{"alerts": []}"#, 200, r#""matched":0"#),
        (
            r#"{"alerts": [5, null, {"status": "firing"}]}"#,
            200,
            r#""ignored":3"#,
        ),
    ] {
        let answer = hooked.post(&token(), body).await;
        let shown = body.get(..30).unwrap_or(body);
        assert_eq!(answer.code, code, "{shown}: {answer:?}");
        assert!(answer.body.contains(holds), "{shown}: {answer:?}");
    }
    let head = "POST /hooks/alerts HTTP/1.1\r\nHost: test\r\n";
    let authorization = token();
    let said = format!("{head}{authorization}Content-Length: 1048577\r\n\r\n");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let unsaid = format!(
        "{head}{authorization}Transfer-Encoding: chunked\r\n\r\n{chunk}1\r\n \r\n0\r\n\r\n"
    );
    for request in [said, unsaid] {
        let answer = hooked.send(request.as_bytes()).await;
        assert_eq!(answer.code, 413, "{answer:?}");
    }
    for (request, code) in [
        ("GET /hooks/alerts", 405),
        ("POST /workloads/default/deployment/web/health", 405),
        ("GET /workloads/default/pod/web/health", 404),
        ("GET /metrics", 404),
        ("POST /", 404),
    ] {
        let request = format!("{request} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        let answer = hooked.send(request.as_bytes()).await;
        assert_eq!(answer.code, code, "{request}: {answer:?}");
    }
    let answer = hooked.get("/workloads/default/DaemonSet/none/health").await;
    assert!(
        answer.code == 200 && answer.head.contains("x-kuberhealer-known: false"),
        "{answer:?}"
    );
    let series = "\nkuberhealer_webhook_requests_total{code=\"413\"} 3\n";
    hooked.replica.answers("/metrics", 200, series).await;
    let series = "\nkuberhealer_alerts_received_total{outcome=\"malformed\"} 3\n";
    hooked.replica.answers("/metrics", 200, series).await;
}

#[tokio::test]
async fn alerts_go_to_the_policies_they_concern() {
    let scene = Scene::new().await;
    let other =
        json!({"trigger": {"alert": {"matchLabels": {"service": "checkout"}}}, "mode": "DryRun"});
    scene.policy("other", other).await;
    let hooked = scene.replica(&["--pause"]).await;
    let now = clock::now();
    let unknown = alertmanager_firing(&json!({"alertname": "Watchdog"}), now);
    assert_eq!(hooked.deliver(&unknown).await, [0, 1, 0]);
    let second = alertmanager_firing(&json!({"alertname": "Slow", "service": "checkout"}), now);
    assert_eq!(hooked.deliver(&second).await, [1, 0, 0]);
    let both = grafana_firing(now);
    assert_eq!(hooked.deliver(&both).await, [1, 0, 0]);
    let alerts = |policy: &Value| policy["status"]["alerts"].as_array().map_or(0, Vec::len);
    let other = scene.api.get(&format!("{POLICIES}/other")).await.unwrap();
    assert_eq!(alerts(&other), 2, "{other:#}");
    let web = scene.api.get(&format!("{POLICIES}/web")).await.unwrap();
    assert_eq!(alerts(&web), 1, "{web:#}");
}

#[tokio::test]
async fn deliveries_at_once_do_not_lose_each_others_alerts() {
    let scene = Scene::new().await;
    let hooked = [scene.replica(&[]).await, scene.replica(&[]).await];
    let now = clock::now();
    let payloads: Vec<Value> = (0..20)
        .map(|number| {
            let labels = json!({"alertname": "CheckoutErrors", "service": "checkout", "zone": number.to_string()});
            alertmanager_firing(&labels, now)
        })
        .collect();
    let deliveries = payloads.iter().enumerate();
    let deliveries = deliveries.map(|(number, payload)| hooked[number % 2].deliver(payload));
    for told in futures::future::join_all(deliveries).await {
        assert_eq!(told, [1, 0, 0]);
    }
    let alerts = scene.status().await["alerts"].clone();
    assert_eq!(alerts.as_array().unwrap().len(), 20, "{alerts:#}");
    scene.restarted().await;
    scene.remediation("Verifying").await;
    assert_eq!(scene.restarts(), 1);
}

#[tokio::test]
async fn a_replica_that_does_not_lead_takes_alerts_and_tells_of_health_too() {
    let scene = Scene::new().await;
    let leader = scene.replica(&[]).await;
    leader.replica.leads().await;
    let standby = scene.replica(&[]).await;
    let starts = clock::now();
    assert_eq!(standby.deliver(&grafana_firing(starts)).await, [1, 0, 0]);
    assert_eq!(standby.deliver(&grafana_firing(starts)).await, [0, 0, 1]);
    scene.restarted().await;
    for replica in [&leader, &standby] {
        replica.health(503, "x-kuberhealer-known: true").await;
    }
    let resolved = grafana_resolved(starts, clock::now());
    assert_eq!(standby.deliver(&resolved).await, [1, 0, 0]);
    for replica in [&leader, &standby] {
        replica.health(200, "x-kuberhealer-known: true").await;
    }
    assert_eq!(scene.restarts(), 1);
}

#[tokio::test]
async fn what_is_paused_is_not_called_unhealthy() {
    let scene = Scene::new().await;
    let mut hooked = scene.replica(&["--pause"]).await;
    hooked.deliver(&grafana_firing(clock::now())).await;
    let answer = hooked.health(200, "x-kuberhealer-held").await;
    assert!(
        answer.head.contains("x-kuberhealer-held: globallypaused"),
        "{answer:?}"
    );
    hooked.replica.signal(Signal::SIGTERM);
    assert_eq!(hooked.replica.ended().await.code(), Some(0));
}

#[tokio::test]
async fn deliveries_are_refused_while_the_api_server_is_away() {
    let scene = Scene::new().await;
    let hooked = scene.replica(&["--pause"]).await;
    let _files = scene.stop().await;
    let body = grafana_firing(clock::now()).to_string();
    let answer = hooked.post(&token(), &body).await;
    assert!(
        answer.code == 503 && answer.head.contains("retry-after:"),
        "{answer:?}"
    );
    // A probe is not to restart what nothing is known of.
    assert_eq!(hooked.get(HEALTH).await.code, 200);
}

#[test]
fn it_does_not_listen_for_alerts_from_anybody() {
    for (options, says) in [
        (
            &["--webhook-listen=127.0.0.1:0"][..],
            "--webhook-token-file",
        ),
        (
            &[
                "--webhook-listen=127.0.0.1:0",
                "--webhook-token-file=/nonexistent/token",
            ],
            "/nonexistent/token cannot be read",
        ),
    ] {
        let output = remediator()
            .env("KUBERHEALER_LISTEN", "127.0.0.1:0")
            .args(options)
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && log.contains(says),
            "{log}"
        );
    }
}
