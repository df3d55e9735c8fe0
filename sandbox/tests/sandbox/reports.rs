//! What either line answers to reports, over HTTP.

use std::time::Duration;

use sandbox::Sandbox;
use sandbox::faults::Rule;
use sandbox::kuberhealthy::{ReportFault, ReportFaults, Speed};
use serde_json::{Value, json};

use crate::setup::{self, checker_spec, create, health_check, khcheck};

const OK: &str = r#"{"OK":true,"Errors":[]}"#;
const FAILED: &str = r#"{"OK":false,"Errors":["a"]}"#;

/// A report as it is sent: method, content type, uuid, body.
struct Sent<'a>(&'a str, Option<&'a str>, Option<&'a str>, &'a str);

async fn send(
    url: &str,
    Sent(method, content_type, uuid, body): &Sent<'_>,
) -> Result<(u16, String), reqwest::Error> {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = setup::reqwest_client()
        .request(method, url)
        .body((*body).to_owned());
    if let Some(content_type) = content_type {
        request = request.header("content-type", *content_type);
    }
    if let Some(uuid) = uuid {
        request = request.header("kh-run-uuid", *uuid);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

fn json_report<'a>(uuid: &'a str, body: &'a str) -> Sent<'a> {
    Sent("POST", Some("application/json"), Some(uuid), body)
}

async fn assert_answers(url: &str, table: &[(Sent<'_>, u16, &str)]) {
    for (sent, code, text) in table {
        let seen = send(url, sent).await.unwrap();
        let Sent(method, content_type, uuid, body) = sent;
        assert_eq!(
            seen,
            (*code, (*text).to_owned()),
            "{method} {content_type:?} {uuid:?} {body}"
        );
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const STATE: &str = "/apis/comcast.github.io/v1/namespaces/kuberhealthy/khstates";

/// Starts a v2 check whose pod never reports by itself, and gives the uuid of its run once the pod runs.
async fn v2_run(sandbox: &Sandbox, name: &str, interval: &str, timeout: &str) -> String {
    let api = sandbox.api();
    create(
        &api,
        &khcheck(name, interval, timeout, checker_spec(&["sleep:300000"])),
    )
    .await;
    v2_running(sandbox, name).await
}

async fn v2_running(sandbox: &Sandbox, name: &str) -> String {
    let api = sandbox.api();
    loop {
        let state = setup::until(&api, &format!("{STATE}/{name}"), "a run", |state| {
            state["spec"]["uuid"] != ""
        })
        .await;
        let uuid = text(&state["spec"]["uuid"]);
        let pods = format!(
            "/api/v1/namespaces/kuberhealthy/pods?labelSelector=kuberhealthy-run-id%3D{uuid}"
        );
        let runs = |list: &Value| {
            matches!(
                list["items"][0]["status"]["phase"].as_str(),
                Some("Running" | "Succeeded")
            )
        };
        if runs(&api.get(&pods).await.unwrap()) {
            return uuid;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn v2_answers_as_in_the_protocol() {
    // The two minutes of looking for an unknown pod shrink to 1.2 s.
    let sandbox = setup::start(setup::options(100)).await;
    let (api, url) = (sandbox.api(), sandbox.v2().report_url());
    let uuid = v2_run(&sandbox, "web", "1h", "1h").await;
    let path = format!("{STATE}/web");
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_answers(
        &url,
        &[
            (json_report(unknown, OK), 400, ""),
            (Sent("POST", Some("application/json"), None, OK), 400, ""),
            (json_report(&uuid, r#"{"OK":false,"Errors":[]}"#), 400, ""),
            (
                json_report(&uuid, r#"{"OK":false,"Errors":["a",""]}"#),
                400,
                "",
            ),
            (json_report(&uuid, "{}"), 400, ""),
            (json_report(&uuid, "no JSON"), 400, ""),
        ],
    )
    .await;
    let untouched = api.get(&path).await.unwrap();
    assert_eq!(untouched["spec"].get("LastRun"), None, "{untouched:#}");

    // Method and content type are not looked at; OK with errors is stored as told.
    let told = Sent("GET", None, Some(&uuid), r#"{"ok":true,"ERRORS":["x"]}"#);
    assert_answers(&url, &[(told, 200, "")]).await;
    let stored = api.get(&path).await.unwrap();
    assert_eq!(
        (&stored["spec"]["OK"], &stored["spec"]["Errors"]),
        (&json!(true), &json!(["x"]))
    );
    assert_eq!(
        (&stored["spec"]["Node"], &stored["spec"]["uuid"]),
        (&json!(""), &json!(uuid))
    );

    // A second report changes the verdict.
    assert_answers(&url, &[(json_report(&uuid, FAILED), 200, "")]).await;
    let amended = api.get(&path).await.unwrap();
    assert_eq!(
        (&amended["spec"]["OK"], &amended["spec"]["Errors"]),
        (&json!(false), &json!(["a"]))
    );

    // A state that the API server refuses to store: Go writes missing errors as null.
    assert_answers(&url, &[(json_report(&uuid, r#"{"OK":true}"#), 500, "")]).await;

    // The API server is asked for the pod, for as long as for an unknown one.
    let faults = sandbox.api_server().faults();
    faults.add(
        Rule::refuse(500)
            .agent("kuberhealthy-v2")
            .verb("list")
            .resource("pods"),
    );
    assert_answers(&url, &[(json_report(&uuid, OK), 400, "")]).await;
    faults.clear();
    sandbox.stop().await;
}

#[tokio::test]
async fn v2_takes_reports_until_the_next_run_starts() {
    let sandbox = setup::start(setup::options(100)).await;
    let (api, url) = (sandbox.api(), sandbox.v2().report_url());
    // Its pod has ended and so is not evicted at the time-out: a report is matched with its pod object.
    create(
        &api,
        &khcheck("late", "3s", "500ms", checker_spec(&["exit:0"])),
    )
    .await;
    let late = v2_running(&sandbox, "late").await;
    let path = format!("{STATE}/late");
    setup::until(&api, &path, "timed out", |state| {
        state["spec"]["Errors"][0].is_string()
    })
    .await;
    assert_answers(&url, &[(json_report(&late, OK), 200, "")]).await;
    let stored = api.get(&path).await.unwrap();
    assert_eq!(
        (&stored["spec"]["OK"], &stored["spec"]["uuid"]),
        (&json!(true), &json!(late))
    );
    setup::until(&api, &path, "the next run", |state| {
        state["spec"]["uuid"] != late.as_str()
    })
    .await;
    assert_answers(&url, &[(json_report(&late, OK), 400, "")]).await;
    sandbox.stop().await;
}

const CHECK: &str = "/apis/kuberhealthy.github.io/v2/namespaces/kuberhealthy/healthchecks";

/// Starts a v3 check whose pod never reports by itself, and gives the uuid of its run.
async fn v3_run(sandbox: &Sandbox, name: &str, timeout: &str) -> String {
    let api = sandbox.api();
    create(
        &api,
        &health_check(name, "1h", timeout, checker_spec(&["sleep:300000"])),
    )
    .await;
    let started = |check: &Value| check["status"]["lastRunUnix"].is_number();
    let check = setup::until(&api, &format!("{CHECK}/{name}"), "started", started).await;
    text(&check["status"]["currentUUID"])
}

#[tokio::test]
async fn v3_answers_as_in_the_protocol() {
    let mut options = setup::options(100);
    // The grace after the deadline is where a 410 is seen.
    options.v3.speed = Speed::REAL;
    let sandbox = setup::start(options).await;
    let (api, url) = (sandbox.api(), sandbox.v3().report_url());
    let uuid = v3_run(&sandbox, "web", "1h").await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    let expired = |uuid: &str| format!("run uuid {uuid} is invalid or expired");
    assert_answers(
        &url,
        &[
            (
                Sent("GET", Some("application/json"), Some(&uuid), OK),
                405,
                "",
            ),
            (
                Sent("PUT", Some("application/json"), Some(&uuid), OK),
                405,
                "",
            ),
            (Sent("POST", Some("text/plain"), Some(&uuid), OK), 415, ""),
            (Sent("POST", None, Some(&uuid), OK), 415, ""),
            (Sent("POST", Some("application/json"), None, OK), 400, ""),
            (json_report(unknown, OK), 400, &expired(unknown)),
            (json_report(&uuid, r#"{"OK":false,"Errors":[]}"#), 400, ""),
            (json_report(&uuid, r#"{"OK":false,"Errors":[""]}"#), 400, ""),
            (json_report(&uuid, r#"{"OK":true,"Errors":["x"]}"#), 400, ""),
            (json_report(&uuid, "no JSON"), 400, ""),
        ],
    )
    .await;
    let faults = sandbox.api_server().faults();
    faults.add(
        Rule::refuse(500)
            .agent("kuberhealthy-v3")
            .verb("list")
            .resource("healthchecks")
            .times(1),
    );
    let (code, why) = send(&url, &json_report(&uuid, OK)).await.unwrap();
    assert_eq!(code, 400);
    assert!(
        why.starts_with(&format!("failed to lookup healthcheck for uuid {uuid}: ")),
        "{why}"
    );
    faults.add(
        Rule::refuse(500)
            .agent("kuberhealthy-v3")
            .verb("update")
            .times(1),
    );
    assert_answers(&url, &[(json_report(&uuid, OK), 500, "")]).await;

    let typed = Sent(
        "POST",
        Some("application/json; charset=utf-8"),
        Some(&uuid),
        r#"{"ok":true}"#,
    );
    assert_answers(
        &url,
        &[
            (typed, 200, ""),
            (json_report(&uuid, OK), 400, &expired(&uuid)),
        ],
    )
    .await;
    let check = api.get(&format!("{CHECK}/web")).await.unwrap();
    let status = &check["status"];
    assert_eq!(
        (
            &status["ok"],
            &status["successCount"],
            &status["currentUUID"]
        ),
        (&json!(true), &json!(1), &json!(""))
    );

    let late = v3_run(&sandbox, "late", "1s").await;
    let gone =
        async { while send(&url, &json_report(&late, "no JSON")).await.unwrap().0 != 410 {} };
    tokio::time::timeout(setup::DEADLINE, gone).await.unwrap();
    sandbox.stop().await;
}

/// Every fault once, on an endpoint that takes the report of a run as often as it comes.
async fn meet_faults(
    faults: &ReportFaults,
    url: &str,
    uuid: &str,
    stored: impl AsyncFn() -> Value,
) {
    let report = json_report(uuid, FAILED);
    let before = stored().await;
    faults.down().await;
    assert!(send(url, &report).await.unwrap_err().is_connect());
    faults.up().await;

    faults.push(
        ReportFault::Refuse {
            status: 503,
            body: "busy".to_owned(),
        },
        2,
    );
    for _ in 0..2 {
        assert_eq!(send(url, &report).await.unwrap(), (503, "busy".to_owned()));
    }
    faults.push(ReportFault::Drop, 1);
    let dropped = send(url, &report).await.unwrap_err();
    assert!(
        !dropped.is_connect() && !dropped.is_timeout(),
        "{dropped:?}"
    );
    faults.push(ReportFault::Hang, 1);
    let hung = tokio::time::timeout(Duration::from_millis(200), send(url, &report)).await;
    assert!(hung.is_err(), "{hung:?}");
    assert_eq!(stored().await, before, "none of these was dealt with");

    faults.push(ReportFault::DropAnswer, 1);
    assert!(send(url, &report).await.is_err());
    assert_ne!(stored().await, before, "dealt with, but not answered");
    faults.push(ReportFault::Hang, 5);
    faults.clear();
    assert!(send(url, &report).await.is_ok());
}

#[tokio::test]
async fn faults_strike_reports_of_either_line() {
    let sandbox = setup::start(setup::options(100)).await;
    let api = sandbox.api();
    let v2 = v2_run(&sandbox, "web", "1h", "1h").await;
    let spec = async || api.get(&format!("{STATE}/web")).await.unwrap()["spec"].clone();
    meet_faults(sandbox.v2().faults(), &sandbox.v2().report_url(), &v2, spec).await;
    let v3 = v3_run(&sandbox, "web", "1h").await;
    let status = async || api.get(&format!("{CHECK}/web")).await.unwrap()["status"].clone();
    meet_faults(
        sandbox.v3().faults(),
        &sandbox.v3().report_url(),
        &v3,
        status,
    )
    .await;
    sandbox.stop().await;
}

#[tokio::test]
async fn v3_takes_leave_of_a_deleted_check() {
    let sandbox = setup::start(setup::options(20)).await;
    let api = sandbox.api();
    let uuid = v3_run(&sandbox, "web", "1h").await;
    let pods = format!("/api/v1/namespaces/kuberhealthy/pods?labelSelector=kh-run-uuid%3D{uuid}");
    setup::until(&api, &pods, "a pod", |list| list["items"][0].is_object()).await;
    api.delete(&format!("{CHECK}/web")).await.unwrap();
    setup::until(&api, &format!("{CHECK}/web"), "gone", Value::is_null).await;
    setup::until(&api, &pods, "no pod", |list| list["items"] == json!([])).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn v3_runs_a_check_on_request_and_counts_pods_that_cannot_be_created() {
    let sandbox = setup::start(setup::options(20)).await;
    let api = sandbox.api();
    let rule = Rule::refuse(403)
        .agent("kuberhealthy-v3")
        .verb("create")
        .resource("pods");
    let faults = sandbox.api_server().faults();
    faults.add(rule);
    create(
        &api,
        &health_check("web", "1h", "1h", checker_spec(&[&format!("post:{OK}")])),
    )
    .await;
    let path = format!("{CHECK}/web");
    // It is due again at every look, since the start of the run is not written.
    let failed = setup::until(&api, &path, "failed often", |check| {
        check["status"]["failureCount"].as_u64() >= Some(3)
    })
    .await;
    let error = failed["status"]["errors"][0].as_str().unwrap();
    assert!(error.starts_with("failed to create check pod: "), "{error}");
    assert_eq!(failed["status"].get("lastRunUnix"), None);
    faults.clear();
    setup::until(&api, &path, "passed", |check| {
        check["status"]["successCount"] == 1
    })
    .await;

    let client = setup::reqwest_client();
    let run = |query: &str| {
        client
            .post(format!("{}/api/run{query}", sandbox.v3_url()))
            .send()
    };
    for (query, code) in [
        ("", 400),
        ("?healthcheck=none&namespace=kuberhealthy", 404),
        ("?healthcheck=web&namespace=kuberhealthy", 202),
    ] {
        assert_eq!(run(query).await.unwrap().status().as_u16(), code, "{query}");
    }
    setup::until(&api, &path, "passed again", |check| {
        check["status"]["successCount"] == 2
    })
    .await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_khjob_runs_once() {
    let sandbox = setup::start(setup::options(50)).await;
    let api = sandbox.api();
    let job = json!({
        "apiVersion": "comcast.github.io/v1", "kind": "KuberhealthyJob",
        "metadata": {"name": "once", "namespace": "kuberhealthy"},
        "spec": {"timeout": "1h", "podSpec": checker_spec(&[&format!("post:{OK}")])},
    });
    create(&api, &job).await;
    setup::until(&api, &setup::path(&job), "completed", |job| {
        job["spec"]["phase"] == "Completed"
    })
    .await;
    let state = api.get(&format!("{STATE}/once")).await.unwrap();
    assert_eq!(
        (&state["spec"]["OK"], &state["spec"]["Node"]),
        (&json!(true), &json!("n1"))
    );
    let page = setup::page(&sandbox.v2_url(), |page| page.contains("kuberhealthy/once")).await;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert!(
        page["JobDetails"]["kuberhealthy/once"].is_object(),
        "{page:#}"
    );
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_that_stands_for_kuberhealthy_looks_ready() {
    let sandbox = setup::start(setup::options(1)).await;
    let path = "/api/v1/namespaces/kuberhealthy/pods/kuberhealthy-0";
    let pod = sandbox.api().get(path).await.unwrap();
    let status = &pod["status"];
    assert_eq!(status["containerStatuses"][0]["ready"], true, "{status:#}");
    let conditions = status["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|known| known["type"] == "Ready");
    assert_eq!(ready.unwrap()["status"], "True");
    sandbox.stop().await;
}
