//! Delivers a verdict: one attempt at a time, until the server has answered for good or the time is up.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::answer::{Meaning, Situation, classify};
use crate::env::{CA_FILE, Endpoint};
use crate::report::Report;
use crate::text;
use crate::timing::Timing;
use crate::tls::{SetupError, innermost, plain_client, tls_client};

/// The most of an answer that is read.
const MAX_ANSWER: usize = 4096;

/// The most redirects followed in one attempt.
const MAX_HOPS: usize = 3;

/// The header that names the run.
const RUN_UUID_HEADER: &str = "kh-run-uuid";

/// Delivers reports to one endpoint. [`crate::run`] does all of this; a program with a harness of its own can use it
/// directly, within a tokio runtime.
#[derive(Debug)]
pub struct Reporter {
    endpoint: Endpoint,
    timing: Timing,
    clients: Clients,
}

/// How a report got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The server accepted it. False: an attempt's answer was lost, and the server then said that the run had reported.
    pub confirmed: bool,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Why a report did not get there.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// Nothing could be sent.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The server will never accept it.
    #[error("{url} refused the report: {why}")]
    Refused {
        /// The address, without credentials.
        url: String,
        /// What it answered.
        why: String,
    },
    /// The time was up before an attempt succeeded.
    #[error("{url} did not take the report in time: {why} ({attempts} attempts)")]
    OutOfTime {
        /// The address, without credentials.
        url: String,
        /// What the last attempt met.
        why: String,
        /// How many attempts were made.
        attempts: u32,
    },
}

/// The clients made so far. One for https is made when first needed, because it may have to load certificates.
#[derive(Debug)]
struct Clients {
    ca_file: Option<PathBuf>,
    connect: Duration,
    plain: Option<Client>,
    tls: Option<Client>,
}

/// How one attempt ended, when it was answered or failed.
enum Attempt {
    Answered { status: u16, body: Vec<u8> },
    Failed { why: String, ambiguous: bool },
    Final(String),
}

/// How long to go on.
#[derive(Clone, Copy)]
enum Limit {
    Until(Instant),
    OneAttempt,
}

impl Reporter {
    /// A reporter for `endpoint`. `ca_file` (PEM) is used for https only.
    ///
    /// # Errors
    /// If the endpoint is https and no CA certificates can be loaded.
    pub fn new(endpoint: Endpoint, ca_file: Option<&Path>) -> Result<Reporter, SetupError> {
        Reporter::with_timing(endpoint, ca_file, Timing::default())
    }

    /// [`Reporter::new`] with other durations, for tests.
    ///
    /// # Errors
    /// As [`Reporter::new`].
    #[doc(hidden)]
    pub fn with_timing(
        endpoint: Endpoint,
        ca_file: Option<&Path>,
        timing: Timing,
    ) -> Result<Reporter, SetupError> {
        let mut clients = Clients {
            ca_file: ca_file.map(Path::to_owned),
            connect: timing.connect,
            plain: None,
            tls: None,
        };
        clients.get(&endpoint.url)?;
        Ok(Reporter {
            endpoint,
            timing,
            clients,
        })
    }

    /// Delivers `report`, trying until `until`. A later attempt starts only when the earlier one is over; each waits
    /// longer for an answer than the last one that got none. Nothing is sent after `until`.
    ///
    /// # Errors
    /// If the server refuses the report for good, or the time is up.
    pub async fn send(
        &mut self,
        report: &Report,
        until: std::time::Instant,
    ) -> Result<Delivery, Undelivered> {
        self.deliver(report, Limit::Until(until.into())).await
    }

    /// Delivers `report` in a single attempt, for when the deadline seems to have passed already: the server decides,
    /// whose clock may differ.
    ///
    /// # Errors
    /// If that attempt does not succeed.
    pub async fn send_once(&mut self, report: &Report) -> Result<Delivery, Undelivered> {
        self.deliver(report, Limit::OneAttempt).await
    }

    async fn deliver(&mut self, report: &Report, limit: Limit) -> Result<Delivery, Undelivered> {
        let body = serde_json::to_vec(report).map_err(|error| SetupError::Client {
            detail: error.to_string(),
        })?;
        let url = self.endpoint.to_string();
        let mut patience = self.timing.patience(self.endpoint.line);
        let mut pauses = pauses(&self.timing);
        let mut ambiguous_before = false;
        let mut last = "no attempt was made".to_owned();
        let mut attempts = 0;
        loop {
            let left = match limit {
                Limit::Until(until) => until.saturating_duration_since(Instant::now()),
                Limit::OneAttempt if attempts == 0 => patience,
                Limit::OneAttempt => Duration::ZERO,
            };
            if left.is_zero() {
                let why = last;
                return Err(Undelivered::OutOfTime { url, why, attempts });
            }
            attempts += 1;
            let attempt = timeout(patience.min(left), self.attempt(&body)).await;
            let in_time = matches!(limit, Limit::Until(until) if Instant::now() < until);
            let (why, ambiguous) = match attempt {
                Err(_) => {
                    patience = patience.saturating_mul(self.timing.patience_factor);
                    ("did not answer".to_owned(), true)
                }
                Ok(Attempt::Failed { why, ambiguous }) => (why, ambiguous),
                Ok(Attempt::Final(why)) => return Err(Undelivered::Refused { url, why }),
                Ok(Attempt::Answered { status, body }) => {
                    let now = Situation {
                        line: self.endpoint.line,
                        ambiguous_before,
                        in_time,
                        has_run_uuid: self.endpoint.run_uuid.is_some(),
                    };
                    match classify(status, &body, now) {
                        Meaning::Accepted => {
                            return Ok(Delivery {
                                confirmed: true,
                                attempts,
                            });
                        }
                        Meaning::ProbablyAccepted => {
                            return Ok(Delivery {
                                confirmed: false,
                                attempts,
                            });
                        }
                        Meaning::Refused(why) => return Err(Undelivered::Refused { url, why }),
                        Meaning::Retry { why, ambiguous } => (why, ambiguous),
                    }
                }
            };
            last = why;
            ambiguous_before |= ambiguous;
            if let Limit::Until(until) = limit {
                let left = until.saturating_duration_since(Instant::now());
                sleep(pauses.next().unwrap_or(self.timing.pause_max).min(left)).await;
            }
        }
    }

