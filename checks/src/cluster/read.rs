//! Get and list, with the patience that an API server under load needs.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::access::Access;
use super::error::ClusterError;
use crate::describe::{describe, shorten};

/// Objects asked for at a time.
const PAGE: u32 = 500;
/// A page beyond this is no list of objects worth holding.
const LARGEST_ANSWER: usize = 128 << 20;
/// Tries of one request before it counts as failed.
const TRIES: u32 = 5;
/// Times a list begins again because its token ran out.
const RESTARTS: u32 = 3;
const ONE_REQUEST: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A kind of object as the API addresses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Path of its group and version, such as `api/v1` or `apis/apps/v1`.
    pub group: &'a str,
    /// Plural in lower case, such as `pods`.
    pub plural: &'a str,
}

impl Resource<'static> {
    /// Pods.
    pub const PODS: Resource<'static> = Resource {
        group: "api/v1",
        plural: "pods",
    };
}

impl std::fmt::Display for Resource<'_> {
    /// As kubectl and roles have it: `pods`, `deployments.apps`; a path if it is none in particular.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = self.group.split('/').nth(1).unwrap_or_default();
        match (self.group.starts_with("apis/"), self.plural) {
            (_, "") => write!(f, "/{}", self.group),
            (true, plural) => write!(f, "{plural}.{group}"),
            (false, plural) => f.write_str(plural),
        }
    }
}

/// A connection to an API server.
#[derive(Debug, Clone)]
pub struct Cluster {
    access: Access,
    client: Client,
    pub(super) until: Option<Instant>,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

/// An answer that ended a request.
enum Answer {
    Ok(Response),
    /// 410: the continue token ran out.
    Gone,
}

impl Cluster {
    /// Prepares requests; none is made yet. Nothing waits beyond `until`.
    ///
    /// # Errors
    ///
    /// [`ClusterError::File`] if the CA file cannot be used.
    pub fn connect(access: Access, until: Option<Instant>) -> Result<Cluster, ClusterError> {
        Cluster::build(access, until, |builder| builder)
    }

    /// As [`Cluster::connect`], for [`Cluster::web_socket`]: only a connection of HTTP/1.1 can be upgraded, and only a
    /// fresh one cannot be closed for its age in that moment, when nobody could tell whether the request had arrived.
    pub(crate) fn connect_for_upgrades(
        access: Access,
        until: Option<Instant>,
    ) -> Result<Cluster, ClusterError> {
        Cluster::build(access, until, |builder| {
            builder.http1_only().pool_max_idle_per_host(0)
        })
    }

    fn build(
        access: Access,
        until: Option<Instant>,
        adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Cluster, ClusterError> {
        khclient::install_crypto_provider();
        let mut certificates = Vec::new();
        if access.url.scheme() == "https" {
            let file = |reason: String| ClusterError::File {
                path: access.ca_file.clone(),
                reason,
            };
            let pem = std::fs::read(&access.ca_file).map_err(|error| file(error.to_string()))?;
            certificates =
                Certificate::from_pem_bundle(&pem).map_err(|_| file("not PEM".to_owned()))?;
            if certificates.is_empty() {
                return Err(file("no certificates in it".to_owned()));
            }
        }
        let builder = Client::builder()
            .user_agent(crate::USER_AGENT)
            .tls_certs_only(certificates)
            // The API server is next door; a proxy for the internet cannot reach it.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ONE_REQUEST);
        let client = adjust(builder)
            .build()
            .map_err(|error| ClusterError::Unreachable(describe(&error)))?;
        Ok(Cluster {
            access,
            client,
            until,
        })
    }

    /// One object.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn get<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<T, ClusterError> {
        let what = format!("get {} {namespace}/{name}", resource.plural);
        let url = self.url(&[
            resource.group,
            "namespaces",
            namespace,
            resource.plural,
            name,
        ]);
        self.get_one(url, resource, &what).await
    }

    /// One object of a kind that has no namespaces.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn get_global<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        name: &str,
    ) -> Result<T, ClusterError> {
        let what = format!("get {} {name}", resource.plural);
        let url = self.url(&[resource.group, resource.plural, name]);
        self.get_one(url, resource, &what).await
    }

    /// What is served under `group`, such as `api/v1` or `apis/apps/v1` (an APIResourceList).
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn discover<T: DeserializeOwned>(&self, group: &str) -> Result<T, ClusterError> {
        let what = format!("get /{group}");
        let whole = Resource { group, plural: "" };
        self.get_one(self.url(&[group]), whole, &what).await
    }

    async fn get_one<T: DeserializeOwned>(
        &self,
        url: Url,
        resource: Resource<'_>,
        what: &str,
    ) -> Result<T, ClusterError> {
        let ask = Ask {
            resource,
            verb: "get",
            what,
        };
        match self.request(url, &ask).await? {
            Answer::Ok(response) => decode(response, &ask).await,
            Answer::Gone => Err(ClusterError::NotFound(what.to_owned())),
        }
    }

