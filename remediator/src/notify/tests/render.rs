//! What is sent, field by field, and what the file of receivers may hold.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::queue::notice;
use crate::core::{Level, Notify, Time};
use crate::notify::alerts::Alerts;
use crate::notify::config::{Config, Kind};
use crate::notify::notice::{About, Attempt, Notice, Subject, Transition};
use crate::notify::render::{alerts, event, message, signature};
use crate::notify::retry::{Verdict, verdict};
use crate::notify::route::route;

fn acted(what: Transition) -> Notice {
    let mut notice = notice("web", what, None);
    let about = notice.about.as_mut().unwrap();
    about.errors = About::errors(&["<!channel> & \u{1b}502".to_owned()]);
    about.remediation = Some(Attempt {
        name: "web-0123456789-1".to_owned(),
        action: "restartPods",
        number: 1,
        step: 1,
    });
    notice
}

fn rendered(notice: Notice, level: Level) -> Vec<Value> {
    let mut known = Alerts::default();
    known.take(notice, level);
    let own = [("cluster".to_owned(), "test".to_owned())].into();
    let until = Time::from_unix(1_700_000_240);
    let (found, _) = known.next().unwrap();
    found
        .iter()
        .flat_map(|alert| alerts(alert, &own, Some("https://remediator.example"), until))
        .collect()
}

#[test]
fn an_alerts_labels_stay_and_its_annotations_tell() {
    let found = rendered(acted(Transition::Applied), Level::Warning);
    let expected = json!([{
        "labels": {
            "alertname": "KuberhealerIncident", "severity": "warning", "cluster": "test",
            "namespace": "shop", "policy": "web", "check": "shop/http", "target_kind": "Deployment", "target": "web",
            "incident": "0123456789",
        },
        "annotations": {
            "summary": "Action taken: Deployment web (shop/web)",
            "description": "the check fails\n- <!channel> &  502",
            "state": "remediation.applied", "reason": "CheckFailing",
            "action": "restartPods", "attempt": "1", "remediation": "web-0123456789-1",
        },
        "startsAt": "2023-11-14T22:13:20Z", "endsAt": "2023-11-14T22:17:20Z",
        "generatorURL": "https://remediator.example",
    }]);
    assert_eq!(Value::from(found), expected);
    let over = rendered(notice("web", Transition::Recovered, None), Level::Warning);
    assert_eq!(over[0]["labels"], expected[0]["labels"]);
    assert_eq!(over[0]["endsAt"], "2023-11-14T22:13:20Z");
}

