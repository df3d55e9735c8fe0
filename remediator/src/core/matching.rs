//! Which failures count, by the text of their errors.

use regex::{Error, Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes.
const SIZE_LIMIT: usize = 64 * 1024;

/// Patterns of which one must match an error; none: every failure matches. Compared by their sources.
#[derive(Clone, Debug, Default)]
pub struct Matcher(Vec<Regex>);

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} cannot be used: {why}")]
pub struct BadPattern {
    /// Which of the patterns, counted from 0.
    pub index: usize,
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Matcher {
    /// Compiles the patterns, with a limit on their size.
    pub fn new(patterns: &[String]) -> Result<Matcher, BadPattern> {
        let compile = |(index, pattern): (usize, &String)| {
            RegexBuilder::new(pattern)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(SIZE_LIMIT)
                .nest_limit(50)
                .build()
                .map_err(|error| BadPattern {
                    index,
                    pattern: super::reason::bounded(pattern, 100),
                    why: super::reason::bounded(&why(&error), 300),
                })
        };
        let patterns = patterns.iter().enumerate();
        Ok(Matcher(patterns.map(compile).collect::<Result<_, _>>()?))
    }

    /// Whether a failure with these errors counts.
    pub fn matches(&self, errors: &[String]) -> bool {
        self.0.is_empty()
            || errors
                .iter()
                .any(|error| self.0.iter().any(|pattern| pattern.is_match(error)))
    }
}

/// What is wrong with a pattern, in one line.
fn why(error: &Error) -> String {
    match error {
        Error::CompiledTooBig(limit) => format!("compiled, it is larger than {limit} bytes"),
        // Before its last line it shows the pattern, with a mark below it.
        error => {
            let text = error.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.0
            .iter()
            .map(Regex::as_str)
            .eq(other.0.iter().map(Regex::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::Matcher;

    fn matcher(patterns: &[&str]) -> Matcher {
        Matcher::new(
            &patterns
                .iter()
                .map(|&pattern| pattern.to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn one_matching_error_is_enough() {
        let errors = ["deployment shop/web: 502".to_owned(), "timeout".to_owned()];
        for (patterns, expected) in [
            (&[][..], true),
            (&["502"], true),
            (&["503"], false),
            (&["503", "^time"], true),
            (&["(?i)DEPLOYMENT"], true),
        ] {
            assert_eq!(matcher(patterns).matches(&errors), expected, "{patterns:?}");
        }
        assert!(!matcher(&["."]).matches(&[]));
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_named_with_what_is_wrong() {
        for (pattern, why) in [
            ("(", "unclosed group"),
            ("50[23", "unclosed character class"),
            ("*", "repetition operator missing expression"),
            ("several\nlines (", "unclosed group"),
            ("(?<n>a)(?<n>b)", "duplicate capture group name"),
            (
                &format!("{}{}", "(".repeat(60), ")".repeat(60)),
                "exceed the maximum number of nested parentheses/brackets (50)",
            ),
            // Those that would blow up.
            ("(a{1000}){1000}", "compiled, it is larger than 65536 bytes"),
            (r"\w{5000}", "compiled, it is larger than 65536 bytes"),
        ] {
            let bad = Matcher::new(&["502".to_owned(), pattern.to_owned()]).unwrap_err();
            let shown: String = pattern.replace('\n', " ").chars().take(100).collect();
            assert_eq!((bad.index, &*bad.pattern, &*bad.why), (1, &*shown, why));
        }
        let bad = Matcher::new(&["(".to_owned()]).unwrap_err().to_string();
        assert_eq!(bad, "the pattern \"(\" cannot be used: unclosed group");
    }
}
