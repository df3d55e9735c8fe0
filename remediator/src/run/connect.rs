//! The way to the API server.

use std::io;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::gate::Gate;
use super::options::Options;
use crate::explain::{chain, explain};

/// The longest that a connection may take to be made: no request lasts longer, but for watches and first lists.
const CONNECT: Duration = Duration::from_secs(4);

const AGENT: &str = concat!("remediator/", env!("CARGO_PKG_VERSION"));

/// Why there is no way to an API server. Nothing of this gets better by waiting.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCluster {
    #[error(
        "there is no cluster to work on: no --kubeconfig is given, KUBECONFIG is not set, there is no ~/.kube/config, and this is not a pod of a cluster (KUBERNETES_SERVICE_HOST is not set)"
    )]
    Nowhere,
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    #[error(
        "the pod's service account cannot be used: {0}; is automountServiceAccountToken false?"
    )]
    InCluster(String),
    #[error("the client of the API server cannot be made: {0}")]
    Client(String),
}

/// Clients of one API server.
pub(super) struct Connection {
    /// For everything but the lease.
    pub(super) client: Client,
    /// For the lease alone, which must still be given up when nothing else is written any more.
    pub(super) lease: Client,
    /// The pod's or the context's.
    pub(super) namespace: String,
    /// Without credentials.
    pub(super) url: String,
}

/// Finds out where the API server is. Nothing is asked of it.
pub(super) async fn connect(options: &Options, gate: &Gate) -> Result<Connection, NoCluster> {
    let mut config = find(options).await?;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(AGENT)));
    config.connect_timeout = Some(CONNECT);
    // What is tried again, and when, is decided by who asks: a refused eviction must not be repeated behind its back.
    config.default_retry = false;
    let failed = |error| NoCluster::Client(explain(&error));
    let namespace = config.default_namespace.clone();
    let url = khclient::redact_urls(&config.cluster_url.to_string());
    let lease = Client::try_from(config.clone()).map_err(failed)?;
    let client = ClientBuilder::try_from(config)
        .map_err(failed)?
        .with_layer(gate)
        .build();
    Ok(Connection {
        client,
        lease,
        namespace,
        url,
    })
}

async fn find(options: &Options) -> Result<Config, NoCluster> {
    let wanted = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    let broken = |error: KubeconfigError| NoCluster::Kubeconfig(chain(&error));
    if let Some(path) = &options.kubeconfig {
        let file = Kubeconfig::read_from(path).map_err(broken)?;
        let config = Config::from_custom_kubeconfig(file, &wanted).await;
        return config.map_err(broken);
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let named = is_set("KUBECONFIG") || options.context.is_some();
    if !named && is_set("KUBERNETES_SERVICE_HOST") {
        return Config::incluster().map_err(|error| NoCluster::InCluster(chain(&error)));
    }
    match Config::from_kubeconfig(&wanted).await {
        Ok(config) => Ok(config),
        Err(error) if !named && is_absent(&error) => Err(NoCluster::Nowhere),
        Err(error) => Err(broken(error)),
    }
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}
