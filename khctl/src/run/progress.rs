//! What is going on, on standard error: a line when a check starts and one when it ends, and on a terminal a last
//! line that lives.

use std::io::Write;
use std::time::Duration;

use super::output::seconds;
use super::verdict::{Outcome, Verdict};
use crate::style::{Style, Tone, printable};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// How often the living line is drawn anew.
pub(crate) const FRAME: Duration = Duration::from_millis(100);

/// Tells of checks that start and end. What cannot be written is left out: the verdicts matter more.
#[derive(Debug)]
pub(crate) struct Progress<W> {
    out: W,
    style: Style,
    /// Columns of the terminal; `None` if there is none, and so no living line.
    live: Option<usize>,
    running: Vec<String>,
    ended: usize,
    all: usize,
    frame: usize,
}

impl<W: Write> Progress<W> {
    /// Progress of `all` checks.
    pub(crate) fn new(out: W, style: Style, live: Option<usize>, all: usize) -> Progress<W> {
        Progress {
            out,
            style,
            live,
            running: Vec::new(),
            ended: 0,
            all,
            frame: 0,
        }
    }

    /// A check started.
    pub(crate) fn started(&mut self, name: &str) {
        if self.running.iter().any(|known| known == name) {
            return;
        }
        self.running.push(name.to_owned());
        if self.live.is_none() {
            let _ = writeln!(self.out, "running  {name}");
        }
        self.draw();
    }

    /// A check ended.
    pub(crate) fn ended(&mut self, name: &str, outcome: &Outcome) {
        self.running.retain(|running| running != name);
        self.ended += 1;
        let tone = if outcome.passed() {
            Tone::Good
        } else {
            Tone::Bad
        };
        let word = self.style.paint(tone, &format!("{:<7}", outcome.word()));
        let time = match outcome.verdict {
            Verdict::Unusable(_) => String::new(),
            _ => format!("  {}", seconds(outcome.took)),
        };
        self.erase();
        let _ = writeln!(self.out, "{word}  {name}{time}");
        self.draw();
    }

    /// Draws the living line.
    pub(crate) fn draw(&mut self) {
        let Some(width) = self.live else {
            return;
        };
        self.erase();
        if self.ended < self.all {
            let spinner = SPINNER[self.frame % SPINNER.len()];
            self.frame += 1;
            let text = format!(
                "{spinner} {} of {} done; {}",
                self.ended,
                self.all,
                if self.running.is_empty() {
                    "starting".to_owned()
                } else {
                    format!("running {}", self.running.join(", "))
                }
            );
            // One that wraps could not be erased.
            let fitting: String = printable(&text)
                .chars()
                .take(width.saturating_sub(1))
                .collect();
            let _ = write!(self.out, "{fitting}");
        }
        let _ = self.out.flush();
    }

    /// Takes the living line away, before anything else is written.
    pub(crate) fn erase(&mut self) {
        if self.live.is_some() {
            let _ = write!(self.out, "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{CheckDocument, Line};
    use super::*;

    fn outcome(verdict: Verdict) -> Outcome {
        Outcome {
            check: CheckDocument {
                file: "x.yaml".to_owned(),
                line: Line::V2,
                namespace: "n1".to_owned(),
                name: "web".to_owned(),
                timeout: Duration::from_secs(30),
                object: serde_json::Value::Null,
            },
            verdict,
            took: Duration::from_millis(400),
        }
    }

    #[test]
    fn plain_lines_elsewhere_than_on_a_terminal() {
        let mut progress = Progress::new(Vec::new(), Style::PLAIN, None, 2);
        progress.draw();
        progress.started("n1/web (v2)");
        progress.started("n1/web (v2)");
        progress.ended("n1/web (v2)", &outcome(Verdict::Passed));
        progress.ended("n1/db (v3)", &outcome(Verdict::Unusable("x".to_owned())));
        assert_eq!(
            String::from_utf8(progress.out).unwrap(),
            "running  n1/web (v2)\npassed   n1/web (v2)  0.4s\nnot run  n1/db (v3)\n"
        );
    }

    #[test]
    fn a_living_line_fits_the_terminal_and_goes_away() {
        let mut progress = Progress::new(Vec::new(), Style::PLAIN, Some(20), 1);
        progress.started("namespace/with-a-long-name (v2)");
        progress.ended("namespace/with-a-long-name (v2)", &outcome(Verdict::Passed));
        let text = String::from_utf8(progress.out).unwrap();
        let drawn: Vec<&str> = text
            .split("\r\x1b[K")
            .filter(|s| !s.contains("passed"))
            .collect();
        assert!(drawn.iter().all(|s| s.chars().count() < 20), "{drawn:?}");
        assert!(text.ends_with('\n') || text.ends_with("\x1b[K"), "{text:?}");
    }
}
