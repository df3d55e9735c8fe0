//! The cluster in this process that `run` and `demo` work in: the sandbox, on loopback, for this user only.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions, Token};
use sandbox::kuberhealthy::{Speed, v2, v3};
use sandbox::node::{Image, Images, Node, NodeOptions, PodNetwork};

/// How a cluster is set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// What its node can run besides containers with a command.
    pub(crate) images: Images,
    /// How many times as fast as in production Kuberhealthy's own waiting times pass.
    pub(crate) speed: u32,
    /// Port of the API server; Kuberhealthy v2 and v3 take the next two. Free ports if `None`.
    pub(crate) port: Option<u16>,
}

/// An image that is this very executable with arguments; a container's `args` follow.
pub(crate) fn own_image(args: &[&str]) -> anyhow::Result<Image> {
    let own = std::env::current_exe().context("cannot find the executable of khctl itself")?;
    let own = own
        .into_os_string()
        .into_string()
        .map_err(|path| anyhow::anyhow!("expected the path of khctl in UTF-8, found {path:?}"))?;
    let args = args.iter().map(|&arg| arg.to_owned());
    Ok(Image::program(std::iter::once(own).chain(args)))
}

/// API server, node and both lines of Kuberhealthy.
pub(crate) struct Cluster {
    v3: v3::Kuberhealthy,
    v2: v2::Kuberhealthy,
    node: Node,
    server: ApiServer,
    api: Api,
    /// Holds the kubeconfig and the token, and goes with the cluster.
    directory: tempfile::TempDir,
    addresses: Addresses,
}

impl Cluster {
    /// Starts everything. Only those who can read this user's files can use the API server: it starts processes.
    pub(crate) async fn start(options: Options) -> anyhow::Result<Cluster> {
        let listen = |offset: u16| {
            // The options keep the sum within a port's range.
            let port = options.port.map_or(0, |port| port.saturating_add(offset));
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        let token = uuid::Uuid::new_v4().to_string();
        let server = ApiServer::start(ApiServerOptions {
            listen: listen(0),
            tokens: vec![Token {
                token: token.clone(),
                user: "khctl".to_owned(),
                groups: vec!["system:masters".to_owned()],
            }],
            ..ApiServerOptions::default()
        })
        .await?;
        let directory = tempfile::Builder::new()
            .prefix("khctl-")
            .tempdir()
            .context("cannot create a directory for the token of the API server")?;
        for (name, text) in [(KUBECONFIG, server.kubeconfig()), (TOKEN, token.clone())] {
            let path = directory.path().join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }

        let client = |agent: &str| Api::new(&server.url(), Some(&token), agent);
        let speed = Speed::times(options.speed);
        let v2 = v2::start(
            client("kuberhealthy-v2")?,
            v2::Options {
                listen: listen(1),
                speed,
                ..v2::Options::default()
            },
        )
        .await?;
        let v3 = v3::start(
            client("kuberhealthy-v3")?,
            v3::Options {
                listen: listen(2),
                speed,
                ..v3::Options::default()
            },
        )
        .await?;
        let addresses = Addresses::of_process(std::process::id());
        let node = Node::start(
            client("kubelet")?,
            NodeOptions {
                images: options.images,
                network: addresses.pods,
                ..NodeOptions::default()
            },
        )
        .await?;
        let api = client("khctl")?;
        Ok(Cluster {
            v3,
            v2,
            node,
            server,
            api,
            directory,
            addresses,
        })
    }

    /// A client.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// The node, for the output of containers.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Base URL of Kuberhealthy v2.
    pub(crate) fn v2_url(&self) -> String {
        self.v2.url()
    }

    /// Base URL of Kuberhealthy v3.
    pub(crate) fn v3_url(&self) -> String {
        self.v3.url()
    }

    /// File that kubectl can use, until the cluster stops.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join(KUBECONFIG)
    }

    /// File with the token that the API server accepts.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.path().join(TOKEN)
    }

    /// An address for a Service.
    pub(crate) fn service_address(&self) -> Ipv4Addr {
        self.addresses.service
    }

    /// Stops everything and waits until every process it had started is gone.
    pub(crate) async fn stop(self) {
        // Kuberhealthy first, or it would start what the node has just stopped.
        self.v2.stop();
        self.v3.stop();
        self.node.stop().await;
        self.server.stop().await;
    }
}

const KUBECONFIG: &str = "kubeconfig";
const TOKEN: &str = "token";

/// Loopback addresses for one cluster. Pods listen on ports of their own choice, so two clusters on a machine need
/// different addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Addresses {
    pods: PodNetwork,
    service: Ipv4Addr,
}

impl Addresses {
    /// A network that is this process's alone among the 50 000 latest: 127.(20 to 219).(0 to 249).0/25 for pods.
    fn of_process(id: u32) -> Addresses {
        // Both are below 256.
        let octet = |n: u32| u8::try_from(n).unwrap_or_default();
        let (second, third) = (octet(20 + id / 250 % 200), octet(id % 250));
        Addresses {
            pods: PodNetwork::new(Ipv4Addr::new(127, second, third, 0), 25).unwrap_or_default(),
            service: Ipv4Addr::new(127, second, third, 200),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_processes_have_networks_of_their_own() {
        let all: Vec<Addresses> = (32_000..33_000).map(Addresses::of_process).collect();
        for (nth, one) in all.iter().enumerate() {
            assert!(one.service.is_loopback());
            assert_ne!(one.pods, PodNetwork::default());
            assert!(!all[nth + 1..].contains(one));
        }
    }
}
