//! The `_count` API of Elasticsearch and OpenSearch: what is sent, and what the answers mean. Pure.
//!
//! A wildcard that matches no index and a range over a field that is not there are no errors to these servers: both
//! count nothing, which looks like silence. So a count of no shards is not believed, and one of zero only after
//! `_field_caps` has said that the field holds dates.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::ask::Ask;
use super::trouble::Trouble;
use super::values::{ApiUrl, Window};
use crate::describe::shorten;

/// What is asked.
#[derive(Debug)]
pub(super) struct Elastic {
    /// For the number.
    pub(super) count: Ask,
    /// For the type of the time field.
    pub(super) field_caps: Ask,
    index: String,
    field: String,
    allow_partial: bool,
}

/// What `_count` answers.
#[derive(Debug, Deserialize)]
struct CountAnswer {
    count: u64,
    #[serde(rename = "_shards")]
    shards: Shards,
    /// Not among the fields of `_count`, but of `_search`: believed where something in between adds it.
    #[serde(default)]
    timed_out: bool,
}

#[derive(Debug, Deserialize)]
struct Shards {
    total: u64,
    failed: u64,
}

/// What `_field_caps` answers: types by field.
#[derive(Debug, Deserialize)]
struct FieldAnswer {
    /// Left out where it would be empty.
    #[serde(default)]
    fields: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
}

/// What comes with a status that is no success.
#[derive(Debug, Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    #[serde(rename = "type")]
    kind: String,
    /// The outer type of what went wrong on shards says only that.
    #[serde(default)]
    root_cause: Vec<Cause>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    #[serde(rename = "type")]
    kind: String,
}

impl Elastic {
    /// Counts what `query` finds in `index` within the window before now, by the server's clock.
    pub(super) fn new(
        base: &ApiUrl,
        index: &str,
        query: Value,
        field: &str,
        window: Window,
        allow_partial: bool,
    ) -> Elastic {
        let range = json!({"range": {field: {"gte": format!("now-{window}"), "lte": "now"}}});
        let body = json!({"query": {"bool": {"filter": [query, range]}}});
        let mut field_caps = base.with(&[index, "_field_caps"]);
        field_caps
            .query_pairs_mut()
            .append_pair("fields", field)
            // A long list of indices is not needed.
            .append_pair("filter_path", "fields");
        Elastic {
            count: Ask {
                url: base.with(&[index, "_count"]),
                body: Some(body.to_string().into_bytes()),
            },
            field_caps: Ask {
                url: field_caps,
                body: None,
            },
            index: index.to_owned(),
            field: field.to_owned(),
            allow_partial,
        }
    }

    /// Reads the answer to [`Elastic::count`].
    ///
    /// # Errors
    ///
    /// [`Trouble`] if it is no count, none of everything, or one of nothing.
    pub(super) fn read_count(&self, body: &[u8]) -> Result<f64, Trouble> {
        let answer: CountAnswer = super::ask::json(body, "a count and its shards")?;
        if answer.shards.total == 0 {
            return Err(self.no_index());
        }
        if !self.allow_partial {
            if answer.shards.failed > 0 {
                return Err(Trouble::Partial("one without some shards, which failed"));
            }
            if answer.timed_out {
                return Err(Trouble::Partial("one that timed out"));
            }
        }
        Ok(answer.count as f64)
    }

    /// Reads the answer to [`Elastic::field_caps`].
    ///
    /// # Errors
    ///
    /// [`Trouble`] if the field is not there or holds something else than dates in all indices.
    pub(super) fn read_field_caps(&self, body: &[u8]) -> Result<(), Trouble> {
        let answer: FieldAnswer = super::ask::json(body, "fields and their types")?;
        let types = answer.fields.get(&self.field);
        let found = match types {
            Some(types) if types.keys().any(|kind| kind.starts_with("date")) => return Ok(()),
            Some(types) => types.keys().cloned().collect::<Vec<_>>().join(", "),
            None => "none".to_owned(),
        };
        Err(Trouble::Missing(format!(
            "expected TIME_FIELD={:?} to be a date in INDEX={:?}, found {}",
            shorten(&self.field, 60),
            shorten(&self.index, 60),
            shorten(&found, 60)
        )))
    }

    /// What an answer with a status that is no success means.
    pub(super) fn refusal(&self, status: u16, body: &[u8]) -> (Option<String>, Option<Trouble>) {
        let error = serde_json::from_slice::<ErrorAnswer>(body).ok();
        let kind = error.map(|ErrorAnswer { error }| {
            let first = error.root_cause.into_iter().next();
            first.map_or(error.kind, |cause| cause.kind)
        });
        // Names of exceptions are fixed; their reasons hold names of nodes and times.
        let fixed = |kind: &String| {
            let named = |c: char| c.is_ascii_lowercase() || c == '_';
            !kind.is_empty() && kind.len() <= 60 && kind.chars().all(named)
        };
        let kind = kind.filter(fixed);
        let gone = status == 404 && kind.as_deref() == Some("index_not_found_exception");
        let trouble = gone.then(|| self.no_index());
        (kind, trouble)
    }

