//! A Kubernetes API server in this process, on loopback.
//!
//! It serves the real REST paths over one store of raw objects, and answers as a recorded kube-apiserver does.
//! A request passes, in this order: [`serve`] (connections), [`handle`] (log, authentication, faults, access rules),
//! [`route`] (what the path names), and the operation on objects in [`read`], [`watch`], [`write`] or [`delete`].

mod autoscaler;
mod call;
mod crd;
mod defaults;
mod delete;
mod discovery;
mod event;
mod eviction;
mod form;
mod handle;
mod jsonpath;
mod kinds;
mod logs;
mod meta;
mod openapi;
mod page;
mod patch;
mod query;
mod rbac;
mod read;
mod requests;
mod respond;
mod review;
mod route;
mod scale;
mod schema;
mod selector;
mod serve;
mod strategic;
mod subresource;
mod table;
mod validate;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::Faults;
use crate::logs::{LogReader, Logs};
use crate::registry::Registry;
use crate::store::{Limits, Store};

pub use requests::{Request, RequestCount, RequestKind};

/// Who a bearer token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token as sent.
    pub token: String,
    /// User name, such as `system:serviceaccount:default:checker`.
    pub user: String,
    /// Groups; `system:masters` may do everything.
    pub groups: Vec<String>,
}

/// How an API server is started.
#[derive(Debug, Clone)]
pub struct ApiServerOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Accepted tokens; with none, every request is accepted and may do everything.
    pub tokens: Vec<Token>,
    /// Whether roles and their bindings decide what a token's user may do. Off: everything.
    pub rbac: bool,
    /// Changes remembered for watches and paged lists.
    pub history: usize,
    /// Most objects stored.
    pub max_objects: usize,
    /// How often an idle watch that allows bookmarks gets one.
    pub bookmark_every: Duration,
    /// Requests remembered in the log of requests.
    pub request_log: usize,
}

impl Default for ApiServerOptions {
    /// A free port of 127.0.0.1, no authentication, a bookmark each minute as on a real server.
    fn default() -> ApiServerOptions {
        ApiServerOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tokens: Vec::new(),
            rbac: false,
            history: 4096,
            max_objects: 100_000,
            bookmark_every: Duration::from_secs(60),
            request_log: 10_000,
        }
    }
}

/// Why an API server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("API server: cannot listen on {address}: {why}; choose another port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) options: ApiServerOptions,
    pub(crate) store: Store,
    pub(crate) registry: RwLock<Registry>,
    pub(crate) faults: Faults,
    pub(crate) requests: requests::Log,
    /// By node.
    log_readers: Mutex<BTreeMap<String, LogReader>>,
}

impl Shared {
    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The output of containers that a node keeps; `None` if it cannot be reached.
    pub(crate) fn logs(&self, node: &str) -> Option<Logs> {
        let readers = self.log_readers.lock();
        let readers = readers.unwrap_or_else(PoisonError::into_inner);
        readers.get(node)?.logs()
    }
}

/// A running API server; dropping it stops it.
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ApiServer {
    /// Starts a server with the namespaces `default`, `kube-system` and `kube-public`.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(options: ApiServerOptions) -> Result<ApiServer, StartError> {
        let failed = |why| StartError::Listen {
            address: options.listen,
            why,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let store = Store::new(Limits {
            objects: options.max_objects,
            changes: options.history,
        });
        let shared = Arc::new(Shared {
            requests: requests::Log::new(options.request_log),
            options,
            store,
            registry: RwLock::new(Registry::builtin()),
            faults: Faults::new(),
            log_readers: Mutex::default(),
        });
        kinds::bootstrap(&shared);
        let task = tokio::spawn(serve::run(listener, Arc::clone(&shared)));
        Ok(ApiServer {
            shared,
            address,
            task,
        })
    }

    /// `http://ADDRESS:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig for kubectl, with the first of the accepted tokens. JSON, which is YAML too.
    pub fn kubeconfig(&self) -> String {
        let user = match self.shared.options.tokens.first() {
            Some(token) => json!({"token": token.token}),
            None => json!({}),
        };
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sandbox",
            "clusters": [{"name": "sandbox", "cluster": {"server": self.url()}}],
            "users": [{"name": "sandbox", "user": user}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox", "namespace": "default"}}],
        });
        format!("{config:#}\n")
    }

    /// Answers requests for `pods/log` of pods on a node by this reader. Without one it answers as if the node could not
    /// be reached.
    pub fn serve_logs(&self, node: &str, logs: LogReader) {
        let readers = self.shared.log_readers.lock();
        let mut readers = readers.unwrap_or_else(PoisonError::into_inner);
        readers.insert(node.to_owned(), logs);
    }

    /// The faults of this server.
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// The latest requests, oldest first: no more than [`ApiServerOptions::request_log`].
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.latest()
    }

    /// The newest of the remembered requests that is `wanted`. Nothing is answered while it is looked for, so that has to
    /// be quick; it takes less than all of [`requests`](ApiServer::requests).
    pub fn newest_request(&self, wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        self.shared.requests.newest(wanted)
    }

    /// As [`ApiServer::requests`], and forgets them, so that a long test can read all of them in parts.
    pub fn take_requests(&self) -> Vec<Request> {
        self.shared.requests.take()
    }

    /// How many requests of each kind there were since the start, forgotten ones too.
    pub fn request_counts(&self) -> BTreeMap<RequestKind, RequestCount> {
        self.shared.requests.counts()
    }

    /// Forgets the history, as etcd's compaction does: watches and paged lists from before now get 410.
    pub fn compact(&self) {
        self.shared.store.compact();
    }

    /// Stops: closes the listener and every connection.
    pub async fn stop(mut self) {
        self.task.abort();
        // Only ever "cancelled".
        let _ = (&mut self.task).await;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
