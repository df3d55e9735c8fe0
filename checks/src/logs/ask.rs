//! One request to a log backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;

use super::trouble::Trouble;
use crate::describe::{describe, shorten, shown_url};
use crate::http::request::{Sender, Target};
use crate::log;
use crate::tls::ChainLog;

/// Many times what the answer to a count needs, and little enough to be kept.
const LARGEST_ANSWER: usize = 1 << 20;
/// How much of an answer that is no success goes to the log.
const SHOWN: usize = 500;

/// What to ask: POST with a body in JSON, else GET.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) url: Url,
    pub(super) body: Option<Vec<u8>>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Up to [`LARGEST_ANSWER`] bytes.
    pub(super) body: Vec<u8>,
    /// Whether that is all of it.
    whole: bool,
}

/// Asks one backend.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) sender: Sender,
    pub(super) timeout: Duration,
    /// What the backend showed.
    pub(super) certificates: ChainLog,
}

impl Asker {
    /// Sends `ask` and reads the answer.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if no whole answer comes in time, or one that leads elsewhere.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer, Trouble> {
        let target = Target {
            url: ask.url.clone(),
            subject: None,
            direct: false,
        };
        let connected: Arc<AtomicBool> = Arc::default();
        let reading = AtomicBool::new(false);
        let started = Instant::now();
        let exchange = self.exchange(ask, &target, &connected, &reading);
        let outcome = match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::TimedOut {
                after: self.timeout,
                phase: if reading.load(Ordering::Relaxed) {
                    "reading the answer"
                } else if connected.load(Ordering::Relaxed) {
                    "waiting for an answer"
                } else {
                    "connecting"
                },
            }),
        };
        let shown = match &outcome {
            Ok(answer) => format!("status {}", answer.status),
            Err(trouble) => trouble.to_string(),
        };
        let elapsed = started.elapsed().as_millis();
        log!("{}: {shown} after {elapsed} ms", shown_url(&ask.url));
        outcome
    }

    async fn exchange(
        &self,
        ask: &Ask,
        target: &Target,
        connected: &Arc<AtomicBool>,
        reading: &AtomicBool,
    ) -> Result<Answer, Trouble> {
        let hop = self.sender.first(target);
        let client = self
            .sender
            .client(target, &hop, &self.certificates, connected)
            .map_err(Trouble::Connection)?;
        let mut request = self.sender.request(target, &hop);
        if let Some(body) = &ask.body {
            *request.method_mut() = Method::POST;
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.clone().into());
        }
        let response = client.execute(request).await.map_err(|error| {
            let proxy = error.is_connect() && self.sender.may_use_proxy(target, &hop);
            let note = if proxy { " (a proxy is set)" } else { "" };
            Trouble::Connection(format!("{}{note}", describe(&error)))
        })?;
        reading.store(true, Ordering::Relaxed);
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            let host = leads_to(&ask.url, response.headers());
            return Err(Trouble::Redirected { status, host });
        }
        let answer = read(response).await?;
        if status / 100 == 2 && !answer.whole {
            return Err(Trouble::Answer(
                "expected an answer of at most 1MiB: let the query give fewer series".to_owned(),
            ));
        }
        Ok(answer)
    }
}

async fn read(mut response: Response) -> Result<Answer, Trouble> {
    let (mut body, mut whole) = (Vec::new(), true);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Trouble::Connection(format!("reading the answer: {}", describe(&error))))?
    {
        let room = LARGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            whole = false;
            break;
        }
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
        whole,
    })
}

/// The host that a redirect names. What follows it may hold a session, so it is not told.
fn leads_to(from: &Url, headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| from.join(location).ok());
    let host = url.as_ref().and_then(Url::host_str);
    shorten(host.unwrap_or("nowhere"), 80)
}

impl Answer {
    /// `Retry-After` in seconds; the form with a date is not used by these backends.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// Writes the answer to the log, where it may say more than a finding can.
    pub(super) fn note(&self) {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * SHOWN)]);
        log!("it answered: {}", shorten(&text, SHOWN));
    }
}

/// `body` as JSON of a certain form.
///
/// # Errors
///
/// [`Trouble::Answer`] if it is something else than `what`.
pub(super) fn json<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        Trouble::Answer(match error.is_data() {
            true => format!("expected {what}, got other JSON: check LOG_URL and LOG_BACKEND"),
            false => format!("expected {what}, got no JSON: check LOG_URL and LOG_BACKEND"),
        })
    })
}
