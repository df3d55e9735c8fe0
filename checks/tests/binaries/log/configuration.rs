//! Options that are wrong, missing or contradict each other: a verdict, and nobody is asked.

use super::*;

const URL: &str = "http://127.0.0.1:9";

#[test]
fn wrong_options_are_named() {
    Check::of(env!("CARGO_BIN_EXE_log-check")).run().failed(&[
        "configuration: EXPECTED_MIN: expected a number, here or in EXPECTED_MAX",
        "configuration: LOG_BACKEND: expected elasticsearch, opensearch or loki",
        "configuration: LOG_URL: expected a URL",
    ]);
    for (check, expected) in [
        (
            check("splunk", URL, &[]),
            "LOG_BACKEND=\"splunk\": expected elasticsearch, opensearch or loki",
        ),
        (
            elastic("es:9200", &[]),
            "LOG_URL=\"es:9200\": expected URLs that begin with http:// or https://",
        ),
        (
            elastic("http://es/_count", &[]),
            "LOG_URL=\"http://es/_count\": expected the URL where the API begins",
        ),
        (
            check(
                "elasticsearch",
                URL,
                &[("QUERY", "*"), ("EXPECTED_MIN", "1")],
            ),
            "INDEX: expected the index",
        ),
        (
            elastic(URL, &[("INDEX", "..")]),
            "INDEX: expected the index",
        ),
        (
            check(
                "elasticsearch",
                URL,
                &[("INDEX", "a"), ("EXPECTED_MIN", "1")],
            ),
            "QUERY: expected a query string, or query DSL in QUERY_BODY",
        ),
        (
            elastic(URL, &[("QUERY_BODY", r#"{"query":{}}"#)]),
            "QUERY: cannot be combined with QUERY_BODY",
        ),
        (
            elastic(URL, &[("QUERY_BODY", r#"{"query":{},"size":1}"#)]),
            r#"expected {"query": {...}} and nothing beside it"#,
        ),
        (
            elastic(URL, &[("EXPECTED_MIN", "0")]),
            "EXPECTED_MIN=\"0\": expected a number above 0",
        ),
        (
            elastic(URL, &[("EXPECTED_MIN", "2"), ("EXPECTED_MAX", "1")]),
            "EXPECTED_MIN=\"2\": expected at most EXPECTED_MAX=\"1\"",
        ),
        (
            elastic(URL, &[("WINDOW", "500ms")]),
            "WINDOW=\"500ms\": expected whole seconds",
        ),
        (
            elastic(URL, &[("SUBJECT", "shop/web")]),
            "SUBJECT=\"shop/web\": expected a kind, a namespace and a name",
        ),
        (
            elastic(URL, &[("LOKI_TENANT", "shop")]),
            "LOKI_TENANT: is for LOG_BACKEND=\"loki\"",
        ),
        (
            loki(URL, &[("INDEX", "logs")]),
            "INDEX: is for LOG_BACKEND=\"elasticsearch\" or \"opensearch\"",
        ),
        (
            loki(URL, &[("API_KEY", "geheim")]),
            "API_KEY: is for LOG_BACKEND=\"elasticsearch\" or \"opensearch\"",
        ),
        (
            check("loki", URL, &[("EXPECTED_MIN", "1")]),
            "QUERY: expected a query in LogQL",
        ),
        (
            loki(URL, &[("QUERY", "vector(1)"), ("WINDOW", "5m")]),
            "WINDOW=\"5m\": cannot be combined with a metric query",
        ),
        (
            elastic(URL, &[("API_KEY", "id:geheim")]),
            "API_KEY: expected the encoded form",
        ),
        (
            elastic(URL, &[("API_KEY", "geheim"), ("BEARER_TOKEN", "geheim")]),
            "API_KEY: cannot be combined with",
        ),
        (
            elastic(URL, &[("API_KEY_FILE", "/nowhere/key")]),
            "API_KEY_FILE=\"/nowhere/key\": expected a file that can be read: no such file",
        ),
        (
            elastic(URL, &[("MIN_CERT_DAYS", "10")]),
            "MIN_CERT_DAYS: needs an https LOG_URL",
        ),
    ] {
        let verdict = check.run();
        verdict.failed_with(&["configuration: ", expected]);
        assert!(!format!("{verdict:?}").contains("geheim"), "{verdict:?}");
    }
}

#[test]
fn both_lines_of_kuberhealthy_are_told() {
    let server = counting(2);
    for line in [Line::V2, Line::V3] {
        elastic(&server.url(""), &[]).line(line).run().passed();
        elastic(&server.url(""), &[("EXPECTED_MIN", "3")])
            .line(line)
            .run()
            .failed_with(&["logs: ", "found fewer"]);
    }
}

#[test]
fn on_a_terminal_the_verdict_is_printed() {
    let server = counting(0);
    let output = elastic(&server.url(""), &[]).alone();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("found none"), "{text}");
}
