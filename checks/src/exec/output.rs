//! What a command wrote: read as it comes, held in bounded memory, judged line by line.

use regex::Regex;

use super::stable::{stable, without_escapes};
use khclient::redact_urls;

use crate::describe::shorten;

/// Bytes kept of the beginning, and as many of the end, for the log: 10 KiB in all, as the kubelet keeps of a probe.
const KEPT: usize = 5 << 10;
/// A longer line is judged in pieces of this size.
const LONGEST_LINE: usize = 64 << 10;
/// Characters of a line that a finding quotes.
const QUOTED: usize = 120;

/// The two streams of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What the lines of one stream must and must not look like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    /// Each has to match a line.
    pub(crate) wanted: Vec<Regex>,
    /// None may match any line.
    pub(crate) unwanted: Vec<Regex>,
}

/// Takes the output of one command.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    stdout: Lines<'a>,
    stderr: Lines<'a>,
    transcript: Transcript,
}

/// What there was to see in the output of one command that ended, or was ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Standard output.
    pub(crate) stdout: StreamSeen,
    /// Standard error.
    pub(crate) stderr: StreamSeen,
    /// Both, in the order they came, for the log: at most 10 KiB.
    pub(crate) log: String,
}

/// What there was to see in one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamSeen {
    /// Patterns that no line matched although one had to.
    pub(crate) missing: Vec<String>,
    /// Patterns that a line matched although none may.
    pub(crate) present: Vec<String>,
    /// The last line that is not blank, fit for a finding.
    pub(crate) last: Option<String>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(stdout: &'a Patterns, stderr: &'a Patterns) -> Output<'a> {
        Output {
            stdout: Lines::new(stdout),
            stderr: Lines::new(stderr),
            transcript: Transcript::default(),
        }
    }

    /// Takes the next piece of a stream.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.transcript.push(bytes);
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
    }

    /// No more will come.
    pub(crate) fn finish(self) -> Seen {
        self.seen(false)
    }

    /// More might have come. A line that had begun may end anywhere, so the last whole one is quoted if there is one.
    pub(crate) fn cut_off(self) -> Seen {
        self.seen(true)
    }

    fn seen(self, cut_off: bool) -> Seen {
        Seen {
            stdout: self.stdout.finish(cut_off),
            stderr: self.stderr.finish(cut_off),
            log: self.transcript.text(),
        }
    }
}

/// One stream, cut into lines, of which only the last is held.
#[derive(Debug)]
struct Lines<'a> {
    patterns: &'a Patterns,
    wanted: Vec<bool>,
    unwanted: Vec<bool>,
    line: Vec<u8>,
    last: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(patterns: &'a Patterns) -> Lines<'a> {
        Lines {
            patterns,
            wanted: vec![false; patterns.wanted.len()],
            unwanted: vec![false; patterns.unwanted.len()],
            line: Vec::new(),
            last: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(LONGEST_LINE) {
                if self.line.len() + part.len() > LONGEST_LINE {
                    self.end_line();
                }
                self.line.extend_from_slice(part);
            }
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let bytes = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if !bytes.is_ascii() || bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
            self.last.clear();
            // Enough for what is quoted, whatever is replaced in it or taken out of it.
            self.last
                .extend_from_slice(&bytes[..bytes.len().min(16 * QUOTED)]);
        }
        if !(self.wanted.is_empty() && self.unwanted.is_empty()) {
            let text = String::from_utf8_lossy(bytes);
            let judged = [
                (&self.patterns.wanted, &mut self.wanted),
                (&self.patterns.unwanted, &mut self.unwanted),
            ];
            for (patterns, matched) in judged {
                for (pattern, matched) in patterns.iter().zip(matched.iter_mut()) {
                    *matched = *matched || pattern.is_match(&text);
                }
            }
        }
        self.line.clear();
    }

    fn finish(mut self, cut_off: bool) -> StreamSeen {
        if !self.line.is_empty() {
            let whole = self.last.clone();
            self.end_line();
            if cut_off && !whole.is_empty() {
                self.last = whole;
            }
        }
        let of = |patterns: &[Regex], matched: &[bool], is: bool| {
            let those = patterns
                .iter()
                .zip(matched)
                .filter(|(_, matched)| **matched == is);
            those
                .map(|(pattern, _)| pattern.as_str().to_owned())
                .collect()
        };
        let last = shorten(
            stable(&redact_urls(&String::from_utf8_lossy(&self.last))).trim(),
            QUOTED,
        );
        StreamSeen {
            missing: of(&self.patterns.wanted, &self.wanted, false),
            present: of(&self.patterns.unwanted, &self.unwanted, true),
            last: Some(last).filter(|last| !last.is_empty()),
        }
    }
}

/// The beginning and the end of both streams.
#[derive(Debug, Default)]
struct Transcript {
    head: Vec<u8>,
    /// A ring of the last bytes, once the head is full.
    tail: Vec<u8>,
    at: usize,
    left_out: bool,
}

