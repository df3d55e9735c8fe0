//! A verdict. "OK with errors" and "failed without an error", which Kuberhealthy refuses or misreads, cannot be written.

use std::collections::HashSet;
use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::display;
use crate::finding::Finding;

/// The most errors a report carries, and the most bytes they have together. Kuberhealthy keeps them in a resource and
/// in a metric's label.
const MAX_ERRORS: usize = 20;
const MAX_BYTES: usize = 4096;

/// The last error of a report that had more to say. Without a number: it would change from run to run.
const LEFT_OUT: &str = "more findings left out";

/// The error of a failure that gave none.
const NO_FINDING: &str = "the check failed without saying why";

/// The verdict of one run: it passed, or it failed with at least one finding.
///
/// Findings keep their order; blank ones and repetitions are dropped; at most 20 of them and 4 KiB are kept, and the
/// last then says that more were left out.
///
/// ```
/// use khclient::Report;
///
/// let report = Report::failed(["expected status 200, got 503"]);
/// assert_eq!(
///     serde_json::to_string(&report)?,
///     r#"{"OK":false,"Errors":["expected status 200, got 503"]}"#,
/// );
/// assert!(Report::from(vec![]).is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(Verdict);

/// The findings are never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed(Vec<Finding>),
    Misconfigured(Vec<Finding>),
}

impl Report {
    /// The check looked, and found nothing wrong.
    pub fn ok() -> Report {
        Report(Verdict::Passed)
    }

    /// The check found something wrong. If every finding is blank, or there is none, it fails with a text that says so.
    pub fn failed<I>(findings: I) -> Report
    where
        I: IntoIterator,
        I::Item: Into<Finding>,
    {
        Report(Verdict::Failed(bounded(findings)))
    }

    /// The check could not look, because it was asked for something impossible. Kuberhealthy sees a failure like any
    /// other; on a terminal the exit code is 2.
    pub fn misconfigured<I>(findings: I) -> Report
    where
        I: IntoIterator,
        I::Item: Into<Finding>,
    {
        Report(Verdict::Misconfigured(bounded(findings)))
    }

    /// Whether the check passed.
    pub fn is_ok(&self) -> bool {
        matches!(self.0, Verdict::Passed)
    }

    /// Whether the check could not look at all.
    pub fn is_misconfigured(&self) -> bool {
        matches!(self.0, Verdict::Misconfigured(_))
    }

    /// What is wrong; empty if, and only if, the check passed.
    pub fn findings(&self) -> &[Finding] {
        match &self.0 {
            Verdict::Passed => &[],
            Verdict::Failed(findings) | Verdict::Misconfigured(findings) => findings,
        }
    }

    /// The findings as they are reported.
    pub fn errors(&self) -> Vec<String> {
        self.findings().iter().map(Finding::to_string).collect()
    }
}

/// Findings without blank ones and repetitions, within the limits, and never none.
fn bounded<I>(findings: I) -> Vec<Finding>
where
    I: IntoIterator,
    I::Item: Into<Finding>,
{
    let mut kept: Vec<Finding> = Vec::new();
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for finding in findings {
        let finding: Finding = finding.into();
        let text = finding.to_string();
        if text.is_empty() || seen.contains(&text) {
            continue;
        }
        if kept.len() == MAX_ERRORS || bytes + text.len() > MAX_BYTES {
            leave_out(&mut kept, bytes);
            return kept;
        }
        bytes += text.len();
        seen.insert(text);
        kept.push(finding);
    }
    if kept.is_empty() {
        kept.push(Finding::new(NO_FINDING));
    }
    kept
}

/// Makes room for, and adds, the finding that says there was more.
fn leave_out(kept: &mut Vec<Finding>, mut bytes: usize) {
    while kept.len() >= MAX_ERRORS || bytes + LEFT_OUT.len() > MAX_BYTES {
        match kept.pop() {
            Some(finding) => bytes -= finding.to_string().len(),
            None => break,
        }
    }
    kept.push(Finding::new(LEFT_OUT));
}

impl From<Vec<Finding>> for Report {
    /// None: passed.
    fn from(findings: Vec<Finding>) -> Report {
        if findings.is_empty() {
            Report::ok()
        } else {
            Report::failed(findings)
        }
    }
}