    /// All objects of a kind, in one namespace or in all, that match a label selector.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn list<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<T>, ClusterError> {
        self.list_by(PAGE, resource, namespace, selector).await
    }

    /// The same with pages of another size: smaller ones where objects are large and few of their fields are kept.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn list_by<T: DeserializeOwned>(
        &self,
        page: u32,
        resource: Resource<'_>,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<T>, ClusterError> {
        let (what, base) = match namespace {
            Some(ns) => (
                format!("list {} in namespace {ns}", resource.plural),
                self.url(&[resource.group, "namespaces", ns, resource.plural]),
            ),
            None => (
                format!("list {} in all namespaces", resource.plural),
                self.url(&[resource.group, resource.plural]),
            ),
        };
        let ask = Ask {
            resource,
            verb: "list",
            what: &what,
        };
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        let mut restarts = 0;
        loop {
            let mut url = base.clone();
            {
                let mut query = url.query_pairs_mut();
                query.append_pair("limit", &page.to_string());
                if let Some(selector) = selector {
                    query.append_pair("labelSelector", selector);
                }
                if let Some(token) = &next {
                    query.append_pair("continue", token);
                }
            }
            match self.request(url, &ask).await? {
                Answer::Ok(response) => {
                    let page: Page<T> = decode(response, &ask).await?;
                    items.extend(page.items.unwrap_or_default());
                    next = page.metadata.next.filter(|token| !token.is_empty());
                    if next.is_none() {
                        return Ok(items);
                    }
                }
                Answer::Gone if next.is_some() && restarts < RESTARTS => {
                    // What was read belongs to a state that is no longer there.
                    restarts += 1;
                    items.clear();
                    next = None;
                }
                Answer::Gone => {
                    return Err(ask.refused(410, "the list changes faster than it can be read"));
                }
            }
        }
    }

    /// The URL of a path, whose segments are encoded; a group holds slashes of its own.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.access.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            let (group, rest) = segments.split_first().unwrap_or((&"", &[]));
            path.extend(group.split('/')).extend(rest);
        }
        url
    }

    async fn request(&self, url: Url, ask: &Ask<'_>) -> Result<Answer, ClusterError> {
        let mut pause = Duration::from_millis(250);
        for attempt in 1.. {
            let (error, wait) = match self.send(url.clone()).await? {
                Ok(response) => match response.status().as_u16() {
                    200 => return Ok(Answer::Ok(response)),
                    410 => return Ok(Answer::Gone),
                    401 => return Err(ClusterError::Unauthorized),
                    403 => return Err(ask.forbidden()),
                    404 => return Err(ClusterError::NotFound(ask.what.to_owned())),
                    status => {
                        let wait = retry_after(&response);
                        let error = ask.refused(status, &status_message(response).await);
                        if status != 429 && status < 500 {
                            return Err(error);
                        }
                        (error, wait)
                    }
                },
                Err(error) => (ClusterError::Unreachable(describe(&error)), None),
            };
            let wait = wait.unwrap_or(pause).min(LONGEST_PAUSE);
            pause *= 2;
            let late = self
                .until
                .is_some_and(|until| Instant::now() + wait >= until);
            if attempt >= TRIES || late {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
        Err(ask.refused(500, ""))
    }

    async fn send(&self, url: Url) -> Result<Result<Response, reqwest::Error>, ClusterError> {
        Ok(self.ask(url)?.send().await)
    }

    /// A request that shows who we are.
    pub(super) fn ask(&self, url: Url) -> Result<RequestBuilder, ClusterError> {
        let mut request = self.client.get(url);
        if let Some(path) = &self.access.token_file {
            let file = |reason: String| ClusterError::File {
                path: path.clone(),
                reason,
            };
            let token = std::fs::read_to_string(path).map_err(|error| file(error.to_string()))?;
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| file("not a token".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// What is asked for, for errors.
struct Ask<'a> {
    resource: Resource<'a>,
    verb: &'static str,
    what: &'a str,
}

impl Ask<'_> {
    fn forbidden(&self) -> ClusterError {
        ClusterError::Forbidden {
            what: self.what.to_owned(),
            verb: self.verb,
            resource: self.resource.to_string(),
        }
    }

    fn refused(&self, status: u16, message: &str) -> ClusterError {
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

    fn malformed(&self) -> ClusterError {
        ClusterError::Malformed {
            what: self.what.to_owned(),
        }
    }
}

async fn decode<T: DeserializeOwned>(response: Response, ask: &Ask<'_>) -> Result<T, ClusterError> {
    let body = read(response, LARGEST_ANSWER)
        .await
        .map_err(|error| match error {
            Some(error) => ClusterError::Unreachable(describe(&error)),
            None => ask.malformed(),
        })?;
    serde_json::from_slice(&body).map_err(|_| ask.malformed())
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

/// `message` of a Kubernetes `Status`, if the answer is one.
async fn status_message(response: Response) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: Option<String>,
    }
    let body = read(response, 64 << 10).await.unwrap_or_default();
    serde_json::from_slice::<Status>(&body)
        .ok()
        .and_then(|status| status.message)
        .unwrap_or_default()
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
