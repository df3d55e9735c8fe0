//! What an HTTP answer to a write means. Pure.
//!
//! Only what the server says for certain is taken for certain: whatever may have taken effect is [`Answer::Unknown`],
//! and the next read tells.

use kube::core::Status;

use crate::core::execution::{Answer, Refusal};

/// Most characters of a server's message that are kept.
const MESSAGE: usize = 1024;

/// What kind of write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// An eviction: disruption budgets have a say, and the precondition is a UID.
    Eviction,
    /// Any other, with a resourceVersion as its precondition.
    Change,
}

/// What a write that failed has come to.
pub(super) fn answer(write: Write, error: &kube::Error) -> Answer {
    match error {
        kube::Error::Api(status) => of_status(write, status),
        // These come before anything is sent.
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => {
            Answer::Refused(invalid(error.to_string()))
        }
        kube::Error::Auth(_) => Answer::Refused(not_sent(error)),
        // No answer, or none that can be read.
        _ => Answer::Unknown,
    }
}

fn of_status(write: Write, status: &Status) -> Answer {
    match (write, status.code) {
        (Write::Eviction, 429 | 500) => match budget(status) {
            Some(message) => Answer::Budget(cut(&message)),
            None if status.code == 429 => Answer::Refused(refusal(status)),
            None => Answer::Unknown,
        },
        (Write::Eviction, 409) if !names_uid(status) => Answer::Unknown,
        (_, 409) => Answer::Conflict,
        (_, 404) => Answer::Gone,
        // A request that took too long may have been carried out.
        (_, 408) => Answer::Unknown,
        (_, 400..=499) => Answer::Refused(refusal(status)),
        _ => Answer::Unknown,
    }
}

/// What a disruption budget says, if it is what refuses.
///
/// `pkg/registry/core/pod/storage/eviction.go`: 429 with a cause `DisruptionBudget`, or 500 if several budgets cover the
/// pod, which the server does not support; in both cases the pod stays.
fn budget(status: &Status) -> Option<String> {
    if status.code == 500 {
        let several = status.message.contains("more than one PodDisruptionBudget");
        return several.then(|| status.message.clone());
    }
    let details = status.details.as_ref()?;
    let mut causes = details.causes.iter();
    let cause = causes.find(|cause| cause.reason == "DisruptionBudget")?;
    Some(match cause.message.as_str() {
        "" => status.message.clone(),
        message => message.to_owned(),
    })
}

/// Whether a conflict is about the pod's UID. Only then the pod that was meant is known to be gone.
fn names_uid(status: &Status) -> bool {
    status.message.contains("UID in the precondition")
}

/// The refusal in a server's words.
pub(super) fn refusal(status: &Status) -> Refusal {
    Refusal {
        code: status.code,
        reason: cut(&status.reason),
        message: cut(&status.message),
    }
}

/// The refusal of a write that is not made because it makes no sense, as the API server would put it.
pub(super) fn invalid(message: String) -> Refusal {
    Refusal {
        code: 422,
        reason: "Invalid".to_owned(),
        message,
    }
}

