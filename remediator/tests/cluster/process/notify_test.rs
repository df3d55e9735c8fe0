//! `remediator notify-test`.

use serde_json::json;

use super::replica::remediator;
use crate::notify::receiver::{Fault, Receiver};

#[tokio::test]
async fn a_sample_is_sent_and_the_answer_printed() {
    let receiver = Receiver::start().await;
    let url = format!("{}/s3cret", receiver.url());
    let shown = format!("{}/***", receiver.url());
    let am = receiver.url();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.yaml");
    let config = json!({"receivers": [
        {"name": "am", "alertmanager": {"url": am}},
        {"name": "chat", "slack": {"url": url}},
        {"name": "hook", "webhook": {"url": url}},
        {"name": "down", "webhook": {"url": "http://127.0.0.1:1"}},
    ]});
    std::fs::write(&path, config.to_string()).unwrap();
    for (name, fault, code, expected) in [
        ("am", None, 0, format!("am: {am}: 200 ok\n")),
        ("chat", None, 0, format!("chat: {shown}: 200 ok\n")),
        ("hook", None, 0, format!("hook: {shown}: 200 ok\n")),
        (
            "hook",
            Some(Fault::Status(403)),
            1,
            format!("hook: {shown}: 403 not now\n"),
        ),
        ("down", None, 1, "down: http://127.0.0.1:1: ".to_owned()),
        ("none", None, 2, String::new()),
    ] {
        receiver.faults(fault);
        let mut command = remediator();
        command.arg("notify-test").arg("--notify-config").arg(&path);
        command.arg(name);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
        let ended = ended.await.unwrap();
        let told = String::from_utf8(ended.stdout).unwrap();
        let why = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{name}: {told} {why}");
        assert!(told.starts_with(&expected), "{name}: {told}");
        if code == 2 {
            assert!(
                why.contains("(am, chat, hook, down), found \"none\""),
                "{why}"
            );
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_ends_the_process_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.yaml");
    std::fs::write(&path, "receivers: [{name: a, slack: {uri: s3cret}}]").unwrap();
    let ended = remediator()
        .arg("--notify-config")
        .arg(&path)
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let why = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{why}");
    assert!(why.contains("unknown field `uri`"), "{why}");
    assert!(!why.contains("s3cret"), "{why}");
}
