use serde_json::json;

use super::*;

fn check(line: Line) -> CheckDocument {
    CheckDocument {
        file: "x.yaml".to_owned(),
        line,
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        timeout: Duration::from_secs(30),
        object: Value::Null,
    }
}

fn state(uuid: &str, node: &str, ok: bool) -> Value {
    let errors = if ok { json!([]) } else { json!(["got 503"]) };
    json!({
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"uuid": uuid, "Node": node, "OK": ok, "Errors": errors},
    })
}

fn pod(name: &str, phase: &str, state: Value) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"kuberhealthy-check-name": "web"}},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    })
}

fn silent(_: &CheckDocument, _: &Pod, _: &str) -> Option<String> {
    None
}

#[test]
fn a_run_that_reports_gives_its_verdict() {
    let checks = [check(Line::V2), check(Line::V3)];
    let start = Instant::now();
    let later = start + Duration::from_secs(2);
    let mut bench = Bench::new(&checks, start);
    assert_eq!(
        bench.see_check(Line::V2, &state("a", "", true), start),
        Some(Step::Started(0))
    );
    assert_eq!(
        bench.see_check(Line::V2, &state("a", "", false), later),
        None
    );
    assert_eq!(
        bench.see_check(Line::V2, &state("a", "n1", false), later),
        Some(Step::Ended(0))
    );
    assert!(
        !bench.is_over(),
        "the other line's check of that name is another"
    );
    let outcome = bench.outcome(0).unwrap();
    assert_eq!(outcome.verdict, Verdict::Failed(vec!["got 503".to_owned()]));
    assert_eq!(outcome.took, Duration::from_secs(2));
    assert_eq!(
        bench.end(0, Verdict::Passed, later),
        None,
        "the first verdict stands"
    );
    assert_eq!(bench.end(1, Verdict::Passed, later), Some(Step::Ended(1)));
    assert!(bench.is_over());
    assert_eq!(bench.outcomes().len(), 2);
}

#[test]
fn a_pod_that_ended_without_a_report_is_told_at_once() {
    let cases = [
        (
            json!({"terminated": {"exitCode": 3, "reason": "Error"}}),
            "container main exited with code 3",
        ),
        (
            json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
            "container main exited with code 0",
        ),
        (
            json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "no such file"}}),
            "container main cannot start (no such file)",
        ),
        (
            json!({"waiting": {"reason": "PodInitializing"}}),
            "its pod ended",
        ),
    ];
    for (container, told) in cases {
        let checks = [check(Line::V2)];
        let start = Instant::now();
        let mut bench = Bench::new(&checks, start);
        bench.see_check(Line::V2, &state("a", "", true), start);
        bench.see_pod(&pod("web-1", "Running", json!({"running": {}})), start);
        bench.see_pod(&pod("web-1", "Failed", container), start);
        assert_eq!(bench.give_up(start + AFTER_EXIT, silent), []);
        let later = start + AFTER_EXIT + Duration::from_millis(1);
        let said = |_: &CheckDocument, pod: &Pod, container: &str| {
            Some(format!("last of {} {container}", pod.name))
        };
        assert_eq!(bench.give_up(later, said), [Step::Ended(0)]);
        let findings = bench.outcome(0).unwrap().findings();
        assert!(findings[0].starts_with(told), "{findings:?}");
        assert!(
            findings[0].contains("time-out of 30s; its last output: last of web-1"),
            "{findings:?}"
        );
    }
}

#[test]
fn a_container_that_waits_for_what_is_not_there_is_told_at_once() {
    let checks = [check(Line::V2)];
    let start = Instant::now();
    let mut bench = Bench::new(&checks, start);
    let waiting = json!({"waiting": {"reason": "CreateContainerConfigError", "message": "unsupported fieldPath: x"}});
    bench.see_pod(&pod("web-1", "Pending", waiting), start);
    let later = start + AFTER_EXIT * 2;
    assert_eq!(bench.give_up(later, silent), [Step::Ended(0)]);
    let findings = bench.outcome(0).unwrap().findings();
    assert!(
        findings[0].starts_with("container main cannot start (unsupported fieldPath: x)"),
        "{findings:?}"
    );
}

#[test]
fn only_the_latest_pod_counts() {
    let checks = [check(Line::V2)];
    let start = Instant::now();
    let mut bench = Bench::new(&checks, start);
    let over = json!({"terminated": {"exitCode": 1}});
    bench.see_pod(&pod("web-1", "Running", json!({"running": {}})), start);
    bench.see_pod(&pod("web-1", "Failed", over.clone()), start);
    bench.see_pod(&pod("web-2", "Running", json!({"running": {}})), start);
    bench.see_pod(&pod("web-1", "Failed", over), start);
    assert_eq!(bench.pod(0).unwrap().name, "web-2");
    assert_eq!(bench.give_up(start + AFTER_EXIT * 2, silent), []);
}

#[test]
fn a_kuberhealthy_that_says_nothing_is_not_waited_for_for_ever() {
    let checks = [check(Line::V3)];
    let start = Instant::now();
    let mut bench = Bench::new(&checks, start);
    let limit = checks[0].timeout + SLACK;
    assert_eq!(bench.give_up(start + limit, silent), []);
    assert_eq!(
        bench.give_up(start + limit + Duration::from_millis(1), silent),
        [Step::Ended(0)]
    );
    assert_eq!(
        bench.outcome(0).unwrap().verdict,
        Verdict::Unusable("Kuberhealthy gave no verdict within the time-out of 30s".to_owned())
    );
}
