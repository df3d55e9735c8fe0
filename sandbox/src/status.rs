//! What a Kubernetes API server answers when it refuses: the `Status` object.
//!
//! The wording follows a recorded kube-apiserver 1.36, because clients show these messages to people and some
//! read them.

use serde_json::{Value, json};

/// A refusal, as a kube-apiserver writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`; empty when the server gave none.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// `details` of the object: resource, name, causes, seconds to wait; null when there are none.
    pub details: Value,
    /// Token with which a list that expired can be continued without consistency (`metadata.continue`).
    pub continue_token: Option<String>,
}

/// One thing wrong with an object, for an answer `422 Invalid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Such as `FieldValueRequired`.
    pub reason: &'static str,
    /// Where, such as `spec.containers[0].name`.
    pub field: String,
    /// What is wrong, without the field.
    pub message: String,
}

impl Cause {
    /// A field that must be there and is not.
    pub(crate) fn required(field: impl Into<String>, hint: &str) -> Cause {
        let message = match hint {
            "" => "Required value".to_owned(),
            hint => format!("Required value: {hint}"),
        };
        Cause {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    /// A field whose value is not acceptable.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Cause {
        Cause {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {}: {why}", shown(value)),
        }
    }

    /// A field of the wrong JSON type.
    pub(crate) fn wrong_type(field: impl Into<String>, value: &Value, why: &str) -> Cause {
        Cause {
            reason: "FieldValueTypeInvalid",
            field: field.into(),
            message: format!("Invalid value: {}: {why}", shown(value)),
        }
    }

    /// A field whose value is none of the allowed ones.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, allowed: &[Value]) -> Cause {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        Cause {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                allowed.join(", ")
            ),
        }
    }
}

/// Go prints an offending scalar as itself and anything else as its JSON type.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".to_owned(),
        Value::Array(_) => "\"array\"".to_owned(),
        other => other.to_string(),
    }
}

impl Status {
    /// A refusal without details.
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Status {
        Status {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: Value::Null,
            continue_token: None,
        }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Status {
        let mut details = serde_json::Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.to_owned(), Value::from(value));
            }
        }
        self.details = Value::Object(details);
        self
    }

    /// 404: no such object.
    pub(crate) fn not_found(group: &str, resource: &str, name: &str) -> Status {
        let message = format!("{} \"{name}\" not found", qualified(resource, group));
        Status::new(404, "NotFound", message).about(group, resource, name)
    }

    /// 409: an object of this name is there.
    pub(crate) fn already_exists(group: &str, resource: &str, name: &str) -> Status {
        let message = format!("{} \"{name}\" already exists", qualified(resource, group));
        Status::new(409, "AlreadyExists", message).about(group, resource, name)
    }

    /// 409: written against an object that changed meanwhile.
    pub(crate) fn conflict(group: &str, resource: &str, name: &str) -> Status {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict_because(group, resource, name, why)
    }

    /// 409 for another reason than a change in between.
    pub(crate) fn conflict_because(group: &str, resource: &str, name: &str, why: &str) -> Status {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(resource, group)
        );
        Status::new(409, "Conflict", message).about(group, resource, name)
    }

    /// 403. `what` is the whole sentence after "is forbidden: ".
    pub(crate) fn forbidden(group: &str, resource: &str, name: &str, what: &str) -> Status {
        let subject = match name {
            "" => qualified(resource, group),
            name => format!("{} \"{name}\"", qualified(resource, group)),
        };
        Status::new(403, "Forbidden", format!("{subject} is forbidden: {what}"))
            .about(group, resource, name)
    }

    /// 422: an object that breaks the rules of its kind.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Status {
        let each: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let list = match each.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {list}", qualified(kind, group));
        let mut status = Status::new(422, "Invalid", message).about(group, kind, name);
        status.details["causes"] = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        status
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message)
    }

    /// 401.
    pub(crate) fn unauthorized() -> Status {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Status {
        let message = "the server does not allow this method on the requested resource";
        let mut status = Status::new(405, "MethodNotAllowed", message);
        status.details = json!({});
        status
    }

    /// 410: a watch or list from before what the server still remembers.
    pub(crate) fn too_old(asked: u64, oldest: u64) -> Status {
        let message = format!("too old resource version: {asked} ({oldest})");
        Status::new(410, "Expired", message)
    }

    /// The object as sent.
    pub(crate) fn to_value(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = Value::from(token.as_str());
        }
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            value["reason"] = Value::from(self.reason.as_str());
        }
        if !self.details.is_null() {
            value["details"] = self.details.clone();
        }
        value
    }

    /// Reads a `Status` object; `None` if `value` is something else.
    pub(crate) fn from_value(value: &Value) -> Option<Status> {
        if value["kind"] != "Status" {
            return None;
        }
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Some(Status {
            code: value["code"]
                .as_u64()
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(0),
            reason: text("reason"),
            message: text("message"),
            details: value["details"].clone(),
            continue_token: value["metadata"]["continue"].as_str().map(str::to_owned),
        })
    }

    /// Seconds the server asks the client to wait.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{} ({})", self.message, self.code),
            reason => write!(f, "{} ({} {reason})", self.message, self.code),
        }
    }
}

/// `deployments.apps`, and plain `pods` in the core group.
pub(crate) fn qualified(resource: &str, group: &str) -> String {
    match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    }
}
