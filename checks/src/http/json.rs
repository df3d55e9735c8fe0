//! Assertions on a JSON body: `$.status == "ok"`, `/items/0/ready == true`, `$.error absent`.
//!
//! The left side is a JSONPath (RFC 9535) or a JSON pointer (RFC 6901). A JSONPath that selects several values holds if
//! each of them compares as asked; one that selects none fails, unless `absent` is asked for.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde_json::{Number, Value};
use serde_json_path::JsonPath;

use super::values::Pattern;
use crate::describe::shorten;
use crate::values::BadValue;

/// One assertion.
#[derive(Debug, Clone)]
pub(super) struct JsonRule {
    text: String,
    place: Place,
    test: Test,
}

#[derive(Debug, Clone)]
enum Place {
    Path(JsonPath),
    Pointer(String),
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Absent,
    Equal(Value),
    NotEqual(Value),
    /// Which orderings pass, and against what.
    Order(&'static [Ordering], Value),
    Match(Regex),
}

/// Longest first, so that `<=` is not read as `<`.
const OPERATORS: &[&str] = &["==", "!=", "<=", ">=", "=~", "<", ">"];

impl FromStr for JsonRule {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<JsonRule, BadValue> {
        let text = text.trim();
        let (left, rest) = split_place(text)?;
        let place = match left.starts_with('/') {
            true => Place::Pointer(left.to_owned()),
            false => Place::Path(JsonPath::parse(left).map_err(|error| {
                BadValue(format!(
                    "expected a JSONPath before the comparison: {}",
                    error.message()
                ))
            })?),
        };
        Ok(JsonRule {
            text: text.to_owned(),
            place,
            test: parse_test(rest.trim())?,
        })
    }
}

/// The parser of JSONPath recurses, and a stack that overflows ends the process without a verdict.
const DEEPEST: usize = 32;

/// Where the path ends: a pointer at the first white space, a JSONPath at the first operator or word outside of
/// brackets and quotes.
fn split_place(text: &str) -> Result<(&str, &str), BadValue> {
    if text.starts_with('/') {
        return Ok(text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())));
    }
    if !text.starts_with('$') {
        return Err(BadValue::expected(
            "a JSONPath ($.a.b) or a JSON pointer (/a/b), and a comparison",
        ));
    }
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '[' || c == '(' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(BadValue(format!(
                        "expected at most {DEEPEST} brackets and parentheses within each other"
                    )));
                }
            }
            None if c == ']' || c == ')' => depth = depth.saturating_sub(1),
            None if depth == 0 && (c.is_whitespace() || "=!<>".contains(c)) => {
                return Ok(text.split_at(at));
            }
            None => {}
        }
    }
    Ok((text, ""))
}

fn parse_test(rest: &str) -> Result<Test, BadValue> {
    match rest {
        "exists" | "" => return Ok(Test::Exists),
        "absent" => return Ok(Test::Absent),
        _ => {}
    }
    let operator = OPERATORS
        .iter()
        .copied()
        .find(|op| rest.starts_with(op))
        .ok_or_else(|| {
            BadValue::expected(
                "a comparison after the path: ==, !=, <, <=, >, >=, =~, exists or absent",
            )
        })?;
    let right = rest[operator.len()..].trim();
    let literal = || {
        serde_json::from_str::<Value>(right).map_err(|_| {
            BadValue::expected(
                "a JSON value after the comparison, such as \"ok\" (with quotes), 3 or true",
            )
        })
    };
    let ordered = || match literal()? {
        value @ (Value::Number(_) | Value::String(_)) => Ok(value),
        _ => Err(BadValue::expected(
            "a number or a string in quotes to compare with",
        )),
    };
    Ok(match operator {
        "==" => Test::Equal(literal()?),
        "!=" => Test::NotEqual(literal()?),
        "<" => Test::Order(&[Ordering::Less], ordered()?),
        "<=" => Test::Order(&[Ordering::Less, Ordering::Equal], ordered()?),
        ">" => Test::Order(&[Ordering::Greater], ordered()?),
        ">=" => Test::Order(&[Ordering::Greater, Ordering::Equal], ordered()?),
        _ => {
            // Quotes around the expression are allowed, as around any other string.
            let pattern =
                serde_json::from_str::<String>(right).unwrap_or_else(|_| right.to_owned());
            Test::Match(pattern.parse::<Pattern>()?.0)
        }
    })
}

impl JsonRule {
    /// Why `body` does not satisfy the rule, or `None` if it does.
    pub(super) fn failure(&self, body: &Value) -> Option<String> {
        let found: Vec<&Value> = match &self.place {
            Place::Path(path) => path.query(body).all(),
            Place::Pointer(pointer) => body.pointer(pointer).into_iter().collect(),
        };
        let why = match (&self.test, found.is_empty()) {
            (Test::Absent, true) => return None,
            (Test::Absent, false) => "it is there".to_owned(),
            (_, true) => "nothing there".to_owned(),
            (_, false) => found
                .into_iter()
                .find_map(|value| self.test.failure(value))?,
        };
        Some(format!("JSON {self}: {why}"))
    }
}

impl fmt::Display for JsonRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shorten(&self.text, 100))
    }
}

