//! What is said of containers that restart too often.

use super::*;

#[test]
fn each_container_is_a_finding_in_a_fixed_order() {
    let cluster = Cluster::new();
    let status = |statuses| json!({"phase": "Running", "containerStatuses": statuses});
    let recovered = |name: &str| pod(name, &status(json!([restarted("main", 500, 1800)])));
    cluster.pods(
        "shop",
        vec![
            recovered("a-1"),
            pod(
                "c-1",
                &status(json!([restarted("main", 12, 30), restarted("log", 11, 20)])),
            ),
            pod("d-1", &status(json!([restarted("main", 2_000, 4_000)]))),
        ],
    );
    cluster.pods("bank", [recovered("b-1"), failing("z-1")]);
    let log = finding("shop/c-1").replace("container main", "container log");
    let expected = [
        // Still at it.
        finding("bank/z-1"),
        log,
        finding("shop/c-1"),
        // Restarted in the window, and runs since.
        finding("bank/b-1"),
        finding("shop/a-1"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let verdict = cluster.restarts(&[]).run();
    verdict.failed(&expected);
    assert!(verdict.log.contains("5 pods looked at"), "{}", verdict.log);
    assert!(
        verdict
            .log
            .contains("shop/a-1: container main: 500 restarts, last end 18"),
        "{}",
        verdict.log
    );
    // Without a window, however long ago.
    let any = cluster.restarts(&[("RESTART_WINDOW", "0")]).run();
    let without: Vec<String> = expected
        .iter()
        .map(|text| text.replace(", the last in the past 1h", ""))
        .chain([finding("shop/d-1").replace(", the last in the past 1h", "")])
        .collect();
    any.failed(&without.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The 20 that a report holds are the same ones in every run, and the last says that there are more.
#[test]
fn of_many_the_worst_are_reported() {
    let cluster = Cluster::new();
    let recovered = (0..30).map(|n| {
        let statuses = json!([restarted("main", 999, 1800)]);
        pod(
            &format!("old-{n:02}"),
            &json!({"phase": "Running", "containerStatuses": statuses}),
        )
    });
    cluster.pods("bank", recovered);
    cluster.pods("shop", (0..5).map(|n| failing(&format!("web-{n}"))));
    let verdict = cluster.restarts(&[]).run();
    let mut expected: Vec<String> = (0..5).map(|n| finding(&format!("shop/web-{n}"))).collect();
    expected.extend((0..14).map(|n| finding(&format!("bank/old-{n:02}"))));
    expected.push("more findings left out".to_owned());
    verdict.failed(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(cluster.restarts(&[]).run().errors, expected);
}

#[test]
fn on_a_terminal_the_verdict_is_printed() {
    let cluster = Cluster::new();
    cluster.pods("shop", [failing("web-1")]);
    let output = cluster.restarts(&[]).alone();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&finding("shop/web-1")), "{text}");
    let output = cluster
        .restarts(&[("POD_NAMESPACE", "bank"), ("POD_ALLOW_NONE", "true")])
        .alone();
    assert_eq!(output.status.code(), Some(0));
}
