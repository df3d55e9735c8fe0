//! What is said to a target and what it must answer, step by step.

use std::str::FromStr;

use super::bytes::{Expected, Payload};
use crate::values::{BadValue, FileText};

/// One step: `send TEXT`, `expect REGEX`, `expect prefix:TEXT` or `starttls`.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Bytes to send.
    Send(Payload),
    /// What must come.
    Expect(Expected),
    /// TLS from here on.
    StartTls,
}

impl FromStr for Step {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Step, BadValue> {
        let text = text.trim();
        let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match verb {
            "send" => rest.parse().map(Step::Send),
            "expect" => rest.trim_start().parse().map(Step::Expect),
            "starttls" if rest.is_empty() => Ok(Step::StartTls),
            "starttls" => Err(BadValue::expected("nothing after starttls")),
            // What follows the verb may be a password.
            verb => {
                let verb = crate::describe::shorten(verb, 20);
                Err(BadValue(format!(
                    "expected send, expect or starttls at the beginning, seen {verb:?}"
                )))
            }
        }
    }
}

/// Steps from a file, one a line; blank lines and those that begin with `#` are left out.
#[derive(Debug, Clone)]
pub(super) struct StepFile(pub Vec<Step>);

impl FromStr for StepFile {
    type Err = BadValue;

    fn from_str(path: &str) -> Result<StepFile, BadValue> {
        let FileText(text) = path.parse()?;
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        lines
            .map(|(index, line)| {
                line.parse().map_err(|BadValue(reason)| {
                    BadValue(format!("{reason} (line {} of the file)", index + 1))
                })
            })
            .collect::<Result<Vec<Step>, BadValue>>()
            .map(StepFile)
    }
}

/// Steps that prove something: at least one answer is awaited, and TLS is started at most once.
#[derive(Debug, Clone, Default)]
pub(super) struct Dialogue {
    plain: Vec<Step>,
    tls: Option<Vec<Step>>,
}

impl Dialogue {
    /// Checks that the steps prove something. No steps at all are fine: a connection proves something by itself.
    pub(super) fn new(steps: Vec<Step>) -> Result<Dialogue, &'static str> {
        let expects = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::Expect(_)));
        if !steps.is_empty()
            && !expects(&steps)
            && !steps.iter().any(|step| matches!(step, Step::StartTls))
        {
            return Err(
                "expected an answer to be expected too: what is sent proves nothing by itself",
            );
        }
        let mut parts = steps
            .split(|step| matches!(step, Step::StartTls))
            .map(<[Step]>::to_vec);
        let plain = parts.next().unwrap_or_default();
        let tls = parts.next();
        if parts.next().is_some() {
            return Err("expected starttls at most once");
        }
        Ok(Dialogue { plain, tls })
    }

    /// The steps before TLS is started, or all if it is not.
    pub(super) fn plain(&self) -> &[Step] {
        &self.plain
    }

    /// The steps after TLS is started; `None` if none of the steps does.
    pub(super) fn tls(&self) -> Option<&[Step]> {
        self.tls.as_deref()
    }

    /// Whether there is no step at all.
    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.tls.is_none()
    }

    /// Whether each answer is to something that was sent before, as UDP needs: there, nobody speaks first.
    pub(super) fn asks_first(&self) -> bool {
        let first = self.plain.first();
        let asked = matches!(first, Some(Step::Send(_)));
        asked
            && self
                .plain
                .iter()
                .any(|step| matches!(step, Step::Expect(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue(steps: &[&str]) -> Result<Dialogue, &'static str> {
        Dialogue::new(steps.iter().map(|step| step.parse().unwrap()).collect())
    }

    #[test]
    fn steps_that_prove_nothing_are_refused() {
        assert!(dialogue(&[]).unwrap().is_empty());
        assert!(dialogue(&["expect a"]).is_ok());
        assert!(dialogue(&["starttls"]).unwrap().tls().unwrap().is_empty());
        assert!(
            dialogue(&["send a"])
                .unwrap_err()
                .contains("proves nothing")
        );
        assert!(
            dialogue(&["starttls", "expect a", "starttls"])
                .unwrap_err()
                .contains("at most once")
        );
        let split = dialogue(&[
            "expect ^220",
            "send AUTH TLS\\r\\n",
            "expect ^234",
            "starttls",
            "send x",
            "expect y",
        ])
        .unwrap();
        assert_eq!((split.plain().len(), split.tls().unwrap().len()), (3, 2));
    }

    #[test]
    fn udp_asks_first() {
        for (steps, first) in [
            (&["send a", "expect b"][..], true),
            (&["send a", "expect b", "send c"], true),
            (&["expect b", "send a"], false),
            (&["expect b"], false),
            (&[], false),
        ] {
            assert_eq!(dialogue(steps).unwrap().asks_first(), first, "{steps:?}");
        }
    }

    #[test]
    fn wrong_steps_are_told_without_what_they_send() {
        for (text, words) in [
            ("sned s3cret", "seen \"sned\""),
            ("", "seen \"\""),
            ("send", "at least one byte"),
            ("send a\\q", "after a backslash"),
            ("expect (", "regular expression"),
            ("expect", "empty answer"),
            ("starttls now", "nothing after starttls"),
        ] {
            let error = text.parse::<Step>().unwrap_err();
            assert!(
                error.0.contains(words) && !error.0.contains("s3cret"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn files_hold_a_step_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dialogue");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().parse::<StepFile>()
        };
        assert_eq!(read("# login\nsend a\r\n\nexpect b\n").unwrap().0.len(), 2);
        assert!(read("send a\nfoo\n").unwrap_err().0.contains("line 2"));
        assert!("/no/such".parse::<StepFile>().is_err());
    }
}
