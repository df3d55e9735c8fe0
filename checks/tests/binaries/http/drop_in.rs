//! The official checks' variables, and their defects, which must not come along.

use std::time::Duration;

use super::*;

/// One row for each rule of the official checks, or of how ours differs.
#[test]
fn official_variables_mean_what_they_meant() {
    struct Row {
        vars: &'static [(&'static str, &'static str)],
        /// What the server says to request N; the last one repeats.
        statuses: &'static [u16],
        requests: usize,
        failure: &'static str,
    }
    let row = |vars, statuses, requests, failure| Row {
        vars,
        statuses,
        requests,
        failure,
    };
    let rows = [
        // COUNT unset or 0 made no request and reported OK.
        row(&[], &[200], 1, ""),
        row(&[("COUNT", "0")], &[200], 1, ""),
        row(&[("COUNT", "0")], &[500], 1, "expected status 200, got 500"),
        row(&[("COUNT", "")], &[200], 1, ""),
        row(&[("COUNT", "4")], &[200], 4, ""),
        // 99% of 1 was truncated to none needed.
        row(
            &[("COUNT", "1"), ("PASSING_PERCENT", "99")],
            &[500],
            1,
            "expected status 200, got 500",
        ),
        row(
            &[("PASSING_PERCENT", "0")],
            &[500],
            1,
            "expected status 200, got 500",
        ),
        row(
            &[("COUNT", "4"), ("PASSING_PERCENT", "50")],
            &[500, 200, 500, 200],
            4,
            "",
        ),
        row(
            &[("COUNT", "5"), ("PASSING_PERCENT", "80")],
            &[500, 503, 200],
            2,
            "expected status 200, got 500; expected status 200, got 503 (less than 80% of 5 probes passed)",
        ),
        row(&[("EXPECTED_STATUS_CODE", "0")], &[200], 1, ""),
        row(&[("EXPECTED_STATUS_CODE", "418")], &[418], 1, ""),
        row(&[("SECONDS", "0"), ("COUNT", "2")], &[200], 2, ""),
        // The content check passed on an error page that held the text.
        row(&[("TARGET_STRING", "body")], &[200], 1, ""),
        row(
            &[("TARGET_STRING", "body")],
            &[500],
            1,
            "expected status 200, got 500",
        ),
        row(&[("TIMEOUT_DURATION", "1m30s")], &[200], 1, ""),
        row(
            &[("TARGET_STRING", "other")],
            &[200],
            1,
            "body does not contain \"other\"",
        ),
    ];
    for Row {
        vars,
        statuses,
        requests,
        failure,
    } in rows
    {
        let server = Server::answering(move |number, _| {
            answer(statuses[number.min(statuses.len() - 1)], &[], "the body")
        });
        let url = server.url("/");
        let verdict = probe(&url, vars);
        match failure {
            "" => verdict.passed(),
            failure => verdict.failed(&[&format!("{url}: {failure}")]),
        };
        assert_eq!(server.seen().len(), requests, "{vars:?}");
    }
}

#[test]
fn bodies_are_sent_as_they_were() {
    for (vars, method, body) in [
        (&[][..], "GET", ""),
        (&[("REQUEST_BODY", "x")], "GET", ""),
        (&[("REQUEST_TYPE", "HEAD")], "HEAD", ""),
        (&[("REQUEST_TYPE", "POST")], "POST", "{}"),
        (&[("REQUEST_TYPE", "post")], "POST", "{}"),
        (
            &[("REQUEST_TYPE", "PUT"), ("REQUEST_BODY", "{\"a\": \"b\"}")],
            "PUT",
            "{\"a\": \"b\"}",
        ),
        (
            &[("REQUEST_TYPE", "PATCH"), ("REQUEST_BODY", "x")],
            "PATCH",
            "x",
        ),
        (&[("REQUEST_TYPE", "DELETE")], "DELETE", "{}"),
    ] {
        let server = Server::answering(|_, seen| {
            answer(200, &[], if seen.method == "HEAD" { "" } else { "ok" })
        });
        probe(&server.url("/path?q=1"), vars).passed();
        let seen = &server.seen()[0];
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str(), seen.body.as_str()),
            (method, "/path?q=1", body)
        );
    }
}

#[test]
fn the_content_checks_variables_work_alone_and_together() {
    let server = Server::saying(200, &[], "welcome");
    let url = server.url("/");
    let content = |vars: &[(&str, &str)]| check(vars).var("TARGET_URL", &url).run();
    content(&[("TARGET_STRING", "welcome"), ("TIMEOUT_DURATION", "10s")]).passed();
    content(&[("TARGET_STRING", "bye"), ("TIMEOUT_DURATION", "10s")])
        .failed(&[&format!("{url}: body does not contain \"bye\"")]);
    content(&[]).failed(&["configuration: TARGET_STRING: expected the text to find at TARGET_URL; CHECK_URL needs none"]);
    // Together they are one list, and the same URL in both is one target.
    let other = Server::saying(200, &[], "welcome too");
    let before = server.seen().len();
    check(&[("TARGET_STRING", "welcome")])
        .var("TARGET_URL", &url)
        .var("CHECK_URL", &format!("{} {url}", other.url("/")))
        .run()
        .passed();
    assert_eq!((other.seen().len(), server.seen().len() - before), (1, 1));
}

#[test]
fn pauses_lie_between_probes_only() {
    let server = Server::saying(200, &[], "");
    let verdict = probe(&server.url("/"), &[("COUNT", "3"), ("SECONDS", "1")]);
    verdict.passed();
    assert!(verdict.took >= Duration::from_secs(2), "{verdict:?}");
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_plan_that_cannot_fit_is_reported_at_once() {
    let server = Server::saying(200, &[], "");
    let run = |deadline| {
        check(&[("COUNT", "10"), ("SECONDS", "30")])
            .deadline(deadline)
            .var("CHECK_URL", &server.url("/"))
            .run()
    };
    for line in [Line::V2, Line::V3] {
        let verdict = check(&[("COUNT", "10"), ("SECONDS", "30")])
            .line(line)
            .var("CHECK_URL", &server.url("/"))
            .run();
        verdict.failed(&[
            "configuration: SECONDS=\"30\": does not fit before the deadline with COUNT=\"10\": \
            probe less often, or give the check a longer timeout",
        ]);
        assert!(verdict.took < Duration::from_secs(10));
    }
    assert!(server.seen().is_empty());
    run(Some(Duration::from_secs(20))).failed_with(&["does not fit"]);
}

#[test]
fn redirects_are_followed_as_go_follows_them() {
    let server = Server::answering(|_, seen| match seen.path.as_str() {
        "/moved" => answer(302, &[("Location", "/here")], ""),
        "/same" => answer(307, &[("Location", "/here")], ""),
        _ => answer(200, &[], ""),
    });
    let post = [("REQUEST_TYPE", "POST"), ("REQUEST_BODY", "x")];
    probe(&server.url("/moved"), &post).passed();
    probe(&server.url("/same"), &post).passed();
    let seen: Vec<_> = server
        .seen()
        .into_iter()
        .map(|seen| format!("{} {} {}", seen.method, seen.path, seen.body))
        .collect();
    assert_eq!(
        seen,
        [
            "POST /moved x",
            "GET /here ",
            "POST /same x",
            "POST /here x"
        ]
    );
}