    /// One request, and the ones its redirects ask for.
    async fn attempt(&mut self, body: &[u8]) -> Attempt {
        let mut url = self.endpoint.url.clone();
        for _ in 0..=MAX_HOPS {
            let client = match self.clients.get(&url) {
                Ok(client) => client,
                Err(error) => return Attempt::Final(error.to_string()),
            };
            let mut request = client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_vec());
            if let Some(uuid) = &self.endpoint.run_uuid {
                request = request.header(RUN_UUID_HEADER, uuid);
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return failed(&error),
            };
            let status = response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                let body = read_answer(response, self.timing.body).await;
                return Attempt::Answered {
                    status: status.as_u16(),
                    body,
                };
            }
            match next_hop(&url, &response) {
                Ok(next) => url = next,
                Err(why) => return Attempt::Final(why),
            }
        }
        Attempt::Final(format!(
            "redirected more than {MAX_HOPS} times, last to {}",
            text::shown_url(&url)
        ))
    }
}

impl Clients {
    fn get(&mut self, url: &Url) -> Result<Client, SetupError> {
        let https = url.scheme() == "https";
        let slot = if https {
            &mut self.tls
        } else {
            &mut self.plain
        };
        if let Some(client) = slot {
            return Ok(client.clone());
        }
        let client = if https {
            tls_client(self.ca_file.as_deref(), self.connect)?
        } else {
            plain_client(self.connect)?
        };
        Ok(slot.insert(client).clone())
    }
}

/// Pauses between attempts: doubling, each with up to as much again at random, so that the checks a restarting
/// Kuberhealthy has kept waiting do not come back all at once.
fn pauses(timing: &Timing) -> impl Iterator<Item = Duration> + use<> {
    ExponentialBuilder::default()
        .with_min_delay(timing.pause_min)
        .with_max_delay(timing.pause_max / 2)
        .with_jitter()
        .without_max_times()
        .build()
}

/// A connection that could not be made (name, TCP, TLS) carried no report; after that, nobody knows.
fn failed(error: &reqwest::Error) -> Attempt {
    let cause = innermost(error);
    if !error.is_connect() {
        return Attempt::Failed {
            why: format!("the connection broke before an answer: {cause}"),
            ambiguous: true,
        };
    }
    let hint = if is_untrusted(error) {
        format!("; {CA_FILE} names the CA certificates to trust")
    } else {
        String::new()
    };
    Attempt::Failed {
        why: format!("cannot connect: {cause}{hint}"),
        ambiguous: false,
    }
}

/// Whether the server's certificate was not accepted. An `io::Error` is no source of the error it wraps, so both ways
/// are followed.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(|error| error.get_ref());
    match wrapped {
        Some(wrapped) => is_untrusted(wrapped),
        None => error.source().is_some_and(is_untrusted),
    }
}

/// What arrives of the body within `limit`. The status decides; a body that breaks off changes nothing.
async fn read_answer(mut response: Response, limit: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_ANSWER - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_ANSWER {
                break;
            }
        }
    };
    let _ = timeout(limit, read).await;
    body
}

/// Where a redirect leads, if it keeps method and body and does not leave TLS.
fn next_hop(url: &Url, response: &Response) -> Result<Url, String> {
    let status = response.status();
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return Err(format!("answered {} without a location", status.as_u16()));
    };
    let next = url.join(location).map_err(|error| {
        format!(
            "answered {} to a location that is no URL: {error}",
            status.as_u16()
        )
    })?;
    let shown = text::shown_url(&next);
    if !matches!(
        status,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    ) {
        return Err(format!(
            "answered {} to {shown}: following it would lose the report; report to that URL directly",
            status.as_u16()
        ));
    }
    match (url.scheme(), next.scheme()) {
        ("http", "http" | "https") | ("https", "https") => Ok(next),
        _ => Err(format!(
            "answered {} to {shown}: expected it to stay on {}",
            status.as_u16(),
            url.scheme()
        )),
    }
}
