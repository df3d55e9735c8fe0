//! A node: runs the pods given to it as processes of this machine.
//!
//! Every container is a process group of its own with a clean environment, and every pod has its own loopback address;
//! there is no isolation beyond that. Sidecars (init containers that restart), volumes and exec probes are not there.

mod addresses;
mod container;
mod env;
mod expand;
mod images;
mod options;
mod pod;
mod probe;
mod probe_client;
mod process;
mod proxy;
mod status;
mod time;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

pub use addresses::PodNetwork;
pub use images::{Image, Images};
pub use options::{BackOff, NodeOptions};

use crate::api::{Api, ApiError, Patch};
use crate::informer::{AbortOnDrop, Change, Informer};
use crate::logs::{LogReader, Logs};
use addresses::Addresses;
use pod::{Ending, Order, Pod};

/// Address of the node, and of pods on its network.
const HOST_IP: &str = "127.0.0.1";
/// What the processes of a pod get whose object has vanished without warning.
const VANISHED_GRACE: Duration = Duration::from_secs(1);
/// How long a stop waits for killed processes to be reaped.
const STOP: Duration = Duration::from_secs(5);
/// Pause before the pods that could not be bound are tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What the parts of a node share.
struct Shared {
    api: Api,
    images: Images,
    env: Vec<(String, String)>,
    back_off: BackOff,
    logs: Logs,
    probe_client: reqwest::Client,
}

/// A running node. Dropping it kills its processes.
#[derive(Debug)]
pub struct Node {
    name: String,
    logs: Logs,
    stop: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
    _proxy: AbortOnDrop,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The API server did not take its Node object.
    #[error("the API server does not take node {name}: {why}")]
    Register {
        /// The node's name.
        name: String,
        /// The refusal.
        why: ApiError,
    },
    /// No client for probes could be made.
    #[error("cannot make the client for probes: {0}")]
    Client(String),
}

impl Node {
    /// Registers the node and starts to run pods: those bound to it, and those bound to none, which it binds to itself.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start(api: Api, options: NodeOptions) -> Result<Node, NodeError> {
        let NodeOptions {
            name,
            images,
            mut env,
            network,
            back_off,
        } = options;
        register(&api, &name)
            .await
            .map_err(|why| NodeError::Register {
                name: name.clone(),
                why,
            })?;
        service_variables(api.url(), &mut env);
        let logs = Logs::default();
        let probe_client = probe_client::client().map_err(NodeError::Client)?;
        let proxy = AbortOnDrop(tokio::spawn(proxy::run(api.clone())));
        let shared = Arc::new(Shared {
            api,
            images,
            env,
            back_off,
            logs: logs.clone(),
            probe_client,
        });
        let (stop, stopped) = oneshot::channel();
        let agent = Agent {
            shared,
            name: name.clone(),
            addresses: Addresses::new(network),
            orders: HashMap::new(),
            pods: JoinSet::new(),
            unbound: HashMap::new(),
        };
        let task = tokio::spawn(agent.run(stopped));
        Ok(Node {
            name,
            logs,
            stop: Some(stop),
            task: Some(task),
            _proxy: proxy,
        })
    }

    /// Name of its Node object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What an API server reads the output of containers by.
    #[must_use]
    pub fn log_reader(&self) -> LogReader {
        self.logs.reader()
    }

    /// The last lines a container wrote, over its restarts, oldest first; `None` if the node does not know it (any more).
    #[must_use]
    pub fn logs(&self, namespace: &str, pod: &str, container: &str) -> Option<Vec<String>> {
        self.logs.lines(namespace, pod, container)
    }

    /// Kills all processes and waits until they are gone. The pods' objects stay as they are.
    pub async fn stop(mut self) {
        self.stop.take();
        if let Some(task) = self.task.take() {
            // It ends within its own bound; an error means that it has ended already.
            let _ = task.await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Announces the node as ready.
async fn register(api: &Api, name: &str) -> Result<(), ApiError> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    match api.create("/api/v1/nodes", &node).await {
        Err(error) if !error.is_already_exists() => return Err(error),
        _ => {}
    }
    let now = time::now();
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    });
    let addresses =
        json!([{"type": "InternalIP", "address": HOST_IP}, {"type": "Hostname", "address": name}]);
    let status = json!({"status": {"conditions": [ready], "addresses": addresses}});
    api.patch(
        &format!("/api/v1/nodes/{name}/status"),
        Patch::Merge,
        &status,
    )
    .await
    .map(drop)
}

