//! Walking a document field by field, with messages that name the field, what was expected and what was found.

use std::fmt;
use std::time::Duration;

use sandbox::kuberhealthy::GoDuration;

use super::yaml::{Node, Position};

/// Why a field cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where the value, or what should hold it, begins.
    pub(crate) at: Position,
    /// The field, like `spec.podSpec.containers[0].image`; empty for the document itself.
    pub(crate) path: String,
    /// What belongs there.
    pub(crate) expected: String,
    /// What is there.
    pub(crate) found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

/// A value and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> Field<'a> {
    /// A whole document, or an entry of a list of documents.
    pub(crate) fn root(node: &'a Node, path: impl Into<String>) -> Field<'a> {
        Field {
            node,
            path: path.into(),
        }
    }

    /// The value itself.
    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    /// The way to it, like `spec.podSpec.containers[0].image`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Every key and its value; none if this is no mapping.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        let entries = match &self.node.tree {
            super::yaml::Tree::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, node)| {
            let path = join(&self.path, key);
            (key.as_str(), Field { node, path })
        })
    }

    /// The value under `key`, if there is one.
    pub(crate) fn optional(&self, key: &str) -> Option<Field<'a>> {
        self.node.get(key).map(|node| Field {
            node,
            path: join(&self.path, key),
        })
    }

    /// The value under `key`; a fault tells what is there instead, which shows a misspelt key.
    pub(crate) fn required(&self, key: &str, expected: &str) -> Result<Field<'a>, Fault> {
        self.mapping("a mapping")?;
        self.optional(key).ok_or_else(|| Fault {
            at: self.node.at,
            path: join(&self.path, key),
            expected: expected.to_owned(),
            found: format!("none, in {}", self.node.describe()),
        })
    }

    /// This field is not as it should be.
    pub(crate) fn fault(&self, expected: impl Into<String>) -> Fault {
        Fault {
            at: self.node.at,
            path: self.path.clone(),
            expected: expected.into(),
            found: self.node.describe(),
        }
    }

    /// The same for a field whose value may be a secret and is not told.
    pub(crate) fn secret_fault(&self, expected: impl Into<String>) -> Fault {
        Fault {
            found: self.node.shape().to_owned(),
            ..self.fault(expected)
        }
    }

    /// Text of at least one character.
    pub(crate) fn text(&self, expected: &str) -> Result<&'a str, Fault> {
        self.node
            .text()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.fault(expected))
    }

    /// A mapping, even an empty one.
    pub(crate) fn mapping(&self, expected: &str) -> Result<&'a [(String, Node)], Fault> {
        match &self.node.tree {
            super::yaml::Tree::Map(entries) => Ok(entries),
            _ => Err(self.fault(expected)),
        }
    }

    /// The entries of a list, even an empty one.
    pub(crate) fn items(&self, expected: &str) -> Result<Vec<Field<'a>>, Fault> {
        let items = self.node.list().ok_or_else(|| self.fault(expected))?;
        Ok(items
            .iter()
            .enumerate()
            .map(|(nth, node)| Field {
                node,
                path: format!("{}[{nth}]", self.path),
            })
            .collect())
    }

    /// A list of texts, such as a command.
    pub(crate) fn texts(&self, expected: &str) -> Result<(), Fault> {
        for item in self.items(expected)? {
            if item.node.text().is_none() {
                return Err(item.fault("a text (put it in quotes)"));
            }
        }
        Ok(())
    }

    /// A name that Kubernetes takes for an object: RFC 1123, at most 253 characters.
    pub(crate) fn name(&self) -> Result<&'a str, Fault> {
        const EXPECTED: &str = "a name of lower-case letters, digits, '-' and '.'";
        let name = self.text(EXPECTED)?;
        if name.len() <= 253 && name.split('.').all(is_label) {
            Ok(name)
        } else {
            Err(self.fault(EXPECTED))
        }
    }

    /// A name that Kubernetes takes for a namespace or a container: an RFC 1123 label.
    pub(crate) fn label(&self) -> Result<&'a str, Fault> {
        const EXPECTED: &str = "a name of at most 63 lower-case letters, digits and '-'";
        let name = self.text(EXPECTED)?;
        is_label(name)
            .then_some(name)
            .ok_or_else(|| self.fault(EXPECTED))
    }

    /// A duration as Kuberhealthy reads it.
    pub(crate) fn duration(&self) -> Result<Duration, Fault> {
        const EXPECTED: &str = "a duration such as 30s, 5m or 1m30s";
        self.text(EXPECTED)?
            .parse::<GoDuration>()
            .ok()
            .map(GoDuration::unsigned)
            .filter(|duration| !duration.is_zero())
            .ok_or_else(|| self.fault(EXPECTED))
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(|c| inner(c) || c == '-')
        && text.starts_with(inner)
        && text.ends_with(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names() {
        for good in ["a", "web-http", "0x"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "Web", "a_b", "a.b", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
