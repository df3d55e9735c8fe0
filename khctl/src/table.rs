//! Tables that fit the terminal: the last column takes what is left and wraps.

use crate::style::{Style, Tone};

/// The least the last column is given, however narrow the terminal: below it every word would be cut.
const LEAST_LAST: usize = 20;

/// One cell: text and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// Text in a colour.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            tone: Some(tone),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell {
            text: text.into(),
            tone: None,
        }
    }
}

/// Rows under a heading. Every row has as many cells as the heading.
#[derive(Clone, Debug)]
pub(crate) struct Table<const N: usize> {
    heading: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    /// An empty table.
    pub(crate) fn new(heading: [&'static str; N]) -> Table<N> {
        Table {
            heading,
            rows: Vec::new(),
        }
    }

    /// Adds a row at the end.
    pub(crate) fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// The table as lines, each ended by a newline. `width`: columns of the terminal; `None` wraps nothing,
    /// so that a file or a pipe gets one line per row.
    pub(crate) fn render(&self, width: Option<usize>, style: Style) -> String {
        let mut widths = [0usize; N];
        for (column, title) in self.heading.iter().enumerate() {
            widths[column] = self
                .rows
                .iter()
                .map(|row| columns(&row[column].text))
                .chain([columns(title)])
                .max()
                .unwrap_or(0);
        }
        let before: usize = widths.iter().rev().skip(1).map(|w| w + 2).sum();
        let last = width.map_or(usize::MAX, |width| {
            width.saturating_sub(before).max(LEAST_LAST)
        });

        let heading: [Cell; N] = self.heading.map(|title| Cell::toned(Tone::Strong, title));
        let mut out = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            line(&mut out, row, &widths, before, last, style);
        }
        out
    }
}

fn line<const N: usize>(
    out: &mut String,
    row: &[Cell; N],
    widths: &[usize; N],
    before: usize,
    last: usize,
    style: Style,
) {
    let paint = |cell: &Cell, text: &str| match cell.tone {
        Some(tone) => style.paint(tone, text),
        None => text.to_owned(),
    };
    let Some((end, front)) = row.split_last() else {
        return;
    };
    let mut start = String::new();
    for (cell, width) in front.iter().zip(widths) {
        start.push_str(&paint(cell, &cell.text));
        start.extend(std::iter::repeat_n(
            ' ',
            width + 2 - columns(&cell.text).min(*width),
        ));
    }
    for (nth, part) in wrap(&end.text, last).iter().enumerate() {
        if nth == 0 {
            out.push_str(if part.is_empty() {
                start.trim_end()
            } else {
                &start
            });
        } else {
            out.extend(std::iter::repeat_n(' ', before));
        }
        out.push_str(&paint(end, part));
        out.push('\n');
    }
}

/// One character is taken for one column: names and messages of checks are nearly all ASCII, and a row that
/// is off by one still reads.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Breaks at spaces; a longer word is cut. Newlines in the text are kept as breaks. Never empty.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut current = String::new();
        let mut used = 0;
        for word in paragraph.split(' ') {
            let mut word: Vec<char> = word.chars().collect();
            if used > 0 && used + 1 + word.len() > width {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            if used > 0 {
                current.push(' ');
                used += 1;
            }
            while used + word.len() > width {
                let rest = word.split_off(width.saturating_sub(used).max(1));
                current.extend(&word);
                lines.push(std::mem::take(&mut current));
                used = 0;
                word = rest;
            }
            used += word.len();
            current.extend(&word);
        }
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table<3> {
        let mut table = Table::new(["CHECK", "VERDICT", "FOUND"]);
        table.push(["web".into(), Cell::toned(Tone::Good, "passed"), "".into()]);
        table.push([
            "kuberhealthy/db".into(),
            Cell::toned(Tone::Bad, "failed"),
            "pod shop/web-1: expected status 200, got 503".into(),
        ]);
        table
    }

    #[test]
    fn a_pipe_gets_one_line_per_row() {
        assert_eq!(
            example().render(None, Style::PLAIN),
            "CHECK            VERDICT  FOUND\n\
             web              passed\n\
             kuberhealthy/db  failed   pod shop/web-1: expected status 200, got 503\n"
        );
    }

    #[test]
    fn the_last_column_wraps_to_the_terminal() {
        let text = example().render(Some(52), Style::PLAIN);
        assert!(text.lines().all(|line| line.len() <= 52), "{text}");
        assert!(
            text.ends_with(
                "kuberhealthy/db  failed   pod shop/web-1: expected\n                          status 200, got 503\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_terminal_too_narrow_still_gets_every_word() {
        let text = example().render(Some(10), Style::PLAIN);
        for word in ["web", "passed", "shop/web-1:", "503"] {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn wrapping_keeps_every_character() {
        let cases = [
            ("", 5, vec![""]),
            ("one two", 7, vec!["one two"]),
            ("one two", 6, vec!["one", "two"]),
            ("abcdefgh", 3, vec!["abc", "def", "gh"]),
            ("x abcdefgh", 4, vec!["x", "abcd", "efgh"]),
            ("first\nsecond", 10, vec!["first", "second"]),
        ];
        for (text, width, lines) in cases {
            assert_eq!(wrap(text, width), lines, "{text:?} in {width}");
        }
    }
}
