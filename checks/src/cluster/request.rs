//! One request, with the patience that an API server under load needs.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::ClusterError;
use super::read::{Cluster, Resource};
use crate::describe::{describe, shorten};
use crate::values::read_bounded;

/// A page beyond this is no list of objects worth holding.
const LARGEST_ANSWER: usize = 128 << 20;
/// An explanation is shorter than this.
const LARGEST_STATUS: usize = 64 << 10;
/// Tries of one request before it counts as failed.
const TRIES: u32 = 5;
pub(super) const ONE_REQUEST: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long one request is tried while the server cannot answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// [`TRIES`] times.
    AFewTries,
    /// As long as there is time; [`TRIES`] times if nobody said how long that is.
    UntilDeadline,
}

/// An answer that ended a request.
pub(super) enum Answer {
    Ok(Response),
    /// 410: the continue token ran out. The server may give one that leads on.
    Gone(Option<String>),
}

/// Why one try of a request failed.
pub(super) enum Trouble {
    /// Asking again is no use.
    Lasting(ClusterError),
    /// It may pass: the server is away or overloaded. It may have said how long to wait.
    Passing(ClusterError, Option<Duration>),
}

impl Trouble {
    /// The server has been silent for too long.
    pub(super) fn silence() -> Trouble {
        Trouble::Passing(
            ClusterError::Unreachable("no answer in time".to_owned()),
            None,
        )
    }

    pub(super) fn no_answer(error: reqwest::Error) -> Trouble {
        Trouble::Passing(ClusterError::Unreachable(describe(&error)), None)
    }
}

impl Cluster {
    /// Tries until something lasting came of it.
    pub(super) async fn patiently<R>(
        &self,
        patience: Patience,
        mut attempt: impl AsyncFnMut() -> Result<R, Trouble>,
    ) -> Result<R, ClusterError> {
        let mut pause = Duration::from_millis(250);
        let mut tries = 1;
        loop {
            let (error, asked) = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::Passing(error, asked)) => (error, asked),
            };
            let (wait, enough) = match (patience, self.until) {
                (Patience::UntilDeadline, Some(_)) => (asked.unwrap_or_default().max(pause), false),
                _ => (asked.unwrap_or(pause), tries >= TRIES),
            };
            let wait = wait.min(LONGEST_PAUSE);
            let late = self
                .until
                .is_some_and(|until| Instant::now() + wait >= until);
            if enough || late {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            tries += 1;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One try, of the usual length or of `timeout`.
    pub(super) async fn once(
        &self,
        url: &Url,
        ask: &Ask<'_>,
        timeout: Option<Duration>,
    ) -> Result<Answer, Trouble> {
        let mut request = self.ask(url.clone()).map_err(Trouble::Lasting)?;
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let response = request.send().await.map_err(Trouble::no_answer)?;
        Err(match response.status().as_u16() {
            200 => return Ok(Answer::Ok(response)),
            410 => {
                let token = status_of(response).await.metadata.token;
                return Ok(Answer::Gone(Some(token).filter(|token| !token.is_empty())));
            }
            401 => Trouble::Lasting(self.unauthorized()),
            403 => Trouble::Lasting(ask.forbidden()),
            404 => Trouble::Lasting(ask.not_found(response).await),
            status => {
                let wait = retry_after(&response);
                let error = ask.refused(status, &status_of(response).await.message);
                if status == 429 || status >= 500 {
                    Trouble::Passing(error, wait)
                } else {
                    Trouble::Lasting(error)
                }
            }
        })
    }

    /// A request that shows who we are.
    pub(super) fn ask(&self, url: Url) -> Result<RequestBuilder, ClusterError> {
        let mut request = self.client.get(url);
        if let Some(path) = &self.access.token_file {
            let file = |reason: String| ClusterError::File {
                path: path.clone(),
                reason,
            };
            let bytes = read_bounded(path).map_err(|error| file(error.to_string()))?;
            let mut value = HeaderValue::try_from([b"Bearer ", bytes.trim_ascii()].concat())
                .map_err(|_| file("not a token".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// What a 401 means.
    pub(crate) fn unauthorized(&self) -> ClusterError {
        match self.access.token_file {
            Some(_) => ClusterError::Unauthorized,
            None => ClusterError::NoToken,
        }
    }
}

/// What is asked for, for errors.
pub(super) struct Ask<'a> {
    pub(super) resource: Resource<'a>,
    pub(super) verb: &'static str,
    pub(super) what: &'a str,
}

impl Ask<'_> {
    fn forbidden(&self) -> ClusterError {
        ClusterError::Forbidden {
            what: self.what.to_owned(),
            verb: self.verb,
            resource: self.resource.to_string(),
        }
    }

    /// What a 404 means: other web servers know nothing of pods either, and do not say that there are none.
    async fn not_found(&self, response: Response) -> ClusterError {
        let what = self.what.to_owned();
        let body = read(response, LARGEST_STATUS).await.unwrap_or_default();
        let status: Status = serde_json::from_slice(&body).unwrap_or_default();
        // Of a group that is not installed, the API server does not even know the path. The core group always is.
        let no_group =
            self.resource.group.starts_with("apis/") && body.trim_ascii() == b"404 page not found";
        match status.kind == "Status" || no_group {
            true => ClusterError::NotFound(what),
            false => ClusterError::Foreign { what },
        }
    }

    pub(super) fn refused(&self, status: u16, message: &str) -> ClusterError {
        let message = if message.is_empty() {
            String::new()
        } else {
            format!(": {}", shorten(message, 120))
        };
        ClusterError::Refused {
            what: self.what.to_owned(),
            status,
            message,
        }
    }

    pub(super) fn malformed(&self) -> ClusterError {
        ClusterError::Malformed {
            what: self.what.to_owned(),
        }
    }
}

/// Decodes a whole answer.
pub(super) async fn decode<T: DeserializeOwned>(
    response: Response,
    ask: &Ask<'_>,
) -> Result<T, Trouble> {
    let malformed = || Trouble::Lasting(ask.malformed());
    let body = read(response, LARGEST_ANSWER)
        .await
        .map_err(|error| error.map_or_else(malformed, Trouble::no_answer))?;
    serde_json::from_slice(&body).map_err(|_| malformed())
}

/// The body, or `Err(None)` if it is larger than `limit`.
pub(super) async fn read(
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, Option<reqwest::Error>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Some)? {
        if body.len() + chunk.len() > limit {
            return Err(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a Kubernetes `Status` says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    metadata: StatusMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusMetadata {
    #[serde(rename = "continue")]
    token: String,
}

/// Empty if the answer is none.
async fn status_of(response: Response) -> Status {
    let body = read(response, LARGEST_STATUS).await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_default()
}

/// API servers give seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse::<u64>()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
