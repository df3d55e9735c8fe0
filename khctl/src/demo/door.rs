//! A door for kubectl into the demo's API server.
//!
//! The API server wants a token, because it starts processes for whoever may talk to it; kubectl sends none over plain
//! HTTP. The door stands at a path that nobody can guess and adds the token. Only the kubeconfig names the path.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;

/// The largest object kubectl can send; the API server's own limit is smaller.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// An open door; dropping it closes it.
#[derive(Debug)]
pub(super) struct Door {
    kubeconfig: PathBuf,
    task: JoinHandle<()>,
}

struct Behind {
    http: reqwest::Client,
    /// The API server.
    url: String,
    token: String,
    /// `/` and the secret.
    prefix: String,
}

impl Door {
    /// Opens a door on a free port.
    pub(super) async fn open(cluster: &Cluster, http: reqwest::Client) -> anyhow::Result<Door> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot listen on a free port of 127.0.0.1")?;
        let prefix = format!("/{}", uuid::Uuid::new_v4());
        let server = format!("http://{}{prefix}", listener.local_addr()?);
        let kubeconfig = cluster.write("kubeconfig", &config(&server))?;
        let behind = Arc::new(Behind {
            http,
            url: cluster.api().url().to_owned(),
            token: cluster.token().to_owned(),
            prefix,
        });
        let router = Router::new()
            .fallback(pass)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(behind);
        let task = tokio::spawn(async move {
            // It ends with the demo; an accept that fails is retried inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Door { kubeconfig, task })
    }

    /// The file to give to kubectl.
    pub(super) fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A kubeconfig for a server that needs no credentials. JSON, which is YAML too.
fn config(server: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "demo",
        "clusters": [{"name": "demo", "cluster": {"server": server}}],
        "users": [{"name": "demo", "user": {}}],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
    });
    format!("{config:#}\n")
}

/// The path as the API server is to see it. Anything but a path would be taken for more of its host and port.
fn behind_door<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|path| path.starts_with('/'))
}

/// Passes one request on, and its answer back as it comes: a watch answers for minutes.
async fn pass(
    State(behind): State<Arc<Behind>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(path) = uri
        .path_and_query()
        .and_then(|path| behind_door(path.as_str(), &behind.prefix))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut request = behind
        .http
        .request(method, format!("{}{path}", behind.url))
        .bearer_auth(&behind.token)
        .body(body);
    for name in [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let status = answer.status();
    let content_type = answer.headers().get(header::CONTENT_TYPE).cloned();
    let chunks = stream::unfold(answer, |mut answer| async move {
        let chunk = answer.chunk().await.transpose()?;
        Some((chunk, answer))
    });
    let mut response = (status, Body::from_stream(chunks)).into_response();
    if let Some(value) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_get_through() {
        for (path, behind) in [
            ("/key/api/v1?watch=1", Some("/api/v1?watch=1")),
            ("/key/", Some("/")),
            ("/key", None),
            ("/key@example.org/", None),
            ("/key0/", None),
            ("/api", None),
        ] {
            assert_eq!(behind_door(path, "/key"), behind, "{path}");
        }
    }
}