impl Test {
    fn failure(&self, value: &Value) -> Option<String> {
        match self {
            Test::Exists | Test::Absent => None,
            Test::Equal(wanted) => (!equal(value, wanted)).then(|| format!("got {}", seen(value))),
            Test::NotEqual(unwanted) => equal(value, unwanted).then(|| "it is equal".to_owned()),
            Test::Order(passing, limit) => match order(value, limit) {
                Some(ordering) if passing.contains(&ordering) => None,
                // A number that is compared by size usually changes from run to run, so it is not told.
                Some(_) => Some("it is not".to_owned()),
                None => Some(format!("got {}, expected {}", kind(value), kind(limit))),
            },
            Test::Match(pattern) => {
                let matches = match value {
                    Value::String(text) => pattern.is_match(text),
                    Value::Number(_) | Value::Bool(_) => pattern.is_match(&value.to_string()),
                    _ => return Some(format!("got {}, expected a string", kind(value))),
                };
                (!matches).then(|| format!("got {}", seen(value)))
            }
        }
    }
}

/// What was there, if it is short enough to tell.
fn seen(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        scalar => {
            let text = scalar.to_string();
            if text.chars().count() <= 60 {
                text
            } else {
                format!("another {}", kind(scalar).trim_start_matches("a "))
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Equality in which 1 and 1.0 are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn order_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failure(rule: &str) -> Option<String> {
        let body = json!({
            "status": "ok", "count": 3, "ratio": 0.5, "up": true, "none": null, "big": 9_007_199_254_740_993_u64,
            "items": [{"name": "a", "ready": true, "n": 1}, {"name": "b", "ready": false, "n": 5}],
            "a b": {"c/d": "slash"}, "op==": 1,
        });
        rule.parse::<JsonRule>()
            .unwrap_or_else(|error| panic!("{rule}: {error}"))
            .failure(&body)
    }

    #[test]
    fn rules_that_hold() {
        for rule in [
            r#"$.status == "ok""#,
            r#"$.status=="ok""#,
            r#"/status == "ok""#,
            r#"$.status != "down""#,
            "$.count == 3",
            "$.count == 3.0",
            "$.count >= 3",
            "/count < 4",
            "$.ratio > 0.4",
            "$.big == 9007199254740993",
            "$.big > 9007199254740992",
            "$.up == true",
            "$.none == null",
            "$.none exists",
            "$.status",
            "/items/1/name == \"b\"",
            "/a~0b absent",
            r#"$["a b"]["c/d"] == "slash""#,
            r#"$["op=="] == 1"#,
            "$.items[*].n <= 5",
            r#"$.items[?@.n > 3].name == "b""#,
            "$.items[?length(@.name) == 1] exists",
            "$.missing absent",
            "$.items != [1]",
            "$.status =~ ^o",
            r#"$.status =~ "^ok$""#,
            "$.count =~ ^3$",
            r#"$.status < "pp""#,
            r#"$.items[0] == {"name": "a", "n": 1.0, "ready": true}"#,
        ] {
            assert_eq!(failure(rule), None, "{rule}");
        }
    }

    #[test]
    fn rules_that_do_not_hold_say_what_was_there() {
        for (rule, why) in [
            (r#"$.status == "down""#, r#"got "ok""#),
            ("$.count == 4", "got 3"),
            ("$.count > 3", "it is not"),
            ("$.big == 9007199254740992", "got 9007199254740993"),
            (r#"$.count > "3""#, "got a number, expected a string"),
            ("$.status > 1", "got a string, expected a number"),
            ("$.missing == 1", "nothing there"),
            ("$.missing exists", "nothing there"),
            ("$.status absent", "it is there"),
            ("$.items[*].ready == true", "got false"),
            ("$.up != true", "it is equal"),
            ("$.items =~ x", "got an array, expected a string"),
            ("$.status =~ ^x", r#"got "ok""#),
        ] {
            assert_eq!(failure(rule), Some(format!("JSON {rule}: {why}")));
        }
    }

    #[test]
    fn wrong_rules_say_what_was_expected() {
        for (rule, why) in [
            ("status == 1", "a JSONPath"),
            ("", "a JSONPath"),
            ("$.status == ok", "with quotes"),
            ("$.status ~ 1", "a comparison"),
            ("$.status is 1", "a comparison"),
            ("$.[ == 1", "JSONPath"),
            ("$.a > true", "a number or a string"),
            ("$.a =~ (", "regular expression"),
            ("$.a ==", "a JSON value"),
            ("/a b == 1", "a comparison"),
            (&format!("$[?{}", "(".repeat(50_000)), "within each other"),
            (&format!("$[?{}", "!(".repeat(50_000)), "within each other"),
            (&format!("${}", "[?@".repeat(40_000)), "within each other"),
        ] {
            let error = rule.parse::<JsonRule>().unwrap_err();
            assert!(error.0.contains(why), "{rule}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(rule in "[$/][ -~]{0,40}", body in "[ -~]{0,40}") {
            if let (Ok(rule), Ok(body)) = (rule.parse::<JsonRule>(), serde_json::from_str(&body)) {
                let _ = rule.failure(&body);
            }
        }
    }
}
