//! What an answer has to be. Pure: an observation in, reasons out.

#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::Version;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use serde_json::Value;

use super::args::{ExpectedArgs, HttpArgs};
use super::headers::HeaderRule;
use super::json::JsonRule;
use super::values::{HttpVersion, Pattern};
use crate::cli::ConfigError;
use crate::describe::shorten;
use crate::tls::Expiring;
use crate::values::{Size, Span, StatusSet};

/// What one request found.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    /// Status of the last answer.
    pub(super) status: u16,
    /// Version of HTTP it was sent in.
    pub(super) version: Version,
    /// Whether it came over https.
    pub(super) tls: bool,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body, as far as it was read.
    pub(super) body: Vec<u8>,
    /// Whether all of the body was read.
    pub(super) whole: bool,
    /// From the first connection to the last byte.
    pub(super) elapsed: Duration,
    /// Certificates on the way that run out too early.
    pub(super) expiring: Vec<Expiring>,
}

/// What is expected of every answer.
#[derive(Debug, Clone)]
pub(super) struct Expectations {
    status: StatusSet,
    text: Option<String>,
    body: Vec<Pattern>,
    not_body: Vec<Pattern>,
    json: Vec<JsonRule>,
    headers: Vec<HeaderRule>,
    not_headers: Vec<HeaderRule>,
    max_latency: Option<Duration>,
    max_body: Size,
    require_tls: bool,
    version: HttpVersion,
    min_days: Option<u32>,
}

impl Expectations {
    /// From the options.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a body to be judged in the answer to HEAD, which has none.
    pub(super) fn new(args: &HttpArgs) -> Result<Expectations, ConfigError> {
        let ExpectedArgs {
            expected_status_code,
            target_string,
            expected_body,
            forbidden_body,
            expected_json,
            expected_headers,
            forbidden_headers,
            max_latency,
            max_body_size,
            require_tls,
        } = args.expected.clone();
        let expectations = Expectations {
            status: expected_status_code,
            text: target_string,
            body: expected_body,
            not_body: forbidden_body,
            json: expected_json,
            headers: expected_headers,
            not_headers: forbidden_headers,
            max_latency: max_latency.map(|span| span.0),
            max_body: max_body_size,
            require_tls: require_tls.0,
            version: args.connection.http_version,
            min_days: args.tls.min_cert_days.map(|days| days.0),
        };
        if args.request.request_type.0 == reqwest::Method::HEAD && expectations.judges_body() {
            let message = "an answer to HEAD has no body, so nothing can be expected of it";
            return Err(ConfigError::value("REQUEST_TYPE", "HEAD", message));
        }
        Ok(expectations)
    }

    /// Whether the body matters. If not, it is read to its end or the limit, and not kept.
    pub(super) fn judges_body(&self) -> bool {
        self.text.is_some()
            || !self.body.is_empty()
            || !self.not_body.is_empty()
            || !self.json.is_empty()
    }

    /// Most of a body that is read.
    pub(super) fn max_body(&self) -> usize {
        self.max_body.0
    }

