//! One sample for one receiver.

use super::alerts::Alerts;
use super::config::{Config, Kind, Receiver};
use super::notice::{About, Attempt, Notice, Subject, Transition};
use super::render;
use super::send::{Answer, NoAnswer, Sender};
use crate::clock;
use crate::core::{Level, ObjectKey, Reason, TargetKind};

/// Seconds after which an Alertmanager takes the sample for resolved.
const LASTS: u32 = 300;

/// Sends a sample to a receiver, once. Returns where it was sent, and what was answered.
pub async fn sample(config: &Config, receiver: &Receiver) -> (String, Result<Answer, NoAnswer>) {
    let now = clock::now();
    let notice = notice();
    let url = config.external_url.as_deref();
    let body = match &receiver.kind {
        Kind::Alertmanager { labels, .. } => {
            let mut alerts = Alerts::default();
            alerts.take(notice, Level::Info);
            let found = alerts.next().map_or_else(Vec::new, |(found, _)| found);
            let of = |alert| render::alerts(alert, labels, url, now.plus(LASTS));
            serde_json::Value::Array(found.iter().flat_map(of).collect())
        }
        Kind::Slack { channel, .. } => render::message(&notice, channel.as_deref(), url),
        Kind::Webhook { .. } => render::event(&notice, url),
    };
    let mut sender = Sender::new(receiver);
    let answer = sender.send(body.to_string().into_bytes()).await;
    (sender.place(), answer)
}

fn notice() -> Notice {
    let now = clock::now();
    let key = |name: &str| ObjectKey {
        namespace: "sample".into(),
        name: name.into(),
    };
    Notice {
        subject: Subject::Incident {
            policy: key("notify-test"),
            id: "0000000000".to_owned(),
        },
        what: Transition::Opened,
        level: Level::Warning,
        reason: Reason::CheckFailing,
        message: "this is a sample: nothing has happened".to_owned(),
        time: now,
        id: Notice::id_of(Transition::Opened, ["notify-test", &now.to_string()]),
        about: Some(About {
            policy_uid: "00000000-0000-0000-0000-000000000000".to_owned(),
            check: key("web-http"),
            target: (TargetKind::Deployment, "web".into()),
            opened: now,
            exhausted: false,
            errors: vec!["pod sample/web-1: expected status 200, got 502".to_owned()],
            remediation: Some(Attempt {
                name: "notify-test-0000000000-1".to_owned(),
                action: "restartPods",
                number: 1,
                step: 1,
            }),
            root: None,
            under_way: false,
            notify: None,
        }),
    }
}