    fn no_index(&self) -> Trouble {
        Trouble::Missing(format!(
            "expected an index to count in, found none for INDEX={:?}",
            shorten(&self.index, 80)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elastic(allow_partial: bool) -> Elastic {
        let base = "http://es:9200/".parse().unwrap();
        let (query, window) = (json!({"match_all": {}}), "90s".parse().unwrap());
        Elastic::new(&base, "logs-*", query, "time", window, allow_partial)
    }

    #[test]
    fn a_window_is_put_around_the_query() {
        let elastic = elastic(false);
        assert_eq!(elastic.count.url.as_str(), "http://es:9200/logs-*/_count");
        let body: Value = serde_json::from_slice(&elastic.count.body.unwrap()).unwrap();
        let range = json!({"range": {"time": {"gte": "now-90s", "lte": "now"}}});
        assert_eq!(
            body,
            json!({"query": {"bool": {"filter": [{"match_all": {}}, range]}}})
        );
        assert_eq!(
            elastic.field_caps.url.as_str(),
            "http://es:9200/logs-*/_field_caps?fields=time&filter_path=fields"
        );
    }

    #[test]
    fn counts_are_of_all_shards_or_not_believed() {
        let count = |body: &str, partial| elastic(partial).read_count(body.as_bytes());
        let partial = r#"{"count":3,"_shards":{"total":2,"successful":1,"skipped":0,"failed":1,"failures":[{"shard":0,"index":"logs-1","node":"n1","reason":{"type":"query_shard_exception","reason":"x"}}]}}"#;
        let late = r#"{"timed_out":true,"count":3,"_shards":{"total":2,"failed":0}}"#;
        assert_eq!(
            count(
                r#"{"count":7,"_shards":{"total":5,"successful":5,"skipped":0,"failed":0}}"#,
                false
            ),
            Ok(7.0)
        );
        for body in [partial, late] {
            assert!(matches!(count(body, false), Err(Trouble::Partial(_))));
            assert_eq!(count(body, true), Ok(3.0));
        }
        for allowed in [false, true] {
            let none = r#"{"count":0,"_shards":{"total":0,"successful":0,"skipped":0,"failed":0}}"#;
            assert!(matches!(count(none, allowed), Err(Trouble::Missing(_))));
        }
        for (body, part) in [
            ("", "got no JSON"),
            ("<html>", "got no JSON"),
            (r#"{"count":1"#, "got no JSON"),
            ("[]", "got other JSON"),
            (r#"{"count":1}"#, "got other JSON"),
            (
                r#"{"count":-1,"_shards":{"total":1,"failed":0}}"#,
                "got other JSON",
            ),
        ] {
            let error = count(body, true).unwrap_err().to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
    }

    #[test]
    fn a_time_field_is_a_date() {
        let read = |body: &str| {
            let read = elastic(false).read_field_caps(body.as_bytes());
            read.err().map_or(String::new(), |error| error.to_string())
        };
        let of = |kinds: &str| format!(r#"{{"fields":{{"time":{{{kinds}}}}}}}"#);
        let kind = |kind: &str| format!(r#""{kind}":{{"type":"{kind}","searchable":true}}"#);
        assert_eq!(read(&of(&kind("date"))), "");
        assert_eq!(read(&of(&kind("date_nanos"))), "");
        assert_eq!(read(&of(&format!("{},{}", kind("date"), kind("text")))), "");
        let wrong = r#"expected TIME_FIELD="time" to be a date in INDEX="logs-*", found "#;
        assert_eq!(read(&of(&kind("keyword"))), format!("{wrong}keyword"));
        for none in ["{}", r#"{"fields":{}}"#, r#"{"fields":{"other":{}}}"#] {
            assert_eq!(read(none), format!("{wrong}none"));
        }
    }

    #[test]
    fn refusals_are_named_by_their_type() {
        let refusal = |status, body: &str| elastic(false).refusal(status, body.as_bytes());
        let body = |outer: &str, inner: &str| {
            format!(
                r#"{{"error":{{"root_cause":[{{"type":"{inner}","reason":"x"}}],"type":"{outer}","reason":"y"}},"status":400}}"#
            )
        };
        let shards = body("search_phase_execution_exception", "query_shard_exception");
        for (body, kind) in [
            (shards.as_str(), Some("query_shard_exception")),
            (
                r#"{"error":{"type":"parsing_exception"}}"#,
                Some("parsing_exception"),
            ),
            (r#"{"error":{"type":"node 10.0.0.1 left"}}"#, None),
            (r#"{"error":"Incorrect HTTP method","status":405}"#, None),
            ("Unauthorized", None),
        ] {
            let (cause, trouble) = refusal(400, body);
            assert_eq!((cause.as_deref(), trouble), (kind, None), "{body}");
        }
        let gone = body("index_not_found_exception", "index_not_found_exception");
        assert!(matches!(refusal(404, &gone).1, Some(Trouble::Missing(_))));
    }
}