    /// Everything that is wrong with an answer, most important first. Nothing in it changes from run to run as long as
    /// the answer does not.
    pub(super) fn failures(&self, seen: &Observation) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.status.contains(seen.status) {
            failures.push(format!(
                "expected status {}, got {}",
                self.status, seen.status
            ));
        }
        self.judge_connection(seen, &mut failures);
        // An error page fails whatever else is expected; to say so for each expectation would only hide the status.
        if self.status.contains(seen.status) {
            self.judge_headers(&seen.headers, &mut failures);
            if self.judges_body() {
                self.judge_body(seen, &mut failures);
            }
        }
        if let Some(limit) = self.max_latency.filter(|limit| seen.elapsed > *limit) {
            failures.push(format!("slower than {}", Span(limit)));
        }
        failures
    }

    fn judge_connection(&self, seen: &Observation, failures: &mut Vec<String>) {
        if self.require_tls && !seen.tls {
            failures.push("the answer did not come over https".to_owned());
        }
        let wanted = match self.version {
            HttpVersion::Any => seen.version,
            HttpVersion::Http1 => Version::HTTP_11,
            HttpVersion::Http2 => Version::HTTP_2,
        };
        if seen.version != wanted {
            failures.push(
                format!("expected {}, got {:?}", self.version, seen.version).replace("2.0", "2"),
            );
        }
        for expiring in &seen.expiring {
            failures.push(expiring.reason(self.min_days.unwrap_or_default()));
        }
        if self.min_days.is_some() && !seen.tls {
            failures.push("there is no certificate: the answer did not come over https".to_owned());
        }
    }

    fn judge_headers(&self, headers: &HeaderMap, failures: &mut Vec<String>) {
        let matching = |rule: &HeaderRule| {
            let mut values = headers.get_all(&rule.name).iter();
            match &rule.pattern {
                Some(pattern) => values.any(|value| {
                    pattern
                        .0
                        .is_match(&String::from_utf8_lossy(value.as_bytes()))
                }),
                None => values.next().is_some(),
            }
        };
        for rule in &self.headers {
            let there = headers.contains_key(&rule.name);
            if !there && !rule.may_be_missing {
                failures.push(format!("header {} is missing", rule.name));
            } else if there && !matching(rule) {
                // The value is not told: it may be a cookie, or a date that changes.
                failures.push(format!(
                    "header {} does not match {}",
                    rule.name,
                    pattern_text(rule)
                ));
            }
        }
        for rule in self.not_headers.iter().filter(|rule| matching(rule)) {
            failures.push(match rule.pattern {
                Some(_) => format!("header {} matches {}", rule.name, pattern_text(rule)),
                None => format!("header {} is there", rule.name),
            });
        }
    }

    fn judge_body(&self, seen: &Observation, failures: &mut Vec<String>) {
        if let Some(encoding) = compressed(&seen.headers) {
            failures.push(format!(
                "body is compressed ({encoding}) and cannot be judged"
            ));
            return;
        }
        let text = String::from_utf8_lossy(&seen.body);
        let has_text = self
            .text
            .as_ref()
            .is_none_or(|wanted| text.contains(wanted));
        let only_text = self.body.is_empty() && self.not_body.is_empty() && self.json.is_empty();
        // In the part that was read, a text that is found is found; anything else could still change.
        let certain = seen.whole || (only_text && has_text);
        if !certain {
            failures.push(format!(
                "body is larger than MAX_BODY_SIZE={} and cannot be judged",
                self.max_body
            ));
            return;
        }
        if let Some(wanted) = self.text.as_ref().filter(|_| !has_text) {
            failures.push(format!("body does not contain {:?}", shorten(wanted, 80)));
        }
        for pattern in self
            .body
            .iter()
            .filter(|pattern| !pattern.0.is_match(&text))
        {
            failures.push(format!(
                "body does not match {}",
                shorten(pattern.0.as_str(), 80)
            ));
        }
        for pattern in self
            .not_body
            .iter()
            .filter(|pattern| pattern.0.is_match(&text))
        {
            failures.push(format!("body matches {}", shorten(pattern.0.as_str(), 80)));
        }
        if !self.json.is_empty() {
            match serde_json::from_slice::<Value>(&seen.body) {
                Ok(value) => {
                    failures.extend(self.json.iter().filter_map(|rule| rule.failure(&value)))
                }
                Err(_) => failures.push("body is not JSON".to_owned()),
            }
        }
    }
}

fn pattern_text(rule: &HeaderRule) -> String {
    rule.pattern
        .as_ref()
        .map(|pattern| shorten(pattern.0.as_str(), 80))
        .unwrap_or_default()
}

/// None is asked for, but a server may compress all the same, and a text in it would go unnoticed.
fn compressed(headers: &HeaderMap) -> Option<String> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    let names = encodings.map(|value| {
        String::from_utf8_lossy(value.as_bytes())
            .trim()
            .to_ascii_lowercase()
    });
    names
        .filter(|name| !name.is_empty() && name != "identity")
        .map(|name| shorten(&name, 20))
        .next()
}
