//! A service proxy: connections to a Service's address go to its ready pods.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::probe;
use crate::api::Api;
use crate::informer::{AbortOnDrop, Change, Informer, key};

/// Pause before an address that could not be listened on, or a connection not accepted, is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 1024;
/// How long a pod may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The connections of all Services: they outlive their port, as in a cluster, but not the proxy.
type Connections = Arc<Mutex<JoinSet<()>>>;

/// Serves every Service that has a loopback address for ever. A port without a ready pod refuses connections.
pub(super) async fn run(api: Api) {
    let mut services = Informer::start(&api, "/api/v1/services");
    let mut pods = Informer::start(&api, "/api/v1/pods");
    let (mut known_services, mut known_pods) = (BTreeMap::new(), BTreeMap::new());
    let mut ports: BTreeMap<SocketAddr, Port> = BTreeMap::new();
    let connections = Connections::default();
    loop {
        tokio::select! {
            change = services.next() => note(&mut known_services, change),
            change = pods.next() => note(&mut known_pods, change),
        }
        let mut wanted = BTreeMap::new();
        for service in known_services.values() {
            wanted.extend(routes(service, known_pods.values()));
        }
        ports.retain(|address, _| wanted.contains_key(address));
        for (address, backends) in wanted {
            let port = ports
                .entry(address)
                .or_insert_with(|| Port::start(address, Arc::clone(&connections)));
            port.backends.send_if_modified(|known| {
                let changed = *known != backends;
                *known = backends;
                changed
            });
        }
    }
}

fn note(known: &mut BTreeMap<String, Value>, change: Change) {
    match change {
        Change::Applied { new, .. } => {
            known.insert(key(&new), new);
        }
        Change::Deleted(old) => {
            known.remove(&key(&old));
        }
        Change::Listed => {}
    }
}

/// The addresses a Service listens on, each with those of the pods behind it.
fn routes<'a>(
    service: &Value,
    pods: impl Iterator<Item = &'a Value> + Clone,
) -> Vec<(SocketAddr, Vec<SocketAddr>)> {
    let spec = &service["spec"];
    let address = spec["clusterIP"]
        .as_str()
        .and_then(|address| address.parse::<IpAddr>().ok());
    let Some(address) = address.filter(IpAddr::is_loopback) else {
        return Vec::new();
    };
    let ports = spec["ports"].as_array().into_iter().flatten();
    let tcp = ports.filter(|port| port["protocol"].as_str().unwrap_or("TCP") == "TCP");
    tcp.filter_map(|port| {
        let number = u16::try_from(port["port"].as_u64()?).ok()?;
        let backends = pods
            .clone()
            .filter(|pod| is_behind(service, pod))
            .filter_map(|pod| backend(port, pod));
        Some((SocketAddr::new(address, number), backends.collect()))
    })
    .collect()
}

fn is_behind(service: &Value, pod: &Value) -> bool {
    let Some(selector) = service["spec"]["selector"]
        .as_object()
        .filter(|selector| !selector.is_empty())
    else {
        return false;
    };
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    service["metadata"]["namespace"] == pod["metadata"]["namespace"]
        && selector
            .iter()
            .all(|(label, value)| pod["metadata"]["labels"][label] == *value)
        && !pod["metadata"]["deletionTimestamp"].is_string()
        && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Where a pod takes the connections of a Service's port: at `targetPort`, by default the port itself.
fn backend(port: &Value, pod: &Value) -> Option<SocketAddr> {
    let address = pod["status"]["podIP"].as_str()?.parse().ok()?;
    let target = match &port["targetPort"] {
        Value::Null => &port["port"],
        target => target,
    };
    let mut containers = pod["spec"]["containers"].as_array()?.iter();
    let number = containers.find_map(|container| probe::port(target, container))?;
    Some(SocketAddr::new(address, number))
}

/// A port of a Service.
struct Port {
    backends: watch::Sender<Vec<SocketAddr>>,
    _task: AbortOnDrop,
}

impl Port {
    fn start(address: SocketAddr, connections: Connections) -> Port {
        let (backends, receiver) = watch::channel(Vec::new());
        Port {
            backends,
            _task: AbortOnDrop(tokio::spawn(listen(address, receiver, connections))),
        }
    }
}

/// Listens while there is a backend.
async fn listen(
    address: SocketAddr,
    mut backends: watch::Receiver<Vec<SocketAddr>>,
    connections: Connections,
) {
    let turn = AtomicUsize::new(0);
    loop {
        if backends
            .wait_for(|backends| !backends.is_empty())
            .await
            .is_err()
        {
            return;
        }
        let Ok(listener) = TcpListener::bind(address).await else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                changed = backends.changed() => match changed {
                    Ok(()) if backends.borrow().is_empty() => break,
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Ok((client, _)) = accepted else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            let backend = {
                let backends = backends.borrow();
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                backends.get(turn % backends.len().max(1)).copied()
            };
            if let Some(backend) = backend {
                let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
                while connections.try_join_next().is_some() {}
                if connections.len() < MAX_CONNECTIONS {
                    connections.spawn(forward(client, backend));
                }
            }
        }
    }
}

async fn forward(mut client: TcpStream, backend: SocketAddr) {
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(backend)).await;
    if let Ok(Ok(mut server)) = connected {
        // Either end may break off; the other one sees it.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, ready: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": "127.9.0.1", "conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    fn service(spec: Value) -> Value {
        json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})
    }

    #[test]
    fn a_service_leads_to_the_ready_pods_it_selects() {
        let selector = json!({"app": "web"});
        let port = |target: Value| json!([{"port": 80, "targetPort": target}]);
        let with = |ports: Value| {
            service(json!({"clusterIP": "127.8.0.1", "selector": selector, "ports": ports}))
        };
        let mut deleted = pod("c", "True");
        deleted["metadata"]["deletionTimestamp"] = "t".into();
        let mut elsewhere = pod("d", "True");
        elsewhere["metadata"]["namespace"] = "other".into();
        let pods = [pod("a", "True"), pod("b", "False"), deleted, elsewhere];
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (service, expected) in [
            (
                with(port("http".into())),
                vec![(at("127.8.0.1:80"), vec![at("127.9.0.1:8080")])],
            ),
            (
                with(port(9000.into())),
                vec![(at("127.8.0.1:80"), vec![at("127.9.0.1:9000")])],
            ),
            (
                with(json!([{"port": 80}])),
                vec![(at("127.8.0.1:80"), vec![at("127.9.0.1:80")])],
            ),
            (
                with(port("none".into())),
                vec![(at("127.8.0.1:80"), vec![])],
            ),
            (with(json!([{"port": 53, "protocol": "UDP"}])), vec![]),
            (
                service(
                    json!({"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}),
                ),
                vec![],
            ),
            (
                service(json!({"clusterIP": "10.0.0.1", "ports": [{"port": 80}]})),
                vec![],
            ),
            (
                service(json!({"clusterIP": "127.8.0.1", "ports": [{"port": 80}]})),
                vec![(at("127.8.0.1:80"), vec![])],
            ),
        ] {
            assert_eq!(routes(&service, pods.iter()), expected, "{service}");
        }
    }
}