#[test]
fn what_needs_a_person_is_an_alert_of_its_own() {
    let incident = |what| notice("web", what, None);
    let at = Time::from_unix(1_700_000_000);
    let general = |subject, what| Notice::general(subject, what, "words", at);
    for (notice, level, expected) in [
        (incident(Transition::Opened), Level::Critical, vec![]),
        (
            incident(Transition::Exhausted),
            Level::Critical,
            vec!["KuberhealerExhausted critical"],
        ),
        (
            incident(Transition::Exhausted),
            Level::Info,
            vec![
                "KuberhealerIncident warning",
                "KuberhealerExhausted critical",
            ],
        ),
        (
            general(Subject::Storm, Transition::StormBegan),
            Level::Critical,
            vec!["KuberhealerStorm critical"],
        ),
        (
            general(Subject::Source, Transition::SourceStale),
            Level::Warning,
            vec!["KuberhealerSourceStale critical"],
        ),
    ] {
        let found = rendered(notice, level);
        let names: Vec<String> = found
            .iter()
            .map(|alert| {
                let label = |name: &str| alert["labels"][name].as_str().unwrap().to_owned();
                format!("{} {}", label("alertname"), label("severity"))
            })
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn a_message_cannot_mention_everybody() {
    let found = message(&acted(Transition::Failed), Some("#oncall"), None);
    let expected = json!({
        "channel": "#oncall",
        "text": "Action did not help: Deployment web (shop/web)",
        "attachments": [{
            "color": "warning",
            "title": "Action did not help: Deployment web (shop/web)",
            "text": "the check fails\n• &lt;!channel&gt; &amp;  502",
            "fields": [
                {"title": "Policy", "value": "shop/web", "short": true},
                {"title": "Incident", "value": "0123456789", "short": true},
                {"title": "Check", "value": "shop/http", "short": true},
                {"title": "Action", "value": "restartPods, attempt 1", "short": true},
                {"title": "Remediation", "value": "web-0123456789-1", "short": true},
                {"title": "Reason", "value": "CheckFailing", "short": true},
            ],
            "fallback": "Action did not help: Deployment web (shop/web): the check fails",
            "ts": 1_700_000_000,
        }],
    });
    assert_eq!(found, expected);
}

#[test]
fn an_event_has_all_that_is_known_and_an_id_that_stays() {
    let found = event(&acted(Transition::Applied), None);
    let expected = json!({
        "specversion": "1.0",
        "id": found["id"],
        "source": "/apis/kuberhealer.io/v1alpha1/namespaces/shop/remediationpolicies/web",
        "type": "io.kuberhealer.remediation.applied",
        "subject": "incidents/0123456789",
        "time": "2023-11-14T22:13:20Z",
        "datacontenttype": "application/json",
        "data": {
            "severity": "warning", "reason": "CheckFailing",
            "title": "Action taken: Deployment web (shop/web)", "message": "the check fails",
            "policy": {"namespace": "shop", "name": "web", "uid": "uid"},
            "incident": {"id": "0123456789", "opened": "2023-11-14T22:13:20Z", "exhausted": false},
            "check": "shop/http", "target": {"kind": "Deployment", "name": "web"},
            "errors": ["<!channel> &  502"],
            "remediation": {"name": "web-0123456789-1", "action": "restartPods", "attempt": 1, "step": 1},
        },
    });
    assert_eq!(found, expected);
    assert_eq!(event(&acted(Transition::Applied), None)["id"], found["id"]);
    assert_ne!(event(&acted(Transition::Failed), None)["id"], found["id"]);
}

#[test]
fn a_signature_is_hmac_sha256_of_time_and_body() {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
    assert_eq!(
        signature(b"key", 1_700_000_000, br#"{"a":1}"#),
        "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03"
    );
}

#[test]
fn answers_say_whether_and_when_to_try_again() {
    let now = Time::from_unix(784_111_767);
    let seconds = Duration::from_secs;
    for (code, after, expected) in [
        (200, None, Verdict::Taken),
        (204, None, Verdict::Taken),
        (302, None, Verdict::Refused),
        (400, None, Verdict::Refused),
        (404, Some("5"), Verdict::Refused),
        (408, None, Verdict::Later(None)),
        (429, Some("5"), Verdict::Later(Some(seconds(5)))),
        (429, Some("86400"), Verdict::Later(Some(seconds(600)))),
        (
            503,
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            Verdict::Later(Some(seconds(10))),
        ),
        (
            503,
            Some("Sun, 06 Nov 1994 08:49:00 GMT"),
            Verdict::Later(Some(seconds(0))),
        ),
        (500, Some("soon"), Verdict::Later(None)),
    ] {
        assert_eq!(verdict(code, after, now), expected, "{code} {after:?}");
    }
}

fn parsed(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/notify"))
}

#[test]
fn a_small_file_has_defaults_and_paths_are_relative_to_it() {
    let text = "receivers: [{name: hook, webhook: {url: 'https://hook.example/in?key=s3cret', secretFile: key}}]";
    let config = parsed(text).unwrap();
    let receiver = config.receivers.first().unwrap();
    assert!(receiver.default);
    assert_eq!(receiver.level, Level::Warning);
    assert_eq!(receiver.timeout, Duration::from_secs(10));
    assert_eq!(config.cascade_threshold, 3);
    let Kind::Webhook { secret, .. } = &receiver.kind else {
        panic!("{receiver:?}");
    };
    assert_eq!(secret.as_deref(), Some(Path::new("/etc/notify/key")));
    let shown = format!("{config:?}");
    assert!(shown.contains("https://hook.example/***"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_is_wrong_is_named_and_no_secret_is_shown() {
    let one = |rest: &str| format!("receivers: [{{name: a, {rest}}}]");
    let am = |rest: &str| one(&format!("alertmanager: {{url: 'http://am:9093', {rest}}}"));
    for (text, expected) in [
        (
            "receivers: []".to_owned(),
            "receivers: expected 1 to 32 of them, found 0",
        ),
        ("{}".to_owned(), "receivers"),
        (
            one("default: true"),
            "receivers[0]: expected exactly one of alertmanager, slack and webhook",
        ),
        (
            one("slack: {}"),
            "receivers[0].slack: expected exactly one of urlFile and url",
        ),
        (
            one("slack: {url: 'https://me:s3cret@chat.example/x'}"),
            "receivers[0].slack.url: expected a URL such as https://host:port/path, found one with a user name",
        ),
        (
            one("slack: {url: 's3cret'}"),
            "receivers[0].slack.url: expected a URL",
        ),
        (
            one("slack: {url: 'ftp://chat.example/s3cret'}"),
            "found one that begins with ftp:",
        ),
        (one("slack: {uri: 's3cret'}"), "unknown field `uri`"),
        (
            one("severity: high, slack: {urlFile: f}"),
            "receivers[0].severity: expected info, warning or critical, found \"high\"",
        ),
        (
            one("timeoutSeconds: 0, slack: {urlFile: f}"),
            "receivers[0].timeoutSeconds: expected a whole number from 1 to 60, found 0",
        ),
        (
            am("resendSeconds: soon"),
            "receivers[0].alertmanager.resendSeconds: expected a whole number from 1 to 3600, found \"soon\"",
        ),
        (
            am("labels: {policy: x}"),
            "receivers[0].alertmanager.labels.policy: the remediator sets this label itself",
        ),
        (
            am("labels: {a-b: x}"),
            "expected names of letters, digits and underscores, found \"a-b\"",
        ),
        (
            one("webhook: {url: 'https://h.example', headers: {Content-Type: s3cret}}"),
            "receivers[0].webhook.headers: \"Content-Type\": the remediator sets this header itself",
        ),
        (
            one("webhook: {url: 'https://h.example', headers: {X-Key: \"s3cret\\n\"}}"),
            "receivers[0].webhook.headers: \"X-Key\": expected a value of visible ASCII characters",
        ),
        (
            "receivers: [{name: a, slack: {urlFile: f}}, {name: a, slack: {urlFile: f}}]"
                .to_owned(),
            "receivers[1].name: \"a\" is there twice",
        ),
        (
            "receivers: [{name: A, slack: {urlFile: f}}]".to_owned(),
            "receivers[0].name: expected 1 to 63 lower-case",
        ),
    ] {
        let error = parsed(&text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("s3cret"), "{text}: {error}");
    }
}

#[test]
fn a_policy_names_its_receivers_or_means_all_that_are_default() {
    let config = parsed(
        "receivers:
         - {name: a, slack: {urlFile: f}}
         - {name: b, severity: critical, slack: {urlFile: f}}
         - {name: c, default: false, severity: info, slack: {urlFile: f}}",
    )
    .unwrap();
    let (info, warning, critical) = (Level::Info, Level::Warning, Level::Critical);
    for (names, level, expected, unknown) in [
        (None, None, vec![(0, warning), (1, critical)], vec![]),
        (Some(vec![]), Some(info), vec![(0, info), (1, info)], vec![]),
        (Some(vec!["c"]), None, vec![(2, info)], vec![]),
        (
            Some(vec!["c", "d", "b"]),
            Some(critical),
            vec![(1, critical), (2, critical)],
            vec!["d"],
        ),
    ] {
        let wanted = names.map(|names: Vec<&str>| Notify {
            receivers: names.into_iter().map(ToOwned::to_owned).collect(),
            level,
        });
        let found = route(&config.receivers, wanted.as_ref());
        assert_eq!(found.receivers, expected, "{wanted:?}");
        assert_eq!(found.unknown, unknown, "{wanted:?}");
    }
}
