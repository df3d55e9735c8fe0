//! The recorded situations of v2.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::normal::Normaliser;
use super::{Watched, assert_same, recorded};
use crate::setup::{self, checker_spec, create, khcheck};

const STATES: &str = "/apis/comcast.github.io/v1/khstates";
const OK: &str = r#"post:{"OK":true,"Errors":[]}"#;

fn normal(events: &[Value], timeout: &str) -> Vec<Value> {
    let mut normaliser = Normaliser::new(timeout);
    events
        .iter()
        .map(|event| normaliser.event(event, "spec"))
        .collect()
}

/// Compares the first `count` events of a state with the recording of the situation.
async fn compare(watched: &Watched, situation: &str, name: &str, count: usize) {
    let recorded = recorded("v2", situation);
    let seen = watched.first(name, count).await;
    assert_same(
        situation,
        &normal(&recorded[..count], "15s"),
        &normal(&seen, "3s"),
    );
}

/// The reports of the flapping check, run by run, as the recording tells them.
fn flapping_reports(runs: usize) -> String {
    let events = recorded("v2", "flapping-http");
    let reports = events[1..].chunks(3).take(runs).map(|run| {
        let spec = &run[0]["object"]["spec"];
        format!("{}\n", json!({"OK": spec["OK"], "Errors": spec["Errors"]}))
    });
    reports.collect()
}

pub(super) async fn reports_and_time_outs() {
    const FLAPPING_RUNS: usize = 6;
    let folder = TempDir::new().unwrap();
    let reports = folder.path().join("reports");
    std::fs::write(&reports, flapping_reports(FLAPPING_RUNS + 1)).unwrap();
    let sandbox = setup::start(setup::options(4)).await;
    let api = sandbox.api();
    let watched = Watched::start(&api, STATES).await;
    let flapping = format!("post-next:{}", reports.display());
    let x = r#"post:{"OK":true,"Errors":["x"]}"#;
    let ab = r#"post:{"OK":false,"Errors":["a","b"]}"#;
    let refused = r#"post:{"OK":false,"Errors":[]}"#;
    // Those that report have time to do so on a busy machine too.
    for (name, interval, timeout, steps) in [
        ("http-two", "3s", "15s", vec![flapping.as_str()]),
        ("never-reports", "4s", "3s", vec!["sleep:300000"]),
        ("exits-one", "4s", "3s", vec!["exit:1"]),
        (
            "bad-report",
            "4s",
            "15s",
            vec![refused, r#"post:{"OK":false,"Errors":[""]}"#, x, OK],
        ),
        ("multi-errors", "4s", "15s", vec![ab, "sleep:200", OK]),
    ] {
        create(
            &api,
            &khcheck(name, interval, timeout, checker_spec(&steps)),
        )
        .await;
    }
    tokio::join!(
        compare(&watched, "flapping-http", "http-two", 1 + 3 * FLAPPING_RUNS),
        compare(&watched, "never-reports", "never-reports", 7),
        compare(&watched, "exits-nonzero-without-report", "exits-one", 7),
        compare(&watched, "ok-with-errors-then-ok", "bad-report", 12),
        compare(&watched, "two-errors-then-ok-same-run", "multi-errors", 12),
    );
    super::pages::v2(&sandbox).await;
    sandbox.stop().await;
}

pub(super) async fn a_pod_that_cannot_be_created_and_a_check_that_is_deleted() {
    let mut options = setup::options(20);
    // The recorded controller took the host's name for that of its pod, and there was none.
    options.v2.owner = Some("vm".to_owned());
    let sandbox = setup::start(options).await;
    let api = sandbox.api();
    let watched = Watched::start(&api, STATES).await;
    let check = khcheck("http-ok", "2s", "3s", checker_spec(&[OK]));
    create(&api, &check).await;
    compare(&watched, "pod-creation-fails", "http-ok", 8).await;

    api.delete(&setup::path(&check)).await.unwrap();
    setup::until(&api, &format!("{STATES}?x"), "no state left", |list| {
        list["items"] == json!([])
    })
    .await;
    let seen = watched.of("http-ok");
    let recorded = recorded("v2", "pod-creation-fails");
    let ends = [&recorded, &seen].map(|events| {
        let [.., before, last] = events.as_slice() else {
            panic!("{events:?}")
        };
        // The last event repeats the last state, under a new version and the old generation.
        (
            last["type"].clone(),
            last["object"]["spec"] == before["object"]["spec"],
        )
    });
    assert_eq!(ends[0], ends[1]);
    sandbox.stop().await;
}

/// In the recordings this happened at 02:06:20, when other checks were added.
pub(super) async fn adding_a_check_aborts_the_runs_in_flight() {
    let sandbox = setup::start(setup::options(4)).await;
    let api = sandbox.api();
    let watched = Watched::start(&api, STATES).await;
    create(
        &api,
        &khcheck("never-reports", "6s", "5s", checker_spec(&["sleep:300000"])),
    )
    .await;
    // Its second run is stopped before two polls are over: 2.5 s after the last edit, and 1 s after the third event.
    watched.first("never-reports", 2).await;
    let second = watched.first("never-reports", 3);
    create(&api, &khcheck("other", "1h", "3s", checker_spec(&[OK]))).await;
    second.await;
    let seen = watched.first("never-reports", 5).await;
    let recorded = recorded("v2", "never-reports");
    // From the time-out before the aborted run to the start of the run after it.
    assert_same(
        "never-reports, aborted",
        &normal(&recorded[11..15], "15s"),
        &normal(&seen[1..5], "3s"),
    );
    sandbox.stop().await;
}
