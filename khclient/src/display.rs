//! The verdict for people.

use std::io::{self, IsTerminal, Write};

use crate::report::Report;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// The verdict in words, then a line for each finding. No line break at the end.
pub(crate) fn verdict(report: &Report, colour: bool) -> String {
    let (word, code) = if report.is_ok() {
        ("PASSED", GREEN)
    } else if report.is_misconfigured() {
        ("MISCONFIGURED", YELLOW)
    } else {
        ("FAILED", RED)
    };
    let mut out = if colour {
        format!("{BOLD}{code}{word}{RESET}")
    } else {
        word.to_owned()
    };
    for finding in report.findings() {
        out.push_str("\n  ");
        match finding.subject() {
            Some(subject) if colour => {
                out.push_str(&format!("{BOLD}{subject}{RESET}: {}", finding.message()))
            }
            _ => out.push_str(&finding.to_string()),
        }
    }
    out
}

/// Writes the verdict to standard output, coloured if that is a terminal and `NO_COLOR` is not set.
pub(crate) fn print(report: &Report) {
    let mut out = io::stdout().lock();
    let colour =
        out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Nobody is left to tell if standard output is closed; the exit code still says it.
    let _ = writeln!(out, "{}", verdict(report, colour));
}

/// Writes a line to standard error, which is the pod's log. Unlike `eprintln!` it does not panic if that is closed.
pub(crate) fn log(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Subject};

    #[test]
    fn verdicts_read_well_without_colours() {
        let subject = Subject::namespaced("pod", "shop", "web-1").unwrap();
        let report = Report::failed([
            Finding::about(subject, "expected 200, got 503"),
            Finding::new("timed out"),
        ]);
        assert_eq!(
            verdict(&report, false),
            "FAILED\n  pod shop/web-1: expected 200, got 503\n  timed out"
        );
        assert_eq!(verdict(&Report::ok(), false), "PASSED");
        assert_eq!(
            verdict(&Report::misconfigured(["x"]), false),
            "MISCONFIGURED\n  x"
        );
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        let subject = Subject::cluster("node", "a").unwrap();
        let report = Report::failed([Finding::about(subject, "gone")]);
        let mut plain = verdict(&report, true);
        for code in [GREEN, RED, YELLOW, BOLD, RESET] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, verdict(&report, false));
    }
}
