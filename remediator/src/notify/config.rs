//! The file of receivers: who can be told, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::endpoint::Endpoint;
use super::file::{File, RawAlertmanager, RawReceiver, RawSlack, RawWebhook};
use super::render::{LABELS, SIGNATURE};
use crate::core::Level;

/// Bytes of the file at most.
const LARGEST: u64 = 1 << 20;

/// Receivers at most.
const RECEIVERS: usize = 32;

/// Labels or headers of one receiver at most.
const ENTRIES: usize = 32;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("--notify-config {path:?} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it met.
        why: String,
    },
    /// It is not what is expected.
    #[error("--notify-config {path:?}: {why}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Which field, what it holds, and what is expected.
        why: String,
    },
}

/// Who can be told, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where people find more; alerts and messages link to it.
    pub external_url: Option<String>,
    /// More policies than this that one check holds are told of as one.
    pub cascade_threshold: usize,
    /// Who can be told. Names are unique.
    pub receivers: Vec<Receiver>,
}

/// One who can be told.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// How policies, metrics and logs call it.
    pub name: String,
    /// What matters less than this is not told.
    pub level: Level,
    /// Whether it hears of policies that name no receivers.
    pub default: bool,
    /// The longest one request takes.
    pub timeout: Duration,
    /// Certificates to trust instead of the system's, in PEM form.
    pub ca_file: Option<PathBuf>,
    /// Trust any certificate.
    pub insecure: bool,
    /// What it is.
    pub kind: Kind,
}

/// What a receiver is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Prometheus's Alertmanager, version 2 of its API.
    Alertmanager {
        /// Its address, without `/api/v2/alerts`.
        url: Endpoint,
        /// Labels that each alert gets.
        labels: BTreeMap<String, String>,
        /// A file with a token.
        bearer_token: Option<PathBuf>,
        /// How often what fires is repeated.
        resend: Duration,
    },
    /// A webhook that takes what Slack's do.
    Slack {
        /// Its address, which is a secret.
        url: Address,
        /// The channel, for those that heed it.
        channel: Option<String>,
    },
    /// Anything that takes CloudEvents by POST.
    Webhook {
        /// Its address.
        url: Endpoint,
        /// A file with the key that requests are signed with.
        secret: Option<PathBuf>,
        /// A file with a token.
        bearer_token: Option<PathBuf>,
        /// Further headers.
        headers: Headers,
    },
}

/// Where an address is found.
#[derive(Clone, Debug)]
pub enum Address {
    /// Here.
    Given(Endpoint),
    /// In this file.
    File(PathBuf),
}

