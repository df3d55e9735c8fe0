//! Loki's instant queries: what is sent, and what the answers mean. Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ask::Ask;
use super::judge::Counted;
use super::trouble::Trouble;
use super::values::{ApiUrl, DEFAULT_WINDOW, Window};
use crate::cli::ConfigError;
use crate::describe::shorten;

/// What is asked.
#[derive(Debug)]
pub(super) struct Loki {
    /// For the number.
    pub(super) query: Ask,
    allow_partial: bool,
}

/// What an instant query answers.
#[derive(Debug, Deserialize)]
struct Answer {
    data: Data,
    #[serde(default)]
    warnings: Vec<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar(Point),
    Matrix(IgnoredAny),
    Streams(IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Sample {
    value: Point,
}

/// A time and a number, the latter as text.
#[derive(Debug, Deserialize)]
struct Point(IgnoredAny, String);

/// The text to send, and what its result is. A log query, which LogQL begins with its stream selector, is counted over
/// the window; a metric query has ranges of its own.
///
/// # Errors
///
/// [`ConfigError`] for a window that nothing would be done with.
pub(super) fn metric_query(
    query: &str,
    window: Option<Window>,
) -> Result<(String, Counted), ConfigError> {
    let query = query.trim();
    if query.starts_with('{') {
        let window = window.unwrap_or(DEFAULT_WINDOW);
        // On a line of its own, as the query may end in a comment.
        let text = format!("sum(count_over_time({query}\n[{window}]))");
        return Ok((text, Counted::Lines(window)));
    }
    match window {
        None => Ok((query.to_owned(), Counted::Result)),
        Some(window) => Err(ConfigError::value(
            "WINDOW",
            &window.to_string(),
            "cannot be combined with a metric query, which has a range of its own: leave it out, \
             or let QUERY be a log query that begins with {",
        )),
    }
}

impl Loki {
    /// Asks for `query`, a metric query, as of now by the server's clock.
    pub(super) fn new(base: &ApiUrl, query: &str, allow_partial: bool) -> Loki {
        let mut url = base.with(&["loki", "api", "v1", "query"]);
        url.query_pairs_mut().append_pair("query", query);
        Loki {
            query: Ask { url, body: None },
            allow_partial,
        }
    }

    /// Reads the answer: the sum of what is in it. Nothing at all is zero, as Loki has no series for what has no lines.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if it is no number, or comes with warnings.
    pub(super) fn read(&self, body: &[u8]) -> Result<f64, Trouble> {
        let answer: Answer = super::ask::json(body, "the result of an instant query")?;
        if !answer.warnings.is_empty() && !self.allow_partial {
            return Err(Trouble::Partial("one with warnings"));
        }
        let points = match answer.data {
            Data::Vector(samples) => samples.into_iter().map(|sample| sample.value).collect(),
            Data::Scalar(point) => vec![point],
            Data::Matrix(_) => return Err(no_number("a matrix")),
            Data::Streams(_) => return Err(no_number("log lines")),
        };
        let mut sum = 0.0;
        for Point(_, number) in points {
            sum += number
                .parse::<f64>()
                .map_err(|_| no_number("something else"))?;
        }
        if sum.is_nan() {
            return Err(no_number("NaN"));
        }
        Ok(sum)
    }

    /// What Loki says of a query that it does not understand: it depends on nothing but the query.
    pub(super) fn cause(status: u16, body: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(body).ok()?.lines().next()?.trim();
        let fixed = status == 400 && text.starts_with("parse error");
        fixed.then(|| shorten(text, 120))
    }
}

fn no_number(found: &str) -> Trouble {
    Trouble::Answer(format!(
        "expected the query to give a number, or one for each series, got {found}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loki(allow_partial: bool) -> Loki {
        Loki::new(
            &"http://loki:3100".parse().unwrap(),
            "vector(1)",
            allow_partial,
        )
    }

    #[test]
    fn log_queries_are_counted_over_the_window() {
        let window: Window = "5m".parse().unwrap();
        let lines = r#"{app="web"} |= "a" # all"#;
        assert_eq!(
            metric_query(lines, Some(window)),
            Ok((
                format!("sum(count_over_time({lines}\n[5m]))"),
                Counted::Lines(window)
            ))
        );
        assert_eq!(
            metric_query(" {a=\"b\"} ", None),
            Ok((
                "sum(count_over_time({a=\"b\"}\n[10m]))".to_owned(),
                Counted::Lines(DEFAULT_WINDOW)
            ))
        );
        let metric = r#"sum(rate({app="web"}[5m]))"#;
        assert_eq!(
            metric_query(metric, None),
            Ok((metric.to_owned(), Counted::Result))
        );
        assert!(metric_query(metric, Some(window)).is_err());
        assert_eq!(
            loki(false).query.url.as_str(),
            "http://loki:3100/loki/api/v1/query?query=vector%281%29"
        );
    }

    #[test]
    fn results_are_summed() {
        let answer = |kind: &str, result: &str, rest: &str| {
            format!(
                r#"{{"status":"success"{rest},"data":{{"resultType":"{kind}","result":{result},"stats":{{"summary":{{}}}}}}}}"#
            )
        };
        let read = |body: &str, partial| loki(partial).read(body.as_bytes());
        let two = r#"[{"metric":{"a":"b"},"value":[1568404331.324,"0.5"]},{"metric":{},"value":[1568404331.324,"3"]}]"#;
        for (body, number) in [
            (answer("vector", two, ""), 3.5),
            (answer("vector", "[]", ""), 0.0),
            (answer("scalar", r#"[1568404331.324,"2"]"#, ""), 2.0),
            (
                answer("scalar", r#"[1568404331.324,"+Inf"]"#, ""),
                f64::INFINITY,
            ),
        ] {
            assert_eq!(read(&body, false), Ok(number), "{body}");
        }
        let warned = answer("vector", two, r#","warnings":["one ingester is gone"]"#);
        assert!(matches!(read(&warned, false), Err(Trouble::Partial(_))));
        assert_eq!(read(&warned, true), Ok(3.5));
        for (body, part) in [
            (
                answer("streams", r#"[{"stream":{},"values":[["1","x"]]}]"#, ""),
                "got log lines",
            ),
            (
                answer("matrix", r#"[{"metric":{},"values":[[1,"2"]]}]"#, ""),
                "got a matrix",
            ),
            (answer("scalar", r#"[1,"NaN"]"#, ""), "got NaN"),
            (answer("scalar", r#"[1,"many"]"#, ""), "got something else"),
            (answer("vector", r#"[{"metric":{}}]"#, ""), "got other JSON"),
            (answer("histogram", "[]", ""), "got other JSON"),
            ("ready".to_owned(), "got no JSON"),
        ] {
            let error = read(&body, true).unwrap_err().to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
    }

    #[test]
    fn only_what_depends_on_the_query_is_told() {
        let text = "parse error at line 1, col 5: syntax error: unexpected IDENTIFIER\nmore";
        assert_eq!(
            Loki::cause(400, text.as_bytes()).as_deref(),
            text.lines().next()
        );
        assert_eq!(Loki::cause(500, text.as_bytes()), None);
        assert_eq!(Loki::cause(400, b"10.0.0.1: too many"), None);
        assert_eq!(Loki::cause(400, b"\xff"), None);
    }
}
