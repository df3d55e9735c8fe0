//! What to tell people about a request that failed: one line, bounded, without secrets.

use std::error::Error as StdError;

use kube::Error;
use kube::client::AuthError;
use tokio::time::error::Elapsed;

/// Longest text, in characters.
const LONGEST: usize = 512;

/// Why a request failed, in one line.
///
/// kube's own text repeats the whole status object, and that of a credential plugin that failed holds what the plugin
/// printed, which may be a token.
pub fn explain(error: &Error) -> String {
    let text = match error {
        Error::Api(status) if status.message.is_empty() => {
            format!("the API server answered {} {}", status.code, status.reason)
        }
        // It names the verb and the resource if that is not allowed.
        Error::Api(status) => format!("{} ({})", status.message, status.code),
        Error::Auth(error) => auth(error),
        Error::Service(error) if error.is::<Elapsed>() => "no answer in time".to_owned(),
        Error::Service(error) => match error.downcast_ref::<Error>() {
            Some(error) => explain(error),
            None => chain(error.as_ref()),
        },
        other => chain(other),
    };
    printable(&text)
}

/// The HTTP status code of the answer, if there was one.
pub fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn auth(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { cmd, out } => format!(
            "the credential plugin {cmd:?} of the kubeconfig failed ({}); run it by hand to see why",
            out.status
        ),
        AuthError::AuthExecParse(_) => {
            "the credential plugin of the kubeconfig did not print an ExecCredential".to_owned()
        }
        other => format!("no credentials: {}", chain(other)),
    }
}

/// An error and its causes. Many repeat the cause in their own text; it is not said twice.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// One line without control characters, cut.
fn printable(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = line.take(LONGEST + 1).collect();
    if line.chars().count() > LONGEST {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::process::{ExitStatus, Output};

    use kube::Error;
    use kube::client::AuthError;
    use kube::core::Status;

    use super::explain;

    #[test]
    fn an_answer_is_told_once() {
        let status = Status::failure("leases is forbidden\n\u{1b}[31m", "Forbidden").with_code(403);
        let text = explain(&Error::Api(Box::new(status)));
        assert_eq!(text, "leases is forbidden  [31m (403)");
        let status = Status::failure("", "ServiceUnavailable").with_code(503);
        let text = explain(&Error::Api(Box::new(status)));
        assert_eq!(text, "the API server answered 503 ServiceUnavailable");
        let status = Status::failure(&"é".repeat(100_000), "").with_code(500);
        let text = explain(&Error::Api(Box::new(status)));
        assert_eq!(text.chars().count(), 513, "cut");
    }

    #[tokio::test]
    async fn causes_are_told_once_each() {
        let elapsed = tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>());
        let error = Error::Service(Box::new(elapsed.await.unwrap_err()));
        assert_eq!(explain(&error), "no answer in time");
        let error = Error::ReadEvents(std::io::Error::other("reset by peer"));
        assert_eq!(
            explain(&error),
            "Error reading events stream: reset by peer"
        );
        let inner = Error::ReadEvents(std::io::Error::other("reset by peer"));
        let error = Error::Service(Box::new(inner));
        assert_eq!(
            explain(&error),
            "Error reading events stream: reset by peer"
        );
    }

    #[test]
    fn what_a_credential_plugin_printed_is_not_told() {
        let out = Output {
            status: ExitStatus::default(),
            stdout: b"token-1234".to_vec(),
            stderr: b"token-5678".to_vec(),
        };
        let error = AuthError::AuthExecRun {
            cmd: "plugin".to_owned(),
            out: Box::new(out),
        };
        let text = explain(&Error::Auth(error));
        assert!(
            text.contains("\"plugin\"") && !text.contains("token"),
            "{text}"
        );
    }
}