/// Headers, whose values are not shown.
#[derive(Clone, Default)]
pub struct Headers(pub Vec<(HeaderName, HeaderValue)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Config {
    /// Reads the file. Files that it names are found relative to its folder, and are not read here.
    ///
    /// # Errors
    /// [`ConfigError`]: it cannot be read, or the first thing in it that is wrong.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let unreadable = |why: String| ConfigError::Unreadable {
            path: path.to_owned(),
            why,
        };
        let meta = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
        if !meta.is_file() || meta.len() > LARGEST {
            let why = "expected a regular file of at most 1 MiB".to_owned();
            return Err(unreadable(why));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Config::parse(&text, folder).map_err(|why| ConfigError::Wrong {
            path: path.to_owned(),
            why,
        })
    }

    /// What the text of such a file says.
    ///
    /// # Errors
    /// The first thing in it that is wrong: which field, what it holds, and what is expected.
    pub fn parse(text: &str, folder: &Path) -> Result<Config, String> {
        // A snippet of the text may show a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: File = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| one_line(&error.to_string()))?;
        let external_url = file.external_url;
        if let Some(url) = &external_url {
            Endpoint::parse(url).map_err(|why| format!("externalUrl: {why}"))?;
        }
        let threshold = number("cascadeThreshold", file.cascade_threshold, 1..=1000, 3)?;
        if file.receivers.is_empty() || file.receivers.len() > RECEIVERS {
            let found = file.receivers.len();
            return Err(format!(
                "receivers: expected 1 to {RECEIVERS} of them, found {found}"
            ));
        }
        let mut names = BTreeSet::new();
        let mut receivers = Vec::new();
        for (index, raw) in file.receivers.into_iter().enumerate() {
            let field = format!("receivers[{index}]");
            let receiver = receiver(&field, raw, folder)?;
            if !names.insert(receiver.name.clone()) {
                let name = &receiver.name;
                return Err(format!("{field}.name: {name:?} is there twice"));
            }
            receivers.push(receiver);
        }
        Ok(Config {
            external_url,
            cascade_threshold: usize::try_from(threshold).unwrap_or(3),
            receivers,
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn receiver(field: &str, raw: RawReceiver, folder: &Path) -> Result<Receiver, String> {
    let name = raw.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let end = |c: char| plain(c) && c != '-';
    if !((1..=63).contains(&name.len())
        && name.chars().all(plain)
        && name.starts_with(end)
        && name.ends_with(end))
    {
        return Err(format!(
            "{field}.name: expected 1 to 63 lower-case letters, digits and hyphens, found {name:?}"
        ));
    }
    let level = match raw.severity.as_deref() {
        None | Some("warning") => Level::Warning,
        Some("info") => Level::Info,
        Some("critical") => Level::Critical,
        Some(other) => {
            return Err(format!(
                "{field}.severity: expected info, warning or critical, found {other:?}"
            ));
        }
    };
    let timeout = number(
        &format!("{field}.timeoutSeconds"),
        raw.timeout_seconds,
        1..=60,
        10,
    )?;
    let kind = match (raw.alertmanager, raw.slack, raw.webhook) {
        (Some(raw), None, None) => alertmanager(&format!("{field}.alertmanager"), raw, folder)?,
        (None, Some(raw), None) => slack(&format!("{field}.slack"), raw, folder)?,
        (None, None, Some(raw)) => webhook(&format!("{field}.webhook"), raw, folder)?,
        _ => {
            return Err(format!(
                "{field}: expected exactly one of alertmanager, slack and webhook in receiver {name:?}"
            ));
        }
    };
    Ok(Receiver {
        name,
        level,
        default: raw.default.unwrap_or(true),
        timeout: Duration::from_secs(timeout),
        ca_file: raw.tls.ca_file.map(|file| folder.join(file)),
        insecure: raw.tls.insecure_skip_verify,
        kind,
    })
}

fn alertmanager(field: &str, raw: RawAlertmanager, folder: &Path) -> Result<Kind, String> {
    let url = endpoint(&format!("{field}.url"), &raw.url)?;
    if url.has_query() {
        return Err(format!(
            "{field}.url: expected the address of the Alertmanager without a query, such as http://alertmanager:9093, found {url}"
        ));
    }
    at_most(&format!("{field}.labels"), raw.labels.len())?;
    for (name, value) in &raw.labels {
        let head = |c: char| c.is_ascii_alphabetic() || c == '_';
        let plain = |c: char| head(c) || c.is_ascii_digit();
        if !(name.starts_with(head) && name.chars().all(plain) && name.len() <= 128) {
            return Err(format!(
                "{field}.labels: expected names of letters, digits and underscores, found {name:?}"
            ));
        }
        if LABELS.contains(&name.as_str()) {
            return Err(format!(
                "{field}.labels.{name}: the remediator sets this label itself; expected another name"
            ));
        }
        if value.is_empty() || value.len() > 1024 {
            return Err(format!(
                "{field}.labels.{name}: expected a value of 1 to 1024 bytes, found {} of them",
                value.len()
            ));
        }
    }
    let resend = number(
        &format!("{field}.resendSeconds"),
        raw.resend_seconds,
        1..=3600,
        60,
    )?;
    Ok(Kind::Alertmanager {
        url,
        labels: raw.labels,
        bearer_token: raw.bearer_token_file.map(|file| folder.join(file)),
        resend: Duration::from_secs(resend),
    })
}

fn slack(field: &str, raw: RawSlack, folder: &Path) -> Result<Kind, String> {
    let url = match (raw.url, raw.url_file) {
        (Some(url), None) => Address::Given(endpoint(&format!("{field}.url"), &url)?),
        (None, Some(file)) => Address::File(folder.join(file)),
        _ => {
            return Err(format!(
                "{field}: expected exactly one of urlFile and url; urlFile keeps the secret out of this file"
            ));
        }
    };
    Ok(Kind::Slack {
        url,
        channel: raw.channel,
    })
}

fn webhook(field: &str, raw: RawWebhook, folder: &Path) -> Result<Kind, String> {
    let url = endpoint(&format!("{field}.url"), &raw.url)?;
    at_most(&format!("{field}.headers"), raw.headers.len())?;
    let mut headers = Vec::new();
    for (name, value) in raw.headers {
        let wrong = |why: &str| format!("{field}.headers: {name:?}: {why}");
        let parsed: HeaderName = name
            .parse()
            .map_err(|_| wrong("expected the name of a header"))?;
        let own = [
            "content-type",
            "content-length",
            "host",
            "transfer-encoding",
            "connection",
        ];
        if own.contains(&parsed.as_str()) || parsed.as_str().eq_ignore_ascii_case(SIGNATURE) {
            return Err(wrong("the remediator sets this header itself"));
        }
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| wrong("expected a value of visible ASCII characters"))?;
        value.set_sensitive(true);
        headers.push((parsed, value));
    }
    Ok(Kind::Webhook {
        url,
        secret: raw.secret_file.map(|file| folder.join(file)),
        bearer_token: raw.bearer_token_file.map(|file| folder.join(file)),
        headers: Headers(headers),
    })
}

fn endpoint(field: &str, text: &str) -> Result<Endpoint, String> {
    Endpoint::parse(text).map_err(|why| format!("{field}: {why}"))
}

fn at_most(field: &str, found: usize) -> Result<(), String> {
    if found > ENTRIES {
        return Err(format!(
            "{field}: expected at most {ENTRIES} entries, found {found}"
        ));
    }
    Ok(())
}

fn number(
    field: &str,
    found: Option<Value>,
    range: std::ops::RangeInclusive<u64>,
    default: u64,
) -> Result<u64, String> {
    let Some(found) = found else {
        return Ok(default);
    };
    let number = found.as_u64().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        format!("{field}: expected a whole number from {least} to {most}, found {found}")
    })
}
