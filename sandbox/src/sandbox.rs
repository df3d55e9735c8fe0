//! The whole cluster in one process.

use crate::api::{Api, ApiError};
use crate::apiserver::{self, ApiServer, ApiServerOptions};
use crate::kuberhealthy::{self, v2, v3};
use crate::node::{Node, NodeError, NodeOptions};
use crate::workloads::{self, Workloads};

/// How a [`Sandbox`] is set up. The default listens on free ports of 127.0.0.1 and knows no images.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The API server. If it knows tokens, the parts of the sandbox use the first one.
    pub api_server: ApiServerOptions,
    /// The node.
    pub node: NodeOptions,
    /// The controllers of Deployments, Services and the like.
    pub workloads: workloads::Options,
    /// Kuberhealthy v2.
    pub v2: v2::Options,
    /// Kuberhealthy v3.
    pub v3: v3::Options,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not start.
    #[error(transparent)]
    ApiServer(#[from] apiserver::StartError),
    /// No client for the API server could be made.
    #[error(transparent)]
    Client(#[from] ApiError),
    /// The node did not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A Kuberhealthy did not start.
    #[error("Kuberhealthy {line}: {why}")]
    Kuberhealthy {
        /// `v2` or `v3`.
        line: &'static str,
        /// The reason.
        why: kuberhealthy::StartError,
    },
}

/// A cluster in this process: API server, node, Kuberhealthy v2 and v3. Dropping it ends all of it, processes too.
///
/// Its parts name themselves to the API server, for faults that are to hit one of them: the node as `node`, the
/// controllers of workloads as `workloads`, the two others as `kuberhealthy-v2` and `kuberhealthy-v3`, and [`Sandbox::api`] as `sandbox`.
///
/// Containers get `KUBE_API_URL`, which leads to the API server over plain HTTP, besides the usual
/// `KUBERNETES_SERVICE_HOST` and `_PORT`, behind which clients expect HTTPS.
// The parts that use the API server end before it.
pub struct Sandbox {
    v2: v2::Kuberhealthy,
    v3: v3::Kuberhealthy,
    workloads: Option<Workloads>,
    node: Node,
    api: Api,
    api_server: ApiServer,
}

impl Sandbox {
    /// Starts everything.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: Options) -> Result<Sandbox, Error> {
        let Options {
            api_server,
            mut node,
            workloads,
            v2,
            v3,
        } = options;
        let token = api_server.tokens.first().map(|token| token.token.clone());
        let api_server = ApiServer::start(api_server).await?;
        let url = api_server.url();
        let api = |agent: &str| Api::new(&url, token.as_deref(), agent);
        node.env.insert(0, ("KUBE_API_URL".to_owned(), url.clone()));
        let node = Node::start(api("node")?, node).await?;
        api_server.serve_logs(node.name(), node.log_reader());
        let workloads = match workloads.enabled {
            true => Some(Workloads::start(api("workloads")?)),
            false => None,
        };
        let failed = |line| move |why| Error::Kuberhealthy { line, why };
        let v2 = v2::start(api("kuberhealthy-v2")?, v2)
            .await
            .map_err(failed("v2"))?;
        let v3 = v3::start(api("kuberhealthy-v3")?, v3)
            .await
            .map_err(failed("v3"))?;
        Ok(Sandbox {
            v2,
            v3,
            workloads,
            node,
            api: api("sandbox")?,
            api_server,
        })
    }

    /// A client of the API server.
    #[must_use]
    pub fn api(&self) -> Api {
        self.api.clone()
    }

    /// URL of the API server.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.api_server.url()
    }

    /// The API server, for its faults and its log of requests.
    #[must_use]
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }

    /// A kubeconfig with which kubectl reaches the API server.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.api_server.kubeconfig()
    }

    /// The node, for the output of containers.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Kuberhealthy v2, for its faults.
    #[must_use]
    pub fn v2(&self) -> &v2::Kuberhealthy {
        &self.v2
    }

    /// Kuberhealthy v3, for its faults.
    #[must_use]
    pub fn v3(&self) -> &v3::Kuberhealthy {
        &self.v3
    }

    /// Base URL of Kuberhealthy v2.
    #[must_use]
    pub fn v2_url(&self) -> String {
        self.v2.url()
    }

    /// Base URL of Kuberhealthy v3.
    #[must_use]
    pub fn v3_url(&self) -> String {
        self.v3.url()
    }

    /// Ends everything: first the controllers, then all processes, which are waited for, then the API server.
    pub async fn stop(self) {
        let Sandbox {
            v2,
            v3,
            workloads,
            node,
            api: _,
            api_server,
        } = self;
        v2.stop();
        v3.stop();
        drop(workloads);
        node.stop().await;
        api_server.stop().await;
    }
}