impl Transcript {
    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend_from_slice(head);
        // Of what is longer than the ring only the end can stay.
        let skipped = rest.len().saturating_sub(KEPT);
        self.left_out |= skipped > 0;
        let mut rest = &rest[skipped..];
        let room = rest.len().min(KEPT - self.tail.len());
        self.tail.extend_from_slice(&rest[..room]);
        rest = &rest[room..];
        self.left_out |= !rest.is_empty();
        while !rest.is_empty() {
            let run = rest.len().min(KEPT - self.at);
            self.tail[self.at..self.at + run].copy_from_slice(&rest[..run]);
            self.at = (self.at + run) % KEPT;
            rest = &rest[run..];
        }
    }

    /// The text, without what would confuse a log: control characters, colours, credentials in URLs.
    fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.left_out {
            bytes.extend_from_slice(b"\n[... left out ...]\n");
        }
        bytes.extend_from_slice(&self.tail[self.at.min(self.tail.len())..]);
        bytes.extend_from_slice(&self.tail[..self.at.min(self.tail.len())]);
        let text = without_escapes(&String::from_utf8_lossy(&bytes)).replace("\r\n", "\n");
        redact_urls(
            &text
                .chars()
                .map(|c| {
                    if c.is_control() && c != '\n' && c != '\t' {
                        ' '
                    } else {
                        c
                    }
                })
                .collect::<String>(),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(wanted: &[&str], unwanted: &[&str]) -> Patterns {
        let compile = |list: &[&str]| list.iter().map(|text| Regex::new(text).unwrap()).collect();
        Patterns {
            wanted: compile(wanted),
            unwanted: compile(unwanted),
        }
    }

    #[test]
    fn lines_are_judged_however_they_are_cut() {
        let stdout = patterns(&["^ready$", "^never$"], &["ERROR", "^$"]);
        let stderr = Patterns::default();
        let text = "starting\nready\r\nERR";
        for size in 1..text.len() {
            let mut output = Output::new(&stdout, &stderr);
            for piece in text.as_bytes().chunks(size) {
                output.push(Stream::Stdout, piece);
            }
            output.push(Stream::Stderr, b"\n  \n");
            output.push(Stream::Stdout, b"OR");
            let seen = output.finish();
            assert_eq!(seen.stdout.missing, ["^never$"]);
            assert_eq!(seen.stdout.present, ["ERROR"]);
            assert_eq!(seen.stdout.last.as_deref(), Some("ERROR"));
            assert_eq!(seen.stderr, StreamSeen::default());
        }
    }

    #[test]
    fn a_flood_is_judged_whole_and_kept_in_part() {
        let stdout = patterns(&["line 4242$"], &[]);
        let stderr = Patterns::default();
        let mut output = Output::new(&stdout, &stderr);
        for n in 0..20_000 {
            output.push(Stream::Stdout, format!("line {n}\n").as_bytes());
        }
        let seen = output.finish();
        assert!(seen.stdout.missing.is_empty());
        assert!(seen.log.starts_with("line 0\nline 1\n"), "{}", seen.log);
        assert!(seen.log.ends_with("line 19998\nline 19999\n"));
        assert!(seen.log.contains("\n[... left out ...]\n"));
        assert!(seen.log.len() <= 2 * KEPT + 30);
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let stdout = patterns(&["needle"], &[]);
        let stderr = Patterns::default();
        let mut output = Output::new(&stdout, &stderr);
        for _ in 0..10 {
            output.push(Stream::Stdout, &vec![b'x'; 100_000]);
            assert!(output.stdout.line.len() <= LONGEST_LINE);
        }
        output.push(Stream::Stdout, b"\nneedle");
        assert!(output.finish().stdout.missing.is_empty());
    }

    #[test]
    fn a_line_that_was_cut_off_is_judged_but_not_quoted() {
        let (stdout, none) = (patterns(&["^fl$"], &[]), Patterns::default());
        let cut_off = |text: &[u8]| {
            let mut output = Output::new(&stdout, &none);
            output.push(Stream::Stdout, text);
            output.cut_off().stdout
        };
        let seen = cut_off(b"flood\nfl");
        assert!(seen.missing.is_empty());
        assert_eq!(seen.last.as_deref(), Some("flood"));
        assert_eq!(
            cut_off(b"waiting for db").last.as_deref(),
            Some("waiting for db")
        );
    }

    #[test]
    fn logs_and_quotes_are_clean() {
        let none = Patterns::default();
        let mut output = Output::new(&none, &none);
        output.push(
            Stream::Stderr,
            b"\x1b[31mGET http://u:pw@h/x: 10.0.0.1 said \xff\x07\x1b[0m\n",
        );
        let seen = output.finish();
        assert_eq!(seen.log, "GET http://***@h/x: 10.0.0.1 said \u{fffd} \n");
        assert_eq!(
            seen.stderr.last.as_deref(),
            Some("GET http://***@h/x: <address> said \u{fffd}")
        );
    }

    proptest! {
        #[test]
        fn the_log_has_both_ends(pieces in proptest::collection::vec(proptest::collection::vec(b'a'..=b'z', 0..9000), 0..8)) {
            let mut transcript = Transcript::default();
            pieces.iter().for_each(|piece| transcript.push(piece));
            let all = String::from_utf8(pieces.concat()).unwrap();
            let text = transcript.text();
            if all.len() <= 2 * KEPT {
                prop_assert_eq!(text, all);
            } else {
                prop_assert!(text.starts_with(&all[..KEPT]));
                prop_assert!(text.ends_with(&all[all.len() - KEPT..]));
            }
        }
    }
}
