//! Label selectors, checked before the API server is asked.

use std::fmt;
use std::str::FromStr;

use super::BadValue;

/// A label selector as kubectl takes it, such as `app=web,tier in (front,back),!canary`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(String);

impl Selector {
    /// The text for the API server.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Selector {
    type Err = BadValue;

    /// An error if it is blank, which the API server takes for every object there is and nobody means who names one, or
    /// if the API server would refuse it.
    fn from_str(text: &str) -> Result<Selector, BadValue> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadValue::expected("a label selector, such as app=web"));
        }
        let requirements = split_outside_parentheses(text)
            .ok_or_else(|| BadValue::expected("a label selector with its parentheses closed"))?;
        for requirement in requirements {
            if !is_requirement(requirement.trim()) {
                return Err(BadValue(format!(
                    "expected label requirements, such as app=web, tier in (front,back) or !canary, seen \"{}\"",
                    requirement.trim()
                )));
            }
        }
        Ok(Selector(text.to_owned()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` cut at commas and line ends that no parentheses enclose; `None` if parentheses do not match.
pub(crate) fn split_outside_parentheses(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ',' | '\n' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}

fn is_requirement(text: &str) -> bool {
    if let Some(key) = text.strip_prefix('!') {
        return is_key(key.trim());
    }
    if let Some((before, set)) = text.split_once('(') {
        let Some(values) = set.strip_suffix(')') else {
            return false;
        };
        let mut words = before.split_whitespace();
        let (key, operator) = (words.next(), words.next());
        return key.is_some_and(is_key)
            && matches!(operator, Some("in" | "notin"))
            && words.next().is_none()
            && values.split(',').all(|value| is_value(value.trim()));
    }
    // Labels are compared as whole numbers.
    if let Some((key, value)) = text.split_once(['<', '>']) {
        return is_key(key.trim()) && value.trim().parse::<i64>().is_ok();
    }
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (
            key.strip_suffix('!').unwrap_or(key),
            value.strip_prefix('=').unwrap_or(value),
        ),
        None => (text, ""),
    };
    is_key(key.trim()) && is_value(value.trim())
}

/// `NAME` or `PREFIX/NAME`.
fn is_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_prefix = |prefix: &str| {
        (1..=253).contains(&prefix.len())
            && prefix.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            })
    };
    !name.is_empty() && is_value(name) && prefix.is_none_or(is_prefix)
}

/// Empty, or up to 63 letters, digits and inner `-`, `_` and `.`.
fn is_value(text: &str) -> bool {
    let outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && outer(bytes.first())
        && outer(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_api_server_takes() {
        for text in [
            "app=web",
            "app==web",
            "app!=web",
            "app = web , tier=front",
            "app",
            "!app",
            "app=",
            "tier in (front, back)",
            "tier notin (front),app.kubernetes.io/name=web",
            "a_b.c-d=E_f.1",
            "tier in ()",
            "tier in (front,,back)",
            "cpus>1",
            "cpus > 1, cpus<5",
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_the_api_server_refuses() {
        for text in [
            "",
            " ",
            ",",
            "app=web,",
            "=web",
            "app=a b",
            "app=-a",
            "tier in front",
            "tier in (front",
            "tier in front)",
            "tier within (front)",
            "tier in (front) x",
            "a/b/c=d",
            "/b=c",
            "A.b/c=d",
            "app>a",
            ">1",
            "app>",
            "app>=1",
            "app=a||b=c",
            "!app=a",
            "app=\u{e4}",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
