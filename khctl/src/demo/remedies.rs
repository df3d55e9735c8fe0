//! From the writes of the remediator to what it decided and what became of it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// Why a policy waits while a remediation of it is not finished.
const OWN: [&str; 3] = ["Intended", "Applied", "Verifying"];

/// Something that the remediator did or decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A policy holds its next action back.
    Held {
        /// `NAMESPACE/NAME` of the policy.
        policy: String,
        /// In the vocabulary of conditions.
        reason: String,
        /// The same in a sentence.
        message: String,
    },
    /// A remediation was recorded or has come further.
    Remedy(Remedy),
}

/// A Remediation as it was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// Name of the record.
    pub(crate) name: String,
    /// What is done, as a policy writes it.
    pub(crate) action: String,
    /// To what: the pods, or the workload.
    pub(crate) to: String,
    /// `Pending`, `Applied`, `Verifying`, `Succeeded` and so on.
    pub(crate) phase: String,
    /// Why, in the vocabulary of conditions.
    pub(crate) reason: String,
    /// The same in a sentence.
    pub(crate) message: String,
    /// How long it took, once it is over.
    pub(crate) took: String,
}

/// Follows policies and Remediations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Follow {
    held: BTreeMap<String, String>,
    /// By time and name.
    remedies: BTreeMap<(String, String), Remedy>,
}

impl Follow {
    /// Takes a RemediationPolicy as it is after a write.
    pub(crate) fn see_policy(&mut self, policy: &Value) -> Option<News> {
        let conditions = policy["status"]["conditions"].as_array()?;
        let allowed = conditions
            .iter()
            .find(|condition| condition["type"] == "RemediationAllowed")?;
        let metadata = &policy["metadata"];
        let name = format!(
            "{}/{}",
            text(&metadata["namespace"]),
            text(&metadata["name"])
        );
        if allowed["status"] != "False" {
            self.held.remove(&name);
            return None;
        }
        let reason = text(&allowed["reason"]);
        // What holds it back is a remediation of its own, which tells for itself.
        if OWN.contains(&reason.as_str()) {
            return None;
        }
        if self.held.insert(name.clone(), reason.clone()).as_ref() == Some(&reason) {
            return None;
        }
        Some(News::Held {
            policy: name,
            reason,
            message: text(&allowed["message"]),
        })
    }

    /// Takes a Remediation as it is after a write.
    pub(crate) fn see_record(&mut self, record: &Value) -> Option<News> {
        let (spec, status) = (&record["spec"], &record["status"]);
        let pods: Vec<String> = spec["pods"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pod| text(&pod["name"]))
            .collect();
        let namespace = text(&record["metadata"]["namespace"]);
        let to = match pods.as_slice() {
            [] => {
                let kind = text(&spec["target"]["kind"]).to_lowercase();
                format!("{kind} {namespace}/{}", text(&spec["target"]["name"]))
            }
            pods => format!("pod {namespace}/{}", pods.join(", ")),
        };
        let remedy = Remedy {
            name: text(&record["metadata"]["name"]),
            action: text(&spec["actionName"]),
            to,
            phase: match text(&status["phase"]) {
                phase if phase.is_empty() => "Pending".to_owned(),
                phase => phase,
            },
            reason: text(&status["reason"]),
            message: text(&status["message"]),
            took: text(&status["took"]),
        };
        let key = (text(&spec["time"]), remedy.name.clone());
        let before = self.remedies.insert(key, remedy.clone());
        let news = before.is_none_or(|before| before.phase != remedy.phase);
        news.then_some(News::Remedy(remedy))
    }

    /// The Remediations, in the order of time.
    pub(crate) fn remedies(&self) -> impl Iterator<Item = &Remedy> {
        self.remedies.values()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hold_is_told_once_until_it_changes() {
        let policy = |status: &str, reason: &str| {
            json!({"metadata": {"namespace": "shop", "name": "web"}, "status": {"conditions": [
                {"type": "RemediationAllowed", "status": status, "reason": reason, "message": "m"},
            ]}})
        };
        let held = |reason: &str| {
            Some(News::Held {
                policy: "shop/web".to_owned(),
                reason: reason.to_owned(),
                message: "m".to_owned(),
            })
        };
        let mut follow = Follow::default();
        assert_eq!(follow.see_policy(&json!({})), None);
        for (status, reason, news) in [
            ("True", "Allowed", None),
            ("False", "UpstreamUnhealthy", held("UpstreamUnhealthy")),
            ("False", "UpstreamUnhealthy", None),
            ("False", "UpstreamGrace", held("UpstreamGrace")),
            ("False", "Verifying", None),
            ("True", "Allowed", None),
            ("False", "UpstreamGrace", held("UpstreamGrace")),
        ] {
            assert_eq!(follow.see_policy(&policy(status, reason)), news, "{reason}");
        }
    }

    #[test]
    fn a_remedy_is_told_at_each_phase() {
        let record = |pods: Value, phase: &str| {
            json!({
                "metadata": {"name": "web-1", "namespace": "shop"},
                "spec": {"actionName": "restartPods", "target": {"kind": "Deployment", "name": "web"}, "pods": pods},
                "status": {"phase": phase, "reason": "Applied", "message": "done"},
            })
        };
        let pods = json!([{"name": "web-x", "uid": "1"}]);
        let mut follow = Follow::default();
        let told = |news: Option<News>| match news {
            Some(News::Remedy(remedy)) => {
                format!("{} {} {}", remedy.action, remedy.to, remedy.phase)
            }
            other => format!("{other:?}"),
        };
        for (record, expected) in [
            (
                record(pods.clone(), ""),
                "restartPods pod shop/web-x Pending",
            ),
            (
                record(pods.clone(), "Applied"),
                "restartPods pod shop/web-x Applied",
            ),
            (record(pods, "Applied"), "None"),
            (
                record(json!([]), "Succeeded"),
                "restartPods deployment shop/web Succeeded",
            ),
        ] {
            assert_eq!(told(follow.see_record(&record)), expected);
        }
        assert_eq!(follow.remedies().count(), 1);
    }
}
