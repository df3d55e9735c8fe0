//! Which failures count, by the text of their errors.

use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes.
const SIZE_LIMIT: usize = 64 * 1024;

/// Patterns of which one must match an error; none: every failure matches. Compared by their sources.
#[derive(Clone, Debug, Default)]
pub struct Matcher(Vec<Regex>);

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("matchErrors: the pattern {pattern:?} cannot be used: {why}")]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Matcher {
    /// Compiles the patterns, with a limit on their size.
    pub fn new(patterns: &[String]) -> Result<Matcher, BadPattern> {
        let compile = |pattern: &String| {
            RegexBuilder::new(pattern)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(SIZE_LIMIT)
                .nest_limit(50)
                .build()
                .map_err(|error| BadPattern {
                    pattern: super::reason::bounded(pattern, 100),
                    why: super::reason::bounded(&error.to_string(), 300),
                })
        };
        Ok(Matcher(
            patterns.iter().map(compile).collect::<Result<_, _>>()?,
        ))
    }

    /// Whether a failure with these errors counts.
    pub fn matches(&self, errors: &[String]) -> bool {
        self.0.is_empty()
            || errors
                .iter()
                .any(|error| self.0.iter().any(|pattern| pattern.is_match(error)))
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
    fn patterns_that_blow_up_are_refused() {
        for pattern in ["(", "(a{1000}){1000}", r"\p{L}{5000}", &"(".repeat(200)] {
            let error = Matcher::new(&[pattern.to_owned()]).unwrap_err().to_string();
            assert!(
                error.len() < 600 && error.contains("matchErrors"),
                "{error}"
            );
        }
    }
}
