//! Headers to send, and rules for those that come back.

use std::str::FromStr;

use reqwest::header::{HeaderName, HeaderValue};

use super::values::Pattern;
use crate::values::{BadValue, FileText};

/// A header to send: `Name: value`.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// The name.
    pub(super) name: HeaderName,
    /// The value; marked as sensitive if it came from a file.
    pub(super) value: HeaderValue,
}

fn header_name(text: &str) -> Result<HeaderName, BadValue> {
    text.trim()
        .parse()
        .map_err(|_| BadValue::expected("a header name before the colon"))
}

fn header_value(text: &str) -> Result<HeaderValue, BadValue> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| BadValue::expected("a header value without control characters"))
}

impl FromStr for Header {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Header, BadValue> {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| BadValue::expected("`Name: value`"))?;
        Ok(Header {
            name: header_name(name)?,
            value: header_value(value.trim())?,
        })
    }
}

/// A header whose value is the content of a file: `Name: /path`.
#[derive(Debug, Clone)]
pub(super) struct HeaderFile(pub(super) Header);

impl FromStr for HeaderFile {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<HeaderFile, BadValue> {
        let (name, path) = text
            .split_once(':')
            .ok_or_else(|| BadValue::expected("`Name: /path/of/file`"))?;
        let content = path.trim().parse::<FileText>()?;
        let mut value = header_value(content.trimmed().trim())?;
        value.set_sensitive(true);
        Ok(HeaderFile(Header {
            name: header_name(name)?,
            value,
        }))
    }
}

/// What a response header must be, or must not be: `Name`, `Name: regex`, `Name?: regex`.
#[derive(Debug, Clone)]
pub(super) struct HeaderRule {
    /// The name.
    pub(super) name: HeaderName,
    /// What a value has to match; without one only presence matters.
    pub(super) pattern: Option<Pattern>,
    /// Whether the header may also be missing (`?` after the name).
    pub(super) may_be_missing: bool,
}

impl FromStr for HeaderRule {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<HeaderRule, BadValue> {
        let (name, pattern) = match text.split_once(':') {
            Some((name, pattern)) => (name.trim(), Some(pattern.trim().parse()?)),
            None => (text.trim(), None),
        };
        let (bare, may_be_missing) = match name.strip_suffix('?') {
            Some(bare) => (bare, true),
            None => (name, false),
        };
        let wrong = |_| BadValue::expected("`Name`, `Name: regex` or `Name?: regex`");
        Ok(HeaderRule {
            name: header_name(bare).map_err(wrong)?,
            pattern,
            may_be_missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_rules_have_three_forms() {
        let rule = |text: &str| text.parse::<HeaderRule>();
        let parsed = rule("Cache-Control: ^max-age").unwrap();
        assert_eq!(
            (parsed.name.as_str(), parsed.may_be_missing),
            ("cache-control", false)
        );
        assert!(parsed.pattern.unwrap().0.is_match("max-age=5"));
        assert!(rule("X-Frame-Options?: DENY").unwrap().may_be_missing);
        assert!(rule("Server").unwrap().pattern.is_none());
        for text in ["", ": x", "a b: x", "X: ("] {
            assert!(rule(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_come_from_text_and_files() {
        let header: Header = "Accept: text/html".parse().unwrap();
        assert_eq!(
            (header.name.as_str(), header.value.to_str().unwrap()),
            ("accept", "text/html")
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        let file: HeaderFile = format!("X-Token: {}", path.display()).parse().unwrap();
        assert_eq!(file.0.value.to_str().unwrap(), "abc");
        assert!(file.0.value.is_sensitive());
        assert!("X-Token: /nowhere".parse::<HeaderFile>().is_err());
        assert!("no colon".parse::<Header>().is_err());
        assert!("A: b\u{1}".parse::<Header>().is_err());
    }
}
