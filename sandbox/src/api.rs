//! A small client of a Kubernetes API server: raw JSON over HTTP.
//!
//! The node and Kuberhealthy of the sandbox use nothing else, so they can be driven against a real kube-apiserver.
//! Paths are those of the API, such as `/api/v1/namespaces/default/pods`, with a query if wanted.

mod watch;

use std::time::Duration;

use serde_json::Value;

use crate::status::Status;

pub use watch::{Watch, WatchEvent};

/// How long an answer may take, or a watch its beginning: a kube-apiserver's own limit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Objects asked for at a time when a list is read.
const PAGE: usize = 500;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server answered with a refusal.
    #[error("{method} {path}: {status}")]
    Refused {
        /// HTTP method of the call.
        method: &'static str,
        /// Path of the call.
        path: String,
        /// What the server said.
        status: Box<Status>,
    },
    /// No usable answer: not reachable, connection lost, or not JSON. Whether a write took place is unknown.
    #[error("{method} {path}: no usable answer from the API server: {why}")]
    Broken {
        /// HTTP method of the call.
        method: &'static str,
        /// Path of the call.
        path: String,
        /// What was seen.
        why: String,
    },
    /// The client could not be built from the given URL or token.
    #[error("cannot talk to API server {url}: {why}")]
    Config {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ApiError {
    /// The server's refusal, if it was one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            ApiError::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// HTTP code of the refusal.
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// Reason of the refusal, such as `AlreadyExists`; empty if there is none.
    pub fn reason(&self) -> &str {
        self.status().map_or("", |status| status.reason.as_str())
    }

    /// 404.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// 409 because the object changed meanwhile.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// 409 because an object of this name is there.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// 410: the resourceVersion is too old; list again.
    pub fn is_expired(&self) -> bool {
        self.code() == Some(410)
    }
}

/// How the body of a PATCH is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch<'a> {
    /// RFC 7386: objects are merged, lists replaced, null removes.
    Merge,
    /// RFC 6902: a list of operations.
    Json,
    /// Kubernetes' own: lists of built-in kinds are merged by their key.
    Strategic,
    /// Server-side apply under this field manager, taking over others' fields.
    Apply(&'a str),
}

/// A list and the resourceVersion from which a watch continues it.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Opaque; given to [`Api::watch`].
    pub resource_version: String,
    /// The objects, in the server's order.
    pub items: Vec<Value>,
}

/// Client of one API server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    patience: Duration,
    metadata_only: bool,
}

impl Api {
    /// A client for `url` (scheme, host, port) that names itself `agent` and, if given, presents a bearer token.
    ///
    /// # Errors
    /// If the token or agent cannot be sent in a header.
    pub fn new(url: &str, token: Option<&str>, agent: &str) -> Result<Api, ApiError> {
        let config = |why: String| ApiError::Config {
            url: url.to_owned(),
            why,
        };
        let mut headers = http::HeaderMap::new();
        if let Some(token) = token {
            let mut value = http::HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| config("the token has characters no header can hold".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        // reqwest wants a TLS backend even for plain http. Given one, it neither needs a process-wide crypto
        // provider nor reads the system's certificates.
        let tls = rustls::ClientConfig::builder_with_provider(
            rustls::crypto::ring::default_provider().into(),
        )
        .with_safe_default_protocol_versions()
        .map_err(|why| config(why.to_string()))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .user_agent(agent)
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|why| config(why.to_string()))?;
        Ok(Api {
            http,
            url: url.trim_end_matches('/').to_owned(),
            patience: PATIENCE,
            metadata_only: false,
        })
    }

    /// The same client, which reads no more of objects than their metadata.
    #[must_use]
    pub fn metadata_only(mut self) -> Api {
        self.metadata_only = true;
        self
    }

    /// URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads one object.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.call("GET", path, None).await
    }

    /// Reads a whole list, page by page.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn list(&self, path: &str) -> Result<List, ApiError> {
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let page = match token.as_str() {
                "" => with_query(path, &format!("limit={PAGE}")),
                token => with_query(path, &format!("limit={PAGE}&continue={token}")),
            };
            let mut list = self.get(&page).await?;
            if let Value::Array(more) = list["items"].take() {
                items.extend(more);
            }
            let text = |key: &str| {
                list["metadata"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            token = text("continue");
            if token.is_empty() {
                return Ok(List {
                    resource_version: text("resourceVersion"),
                    items,
                });
            }
        }
    }

