//! The lines of the demo: when, who, what.

use std::time::Duration;

use crate::style::{Style, Tone, printable};

/// Who a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Kuberhealthy v2 and its check.
    V2,
    /// Kuberhealthy v3 and its check.
    V3,
    /// The web application and its database.
    Shop,
    /// The remediator.
    Heal,
    /// The demo itself.
    Demo,
}

impl Source {
    fn label(self) -> &'static str {
        match self {
            Source::V2 => "v2",
            Source::V3 => "v3",
            Source::Shop => "shop",
            Source::Heal => "heal",
            Source::Demo => "demo",
        }
    }
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It passed or healed.
    Good,
    /// It failed or broke.
    Bad,
    /// Neither.
    Plain,
}

/// One line, without its end.
pub(crate) fn line(
    since_start: Duration,
    source: Source,
    mark: Mark,
    text: &str,
    style: Style,
) -> String {
    let time = format!("{:6.1}s", since_start.as_secs_f64());
    let text = printable(text);
    let text = match mark {
        Mark::Good => style.paint(Tone::Good, &text),
        Mark::Bad => style.paint(Tone::Bad, &text),
        Mark::Plain => text,
    };
    format!(
        "{} {} {text}",
        style.paint(Tone::Dim, &time),
        style.paint(Tone::Strong, &format!("{:<4}", source.label())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_source_and_text() {
        let at = Duration::from_millis(12_340);
        assert_eq!(
            line(
                at,
                Source::V3,
                Mark::Bad,
                "failed: pod shop/web-2\nx",
                Style::PLAIN
            ),
            "  12.3s v3   failed: pod shop/web-2 x"
        );
        assert_eq!(
            line(
                Duration::ZERO,
                Source::Demo,
                Mark::Plain,
                "starts",
                Style::PLAIN
            ),
            "   0.0s demo starts"
        );
    }
}
