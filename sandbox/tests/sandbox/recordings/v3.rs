//! The recorded situations of v3.

use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::kuberhealthy::v3;
use sandbox::node::Node;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::normal::Normaliser;
use super::{Watched, assert_same, recorded};
use crate::setup::{self, checker_spec, create, health_check};

const CHECKS: &str = "/apis/kuberhealthy.github.io/v2/healthchecks";

fn normal(events: &[Value], timeout: &str) -> Vec<Value> {
    let mut normaliser = Normaliser::new(timeout);
    events
        .iter()
        .map(|event| normaliser.event(event, "status"))
        .collect()
}

async fn compare(watched: &Watched, situation: &str, name: &str, count: usize) {
    let recorded = recorded("v3", situation);
    let seen = watched.first(name, count).await;
    assert_same(
        situation,
        &normal(&recorded[..count], "15s"),
        &normal(&seen, "2s"),
    );
    // The finalizer comes with a write of the whole object, which completes the containers.
    let resources = |event: &Value| {
        event["object"]["spec"]["podSpec"]["spec"]["containers"][0]["resources"].clone()
    };
    for at in 0..2 {
        assert_eq!(
            resources(&seen[at]),
            resources(&recorded[at]),
            "{situation}: event {at}"
        );
    }
}

pub(super) async fn reports_and_time_outs() {
    let sandbox = setup::start(setup::options(10)).await;
    let api = sandbox.api();
    let watched = Watched::start(&api, CHECKS).await;
    let ok = r#"post:{"OK":true,"Errors":[]}"#;
    let refused = [
        r#"post:{"OK":false,"Errors":[]}"#,
        r#"post:{"OK":false,"Errors":["a",""]}"#,
        r#"post:{"OK":true,"Errors":["x"]}"#,
        "post:no JSON",
        r#"plain:{"OK":true,"Errors":[]}"#,
        r#"put:{"OK":true,"Errors":[]}"#,
    ];
    for (name, steps) in [
        ("never-reports-v3", vec!["sleep:300000"]),
        ("exits-one-v3", vec!["exit:1"]),
        ("bad-report-v3", refused.to_vec()),
        (
            "multi-errors-v3",
            vec![r#"post:{"OK":false,"Errors":["a","b"]}"#, ok],
        ),
    ] {
        create(&api, &health_check(name, "3s", "2s", checker_spec(&steps))).await;
    }
    tokio::join!(
        compare(&watched, "never-reports", "never-reports-v3", 16),
        compare(&watched, "exits-nonzero-without-report", "exits-one-v3", 16),
        compare(&watched, "only-rejected-reports", "bad-report-v3", 16),
        compare(&watched, "reports-two-errors", "multi-errors-v3", 14),
    );
    super::pages::v3(&sandbox).await;
    sandbox.stop().await;
}

/// The check was there before the controller, so it never got a finalizer.
pub(super) async fn a_flapping_check_that_was_there_first() {
    let events = recorded("v3", "flapping-http");
    // The first runs, and those around the failure; 17 more that passed lie between.
    let parts = [&events[..1 + 3 * 3], &events[1 + 3 * 20..1 + 3 * 27]];
    let runs = parts[0][1..]
        .chunks_exact(3)
        .chain(parts[1].chunks_exact(3));
    let reports = runs.map(|run| {
        let status = &run[2]["object"]["status"];
        let errors = if status["ok"] == true {
            &json!([])
        } else {
            &status["errors"]
        };
        format!("{}\n", json!({"OK": status["ok"], "Errors": errors}))
    });
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("reports");
    std::fs::write(&file, reports.collect::<String>()).unwrap();

    let options = setup::options(4);
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    let node = Node::start(api.clone(), options.node).await.unwrap();
    v3::start(api.clone(), options.v3.clone())
        .await
        .unwrap()
        .stop();
    let watched = Watched::start(&api, CHECKS).await;
    let step = format!("post-next:{}", file.display());
    create(
        &api,
        &health_check("http-ok3", "2s", "40s", checker_spec(&[&step])),
    )
    .await;
    let kuberhealthy = v3::start(api, options.v3).await.unwrap();
    let seen = watched
        .first("http-ok3", parts[0].len() + parts[1].len())
        .await;
    let (first, rest) = seen.split_at(parts[0].len());
    assert_same("flapping-http", &normal(parts[0], ""), &normal(first, ""));
    assert_same(
        "flapping-http, failing",
        &normal(parts[1], ""),
        &normal(rest, ""),
    );
    assert!(
        rest.iter()
            .any(|event| event["object"]["status"]["ok"] == false)
    );
    kuberhealthy.stop();
    node.stop().await;
    server.stop().await;
}
