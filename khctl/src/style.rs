//! Colours, for a person at a terminal only.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

/// What a piece of text means; the colour follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Passed, healed.
    Good,
    /// Failed, broken.
    Bad,
    /// Times, sources: there to be found, not to be read.
    Dim,
    /// Headings.
    Strong,
}

/// Whether text may be coloured. Decided once per stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// No escape codes, ever.
    #[cfg(test)]
    pub(crate) const PLAIN: Style = Style { coloured: false };

    /// For standard output.
    pub(crate) fn stdout() -> Style {
        Style::decide(std::io::stdout().is_terminal(), |name| {
            std::env::var(name).ok()
        })
    }

    /// For standard error.
    pub(crate) fn stderr() -> Style {
        Style::decide(std::io::stderr().is_terminal(), |name| {
            std::env::var(name).ok()
        })
    }

    /// Colours need a terminal that knows them and a user who has not set `NO_COLOR` to anything
    /// (<https://no-color.org>: present and not empty).
    fn decide(terminal: bool, lookup: impl Fn(&str) -> Option<String>) -> Style {
        let refused = lookup("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = lookup("TERM").is_some_and(|term| term == "dumb");
        Style {
            coloured: terminal && !refused && !dumb,
        }
    }

    /// `text` in the colour of `tone`.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.coloured || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Writes to standard output. `print!` would panic where this fails: on a full disk, or at a reader that went away.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Whether this is the error of a write to a reader that went away, as in `| head`. It has had enough: nothing is left
/// to be said to it.
pub(crate) fn is_unread(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

/// Whether a command failed only because its reader went away.
pub(crate) fn has_no_reader(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(is_unread)
}

/// Writes a line to standard error, made [`printable`]. There is nobody to tell that this fails; `eprintln!` would
/// panic.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(line));
}

/// Columns of the terminal behind standard output; `None` when it is a file or a pipe.
pub(crate) fn stdout_width() -> Option<usize> {
    width(std::io::stdout())
}

/// Columns of the terminal behind standard error; `None` when it is a file or a pipe.
pub(crate) fn stderr_width() -> Option<usize> {
    width(std::io::stderr())
}

/// A terminal that does not tell its size (a serial line, some CI systems) is taken for one of 80 columns.
fn width(stream: impl IsTerminal + AsFd) -> Option<usize> {
    stream.is_terminal().then(|| {
        terminal_size::terminal_size_of(stream).map_or(80, |(width, _)| usize::from(width.0))
    })
}

/// Control characters would let the text of a check move the cursor or recolour the screen; those that reverse the
/// direction of writing would let it rearrange what stands beside it.
pub(crate) fn printable(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if harmful(c) { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        let cases = [
            (true, ("TERM", "xterm-256color"), true),
            (false, ("TERM", "xterm-256color"), false),
            (true, ("NO_COLOR", "1"), false),
            (true, ("NO_COLOR", ""), true),
            (true, ("TERM", "dumb"), false),
        ];
        for (terminal, (key, value), coloured) in cases {
            let lookup = |name: &str| (name == key).then(|| value.to_owned());
            let case = format!("{terminal} {key}={value}");
            assert_eq!(
                Style::decide(terminal, lookup),
                Style { coloured },
                "{case}"
            );
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "failed"), "failed");
        let coloured = Style { coloured: true };
        assert_eq!(coloured.paint(Tone::Good, "ok"), "\x1b[32mok\x1b[0m");
        assert_eq!(coloured.paint(Tone::Good, ""), "");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a [31mb c");
        assert_eq!(
            printable("\u{202e}dessap\u{2069} שלום é"),
            " dessap  שלום é"
        );
    }
}
