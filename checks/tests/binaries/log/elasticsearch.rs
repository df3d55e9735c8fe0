//! Counts in Elasticsearch and OpenSearch.

use super::*;

#[test]
fn the_query_and_the_window_are_sent() {
    let server = counting(3);
    elastic(&server.url(""), &[]).run().passed();
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("POST", "/logs-*/_count")
    );
    assert_eq!(seen[0].header("content-type"), "application/json");
    assert!(seen[0].header("user-agent").starts_with("kuberhealer"));
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    let filter = json!([
        {"query_string": {"query": "status:200"}},
        {"range": {"@timestamp": {"gte": "now-10m", "lte": "now"}}},
    ]);
    assert_eq!(body, json!({"query": {"bool": {"filter": filter}}}));
}

#[test]
fn query_dsl_an_own_field_and_a_path_are_sent() {
    let server = counting(3);
    let body = r#"{"query": {"term": {"level": "fatal"}}}"#;
    check(
        "opensearch",
        &server.url("/os/"),
        &[
            ("INDEX", "a,b-*"),
            ("QUERY_BODY", body),
            ("TIME_FIELD", "time"),
            ("WINDOW", "90s"),
            ("EXPECTED_MAX", "3"),
        ],
    )
    .run()
    .passed();
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/os/a,b-*/_count");
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    let filter = json!([
        {"term": {"level": "fatal"}},
        {"range": {"time": {"gte": "now-90s", "lte": "now"}}},
    ]);
    assert_eq!(body["query"]["bool"]["filter"], filter);
}

#[test]
fn a_number_out_of_bounds_is_told_of_the_subject() {
    let web = ("SUBJECT", "deployment shop/web");
    let url = counting(0).url("");
    elastic(&url, &[web]).run().failed(&[
        "deployment shop/web: expected at least 1 matching log line in the last 10m, found none",
    ]);
    elastic(&url, &[])
        .run()
        .failed(&["logs: expected at least 1 matching log line in the last 10m, found none"]);
    // The text stays the same while the number changes.
    for lines in [3, 4] {
        let url = counting(lines).url("");
        elastic(&url, &[web, ("EXPECTED_MIN", "5"), ("WINDOW", "1h")])
            .run()
            .failed(&["deployment shop/web: expected at least 5 matching log lines in the last 1h, found fewer"]);
        elastic(&url, &[("EXPECTED_MIN", "0"), ("EXPECTED_MAX", "2")])
            .run()
            .failed(&["logs: expected 0 to 2 matching log lines in the last 10m, found more"]);
    }
}

#[test]
fn zero_is_believed_only_of_a_field_with_dates() {
    let server = counting(0);
    elastic(
        &server.url(""),
        &[("EXPECTED_MIN", "0"), ("EXPECTED_MAX", "0")],
    )
    .run()
    .passed();
    assert_eq!(
        server.seen()[1].path,
        "/logs-*/_field_caps?fields=%40timestamp&filter_path=fields"
    );
    for (caps, found) in [
        (field("@timestamp", "keyword"), "keyword"),
        (r#"{"fields":{}}"#.to_owned(), "none"),
        ("{}".to_owned(), "none"),
    ] {
        let server = Server::answering(move |number, _| match number {
            0 => answer(200, &[], &count(0)),
            _ => answer(200, &[], &caps),
        });
        let expected = format!(
            "expected TIME_FIELD=\"@timestamp\" to be a date in INDEX=\"logs-*\", found {found}"
        );
        let url = server.url("/");
        elastic(&url, &[("SUBJECT", "deployment shop/web")])
            .run()
            .failed(&[&backend(&url, &expected)]);
    }
}

/// A wildcard that matches nothing is no error to Elasticsearch: it counts nothing in no shards.
#[test]
fn an_index_that_is_not_there_is_no_silence() {
    let none = r#"{"count":0,"_shards":{"total":0,"successful":0,"skipped":0,"failed":0}}"#;
    let missing = "expected an index to count in, found none for INDEX=\"logs-*\"";
    let gone = refusal(404, "index_not_found_exception");
    for bytes in [answer(200, &[], none), gone] {
        let server = Server::answering(move |_, _| bytes.clone());
        let url = server.url("/");
        elastic(&url, &[("ALLOW_PARTIAL", "true")])
            .run()
            .failed(&[&backend(&url, missing)]);
    }
}

#[test]
fn a_count_without_all_shards_is_not_judged() {
    let partial = json!({
        "count": 0,
        "_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 1, "failures": [
            {"shard": 0, "index": "logs-1", "node": "n1",
             "reason": {"type": "es_rejected_execution_exception", "reason": "queue is full"}},
        ]},
    });
    let server = Server::answering(move |_, seen| match seen.path.contains("_field_caps") {
        true => answer(200, &[], &field("@timestamp", "date")),
        false => answer(200, &[], &partial.to_string()),
    });
    let url = server.url("/");
    let web = ("SUBJECT", "deployment shop/web");
    let verdict = elastic(&url, &[web]).run();
    verdict.failed(&[&backend(
        &url,
        "expected a whole result, got one without some shards, which failed",
    )]);
    assert!(verdict.log.contains("queue is full"), "{}", verdict.log);
    elastic(&url, &[web, ("ALLOW_PARTIAL", "true")])
        .run()
        .failed(&["deployment shop/web: expected at least 1 matching log line in the last 10m, found none"]);
}

#[test]
fn a_shard_that_comes_back_is_waited_for() {
    let partial = r#"{"count":0,"_shards":{"total":2,"successful":1,"skipped":0,"failed":1}}"#;
    let server = Server::answering(move |number, _| match number {
        0 => answer(200, &[], partial),
        _ => answer(200, &[], &count(4)),
    });
    elastic(
        &server.url(""),
        &[("RETRIES", "1"), ("RETRY_DELAY", "10ms")],
    )
    .run()
    .passed();
}

#[test]
fn refusals_are_told_by_status_and_type() {
    for (status, kind, expected) in [
        (
            400,
            "query_shard_exception",
            "expected an answer, got status 400 (query_shard_exception): check the query",
        ),
        (
            401,
            "security_exception",
            "expected an answer, got status 401 (security_exception): check the credentials",
        ),
        (
            403,
            "security_exception",
            "expected an answer, got status 403 (security_exception): the credentials need the privilege to read INDEX",
        ),
        (
            503,
            "no_shard_available_action_exception",
            "expected an answer, got status 503 (no_shard_available_action_exception)",
        ),
    ] {
        let bytes = refusal(status, kind);
        let server = Server::answering(move |_, _| bytes.clone());
        let url = server.url("/");
        let verdict = elastic(&url, &[("SUBJECT", "deployment shop/web")]).run();
        verdict.failed(&[&backend(&url, expected)]);
        // What changes from run to run is in the log alone.
        assert!(verdict.log.contains("node 10.1.2.3"), "{}", verdict.log);
    }
}
