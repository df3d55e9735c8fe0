//! The end of a remote command: the `Status` on the error channel (`remotecommand` v4 and v5).

use serde::Deserialize;

use crate::describe::shorten;
use crate::exec::outcome::Outcome;
use crate::exec::stable::stable;

/// A Kubernetes `Status`, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) kind: String,
    causes: Vec<Cause>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
}

/// How the command ended, by the text of the error channel.
pub(super) fn outcome(text: &[u8]) -> Outcome {
    let Ok(status) = serde_json::from_slice::<Status>(text) else {
        return Outcome::Unknown(
            "expected its exit status from the API server, got something else".to_owned(),
        );
    };
    match (status.status.as_str(), status.reason.as_str()) {
        ("Success", _) => Outcome::Exited(0),
        (_, "NonZeroExitCode") => exit_code(&status).map(Outcome::Exited).unwrap_or_else(|| {
            Outcome::Unknown("expected its exit status from the API server, got none".to_owned())
        }),
        _ => runtime_error(&status.message),
    }
}

fn exit_code(status: &Status) -> Option<i32> {
    status
        .details
        .causes
        .iter()
        .find(|cause| cause.reason == "ExitCode")?
        .message
        .trim()
        .parse()
        .ok()
}

/// What container runtimes say when a program cannot be started (containerd and CRI-O, by runc and crun).
const NOT_STARTED: &[(&str, &str)] = &[
    (
        "executable file not found",
        "not found in the container's PATH",
    ),
    (
        "exec format error",
        "not a program for the container's machine",
    ),
    ("permission denied", "not executable in the container"),
    ("is a directory", "it is a directory in the container"),
    ("no such file or directory", "no such file in the container"),
];

/// What they say when the container does not run.
const NOT_RUNNING: &[&str] = &[
    "container not found",
    "container is not running",
    "not in running state",
    "stopped container",
];

/// Whether `message` says that the container does not run.
pub(super) fn is_not_running(message: &str) -> bool {
    NOT_RUNNING.iter().any(|words| message.contains(words))
}

fn runtime_error(message: &str) -> Outcome {
    if is_not_running(message) {
        return Outcome::Unknown("expected its container to be running, it is not".to_owned());
    }
    if let Some((_, words)) = NOT_STARTED.iter().find(|(part, _)| message.contains(part)) {
        return Outcome::CannotStart((*words).to_owned());
    }
    // The error is wrapped many times; the innermost comes last.
    let inner = message
        .rsplit_once("unable to start container process: ")
        .map_or(message, |(_, inner)| inner);
    let inner = inner
        .trim_start_matches("Internal error occurred: ")
        .trim_start_matches("error executing command in container: ");
    Outcome::Unknown(format!(
        "the container runtime did not run it: {}",
        shorten(&stable(inner), 120)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_an_outcome() {
        let unknown = |text: &str| Outcome::Unknown(text.to_owned());
        let cannot = |text: &str| Outcome::CannotStart(text.to_owned());
        for (text, expected) in [
            (r#"{"metadata":{},"status":"Success"}"#, Outcome::Exited(0)),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"Other"},{"reason":"ExitCode","message":"137"}]}}"#,
                Outcome::Exited(137),
            ),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode"}"#,
                unknown("expected its exit status from the API server, got none"),
            ),
            (
                "",
                unknown("expected its exit status from the API server, got something else"),
            ),
            (
                "command terminated",
                unknown("expected its exit status from the API server, got something else"),
            ),
            (
                r#"{"status":"Failure","reason":"InternalError","message":"Internal error occurred: x: exec: \"/a.sh\": permission denied"}"#,
                cannot("not executable in the container"),
            ),
            (
                r#"{"status":"Failure","reason":"InternalError","message":"x: unable to start container process: exec: \"/a\": stat /a: no such file or directory"}"#,
                cannot("no such file in the container"),
            ),
            (
                r#"{"status":"Failure","reason":"InternalError","message":"Internal error occurred: error executing command in container: container is not running"}"#,
                unknown("expected its container to be running, it is not"),
            ),
            (
                r#"{"status":"Failure","reason":"InternalError","message":"Internal error occurred: error executing command in container: failed to start exec \"62437f79be96cd03\": oops"}"#,
                unknown(
                    r#"the container runtime did not run it: failed to start exec "<id>": oops"#,
                ),
            ),
        ] {
            assert_eq!(outcome(text.as_bytes()), expected, "{text}");
        }
    }
}
