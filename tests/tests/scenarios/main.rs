//! http-check as Kuberhealthy runs it: a process of the sandbox's node, its report taken by Kuberhealthy v2 and v3, and
//! the verdict read from the API as any client would.

// Test code, which clippy only knows by its attribute: helpers have none.
#![allow(clippy::unwrap_used, clippy::panic)]

mod line;
mod manifests;
mod remediator;
mod web;

use std::time::Duration;

use sandbox::api::Api;
use sandbox::kuberhealthy::{ReportFault, Speed};
use sandbox::node::{Image, Images};
use sandbox::{Options, Sandbox};

use line::{Line, Verdict};
use manifests::commands::{commands, is_there};
use web::Web;

/// A binary under test, which `cargo test --workspace` builds beside the tests.
fn program(name: &str) -> String {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join(name);
    assert!(
        path.exists(),
        "{}: not built; `cargo build --workspace` does",
        path.display()
    );
    path.into_os_string().into_string().unwrap()
}

async fn cluster() -> (Sandbox, Api) {
    cluster_with(Image::program([program("http-check")])).await
}

/// A cluster in which this is the image of checks.
async fn cluster_with(check: Image) -> (Sandbox, Api) {
    let mut options = Options::default();
    options.node.images = Images::new().with("http-check", check);
    options.v2.speed = Speed::times(20);
    options.v3.speed = Speed::times(20);
    let sandbox = Sandbox::start(options).await.unwrap();
    let api = sandbox.api();
    (sandbox, api)
}

#[tokio::test]
async fn the_status_follows_a_service_that_breaks_and_heals() {
    let web = Web::start();
    let (sandbox, api) = cluster().await;
    for line in Line::ALL {
        line.create_check(&api, "web", "1s", &[("CHECK_URL", &web.url())])
            .await;
        line.wait_for(&api, "web", |verdict| *verdict == Verdict::Passed)
            .await;
    }
    web.answer(503);
    let broken = Verdict::Failed(vec![format!("{}: expected status 200, got 503", web.url())]);
    for line in Line::ALL {
        line.wait_for(&api, "web", |verdict| *verdict == broken)
            .await;
    }
    web.answer(200);
    for line in Line::ALL {
        line.wait_for(&api, "web", |verdict| *verdict == Verdict::Passed)
            .await;
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_report_is_counted_once_whatever_happens_on_its_way() {
    let web = Web::start();
    let refused = ReportFault::Refuse {
        status: 503,
        body: "no healthy upstream".to_owned(),
    };
    let faults = [
        ("refused", refused),
        ("lost", ReportFault::Drop),
        ("stored-answer-lost", ReportFault::DropAnswer),
        ("slow", ReportFault::DelayAnswer(Duration::from_millis(700))),
    ];
    let (sandbox, api) = cluster().await;
    for line in Line::ALL {
        for (name, fault) in &faults {
            line.faults(&sandbox).push(fault.clone(), 2);
            // One run only: the next would be in an hour.
            line.create_check(&api, name, "1h", &[("CHECK_URL", &web.url())])
                .await;
            line.wait_for(&api, name, |verdict| *verdict == Verdict::Passed)
                .await;
            line.wait_until_over(&api, name).await;
            assert_eq!(
                line.verdict(&api, name).await,
                Some(Verdict::Passed),
                "{line:?} {name}"
            );
            assert_eq!(line.counted(&api, name).await, 1, "{line:?} {name}");
            line.faults(&sandbox).clear();
        }
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_report_waits_for_kuberhealthy_to_come_back() {
    let web = Web::start();
    let (sandbox, api) = cluster().await;
    for line in Line::ALL {
        let before = web.requests();
        line.faults(&sandbox).down().await;
        line.create_check(&api, "late", "1h", &[("CHECK_URL", &web.url())])
            .await;
        // The check has looked, and has nobody to tell.
        web.wait_for_requests(before + 1).await;
        assert_eq!(line.verdict(&api, "late").await, None);
        line.faults(&sandbox).up().await;
        line.wait_for(&api, "late", |verdict| *verdict == Verdict::Passed)
            .await;
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_wrong_configuration_is_a_verdict_and_not_a_time_out() {
    let (sandbox, api) = cluster().await;
    let cases = [
        (
            "count",
            ("COUNT", "many"),
            "configuration: COUNT=\"many\": ",
        ),
        (
            "scheme",
            ("CHECK_URL", "ftp://web/"),
            "configuration: CHECK_URL=\"ftp://web/\": ",
        ),
        ("nothing", ("SECONDS", "0"), "configuration: CHECK_URL: "),
        (
            "file",
            ("BEARER_TOKEN_FILE", "/nowhere"),
            "configuration: BEARER_TOKEN_FILE=\"/nowhere\": ",
        ),
    ];
    for line in Line::ALL {
        for (name, (variable, value), expected) in cases {
            let url = ("CHECK_URL", "http://127.0.0.1:9/");
            let env: &[_] = match variable {
                "CHECK_URL" | "SECONDS" => &[(variable, value)],
                _ => &[url, (variable, value)],
            };
            line.create_check(&api, name, "1h", env).await;
            let verdict = line.wait_for(&api, name, |_| true).await;
            let Verdict::Failed(errors) = verdict else {
                panic!("{line:?} {name}: expected a failure, it passed");
            };
            assert_eq!(errors.len(), 1, "{line:?} {errors:?}");
            assert!(errors[0].starts_with(expected), "{line:?} {errors:?}");
        }
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_target_that_hangs_is_named_before_the_deadline() {
    let web = Web::start();
    web.hang();
    let (sandbox, api) = cluster().await;
    for line in Line::ALL {
        let env = [
            ("CHECK_URL", web.url()),
            ("TIMEOUT_DURATION", "1h".to_owned()),
        ];
        let env: Vec<(&str, &str)> = env
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        line.create_check_with_timeout(&api, "hanging", "1h", "8s", &env)
            .await;
        let verdict = line.wait_for(&api, "hanging", |_| true).await;
        let Verdict::Failed(errors) = verdict else {
            panic!("{line:?}: expected a failure, it passed");
        };
        assert!(
            errors.iter().any(|error| error.starts_with(&web.url())),
            "{line:?}: {errors:?}"
        );
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_shell_reports_as_the_document_says() {
    if !is_there("curl") {
        eprintln!("skipped: curl is not there");
        return;
    }
    let commands = commands("docs/write-a-check.md");
    let [command] = commands.as_slice() else {
        panic!("expected one command: {commands:#?}");
    };
    let shell = Image::program(["/bin/sh", "-c", command.as_str()]).env("PATH", "/usr/bin:/bin");
    let (sandbox, api) = cluster_with(shell).await;
    let told = Verdict::Failed(vec!["backup.sql is older than a day".to_owned()]);
    for line in Line::ALL {
        line.create_check(&api, "backup", "1h", &[]).await;
        line.wait_for(&api, "backup", |verdict| *verdict == told)
            .await;
    }
    sandbox.stop().await;
}
