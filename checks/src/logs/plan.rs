//! From options to what is asked of whom.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::args::{AuthArgs, LogArgs};
use super::ask::Asker;
use super::elastic::Elastic;
use super::judge::{Bounds, Counted};
use super::loki::{self, Loki};
use super::values::{ApiUrl, Backend, DEFAULT_WINDOW};
use super::{LogCheck, Question};
use crate::cli::ConfigError;
use crate::http::credentials::{authorization, sensitive};
use crate::http::proxy::Proxies;
use crate::http::request::{Sender, Target};
use crate::tls::{ChainLog, Tls};

/// Looks up an environment variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The check that the options ask for; `lookup` knows the variables for proxies.
///
/// # Errors
///
/// Every [`ConfigError`] found.
pub(super) fn check(args: &LogArgs, lookup: Lookup<'_>) -> Result<LogCheck, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let expected = &args.expected;
    let bounds = Bounds::new(expected.expected_min, expected.expected_max)
        .map_err(|error| errors.push(error))
        .ok();
    let backend = args.log_backend.or_else(|| {
        errors.push(ConfigError::of(
            "LOG_BACKEND",
            "expected elasticsearch, opensearch or loki",
        ));
        None
    });
    let url = args.log_url.as_ref().or_else(|| {
        errors.push(ConfigError::of("LOG_URL", "expected a URL"));
        None
    });
    let question = match (backend, url) {
        (Some(backend), Some(url)) => question(args, backend, url)
            .map_err(|more| errors.extend(more))
            .ok(),
        _ => None,
    };
    let sender = sender(args, lookup)
        .map_err(|more| errors.extend(more))
        .ok();
    if let (Some(sender), Some(url)) = (&sender, url) {
        let target = Target {
            url: url.0.clone(),
            subject: None,
            direct: false,
        };
        errors.extend(sender.accepts(&target).err());
    }
    if args.tls.min_cert_days.is_some() && url.is_some_and(|url| url.0.scheme() != "https") {
        errors.push(ConfigError::of("MIN_CERT_DAYS", "needs an https LOG_URL"));
    }
    match (sender, question, bounds, url) {
        (Some(sender), Some((question, counted)), Some(bounds), Some(url)) if errors.is_empty() => {
            Ok(LogCheck {
                asker: Asker {
                    sender,
                    timeout: args.schedule.timeout_duration.0,
                    certificates: ChainLog::default(),
                },
                question,
                counted,
                bounds,
                subject: expected.subject.as_ref().map(|object| object.0.clone()),
                url: url.0.clone(),
                retries: args.schedule.retries.0,
                retry_delay: args.schedule.retry_delay.0,
                cert_days: args.tls.min_cert_days.map_or(0, |days| days.0),
            })
        }
        _ => Err(errors),
    }
}

/// What to ask, and what the number then is.
fn question(
    args: &LogArgs,
    backend: Backend,
    url: &ApiUrl,
) -> Result<(Question, Counted), Vec<ConfigError>> {
    let mut errors = misplaced(args, backend);
    let partial = args.expected.allow_partial.0;
    let asked = &args.query;
    let made = match backend {
        Backend::Loki => asked
            .query
            .as_ref()
            .ok_or_else(|| ConfigError::of("QUERY", "expected a query in LogQL"))
            .and_then(|query| loki::metric_query(query, asked.window))
            .map(|(query, counted)| (Question::Loki(Loki::new(url, &query, partial)), counted)),
        Backend::Elastic => {
            let query = match (&asked.query, &asked.query_body) {
                (Some(text), None) => Ok(json!({"query_string": {"query": text}})),
                (None, Some(body)) => Ok(body.0.clone()),
                (Some(_), Some(_)) => Err("cannot be combined with QUERY_BODY"),
                (None, None) => Err("expected a query string, or query DSL in QUERY_BODY"),
            };
            let index = asked.index.as_deref().unwrap_or_default().trim();
            // Dots alone would fall out of the path, and everything be counted.
            if ["", ".", ".."].contains(&index) {
                let message = "expected the index, data stream or alias to count in";
                errors.push(ConfigError::of("INDEX", message));
            }
            let window = asked.window.unwrap_or(DEFAULT_WINDOW);
            let field = asked.time_field.as_deref().unwrap_or("@timestamp");
            query
                .map_err(|message| ConfigError::of("QUERY", message))
                .map(|query| Elastic::new(url, index, query, field, window, partial))
                .map(|elastic| (Question::Elastic(elastic), Counted::Lines(window)))
        }
    };
    match made {
        Ok(made) if errors.is_empty() => Ok(made),
        Ok(_) => Err(errors),
        Err(error) => {
            errors.push(error);
            Err(errors)
        }
    }
}

