//! Values of log-check's options.

use std::fmt;
use std::str::FromStr;

use khclient::{Finding, Subject};
use serde_json::{Map, Value};
use url::Url;

use crate::http::values::http_url;
use crate::values::{BadValue, Span};

/// Which API is spoken. Elasticsearch and OpenSearch have the same one, as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// Elasticsearch or OpenSearch.
    Elastic,
    /// Grafana Loki.
    Loki,
}

impl FromStr for Backend {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Backend, BadValue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "elasticsearch" | "opensearch" => Ok(Backend::Elastic),
            "loki" => Ok(Backend::Loki),
            _ => Err(BadValue::expected("elasticsearch, opensearch or loki")),
        }
    }
}

/// Where an API begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiUrl(pub(super) Url);

impl FromStr for ApiUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<ApiUrl, BadValue> {
        let url = http_url(text.trim())?;
        let whole = url.query().is_none() && url.fragment().is_none();
        let called = ["_count", "_search"].map(|end| url.path().ends_with(end));
        if !whole || called.contains(&true) || url.path().contains("/loki/api/") {
            return Err(BadValue::expected(
                "the URL where the API begins: what is asked for is added to it",
            ));
        }
        Ok(ApiUrl(url))
    }
}

impl ApiUrl {
    /// The API's URL with `segments` after it, encoded where need be.
    pub(super) fn with(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Only URLs without a host have no path to add to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// The query of a `_count` body.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DslQuery(pub(super) Value);

impl FromStr for DslQuery {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<DslQuery, BadValue> {
        let wrong = || BadValue::expected(r#"{"query": {...}} and nothing beside it"#);
        let mut body: Map<String, Value> = serde_json::from_str(text).map_err(|_| wrong())?;
        match body.remove("query") {
            // `_count` takes no other key.
            Some(query @ Value::Object(_)) if body.is_empty() => Ok(DslQuery(query)),
            _ => Err(wrong()),
        }
    }
}

/// A time window: whole seconds, which is what both query languages can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(u64);

/// Unless WINDOW says otherwise.
pub(super) const DEFAULT_WINDOW: Window = Window(600);

impl FromStr for Window {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Window, BadValue> {
        let Span(span) = text.parse()?;
        match span.as_secs() {
            seconds if seconds > 0 && span.subsec_nanos() == 0 => Ok(Window(seconds)),
            _ => Err(BadValue::expected("whole seconds, such as 10m or 90s")),
        }
    }
}

impl fmt::Display for Window {
    /// `10m`, `90s` or `2h`: a duration for people, for LogQL, and for Elasticsearch's date math.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s % 3600 == 0 => write!(f, "{}h", s / 3600),
            s if s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

/// A number to compare with: finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Bound(pub(super) f64);

impl FromStr for Bound {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Bound, BadValue> {
        match text.trim().parse::<f64>() {
            // The sum turns -0 into 0.
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(Bound(number + 0.0)),
            _ => Err(BadValue::expected("a number from 0, such as 1 or 0.5")),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The object that the logs are about, as findings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object(pub(super) Subject);

impl FromStr for Object {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Object, BadValue> {
        let text = text.trim();
        let read = format!("{text}: x").parse::<Finding>();
        let subject = read.ok().and_then(|finding| finding.subject().cloned());
        // All of it, not only what stands before another colon.
        let subject = subject.filter(|subject| subject.to_string() == text);
        subject.map(Object).ok_or_else(|| {
            BadValue::expected("a kind, a namespace and a name, such as deployment shop/web")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_urls_are_added_to() {
        let with = |base: &str, segments: &[&str]| {
            let base: ApiUrl = base.parse().unwrap();
            base.with(segments).to_string()
        };
        for base in ["http://es:9200", "http://es:9200/"] {
            assert_eq!(
                with(base, &["logs-*,web", "_count"]),
                "http://es:9200/logs-*,web/_count"
            );
        }
        assert_eq!(
            with("https://a/es/", &["<logs-{now/d}>", "_count"]),
            "https://a/es/%3Clogs-%7Bnow%2Fd%7D%3E/_count"
        );
        assert_eq!(with("https://a", &["a?b#c/.."]), "https://a/a%3Fb%23c%2F..");
        for text in [
            "",
            "es:9200",
            "ftp://es",
            "http://es/?pretty",
            "http://es/#x",
            "http://es/logs/_count",
            "http://loki/loki/api/v1/query",
        ] {
            assert!(text.parse::<ApiUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn bodies_hold_a_query_alone() {
        let query = |text: &str| text.parse::<DslQuery>();
        assert_eq!(
            query(r#"{"query": {"match_all": {}}}"#),
            Ok(DslQuery(serde_json::json!({"match_all": {}})))
        );
        for text in [
            "",
            "[]",
            "{}",
            "status:500",
            r#"{"match_all": {}}"#,
            r#"{"query": "x"}"#,
            r#"{"query": {}, "size": 0}"#,
        ] {
            assert!(query(text).is_err(), "{text}");
        }
    }

    #[test]
    fn windows_are_whole_seconds() {
        for (text, shown) in [
            ("10m", "10m"),
            ("600", "10m"),
            ("90s", "90s"),
            ("1m30s", "90s"),
            ("2h", "2h"),
            ("24h", "24h"),
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), shown);
        }
        for text in ["", "0", "500ms", "1.5s", "-1m", "soon", "9000h"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        assert_eq!(DEFAULT_WINDOW.to_string(), "10m");
    }

    #[test]
    fn bounds_are_numbers() {
        for (text, shown) in [("1", "1"), ("0.5", "0.5"), ("-0", "0"), ("1e3", "1000")] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), shown);
        }
        for text in ["", "-1", "inf", "NaN", "one"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }

    #[test]
    fn objects_are_what_findings_name() {
        for text in ["deployment shop/web", "node worker-3"] {
            assert_eq!(text.parse::<Object>().unwrap().0.to_string(), text);
        }
        for text in [
            "",
            "web",
            "shop/web",
            "Deployment shop/web",
            "deployment shop/web: x",
            "deployment web",
        ] {
            assert!(text.parse::<Object>().is_err(), "{text}");
        }
    }

    #[test]
    fn backends_have_three_names() {
        assert_eq!("OpenSearch".parse(), Ok(Backend::Elastic));
        assert_eq!("elasticsearch".parse(), Ok(Backend::Elastic));
        assert_eq!("loki".parse(), Ok(Backend::Loki));
        assert!("splunk".parse::<Backend>().is_err());
    }
}
