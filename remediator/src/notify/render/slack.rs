//! A message as Slack's incoming webhooks take it, and Mattermost, Rocket.Chat and others too.

use serde_json::{Value, json};

use crate::core::Level;
use crate::notify::notice::{Notice, Subject, path};

/// The message.
pub(in crate::notify) fn message(
    notice: &Notice,
    channel: Option<&str>,
    external_url: Option<&str>,
) -> Value {
    let headline = notice.headline();
    let mut text = escaped(&notice.message);
    let mut fields = Vec::new();
    let mut field = |title: &str, value: &str| {
        fields.push(json!({"title": title, "value": escaped(value), "short": true}));
    };
    if let Subject::Incident { policy, id } = &notice.subject {
        field("Policy", &path(policy));
        field("Incident", id);
    }
    if let Some(about) = &notice.about {
        field("Check", &path(&about.check));
        if let Some(attempt) = &about.remediation {
            let number = attempt.number;
            field("Action", &format!("{}, attempt {number}", attempt.action));
            field("Remediation", &attempt.name);
        }
        for error in &about.errors {
            text.push_str("\n• ");
            text.push_str(&escaped(error));
        }
    }
    field("Reason", notice.reason.as_str());
    let mut attachment = json!({
        "color": colour(notice),
        "title": escaped(&headline),
        "text": text,
        "fields": fields,
        "fallback": escaped(&format!("{headline}: {}", notice.message)),
        "ts": notice.time.unix(),
    });
    if let (Some(url), Some(object)) = (external_url, attachment.as_object_mut()) {
        object.insert("title_link".to_owned(), url.into());
    }
    let mut message = json!({"text": escaped(&headline), "attachments": [attachment]});
    if let (Some(channel), Some(object)) = (channel, message.as_object_mut()) {
        object.insert("channel".to_owned(), channel.into());
    }
    message
}

fn colour(notice: &Notice) -> &'static str {
    match notice.level {
        _ if notice.what.is_good() => "good",
        Level::Info => "#439fe0",
        Level::Warning => "warning",
        Level::Critical => "danger",
    }
}

/// An error text must not be able to mention everybody, or to hide where a link leads.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