impl FromIterator<Finding> for Report {
    /// None: passed.
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Report {
        let mut findings = findings.into_iter().peekable();
        if findings.peek().is_none() {
            Report::ok()
        } else {
            Report::failed(findings)
        }
    }
}

impl<E: Into<Finding>> From<Result<(), E>> for Report {
    fn from(result: Result<(), E>) -> Report {
        match result {
            Ok(()) => Report::ok(),
            Err(error) => Report::failed([error]),
        }
    }
}

impl Serialize for Report {
    /// The body Kuberhealthy reads: `{"OK": bool, "Errors": [string]}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("Report", 2)?;
        body.serialize_field("OK", &self.is_ok())?;
        body.serialize_field("Errors", &self.errors())?;
        body.end()
    }
}

impl fmt::Display for Report {
    /// The verdict for people, without colours: a line, then one for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display::verdict(self, false))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(report: &Report) -> String {
        serde_json::to_string(report).unwrap()
    }

    #[test]
    fn bodies_are_those_kuberhealthy_accepts() {
        assert_eq!(body(&Report::ok()), r#"{"OK":true,"Errors":[]}"#);
        assert_eq!(
            body(&Report::failed(["a", "b"])),
            r#"{"OK":false,"Errors":["a","b"]}"#
        );
        assert_eq!(
            body(&Report::misconfigured(["c"])),
            r#"{"OK":false,"Errors":["c"]}"#
        );
        assert_eq!(
            body(&Report::failed(["say \"x\"\\"])),
            r#"{"OK":false,"Errors":["say \"x\"\\"]}"#
        );
    }

    #[test]
    fn a_failure_always_says_something() {
        for report in [
            Report::failed(Vec::<Finding>::new()),
            Report::failed(["", " \n", "\u{200b}"]),
            Report::misconfigured([""]),
            Report::from(vec![Finding::new("")]),
            Report::from_iter([Finding::new("")]),
            Report::from(Err::<(), _>("")),
        ] {
            assert!(!report.is_ok());
            assert_eq!(report.errors(), [NO_FINDING]);
        }
    }

    #[test]
    fn no_findings_is_a_pass() {
        assert!(Report::from(vec![]).is_ok());
        assert!(Report::from_iter([]).is_ok());
        assert!(Report::from(Ok::<(), String>(())).is_ok());
        assert!(Report::ok().findings().is_empty());
    }

    #[test]
    fn order_is_kept_and_repetitions_are_not() {
        assert_eq!(Report::failed(["b", "a", "b", " a "]).errors(), ["b", "a"]);
    }

    #[test]
    fn exactly_the_limit_leaves_nothing_out() {
        let findings: Vec<String> = (0..MAX_ERRORS).map(|i| format!("finding {i}")).collect();
        assert_eq!(Report::failed(findings.clone()).errors(), findings);

        let more = Report::failed(findings.into_iter().chain(["one more".to_owned()])).errors();
        assert_eq!(more.len(), MAX_ERRORS);
        assert_eq!(more[MAX_ERRORS - 1], LEFT_OUT);
        assert_eq!(more[MAX_ERRORS - 2], format!("finding {}", MAX_ERRORS - 2));
    }

    proptest! {
        #[test]
        fn a_report_is_bounded_and_says_when_it_left_something_out(
            messages in proptest::collection::vec("\\PC{0,320}", 0..60)
        ) {
            let report = Report::failed(messages.iter().map(String::as_str));
            let errors = report.errors();
            prop_assert!((1..=MAX_ERRORS).contains(&errors.len()));
            prop_assert!(errors.iter().map(String::len).sum::<usize>() <= MAX_BYTES);
            prop_assert!(errors.iter().all(|error| !error.trim().is_empty()));
            let distinct: HashSet<String> = messages
                .iter()
                .map(|message| Finding::new(message).to_string())
                .filter(|text| !text.is_empty())
                .collect();
            let complete = distinct.len() <= errors.len() && distinct.iter().all(|text| errors.contains(text));
            prop_assert_eq!(errors.last().is_some_and(|last| last == LEFT_OUT), !complete && !distinct.is_empty());
        }
    }
}
