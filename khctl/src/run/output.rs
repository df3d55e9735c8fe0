//! The verdicts in the form asked for: a table, JSON or JUnit XML.

use std::time::Duration;

use serde_json::json;

use super::verdict::{Outcome, Verdict};
use crate::style::{Style, Tone, printable};
use crate::table::{Cell, Table};

/// The forms of `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// JUnit XML, which CI systems read.
    Junit,
}

/// Writes every outcome in `format`, ended by a newline.
pub(crate) fn render(
    outcomes: &[Outcome],
    format: Format,
    width: Option<usize>,
    style: Style,
) -> String {
    match format {
        Format::Table => table(outcomes, width, style),
        Format::Json => json_text(outcomes),
        Format::Junit => junit(outcomes),
    }
}

fn count(outcomes: &[Outcome]) -> (usize, usize) {
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    (passed, outcomes.len() - passed)
}

fn table(outcomes: &[Outcome], width: Option<usize>, style: Style) -> String {
    let mut table = Table::new(["CHECK", "LINE", "VERDICT", "TIME", "FOUND"]);
    for outcome in outcomes {
        let tone = if outcome.passed() {
            Tone::Good
        } else {
            Tone::Bad
        };
        let found: Vec<String> = outcome.findings().iter().map(|f| printable(f)).collect();
        // A pipe gets one line a check, so that `grep` and `awk` find everything on it.
        let between = if width.is_some() { "\n" } else { "; " };
        table.push([
            outcome.check.id().into(),
            outcome.check.line.to_string().into(),
            Cell::toned(tone, outcome.word()),
            seconds(outcome.took).into(),
            found.join(between).into(),
        ]);
    }
    let (passed, failed) = count(outcomes);
    let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
    format!(
        "{}\n{}\n",
        table.render(width, style),
        style.paint(tone, &format!("{passed} passed, {failed} failed"))
    )
}

/// A time as a person reads it.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

fn json_text(outcomes: &[Outcome]) -> String {
    let (passed, failed) = count(outcomes);
    let checks: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "file": outcome.check.file,
                "kind": outcome.check.line.kind(),
                "namespace": outcome.check.namespace,
                "name": outcome.check.name,
                "ok": outcome.passed(),
                "verdict": outcome.word(),
                "errors": outcome.findings(),
                "seconds": (outcome.took.as_secs_f64() * 1000.0).round() / 1000.0,
            })
        })
        .collect();
    format!(
        "{:#}\n",
        json!({"passed": passed, "failed": failed, "checks": checks})
    )
}

/// The form of the Jenkins and Maven Surefire schema: a failure is a check that failed, an error one that
/// could not run.
fn junit(outcomes: &[Outcome]) -> String {
    let errors = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.verdict, Verdict::Unusable(_)))
        .count();
    let (_, failed) = count(outcomes);
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n  <testsuite name=\"khctl run\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" time=\"{:.3}\">\n",
        outcomes.len(),
        failed - errors,
        total.as_secs_f64()
    );
    for outcome in outcomes {
        let check = &outcome.check;
        xml.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" time=\"{:.3}\"",
            escape(&format!("{}.{}", check.line.kind(), check.namespace)),
            escape(&check.name),
            escape(&check.file),
            outcome.took.as_secs_f64()
        ));
        let (element, findings) = match &outcome.verdict {
            Verdict::Passed => {
                xml.push_str("/>\n");
                continue;
            }
            Verdict::Failed(_) => ("failure", outcome.findings()),
            Verdict::Unusable(_) => ("error", outcome.findings()),
        };
        let first = findings.first().map(String::as_str).unwrap_or_default();
        xml.push_str(&format!(
            ">\n      <{element} message=\"{}\">{}</{element}>\n    </testcase>\n",
            escape(first),
            escape(&findings.join("\n"))
        ));
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// XML 1.0 cannot hold most control characters, not even escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{CheckDocument, Line};
    use super::*;

    fn outcomes() -> Vec<Outcome> {
        let check = |name: &str, line| CheckDocument {
            file: "a&b.yaml".to_owned(),
            line,
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            timeout: Duration::from_secs(30),
            object: json!({}),
        };
        let outcome = |name, line, verdict| Outcome {
            check: check(name, line),
            verdict,
            took: Duration::from_millis(1234),
        };
        vec![
            outcome("web", Line::V2, Verdict::Passed),
            outcome(
                "db",
                Line::V3,
                Verdict::Failed(vec![
                    "pod shop/db-1: expected \"<ok>\" & got \u{1b}[31mred".to_owned(),
                    "second".to_owned(),
                ]),
            ),
            outcome("x", Line::V3, Verdict::Unusable("no program".to_owned())),
        ]
    }

    #[test]
    fn a_table_on_a_pipe_has_one_line_a_check() {
        assert_eq!(
            render(&outcomes(), Format::Table, None, Style::PLAIN),
            "CHECK     LINE  VERDICT  TIME  FOUND\n\
             shop/web  v2    passed   1.2s\n\
             shop/db   v3    failed   1.2s  pod shop/db-1: expected \"<ok>\" & got  [31mred; second\n\
             shop/x    v3    not run  1.2s  no program\n\
             \n\
             1 passed, 2 failed\n"
        );
    }

    #[test]
    fn json_says_everything() {
        let text = render(&outcomes(), Format::Json, None, Style::PLAIN);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["passed"], 1);
        assert_eq!(value["failed"], 2);
        assert_eq!(
            value["checks"][0],
            json!({"file": "a&b.yaml", "kind": "KuberhealthyCheck", "namespace": "shop", "name": "web",
                   "ok": true, "verdict": "passed", "errors": [], "seconds": 1.234})
        );
        assert_eq!(value["checks"][1]["errors"][1], "second");
        assert_eq!(value["checks"][2]["verdict"], "not run");
    }

    #[test]
    fn junit_is_well_formed_and_tells_failures_from_errors() {
        let text = render(&outcomes(), Format::Junit, None, Style::PLAIN);
        let document = roxmltree::Document::parse(&text).unwrap();
        let suite = document.root_element().first_element_child().unwrap();
        for (attribute, value) in [("tests", "3"), ("failures", "1"), ("errors", "1")] {
            assert_eq!(suite.attribute(attribute), Some(value), "{attribute}");
        }
        let failure = document
            .descendants()
            .find(|node| node.has_tag_name("failure"))
            .unwrap();
        assert_eq!(
            failure.attribute("message"),
            Some("pod shop/db-1: expected \"<ok>\" & got  [31mred")
        );
        assert!(failure.text().unwrap().ends_with("\nsecond"));
        assert!(
            document
                .descendants()
                .any(|node| node.has_tag_name("error"))
        );
    }
}
