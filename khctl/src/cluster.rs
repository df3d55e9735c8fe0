//! The cluster in this process that `run` and `demo` work in: the sandbox, on loopback, for this user only.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Context;
use sandbox::Sandbox;
use sandbox::api::Api;
use sandbox::apiserver::{ApiServerOptions, Token};
use sandbox::kuberhealthy::{Speed, v2, v3};
use sandbox::node::{Image, Images, NodeOptions, PodNetwork};

/// How a cluster is set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// What its node can run besides containers with a command.
    pub(crate) images: Images,
    /// Whether pods may use the API server.
    pub(crate) api_for_pods: bool,
    /// How many times as fast as in production Kuberhealthy's own waiting times pass.
    pub(crate) speed: u32,
    /// Port of the API server; Kuberhealthy v2, v3 and the remediator take the next three. Free ports if `None`.
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

/// The sandbox and what belongs to it.
pub(crate) struct Cluster {
    sandbox: Sandbox,
    api: Api,
    token: String,
    /// Holds the token and whatever else is to go with the cluster.
    directory: tempfile::TempDir,
    addresses: Addresses,
    port: Option<u16>,
}

impl Cluster {
    /// Starts everything. Only those who can read this user's files can use the API server: it starts processes.
    pub(crate) async fn start(options: Options) -> anyhow::Result<Cluster> {
        let listen = |offset: u16| {
            // The command line keeps the sum within a port's range.
            let port = options.port.map_or(0, |port| port.saturating_add(offset));
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        let directory = tempfile::Builder::new()
            .prefix("khctl-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot create a directory for the token of the API server")?;
        let token = uuid::Uuid::new_v4().to_string();
        let token_file = write(&directory, "token", &token)?;
        let mut env = Vec::new();
        if options.api_for_pods {
            let path = token_file.to_string_lossy().into_owned();
            env.push(("KUBE_API_TOKEN_FILE".to_owned(), path));
        } else {
            // Empty counts as unset: a check that wants a cluster says so, instead of finding this one empty.
            let none = |name: &str| (name.to_owned(), String::new());
            env.extend(["KUBE_API_URL", "KUBERNETES_SERVICE_HOST"].map(none));
        }
        let speed = Speed::times(options.speed);
        let addresses = Addresses::of_process(std::process::id());
        let sandbox = Sandbox::start(sandbox::Options {
            api_server: ApiServerOptions {
                listen: listen(0),
                tokens: vec![Token {
                    token: token.clone(),
                    user: "khctl".to_owned(),
                    groups: vec!["system:masters".to_owned()],
                }],
                ..ApiServerOptions::default()
            },
            node: NodeOptions {
                images: options.images,
                env,
                network: addresses.pods,
                ..NodeOptions::default()
            },
            workloads: sandbox::workloads::Options::default(),
            v2: v2::Options {
                listen: listen(1),
                speed,
                ..v2::Options::default()
            },
            v3: v3::Options {
                listen: listen(2),
                speed,
                ..v3::Options::default()
            },
        })
        .await?;
        Ok(Cluster {
            api: sandbox.api(),
            sandbox,
            token,
            directory,
            addresses,
            port: options.port,
        })
    }

    /// A client.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// What a container wrote last, oldest first.
    pub(crate) fn logs(&self, namespace: &str, pod: &str, container: &str) -> Vec<String> {
        let lines = self.sandbox.node().logs(namespace, pod, container);
        lines.unwrap_or_default()
    }

    /// Base URL of Kuberhealthy v2.
    pub(crate) fn v2_url(&self) -> String {
        self.sandbox.v2_url()
    }

    /// Base URL of Kuberhealthy v3.
    pub(crate) fn v3_url(&self) -> String {
        self.sandbox.v3_url()
    }

    /// The token that the API server accepts.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Writes a file that only this user can read and that goes away with the cluster; returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        write(&self.directory, name, text)
    }

    /// Where the remediator listens: at the port after those of the cluster, or at one that is free now.
    pub(crate) fn remediator_address(&self) -> anyhow::Result<SocketAddr> {
        if let Some(port) = self.port {
            return Ok(SocketAddr::from((
                Ipv4Addr::LOCALHOST,
                port.saturating_add(3),
            )));
        }
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let free = free.and_then(|listener| listener.local_addr());
        free.context("cannot find a free port of 127.0.0.1")
    }

    /// Addresses for Services.
    pub(crate) fn service_addresses(&self) -> [Ipv4Addr; 2] {
        self.addresses.services
    }

    /// A kubeconfig with the token, for programs of the cluster. Only this user can read it.
    pub(crate) fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        self.write("kubeconfig-with-token", &self.sandbox.kubeconfig())
    }

    /// Where a file of this name would be that goes away with the cluster.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Stops everything and waits until every process it had started is gone.
    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
    }
}

/// Writes a file into the directory, which is this user's alone.
fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = directory.path().join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Loopback addresses for one cluster. Pods listen on ports of their own choice, so two clusters on a machine need
/// different addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Addresses {
    pods: PodNetwork,
    services: [Ipv4Addr; 2],
}

impl Addresses {
    /// A network that is this process's alone among the 50 000 latest: 127.(20 to 219).(0 to 249).0/25 for pods.
    fn of_process(id: u32) -> Addresses {
        // Both are below 256.
        let octet = |n: u32| u8::try_from(n).unwrap_or_default();
        let (second, third) = (octet(20 + id / 250 % 200), octet(id % 250));
        Addresses {
            pods: PodNetwork::new(Ipv4Addr::new(127, second, third, 0), 25).unwrap_or_default(),
            services: [200, 201].map(|last| Ipv4Addr::new(127, second, third, last)),
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
            assert!(one.services.iter().all(Ipv4Addr::is_loopback));
            assert_ne!(one.pods, PodNetwork::default());
            assert!(!all[nth + 1..].contains(one));
        }
    }
}
