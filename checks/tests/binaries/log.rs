//! log-check against servers that speak the APIs of Elasticsearch and Loki.
//!
//! Their answers have the shapes that the servers' own sources and documents give: Elasticsearch's RestCountAction and
//! RestActions, the reference of `_field_caps`, Loki's `pkg/util/marshal` and `pkg/util/server`.

mod configuration;
mod credentials;
mod elasticsearch;
mod loki;
mod trouble;

use serde_json::{Value, json};

use crate::support::*;

/// No retries, as most servers here say the same thing for ever.
fn check(backend: &str, url: &str, vars: &[(&str, &str)]) -> Check {
    Check::of(env!("CARGO_BIN_EXE_log-check"))
        .var("LOG_BACKEND", backend)
        .var("LOG_URL", url)
        .var("RETRIES", "0")
        .with(vars)
}

/// At least one line in an index; `vars` come after.
fn elastic(url: &str, vars: &[(&str, &str)]) -> Check {
    check(
        "elasticsearch",
        url,
        &[
            ("INDEX", "logs-*"),
            ("QUERY", "status:200"),
            ("EXPECTED_MIN", "1"),
        ],
    )
    .with(vars)
}

/// At least one line of a stream; `vars` come after.
fn loki(url: &str, vars: &[(&str, &str)]) -> Check {
    check(
        "loki",
        url,
        &[("QUERY", r#"{app="web"} |= "200""#), ("EXPECTED_MIN", "1")],
    )
    .with(vars)
}

/// What `_count` answers.
fn count(count: u64) -> String {
    json!({"count": count, "_shards": {"total": 5, "successful": 5, "skipped": 0, "failed": 0}})
        .to_string()
}

/// What `_field_caps` answers for one field.
fn field(name: &str, kind: &str) -> String {
    let caps =
        json!({"type": kind, "metadata_field": false, "searchable": true, "aggregatable": true});
    json!({"fields": {name: {kind: caps}}}).to_string()
}

/// An error of Elasticsearch.
fn refusal(status: u16, kind: &str) -> Vec<u8> {
    let cause = json!({"type": kind, "reason": "node 10.1.2.3 at 12:00:01"});
    let body = json!({
        "error": {"root_cause": [cause], "type": kind, "reason": "node 10.1.2.3 at 12:00:01"},
        "status": status,
    });
    let headers = [("content-type", "application/json")];
    answer(status, &headers, &body.to_string())
}

/// What an instant query answers.
fn result(kind: &str, result: Value) -> String {
    let stats = json!({"summary": {"execTime": 0.01, "totalLinesProcessed": 12}});
    json!({"status": "success", "data": {"resultType": kind, "result": result, "stats": stats}})
        .to_string()
}

/// A vector of one series, as `sum` gives it.
fn sum(number: &str) -> String {
    result(
        "vector",
        json!([{"metric": {}, "value": [1_568_404_331.324, number]}]),
    )
}

/// A server that counts `lines`, in an index whose `@timestamp` is a date.
fn counting(lines: u64) -> Server {
    Server::answering(move |_, seen| {
        let caps = seen.path.contains("/_field_caps");
        let body = if caps {
            field("@timestamp", "date")
        } else {
            count(lines)
        };
        answer(200, &[("content-type", "application/json")], &body)
    })
}

/// A finding about the backend at `url`.
fn backend(url: &str, message: &str) -> String {
    format!("log backend: {url}: {message}")
}
