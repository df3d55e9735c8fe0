//! A YAML document as a tree that remembers where each value stands, so that a message can point at it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

/// A file larger than this is no manifest; etcd takes no object above 1.5 MiB.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Line and column, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Line in the file.
    pub(crate) line: u64,
    /// Column in the line.
    pub(crate) column: u64,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where the value begins; zero when not known.
    pub(crate) at: Position,
    /// The value.
    pub(crate) tree: Tree,
}

/// The shapes a value can have.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `yes`, ...: read as the YAML 1.1 that kubectl reads.
    Bool(bool),
    /// A whole number or a fraction.
    Number(Number),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Where, if the parser can tell.
    pub(crate) at: Option<Position>,
    /// What the parser says, on one line.
    pub(crate) why: String,
}

/// Every document of a text that holds something, in order. The error is the first place that is no YAML,
/// with the number of whole documents before it.
pub(crate) fn documents(text: &[u8]) -> Result<Vec<Node>, (usize, Broken)> {
    if text.len() > MAX_BYTES {
        let why = format!("larger than {} MiB", MAX_BYTES / 1024 / 1024);
        return Err((0, Broken { at: None, why }));
    }
    // Numbers and duplicates as kubectl takes them: `0644` is octal, the same key twice is an error.
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
        },
    };
    let mut reader = text;
    let mut documents = Vec::new();
    for document in serde_saphyr::read_with_options::<_, Node>(&mut reader, options) {
        match document {
            Ok(node) => documents.push(node),
            Err(error) => return Err((documents.len(), broken(&error))),
        }
    }
    Ok(documents)
}

fn broken(error: &serde_saphyr::Error) -> Broken {
    let at = error
        .location()
        .map(|at| Position {
            line: at.line(),
            column: at.column(),
        })
        .filter(|at| at.line > 0);
    let mut why = error.to_string();
    // The position is told once, by whoever prints this.
    if let Some(end) = why.rfind(" at line ") {
        why.truncate(end);
    }
    Broken {
        at,
        why: why.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

impl Node {
    /// The value of a key; `None` when it is absent or this is no mapping. An explicit `null` counts as
    /// absent, as it does for the API server.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.tree {
            Tree::Map(entries) => entries
                .iter()
                .find(|(name, value)| name == key && !matches!(value.tree, Tree::Null))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a list, if it is one.
    pub(crate) fn list(&self) -> Option<&[Node]> {
        match &self.tree {
            Tree::List(items) => Some(items),
            _ => None,
        }
    }

    /// What a message calls it: the kind, and the value where it is short.
    pub(crate) fn describe(&self) -> String {
        match &self.tree {
            Tree::Null => "nothing".to_owned(),
            Tree::Bool(value) => format!("the boolean {value}"),
            Tree::Number(value) => format!("the number {value}"),
            Tree::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Tree::Text(text) if text.chars().count() > 40 => {
                let start: String = text.chars().take(40).collect();
                format!("{:?}...", start)
            }
            Tree::Text(text) => format!("{text:?}"),
            Tree::List(items) if items.is_empty() => "an empty list".to_owned(),
            Tree::List(_) => "a list".to_owned(),
            Tree::Map(entries) if entries.is_empty() => "an empty mapping".to_owned(),
            Tree::Map(entries) => {
                let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
                let more = if keys.len() > 6 { ", ..." } else { "" };
                keys.truncate(6);
                format!("a mapping with {}{more}", keys.join(", "))
            }
        }
    }

    /// What a message calls it where the value may be a secret: the kind only.
    pub(crate) fn shape(&self) -> &'static str {
        match &self.tree {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a boolean",
            Tree::Number(_) => "a number",
            Tree::Text(_) => "a text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a mapping",
        }
    }

    /// The same without positions.
    pub(crate) fn to_json(&self) -> Value {
        match &self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Number(value) => Value::Number(value.clone()),
            Tree::Text(text) => Value::String(text.clone()),
            Tree::List(items) => items.iter().map(Node::to_json).collect(),
            Tree::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let Spanned {
            value, referenced, ..
        } = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Node {
            at: Position {
                line: referenced.line(),
                column: referenced.column(),
            },
            tree: value,
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Tree, E> {
        Number::from_f64(value)
            .map(Tree::Number)
            .ok_or_else(|| E::custom("a number that JSON cannot hold"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Tree>()? {
            let key = match key {
                Tree::Text(text) => text,
                Tree::Bool(value) => value.to_string(),
                Tree::Number(value) => value.to_string(),
                _ => return Err(A::Error::custom("a key that is no text")),
            };
            entries.push((key, access.next_value()?));
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_place() {
        let documents = documents(b"a: 1\nb:\n  - x\n  - {c: yes}\n---\n---\nd: '4'\n").unwrap();
        assert_eq!(documents.len(), 2, "the empty one is left out");
        assert_eq!(
            documents[0].to_json(),
            serde_json::json!({"a": 1, "b": ["x", {"c": true}]})
        );
        let list = documents[0].get("b").unwrap().list().unwrap();
        assert_eq!(list[0].at, Position { line: 3, column: 5 });
        assert_eq!(
            list[1].get("c").unwrap().at,
            Position { line: 4, column: 9 }
        );
        let quoted = documents[1].get("d").unwrap();
        assert_eq!(quoted.text(), Some("4"));
        assert_eq!(quoted.at, Position { line: 7, column: 4 });
    }

    #[test]
    fn aliases_and_merges_are_followed() {
        let documents = documents(b"a: &x {k: v}\nb: *x\nc:\n  <<: *x\n  m: 0644\n").unwrap();
        assert_eq!(
            documents[0].to_json(),
            serde_json::json!({"a": {"k": "v"}, "b": {"k": "v"}, "c": {"k": "v", "m": 420}})
        );
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        let cases: [(&[u8], usize, u64); 5] = [
            (b"a: [1, 2\n", 0, 2),
            (b"a: 1\n---\nb: {\n", 1, 4),
            (b"a:\n\t- x\n", 0, 2),
            (b"a: 1\na: 2\n", 0, 2),
            (b"a: *nowhere\n", 0, 1),
        ];
        for (text, before, line) in cases {
            let (whole, broken) = documents(text).unwrap_err();
            let shown = String::from_utf8_lossy(text);
            assert_eq!(whole, before, "{shown}: {broken:?}");
            let at = broken.at.unwrap();
            assert!(at.line.abs_diff(line) <= 1, "{shown}: {broken:?}");
            assert!(!broken.why.is_empty() && !broken.why.contains('\n'));
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let before = level - 1;
            let items = vec![format!("*a{before}"); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(documents(bomb.as_bytes()).is_err());
    }

    #[test]
    fn invalid_utf8_is_an_error() {
        assert!(documents(b"a: \xff\xfe\n").is_err());
    }
}
