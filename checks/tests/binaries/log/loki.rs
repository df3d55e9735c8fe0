//! Instant queries of Loki.

use super::*;

#[test]
fn a_log_query_is_counted_over_the_window() {
    let server = Server::saying(200, &[], &sum("3"));
    loki(
        &server.url("/prefix"),
        &[("WINDOW", "5m"), ("LOKI_TENANT", "shop|bank")],
    )
    .run()
    .passed();
    let seen = &server.seen()[0];
    assert_eq!(seen.method, "GET");
    let url = url::Url::parse(&server.url(&seen.path)).unwrap();
    assert_eq!(url.path(), "/prefix/loki/api/v1/query");
    let query: Vec<_> = url.query_pairs().collect();
    let expected = "sum(count_over_time({app=\"web\"} |= \"200\"\n[5m]))";
    assert_eq!(query, [("query".into(), expected.into())]);
    assert_eq!(seen.header("x-scope-orgid"), "shop|bank");
}

#[test]
fn results_are_summed_and_compared() {
    let sample = |number: &str| json!({"metric": {"pod": number}, "value": [1.5, number]});
    let web = ("SUBJECT", "deployment shop/web");
    let none = result("vector", json!([]));
    let two = result("vector", json!([sample("2"), sample("3")]));
    let lines = "matching log lines in the last 10m, found";
    let rows = [
        (
            &none,
            "1",
            Err("expected at least 1 matching log line in the last 10m, found none".to_owned()),
        ),
        (&two, "5", Ok(())),
        (&two, "6", Err(format!("expected at least 6 {lines} fewer"))),
    ];
    for (body, min, verdict) in rows {
        let server = Server::saying(200, &[], body);
        let run = loki(&server.url(""), &[web, ("EXPECTED_MIN", min)]).run();
        match verdict {
            Ok(()) => run.passed(),
            Err(text) => run.failed_at("deployment shop/web", &text),
        };
    }
}

#[test]
fn a_metric_query_is_sent_as_it_is() {
    let query = r#"sum(rate({app="web"}[5m]))"#;
    let server = Server::saying(200, &[], &result("scalar", json!([1.5, "0.25"])));
    let run = |max: &str| {
        check(
            "loki",
            &server.url(""),
            &[("QUERY", query), ("EXPECTED_MAX", max)],
        )
        .run()
    };
    run("0.25").passed();
    run("0.2").failed(&["logs: expected at most 0.2 as the result of the query, found more"]);
    let url = url::Url::parse(&server.url(&server.seen()[0].path)).unwrap();
    assert_eq!(url.query_pairs().next().unwrap().1, query);
}

#[test]
fn a_result_with_warnings_is_not_judged() {
    let mut body: Value = serde_json::from_str(&sum("0")).unwrap();
    body["warnings"] = json!(["query hit 2 of 3 ingesters"]);
    let server = Server::saying(200, &[], &body.to_string());
    let url = server.url("/");
    let verdict = loki(&url, &[]).run();
    verdict.failed(&[&backend(
        &url,
        "expected a whole result, got one with warnings",
    )]);
    assert!(verdict.log.contains("2 of 3"), "{}", verdict.log);
    loki(&url, &[("ALLOW_PARTIAL", "true")])
        .run()
        .failed(&["logs: expected at least 1 matching log line in the last 10m, found none"]);
}

#[test]
fn what_is_no_number_is_no_silence() {
    let number = "expected the query to give a number, or one for each series, got";
    let shape = "expected the result of an instant query, got";
    let check_both = "check LOG_URL and LOG_BACKEND";
    for (body, expected) in [
        (
            result("streams", json!([{"stream": {}, "values": [["1", "x"]]}])),
            format!("{number} log lines"),
        ),
        (sum("NaN"), format!("{number} NaN")),
        (count(0), format!("{shape} other JSON: {check_both}")),
        (
            "ready\n".to_owned(),
            format!("{shape} no JSON: {check_both}"),
        ),
        (String::new(), format!("{shape} no JSON: {check_both}")),
    ] {
        let server = Server::saying(200, &[], &body);
        let url = server.url("/");
        loki(&url, &[("SUBJECT", "deployment shop/web")])
            .run()
            .failed(&[&backend(&url, &expected)]);
    }
}

/// Loki's errors are plain text. What depends on the query alone is told.
#[test]
fn refusals_are_told() {
    let parse = "parse error at line 1, col 7: syntax error: unexpected IDENTIFIER";
    let tenant = "check LOKI_TENANT and the credentials";
    for (status, body, expected) in [
        (
            400,
            parse,
            format!("got status 400 ({parse}): check the query"),
        ),
        (401, "no org id", format!("got status 401: {tenant}")),
        (
            404,
            "404 page not found",
            "got status 404: check LOG_URL".to_owned(),
        ),
        (
            429,
            "too many outstanding requests",
            "got status 429".to_owned(),
        ),
        (
            500,
            "10.1.2.3: context canceled",
            "got status 500".to_owned(),
        ),
    ] {
        let server = Server::saying(
            status,
            &[("content-type", "text/plain; charset=utf-8")],
            body,
        );
        let url = server.url("/");
        let verdict = loki(&url, &[]).run();
        verdict.failed(&[&backend(&url, &format!("expected an answer, {expected}"))]);
        assert!(verdict.log.contains(body), "{}", verdict.log);
    }
}
