//! The way to a receiver.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, redirect, retry};
use tokio::io::AsyncReadExt as _;

use super::config::{Address, Kind, Receiver};
use super::endpoint::Endpoint;
use super::render::{SIGNATURE, signature};
use crate::clock;
use crate::core::reason::bounded;

/// Bytes of an answer that are read.
const ANSWER: usize = 4096;

/// Bytes of a file with a secret or certificates at most.
const FILE: u64 = 1 << 20;

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

const AGENT: &str = concat!("remediator/", env!("CARGO_PKG_VERSION"));

/// What a receiver has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// What it says, in one short line.
    pub text: String,
}

impl Answer {
    /// Whether the receiver has taken what was sent.
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// A file is not as expected. It is read anew the next time.
    #[error("{path:?}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is expected, and what was found.
        why: String,
    },
    /// The HTTP client cannot be made.
    #[error("TLS cannot be set up: {0}; name CA certificates with tls.caFile, or SSL_CERT_FILE")]
    Client(String),
    /// The request failed.
    #[error("{0}")]
    Request(String),
}

/// Sends to one receiver.
pub(super) struct Sender<'a> {
    receiver: &'a Receiver,
    /// With the certificates it was made for.
    client: Option<(Vec<u8>, bool, Client)>,
}

impl<'a> Sender<'a> {
    /// Nothing is read or connected yet.
    pub(super) fn new(receiver: &'a Receiver) -> Sender<'a> {
        Sender {
            receiver,
            client: None,
        }
    }

    /// Where the receiver is, as far as it may be shown.
    pub(super) fn place(&self) -> String {
        match &self.receiver.kind {
            Kind::Alertmanager { url, .. } | Kind::Webhook { url, .. } => url.to_string(),
            Kind::Slack { url, .. } => match url {
                Address::Given(url) => url.to_string(),
                Address::File(path) => format!("the address in {}", path.display()),
            },
        }
    }

    /// Sends a body. Secrets are read now, so that new ones are used from now on.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn send(&mut self, body: Vec<u8>) -> Result<Answer, NoAnswer> {
        let receiver = self.receiver;
        let mut headers = HeaderMap::new();
        let mut kind = "application/json";
        let (url, token) = match &receiver.kind {
            Kind::Alertmanager {
                url, bearer_token, ..
            } => (url.join("/api/v2/alerts"), bearer_token.as_deref()),
            Kind::Slack { url, .. } => (address(url).await?, None),
            Kind::Webhook {
                url,
                secret,
                bearer_token,
                headers: own,
            } => {
                kind = "application/cloudevents+json";
                headers.extend(own.0.iter().cloned());
                if let Some(path) = secret {
                    let secret = read_line(path).await?;
                    let signed = signature(secret.as_bytes(), clock::now().unix(), &body);
                    headers.insert(SIGNATURE, header(path, &signed)?);
                }
                (url.clone(), bearer_token.as_deref())
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(path) = token {
            let token = read_line(path).await?;
            headers.insert(AUTHORIZATION, header(path, &format!("Bearer {token}"))?);
        }
        let client = self.client(&url).await?;
        let request = client
            .post(url.url().clone())
            .headers(headers)
            .timeout(receiver.timeout)
            .body(body);
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            let why = if error.is_timeout() {
                let seconds = receiver.timeout.as_secs();
                format!("no answer within {seconds} s")
            } else {
                bounded(&crate::explain::chain(&error), SHOWN)
            };
            NoAnswer::Request(why)
        };
        let mut response = request.send().await.map_err(failed)?;
        let code = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(ToOwned::to_owned);
        let mut text = Vec::new();
        // The code is the answer. What is said beyond it is for people, and no more of it is read than they would.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = ANSWER - text.len();
            text.extend(chunk.iter().take(room));
            if text.len() >= ANSWER {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text);
        Ok(Answer {
            code,
            retry_after,
            text: bounded(&khclient::redact_urls(text.trim()), SHOWN),
        })
    }

    async fn client(&mut self, url: &Endpoint) -> Result<Client, NoAnswer> {
        let https = url.is_https();
        let trusted = match &self.receiver.ca_file {
            Some(path) if https => read(path).await?,
            _ => Vec::new(),
        };
        if let Some((known, tls, client)) = &self.client
            && (known, *tls) == (&trusted, https)
        {
            return Ok(client.clone());
        }
        khclient::install_crypto_provider();
        let builder = Client::builder()
            .user_agent(AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1);
        let builder = if url.is_loopback() {
            builder.no_proxy()
        } else {
            builder
        };
        let builder = match &self.receiver.ca_file {
            Some(path) if https => {
                let unusable = |why: &str| NoAnswer::File {
                    path: path.clone(),
                    why: why.to_owned(),
                };
                const EXPECTED: &str = "expected CA certificates in PEM form, found none";
                let certificates =
                    Certificate::from_pem_bundle(&trusted).map_err(|_| unusable(EXPECTED))?;
                if certificates.is_empty() {
                    return Err(unusable(EXPECTED));
                }
                builder.tls_certs_only(certificates)
            }
            None if https && !self.receiver.insecure => builder,
            // Without this, CA certificates would be loaded that nobody needs.
            _ => builder.tls_certs_only([]),
        };
        let builder = builder.tls_danger_accept_invalid_certs(self.receiver.insecure);
        let client = builder
            .build()
            .map_err(|error| NoAnswer::Client(crate::explain::chain(&error)))?;
        self.client = Some((trusted, https, client.clone()));
        Ok(client)
    }
}

async fn address(address: &Address) -> Result<Endpoint, NoAnswer> {
    match address {
        Address::Given(url) => Ok(url.clone()),
        Address::File(path) => Endpoint::parse(&read_line(path).await?).map_err(|why| {
            let path = path.clone();
            NoAnswer::File { path, why }
        }),
    }
}

fn header(path: &Path, value: &str) -> Result<HeaderValue, NoAnswer> {
    let mut value = HeaderValue::from_str(value).map_err(|_| NoAnswer::File {
        path: path.to_owned(),
        why: "expected one line of visible ASCII characters, found others".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a file with a secret holds, without the line's end.
async fn read_line(path: &Path) -> Result<String, NoAnswer> {
    let wrong = |why: &str| NoAnswer::File {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let text = String::from_utf8(read(path).await?)
        .map_err(|_| wrong("expected text, found other bytes"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("expected a secret, found an empty file"));
    }
    Ok(text.to_owned())
}

async fn read(path: &Path) -> Result<Vec<u8>, NoAnswer> {
    let wrong = |why: String| NoAnswer::File {
        path: path.to_owned(),
        why,
    };
    let met = |error: std::io::Error| wrong(error.to_string());
    // A FIFO would be waited for, and a device would never end.
    let meta = tokio::fs::metadata(path).await.map_err(met)?;
    if !meta.is_file() || meta.len() > FILE {
        return Err(wrong("expected a regular file of at most 1 MiB".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(met)?;
    file.take(FILE).read_to_end(&mut bytes).await.map_err(met)?;
    Ok(bytes)
}
