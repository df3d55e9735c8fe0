//! Credentials: from files, variables, or the URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;

use super::args::RequestArgs;
use crate::cli::ConfigError;
use crate::values::FileText;

/// Options of every check that asks over HTTP.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CredentialArgs {
    /// User of basic authentication
    #[arg(long, value_name = "NAME")]
    pub(crate) basic_auth_user: Option<String>,
    /// File with the user of basic authentication
    #[arg(long, value_name = "FILE")]
    pub(crate) basic_auth_user_file: Option<FileText>,
    /// Password of basic authentication; better from a file
    #[arg(long, value_name = "PASSWORD")]
    pub(crate) basic_auth_password: Option<String>,
    /// File with the password of basic authentication
    #[arg(long, value_name = "FILE")]
    pub(crate) basic_auth_password_file: Option<FileText>,
    /// Bearer token; better from a file
    #[arg(long, value_name = "TOKEN")]
    pub(crate) bearer_token: Option<String>,
    /// File with the bearer token
    #[arg(long, value_name = "FILE")]
    pub(crate) bearer_token_file: Option<FileText>,
}

/// Headers with credentials.
pub(super) fn secret_headers(args: &RequestArgs) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for header in &args.request_header_files {
        headers.append(header.0.name.clone(), header.0.value.clone());
    }
    if let Some(value) = authorization(&args.credentials)? {
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// The `Authorization` that the options ask for, if any.
///
/// # Errors
///
/// [`ConfigError`] for options that contradict each other or cannot be sent.
pub(crate) fn authorization(args: &CredentialArgs) -> Result<Option<HeaderValue>, ConfigError> {
    let pick = |file: &Option<FileText>, text: &Option<String>| {
        file.as_ref()
            .map(|file| file.trimmed().to_owned())
            .or_else(|| text.clone())
    };
    let user = pick(&args.basic_auth_user_file, &args.basic_auth_user);
    let password = pick(&args.basic_auth_password_file, &args.basic_auth_password);
    let token = pick(&args.bearer_token_file, &args.bearer_token);
    let (option, text) = match (user, password, token) {
        (Some(_), _, Some(_)) => {
            return Err(ConfigError::of(
                "BEARER_TOKEN",
                "cannot be combined with BASIC_AUTH_USER",
            ));
        }
        (None, Some(_), _) => {
            return Err(ConfigError::of(
                "BASIC_AUTH_USER",
                "expected a user for the password given",
            ));
        }
        (Some(user), _, _) if user.contains(':') => {
            return Err(ConfigError::of(
                "BASIC_AUTH_USER",
                "expected a name without a colon",
            ));
        }
        (Some(user), password, None) => (
            "BASIC_AUTH_USER",
            basic(&user, &password.unwrap_or_default()),
        ),
        (None, None, Some(token)) => ("BEARER_TOKEN", format!("Bearer {}", token.trim())),
        (None, None, None) => return Ok(None),
    };
    sensitive(&text)
        .map(Some)
        .ok_or_else(|| ConfigError::of(option, "expected text that can be sent in a header"))
}

/// A value that is not shown; `None` if it cannot be sent in a header.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `user:password@` in a URL, as curl and Go send it.
pub(super) fn url_auth(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    sensitive(&basic(
        &decode(url.username()),
        &decode(url.password().unwrap_or_default()),
    ))
}

/// `Basic` credentials (RFC 7617).
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