/// The refusal of a write that was not sent because something before it failed; it can be made later.
pub(super) fn not_sent(why: &kube::Error) -> Refusal {
    Refusal {
        code: 0,
        reason: "NotSent".to_owned(),
        message: cut(&why.to_string()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::{Value, json};

    use super::{MESSAGE, Write, answer};
    use crate::core::execution::{Answer, Refusal};

    /// What a kube-apiserver answered.
    fn recorded(name: &str) -> Value {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../sandbox/tests/fixtures/kubernetes"
        );
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        let mut recorded: Value = serde_json::from_str(&text).unwrap();
        recorded["body"].take()
    }

    fn of(write: Write, status: Value) -> Answer {
        let status: Status = serde_json::from_value(status).unwrap();
        answer(write, &kube::Error::Api(status.boxed()))
    }

    fn refused(answer: &Answer) -> Option<(u16, &str)> {
        match answer {
            Answer::Refused(Refusal { code, reason, .. }) => Some((*code, reason)),
            _ => None,
        }
    }

    #[test]
    fn recorded_answers_are_understood() {
        use Write::{Change, Eviction};
        let needs = "The disruption budget web needs 2 healthy pods and has 2 currently";
        for (write, name, expected) in [
            (
                Eviction,
                "eviction-blocked-by-pdb",
                Answer::Budget(needs.to_owned()),
            ),
            (Eviction, "eviction-not-found", Answer::Gone),
            (Eviction, "eviction-wrong-uid", Answer::Conflict),
            (Change, "patch-wrong-resource-version", Answer::Conflict),
            (Change, "scale-put-conflict", Answer::Conflict),
            (Change, "get-not-found", Answer::Gone),
        ] {
            assert_eq!(of(write, recorded(name)), expected, "{name}");
        }
        for (name, code, reason, names) in [
            (
                "forbidden-subresource",
                403,
                "Forbidden",
                "cannot create resource \"pods/eviction\"",
            ),
            ("unauthorized", 401, "Unauthorized", "Unauthorized"),
        ] {
            let found = of(Eviction, recorded(name));
            assert_eq!(refused(&found), Some((code, reason)), "{name}");
            assert!(
                format!("{found:?}").contains(&names.replace('"', "\\\"")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn only_what_is_certain_is_taken_for_certain() {
        use Write::{Change, Eviction};
        let status = |code: u16| json!({"code": code, "reason": "R", "message": "m"});
        for write in [Eviction, Change] {
            for code in [0, 200, 302, 408, 500, 502, 503, 504, 599] {
                assert_eq!(of(write, status(code)), Answer::Unknown, "{write:?} {code}");
            }
            for code in [400, 401, 403, 405, 413, 415, 422, 429] {
                let found = of(write, status(code));
                assert_eq!(refused(&found), Some((code, "R")), "{write:?} {code}");
            }
            assert_eq!(of(write, status(404)), Answer::Gone, "{write:?}");
        }
        assert_eq!(of(Change, status(409)), Answer::Conflict);
        // The pod may be there still.
        assert_eq!(of(Eviction, status(409)), Answer::Unknown);
    }

    #[test]
    fn a_budget_is_told_from_a_busy_server() {
        let budget = |write| {
            let causes =
                json!([{"reason": "Other", "message": "x"}, {"reason": "DisruptionBudget"}]);
            of(
                write,
                json!({"code": 429, "message": "no", "details": {"causes": causes}}),
            )
        };
        assert_eq!(budget(Write::Eviction), Answer::Budget("no".to_owned()));
        assert_eq!(refused(&budget(Write::Change)), Some((429, "")));
        let busy = json!({"code": 429, "message": "busy", "details": {"retryAfterSeconds": 1}});
        assert_eq!(refused(&of(Write::Eviction, busy)), Some((429, "")));
        let several = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        let several_budgets = json!({"code": 500, "message": several});
        assert_eq!(
            of(Write::Eviction, several_budgets.clone()),
            Answer::Budget(several.to_owned())
        );
        assert_eq!(of(Write::Change, several_budgets), Answer::Unknown);
    }

    #[test]
    fn long_messages_are_cut_and_lost_answers_are_unknown() {
        let long = of(
            Write::Change,
            json!({"code": 422, "message": "é".repeat(MESSAGE * 2)}),
        );
        assert!(
            matches!(long, Answer::Refused(refusal) if refusal.message.chars().count() == MESSAGE)
        );
        let lost = kube::Error::Service("connection closed".into());
        assert_eq!(answer(Write::Eviction, &lost), Answer::Unknown);
        let garbage = serde_json::from_str::<Value>("{").unwrap_err();
        assert_eq!(
            answer(Write::Change, &kube::Error::SerdeError(garbage)),
            Answer::Unknown
        );
        let unsendable =
            kube::Error::BuildRequest(kube::core::request::Error::Validation("name".to_owned()));
        assert_eq!(
            refused(&answer(Write::Change, &unsendable)),
            Some((422, "Invalid"))
        );
    }
}
