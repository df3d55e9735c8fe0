//! Habits of Go programs that show on the wire.

use serde::{Deserialize, Deserializer, Serialize};

use crate::api::ApiError;

/// What `json.MarshalIndent(value, "", "  ")` writes: keys in the order of the fields, and the characters HTML gives a
/// meaning to escaped.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Outside of strings JSON has none of these.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The text client-go gives an error: the server's message alone.
pub(crate) fn error(error: &ApiError) -> String {
    match error.status() {
        Some(status) => status.message.clone(),
        None => error.to_string(),
    }
}

/// A report as both lines read it. encoding/json takes keys in any case, ignores others, and null for a missing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// `OK`; false if missing.
    pub(crate) ok: bool,
    /// `Errors`; `None` if missing or null.
    pub(crate) errors: Option<Vec<String>>,
}

impl Report {
    /// Reads a body; `None` if Go would refuse it.
    pub(crate) fn parse(body: &[u8]) -> Option<Report> {
        let mut report = Report {
            ok: false,
            errors: None,
        };
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        let object = match value {
            serde_json::Value::Null => return Some(report),
            serde_json::Value::Object(object) => object,
            _ => return None,
        };
        for (key, value) in object {
            if value.is_null() {
                continue;
            }
            if key.eq_ignore_ascii_case("ok") {
                report.ok = value.as_bool()?;
            } else if key.eq_ignore_ascii_case("errors") {
                let texts = value.as_array()?.iter().map(|text| match text {
                    serde_json::Value::Null => Some(String::new()),
                    text => text.as_str().map(str::to_owned),
                });
                report.errors = Some(texts.collect::<Option<_>>()?);
            }
        }
        Some(report)
    }

    /// A failure must say why, and every reason must be a text.
    pub(crate) fn lacks_reasons(&self) -> bool {
        let errors = self.errors.as_deref().unwrap_or_default();
        !self.ok && (errors.is_empty() || errors.iter().any(String::is_empty))
    }
}

/// Reads null as the default, as Go's zero values do.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_encoding_json_reads_them() {
        let report = |ok, errors: Option<&[&str]>| {
            Some(Report {
                ok,
                errors: errors.map(|texts| texts.iter().map(|&text| text.to_owned()).collect()),
            })
        };
        for (body, expected) in [
            (r#"{"OK":true,"Errors":[]}"#, report(true, Some(&[]))),
            (
                r#"{"ok":false,"ERRORS":["a","b"]}"#,
                report(false, Some(&["a", "b"])),
            ),
            (r#"{"OK":true,"Errors":null,"more":1}"#, report(true, None)),
            ("{}", report(false, None)),
            ("null", report(false, None)),
            (r#"{"Errors":[null]}"#, report(false, Some(&[""]))),
            (r#"{"OK":"true"}"#, None),
            (r#"{"Errors":"a"}"#, None),
            (r#"{"Errors":[1]}"#, None),
            ("[]", None),
            ("", None),
            (r#"{"OK":true} x"#, None),
        ] {
            assert_eq!(Report::parse(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn only_failures_need_reasons() {
        for (body, lacks) in [
            (r#"{"OK":true}"#, false),
            (r#"{"OK":true,"Errors":[""]}"#, false),
            (r#"{"OK":false,"Errors":[]}"#, true),
            (r#"{"OK":false,"Errors":["a",""]}"#, true),
            (r#"{"OK":false,"Errors":["a"]}"#, false),
        ] {
            assert_eq!(
                Report::parse(body.as_bytes()).unwrap().lacks_reasons(),
                lacks,
                "{body}"
            );
        }
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(json(&"<a>&"), r#""\u003ca\u003e\u0026""#);
    }
}
