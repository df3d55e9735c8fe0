//! Regular expressions.

use std::str::FromStr;

use regex::Regex;

use super::BadValue;

/// A regular expression, compiled once.
#[derive(Debug, Clone)]
pub struct Pattern(pub Regex);

impl FromStr for Pattern {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Pattern, BadValue> {
        Regex::new(text).map(Pattern).map_err(|error| {
            // The last line says what is wrong; those before it draw an arrow under the pattern.
            let text = error.to_string();
            let last = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            BadValue(format!("expected a regular expression: {last}"))
        })
    }
}