/// Options that are for the other backend: whoever sets them expects something of them.
fn misplaced(args: &LogArgs, backend: Backend) -> Vec<ConfigError> {
    let key = args.auth.api_key.is_some() || args.auth.api_key_file.is_some();
    let given: &[(&str, bool)] = match backend {
        Backend::Elastic => &[("LOKI_TENANT", args.loki_tenant.is_some())],
        Backend::Loki => &[
            ("INDEX", args.query.index.is_some()),
            ("QUERY_BODY", args.query.query_body.is_some()),
            ("TIME_FIELD", args.query.time_field.is_some()),
            ("API_KEY", key),
        ],
    };
    let message = match backend {
        Backend::Elastic => "is for LOG_BACKEND=\"loki\"",
        Backend::Loki => "is for LOG_BACKEND=\"elasticsearch\" or \"opensearch\"",
    };
    let given = given.iter().filter(|(_, given)| *given);
    given
        .map(|(option, _)| ConfigError::of(option, message))
        .collect()
}

fn sender(args: &LogArgs, lookup: Lookup<'_>) -> Result<Sender, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(tenant) = &args.loki_tenant {
        match HeaderValue::from_str(tenant) {
            Ok(value) => {
                headers.insert(HeaderName::from_static("x-scope-orgid"), value);
            }
            Err(_) => errors.push(ConfigError::of(
                "LOKI_TENANT",
                "expected text that can be sent in a header",
            )),
        }
    }
    let mut secrets = HeaderMap::new();
    match credentials(&args.auth) {
        Ok(Some(value)) => {
            secrets.insert(AUTHORIZATION, value);
        }
        Ok(None) => {}
        Err(error) => errors.push(error),
    }
    let proxies = Proxies::new(&args.proxy_url, lookup)
        .map_err(|error| errors.push(error))
        .ok();
    let tls = Tls::new(args.tls.clone())
        .map_err(|error| errors.push(error))
        .ok();
    match (proxies, tls) {
        (Some(proxies), Some(tls)) if errors.is_empty() => {
            Ok(Sender::for_api(headers, secrets, proxies, tls))
        }
        _ => Err(errors),
    }
}

/// The `Authorization` to send.
fn credentials(args: &AuthArgs) -> Result<Option<HeaderValue>, ConfigError> {
    let other = authorization(&args.credentials)?;
    let file = args.api_key_file.as_ref().map(|file| file.trimmed());
    let Some(key) = file.or(args.api_key.as_deref()).map(str::trim) else {
        return Ok(other);
    };
    if other.is_some() {
        let message = "cannot be combined with BASIC_AUTH_USER or BEARER_TOKEN";
        return Err(ConfigError::of("API_KEY", message));
    }
    // The encoded form is base64; a colon is in the form that it is made of.
    let encoded = !key.is_empty() && !key.contains([':', ' ']);
    let value = encoded.then(|| sensitive(&format!("ApiKey {key}")));
    value.flatten().map(Some).ok_or_else(|| {
        ConfigError::of(
            "API_KEY",
            "expected the encoded form: base64 of ID:KEY, which Elasticsearch calls `encoded`",
        )
    })
}