/// Tells containers where the API server is, as Kubernetes does, unless the node's options have already.
fn service_variables(api_url: &str, env: &mut Vec<(String, String)>) {
    let Ok(url) = url::Url::parse(api_url) else {
        return;
    };
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = url.port_or_known_default().unwrap_or(443).to_string();
    for (name, value) in [
        ("KUBERNETES_SERVICE_HOST", host),
        ("KUBERNETES_SERVICE_PORT", port),
    ] {
        if !env.iter().any(|(known, _)| known == name) {
            env.push((name.to_owned(), value));
        }
    }
}

/// Follows the pods and gives their tasks orders.
struct Agent {
    shared: Arc<Shared>,
    name: String,
    addresses: Addresses,
    /// By uid.
    orders: HashMap<String, watch::Sender<Order>>,
    pods: JoinSet<()>,
    /// Pods that could not be bound, by uid.
    unbound: HashMap<String, Value>,
}

impl Agent {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.follow() => {}
            // Told to stop by the sender being dropped.
            _ = &mut stopped => {}
        }
        for order in self.orders.values() {
            order.send_replace(Order::End(Ending::Kill));
        }
        let reaped = async { while self.pods.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP, reaped).await;
    }

    /// For ever.
    async fn follow(&mut self) {
        let mut informer = Informer::start(&self.shared.api, "/api/v1/pods");
        let mut retries = tokio::time::interval(RETRY);
        retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let change = tokio::select! {
                change = informer.next() => change,
                Some(_) = self.pods.join_next() => continue,
                _ = retries.tick(), if !self.unbound.is_empty() => {
                    for (_, pod) in std::mem::take(&mut self.unbound) {
                        self.bind(pod).await;
                    }
                    continue;
                }
            };
            match change {
                Change::Applied { new, .. } => self.applied(new).await,
                Change::Deleted(old) => {
                    self.unbound.remove(uid(&old));
                    if let Some(order) = self.orders.remove(uid(&old)) {
                        end(
                            &order,
                            Ending::Delete {
                                grace: VANISHED_GRACE,
                            },
                        );
                    }
                }
                Change::Listed => {}
            }
        }
    }

    async fn applied(&mut self, pod: Value) {
        self.unbound.remove(uid(&pod));
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let deleted = pod["metadata"]["deletionTimestamp"].is_string();
        if node.is_empty() {
            if !deleted && may_run_on(&pod, &self.name) {
                self.bind(pod).await;
            }
            return;
        }
        if node != self.name {
            return;
        }
        let over = matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        let grace = pod["metadata"]["deletionGracePeriodSeconds"]
            .as_u64()
            .unwrap_or(30);
        if !self.orders.contains_key(uid(&pod)) {
            // A pod that has ended under a former node only waits to be removed.
            if over && !deleted {
                return;
            }
            self.start(pod.clone());
        }
        if deleted && let Some(order) = self.orders.get(uid(&pod)) {
            end(
                order,
                Ending::Delete {
                    grace: Duration::from_secs(grace),
                },
            );
        }
    }

    /// Binds a pod as a scheduler does; one that cannot be bound now is tried again.
    async fn bind(&mut self, pod: Value) {
        let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.name},
        });
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/binding");
        match self.shared.api.create(&path, &binding).await {
            // Gone, on its way out, or bound by another: the informer tells.
            Err(error) if !error.is_not_found() && !error.is_conflict() => {
                self.unbound.insert(uid(&pod).to_owned(), pod);
            }
            _ => {}
        }
    }

    fn start(&mut self, pod: Value) {
        let on_host = pod["spec"]["hostNetwork"] == true;
        let lease = if on_host {
            None
        } else {
            self.addresses.lease()
        };
        let (order, orders) = watch::channel(Order::Run);
        self.orders.insert(uid(&pod).to_owned(), order);
        self.pods
            .spawn(Pod::new(Arc::clone(&self.shared), pod, lease, orders).run());
    }
}

/// Whether a pod's affinity, as a DaemonSet's pods have it, leaves it this node. Other affinities are not looked at.
fn may_run_on(pod: &Value, node: &str) -> bool {
    let affinity = &pod["spec"]["affinity"]["nodeAffinity"];
    let required = &affinity["requiredDuringSchedulingIgnoredDuringExecution"];
    let Some(terms) = required["nodeSelectorTerms"].as_array() else {
        return true;
    };
    terms.iter().any(|term| {
        let mut fields = term["matchFields"].as_array().into_iter().flatten();
        fields.all(|field| {
            let mut values = field["values"].as_array().into_iter().flatten();
            field["key"] != "metadata.name" || values.any(|value| value == node)
        })
    })
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// A pod ends only once; a shorter grace period later on does not change that.
fn end(order: &watch::Sender<Order>, ending: Ending) {
    order.send_if_modified(|order| {
        let runs = *order == Order::Run;
        if runs {
            *order = Order::End(ending);
        }
        runs
    });
}
