//! One pod on the node: its containers, its status, its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::addresses::Lease;
use super::container;
use super::status::{self, Container, Ended, Record, State};
use super::{HOST_IP, Shared, time};
use crate::api::Patch;

/// Pause before a status that could not be written is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What the node wants of a pod's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    End(Ending),
}

/// How a pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was deleted: its processes have this long after SIGTERM, then its object goes.
    Delete { grace: Duration },
    /// The node stops: its processes are killed, its object stays as it is.
    Kill,
}

/// A container's place in the spec and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Init(usize),
    Main(usize),
}

/// A pod that has been given to this node.
pub(super) struct Pod {
    pub(super) node: Arc<Shared>,
    pub(super) object: Value,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) ip: String,
    handle: Handle,
    orders: watch::Receiver<Order>,
    _lease: Option<Lease>,
}

/// The record behind the status, for those that change it.
#[derive(Clone)]
pub(super) struct Handle {
    record: Arc<Mutex<Record>>,
    changed: Arc<Notify>,
}

impl Handle {
    /// Changes a container's part of the status.
    pub(super) fn update(&self, slot: Slot, change: impl FnOnce(&mut Container)) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let container = match slot {
            Slot::Init(at) => record.init.get_mut(at),
            Slot::Main(at) => record.main.get_mut(at),
        };
        if let Some(container) = container {
            change(container);
        }
        drop(record);
        self.changed.notify_one();
    }

    fn result(&self, slot: Slot) -> Option<i32> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        match slot {
            Slot::Init(at) => record.init.get(at)?.result(),
            Slot::Main(at) => record.main.get(at)?.result(),
        }
    }
}

impl Container {
    /// Moves on to a new state; how it ended before becomes the last state.
    pub(super) fn push(&mut self, state: State) {
        if let State::Terminated(ended) = std::mem::replace(&mut self.state, state) {
            self.last = Some(ended);
        }
    }

    /// It has ended, for good or not.
    pub(super) fn end(&mut self, ended: Ended, done: bool) {
        self.push(State::Terminated(ended));
        self.ready = false;
        self.done = done;
    }
}

fn specs(pod: &Value, kind: &str) -> Vec<Value> {
    pod["spec"][kind].as_array().cloned().unwrap_or_default()
}

impl Pod {
    /// A pod as it was first seen on the node. `lease` is its address; `None` if it uses the host's.
    pub(super) fn new(
        node: Arc<Shared>,
        object: Value,
        lease: Option<Lease>,
        orders: watch::Receiver<Order>,
    ) -> Pod {
        let text = |key: &str| {
            object["metadata"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let ip = lease
            .as_ref()
            .map_or_else(|| HOST_IP.to_owned(), |lease| lease.address().to_string());
        let init: Vec<Container> = specs(&object, "initContainers")
            .iter()
            .map(|spec| Container::new(spec, "PodInitializing"))
            .collect();
        let waits_for = if init.is_empty() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        };
        let record = Record {
            main: specs(&object, "containers")
                .iter()
                .map(|spec| Container::new(spec, waits_for))
                .collect(),
            init,
            started_at: time::now(),
            pod_ip: ip.clone(),
            host_ip: HOST_IP.to_owned(),
            qos: status::qos(&object),
            generation: object["metadata"]["generation"].clone(),
            transitions: BTreeMap::new(),
        };
        let handle = Handle {
            record: Arc::new(Mutex::new(record)),
            changed: Arc::default(),
        };
        let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
        Pod {
            node,
            object,
            namespace,
            name,
            uid,
            ip,
            handle,
            orders,
            _lease: lease,
        }
    }

    /// The spec of a container.
    pub(super) fn spec(&self, slot: Slot) -> Option<&Value> {
        let (kind, at) = match slot {
            Slot::Init(at) => ("initContainers", at),
            Slot::Main(at) => ("containers", at),
        };
        self.object["spec"][kind].get(at)
    }

    /// `name_namespace(uid)`, as kubelets write it.
    pub(super) fn full_name(&self) -> String {
        format!("{}_{}({})", self.name, self.namespace, self.uid)
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn update(&self, slot: Slot, change: impl FnOnce(&mut Container)) {
        self.handle.update(slot, change);
    }

    /// A container waits.
    pub(super) fn wait(&self, slot: Slot, reason: &'static str, message: String) {
        self.update(slot, |container| {
            container.push(State::Waiting { reason, message })
        });
    }

    /// Whether a container that ended with this code is started again.
    pub(super) fn restarts(&self, slot: Slot, code: i32) -> bool {
        match (self.object["spec"]["restartPolicy"].as_str(), slot) {
            (Some("Never"), _) => false,
            (Some("OnFailure"), _) | (_, Slot::Init(_)) => code != 0,
            (_, Slot::Main(_)) => true,
        }
    }

    /// Waits until the pod is to end.
    pub(super) async fn ending(&self) -> Ending {
        let mut orders = self.orders.clone();
        match orders
            .wait_for(|order| *order != Order::Run)
            .await
            .map(|order| *order)
        {
            Ok(Order::End(ending)) => ending,
            // The node is gone.
            Ok(Order::Run) | Err(_) => Ending::Kill,
        }
    }

    /// True if the pod is to end before the time is over.
    pub(super) async fn sleep(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.ending()).await.is_ok()
    }

    /// Runs the pod to its end, which comes only when its object is deleted or the node stops.
    pub(super) async fn run(self) {
        let ending = {
            let ending = async {
                self.run_containers().await;
                self.ending().await
            };
            tokio::pin!(ending);
            let mut written = Value::Null;
            loop {
                self.write_status(&mut written).await;
                tokio::select! {
                    ending = &mut ending => {
                        if ending != Ending::Kill {
                            self.write_status(&mut written).await;
                        }
                        break ending;
                    }
                    () = self.handle.changed.notified() => {}
                }
            }
        };
        if let Ending::Delete { .. } = ending {
            self.remove().await;
        }
    }

    async fn run_containers(&self) {
        for at in 0..specs(&self.object, "initContainers").len() {
            container::keep(self, Slot::Init(at)).await;
            if self.handle.result(Slot::Init(at)) != Some(0) {
                return;
            }
        }
        let main = (0..specs(&self.object, "containers").len())
            .map(|at| container::keep(self, Slot::Main(at)));
        futures::future::join_all(main).await;
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }

    /// Writes the status if it differs from what was `written` last.
    async fn write_status(&self, written: &mut Value) {
        let status = self
            .handle
            .record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .render(&time::now());
        if status == *written {
            return;
        }
        let patch = json!({"metadata": {"uid": self.uid}, "status": status});
        match self
            .node
            .api
            .patch(&format!("{}/status", self.path()), Patch::Merge, &patch)
            .await
        {
            Ok(_) => *written = status,
            // Gone, or another pod of the name: the node hears of it.
            Err(error) if error.is_not_found() || error.code() == Some(409) => *written = status,
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                self.handle.changed.notify_one();
            }
        }
    }

    /// Removes the object now that nothing of the pod runs any more.
    async fn remove(&self) {
        let api = &self.node.api;
        loop {
            match api.get(&self.path()).await {
                Ok(found) if found["metadata"]["uid"] == self.uid.as_str() => {}
                Ok(_) => return,
                Err(error) if error.is_not_found() => return,
                Err(_) => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            match api.delete_now(&self.path()).await {
                Err(error) if !error.is_not_found() => tokio::time::sleep(RETRY).await,
                _ => return,
            }
        }
    }
}