    /// Creates an object in the collection at `path`; the answer is the object as stored.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.call("POST", path, Some(("application/json", object)))
            .await
    }

    /// Replaces the object at `path`. With `metadata.resourceVersion` set, only if it is unchanged since.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.call("PUT", path, Some(("application/json", object)))
            .await
    }

    /// Changes the object at `path`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn patch(
        &self,
        path: &str,
        patch: Patch<'_>,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let apply_path;
        let (path, content_type) = match patch {
            Patch::Merge => (path, "application/merge-patch+json"),
            Patch::Json => (path, "application/json-patch+json"),
            Patch::Strategic => (path, "application/strategic-merge-patch+json"),
            Patch::Apply(manager) => {
                apply_path = with_query(path, &format!("fieldManager={manager}&force=true"));
                (apply_path.as_str(), "application/apply-patch+yaml")
            }
        };
        self.call("PATCH", path, Some((content_type, body))).await
    }

    /// Deletes the object at `path`, or starts its deletion (grace period, finalizers).
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.call("DELETE", path, None).await
    }

    /// Deletes the object at `path` at once, as `kubectl delete --force --grace-period=0` does.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn delete_now(&self, path: &str) -> Result<Value, ApiError> {
        self.call("DELETE", &with_query(path, "gracePeriodSeconds=0"), None)
            .await
    }

    /// Deletes the object at `path`, or starts its deletion, if it is the one of this uid; its dependents follow in the
    /// background.
    ///
    /// # Errors
    /// See [`ApiError`]; another object of that name is a conflict.
    pub async fn delete_uid(&self, path: &str, uid: &str) -> Result<Value, ApiError> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        });
        self.call("DELETE", path, Some(("application/json", &options)))
            .await
    }

    /// Changes of the collection at `path` since `resource_version` (of a list or an event); with an empty one,
    /// the present objects come first as `Added`.
    ///
    /// # Errors
    /// See [`ApiError`]; a resourceVersion that is too old may also come as the stream's first item.
    pub async fn watch(&self, path: &str, resource_version: &str) -> Result<Watch, ApiError> {
        let query = match resource_version {
            "" => "watch=true&allowWatchBookmarks=true".to_owned(),
            version => format!("watch=true&allowWatchBookmarks=true&resourceVersion={version}"),
        };
        let path = with_query(path, &query);
        let response = self
            .in_time("GET", &path, self.send("GET", &path, None))
            .await?;
        Ok(watch::events(response, path))
    }

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, ApiError> {
        let answer = self
            .in_time(method, path, async {
                let response = self.send(method, path, body).await?;
                let answer = response.bytes().await;
                answer.map_err(|why| broken(method, path, chain(&why)))
            })
            .await?;
        serde_json::from_slice(&answer)
            .map_err(|why| broken(method, path, format!("not JSON: {why}")))
    }

    /// Waits for an answer, but not for ever.
    async fn in_time<T>(
        &self,
        method: &'static str,
        path: &str,
        answer: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        tokio::time::timeout(self.patience, answer)
            .await
            .unwrap_or_else(|_| {
                Err(broken(
                    method,
                    path,
                    format!("none within {:?}", self.patience),
                ))
            })
    }

    /// Sends and turns every answer that is not a success into an error.
    async fn send(
        &self,
        method: &'static str,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<reqwest::Response, ApiError> {
        let verb = http::Method::try_from(method).map_err(|why| broken(method, path, why))?;
        let mut request = self.http.request(verb, format!("{}{path}", self.url));
        if self.metadata_only && method == "GET" {
            request = request.header(http::header::ACCEPT, metadata_form(path));
        }
        if let Some((content_type, body)) = body {
            request = request
                .header(http::header::CONTENT_TYPE, content_type)
                .body(body.to_string());
        }
        let response = request
            .send()
            .await
            .map_err(|why| broken(method, path, chain(&why)))?;
        let code = response.status();
        if code.is_success() {
            return Ok(response);
        }
        let answer = response
            .bytes()
            .await
            .map_err(|why| broken(method, path, why))?;
        let status = serde_json::from_slice(&answer)
            .ok()
            .as_ref()
            .and_then(Status::from_value)
            .unwrap_or_else(|| Status::new(code.as_u16(), "", excerpt(&answer)));
        Err(ApiError::Refused {
            method,
            path: path.to_owned(),
            status: Box::new(status),
        })
    }
}

fn broken(method: &'static str, path: &str, why: impl ToString) -> ApiError {
    ApiError::Broken {
        method,
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// reqwest's own message says only "error sending request"; the cause is in its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .trim()
        .chars()
        .take(200)
        .collect()
}

/// The `Accept` header for the metadata of what a path names: a list comes in another form than an object or a watch.
fn metadata_form(path: &str) -> &'static str {
    match path.contains("?limit=") || path.contains("&limit=") {
        true => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        false => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    }
}

fn with_query(path: &str, query: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{query}")
}

#[cfg(test)]
mod tests;
