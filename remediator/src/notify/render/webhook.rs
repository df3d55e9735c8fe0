//! A CloudEvent 1.0 in structured mode, and its signature.

use std::fmt::Write as _;

use ring::hmac;
use serde_json::{Value, json};

use crate::notify::notice::{Notice, Subject, path};

/// The header with the signature.
pub(in crate::notify) const SIGNATURE: &str = "x-kuberhealer-signature";

/// The event.
pub(in crate::notify) fn event(notice: &Notice, external_url: Option<&str>) -> Value {
    let mut data = json!({
        "severity": notice.level.as_str(),
        "reason": notice.reason.as_str(),
        "title": notice.headline(),
        "message": notice.message,
    });
    let mut source = "/apis/kuberhealer.io/v1alpha1".to_owned();
    let subject = match &notice.subject {
        Subject::Incident { policy, id } => {
            let (namespace, name) = (&policy.namespace, &policy.name);
            data["policy"] = json!({"namespace": namespace, "name": name});
            data["incident"] = json!({"id": id});
            let rest = format!("/namespaces/{namespace}/remediationpolicies/{name}");
            source.push_str(&rest);
            format!("incidents/{id}")
        }
        Subject::Storm => "storm".to_owned(),
        Subject::Source => "source".to_owned(),
        Subject::Cascade { root } => {
            data["cause"] = json!(root);
            format!("cascades/{root}")
        }
    };
    if let Some(about) = &notice.about {
        data["policy"]["uid"] = json!(about.policy_uid);
        data["incident"]["opened"] = json!(about.opened.to_string());
        data["incident"]["exhausted"] = json!(about.exhausted);
        data["check"] = json!(path(&about.check));
        data["target"] = json!({"kind": about.target.0.as_str(), "name": about.target.1});
        data["errors"] = json!(about.errors);
        if let Some(root) = &about.root {
            data["cause"] = json!(root);
        }
        if let Some(attempt) = &about.remediation {
            data["remediation"] = json!({
                "name": attempt.name,
                "action": attempt.action,
                "attempt": attempt.number,
                "step": attempt.step,
            });
        }
    }
    if let Some(url) = external_url {
        data["url"] = json!(url);
    }
    json!({
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": format!("io.kuberhealer.{}", notice.what.as_str()),
        "subject": subject,
        "time": notice.time.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// `t=UNIX,v1=HEX`: HMAC-SHA256 of the time, a full stop and the body, so that an old request cannot be sent again.
pub(in crate::notify) fn signature(secret: &[u8], unix: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(unix.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let mut text = format!("t={unix},v1=");
    for byte in context.sign().as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
