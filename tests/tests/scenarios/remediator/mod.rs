//! The remediator as a process, on a cluster whose Deployments, pods and budgets are real and whose Kuberhealthy is
//! played by the tests: they decide when the check fails.

mod cascade;
mod crash;
mod liveness;
mod replicas;
mod soak;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandbox::api::{Api, Patch};
use sandbox::apiserver::Request;
use sandbox::node::{Image, PodNetwork};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const CHECKS: &str = "/apis/kuberhealthy.github.io/v2/namespaces/kuberhealthy/healthchecks";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
pub(crate) const POLICIES: &str =
    "/apis/kuberhealer.io/v1alpha1/namespaces/shop/remediationpolicies";
pub(crate) const RECORDS: &str = "/apis/kuberhealer.io/v1alpha1/namespaces/shop/remediations";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kuberhealer/leases";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const AGENT: &str = "remediator";

/// Upper bound of every wait.
const DEADLINE: Duration = Duration::from_secs(90);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// A cluster with a web application of three pods, a check of it, and no remediator yet.
pub(crate) struct Shop {
    pub(crate) sandbox: Sandbox,
    pub(crate) api: Api,
    directory: PathBuf,
}

impl Shop {
    pub(crate) async fn start() -> Shop {
        Shop::start_with(Options::default()).await
    }

    /// On a cluster with further images, or with an API server that asks who somebody is.
    pub(crate) async fn start_with(mut options: Options) -> Shop {
        let images = std::mem::take(&mut options.node.images);
        options.node.images = images.with("web", Image::program(["sleep", "3600"]));
        options.node.network = PodNetwork::apart();
        options.v3.enabled = false;
        let shop = Shop::of(Sandbox::start(options).await.unwrap()).await;
        shop.create_check("web").await;
        shop.create_deployment("web", 3).await;
        shop
    }

    /// The cluster with the remediator's definitions and both namespaces.
    async fn of(sandbox: Sandbox) -> Shop {
        let api = sandbox.api();
        for definition in remediator::crd::definitions().unwrap() {
            api.create(DEFINITIONS, &definition.value).await.unwrap();
        }
        for name in ["kuberhealer", "shop"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            api.create("/api/v1/namespaces", &namespace).await.unwrap();
        }
        let unique = format!(
            "kuberhealer-{}-{}",
            std::process::id(),
            sandbox.api_url().rsplit(':').next().unwrap_or_default()
        );
        let directory = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("kubeconfig"), sandbox.kubeconfig()).unwrap();
        Shop {
            sandbox,
            api,
            directory,
        }
    }

    pub(crate) async fn create_check(&self, name: &str) {
        let check = json!({
            "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck",
            "metadata": {"name": name, "namespace": "kuberhealthy"},
            "spec": {"runInterval": "1s", "timeout": "10s", "podSpec": {"spec": {"containers": [{"name": "main", "image": "none"}]}}},
        });
        self.api.create(CHECKS, &check).await.unwrap();
    }

    pub(crate) async fn create_deployment(&self, name: &str, replicas: i64) {
        self.api
            .create(DEPLOYMENTS, &deployment(name, replicas))
            .await
            .unwrap();
        self.until(&format!("{DEPLOYMENTS}/{name}"), "rolled out", rolled_out)
            .await;
    }

    /// A second revision, so that there is one to go back to.
    pub(crate) async fn roll_out(&self, name: &str, revision: &str) {
        let path = format!("{DEPLOYMENTS}/{name}");
        let patch =
            json!({"spec": {"template": {"metadata": {"annotations": {"revision": revision}}}}});
        self.api.patch(&path, Patch::Merge, &patch).await.unwrap();
        self.until(&path, "rolled out", rolled_out).await;
    }

    /// Policy `name` for the Deployment and the check of the same name, in mode Enforce; `spec` overrides.
    pub(crate) async fn create_policy(&self, name: &str, steps: Value, spec: Value) -> Value {
        let mut policy = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "metadata": {"name": name},
            "spec": {
                "mode": "Enforce",
                "trigger": {"check": {"namespace": "kuberhealthy", "name": name}, "failureThreshold": 1},
                "target": {"kind": "Deployment", "name": name},
                "steps": steps,
            },
        });
        for (field, value) in spec.as_object().unwrap() {
            policy["spec"][field] = value.clone();
        }
        self.api.create(POLICIES, &policy).await.unwrap()
    }

    /// A run of the check that begins now and finds these errors.
    pub(crate) async fn report(&self, name: &str, errors: &[&str]) {
        let started = self.start_run(name).await;
        self.end_run(name, started, errors).await;
    }

    /// Begins a run, at least a second after the one before: runs that are closer count once.
    async fn start_run(&self, name: &str) -> u64 {
        let check = self.api.get(&format!("{CHECKS}/{name}")).await.unwrap();
        let times = ["lastRunUnix", "lastOKUnix", "lastFailureUnix"];
        let times = times.map(|name| check["status"][name].as_u64());
        let last = times.into_iter().max().flatten().unwrap_or(0);
        while unix_now() <= last {
            sleep(LOOK).await;
        }
        unix_now()
    }

    /// What Kuberhealthy writes at the end of a run.
    async fn end_run(&self, name: &str, started: u64, errors: &[&str]) {
        let path = format!("{CHECKS}/{name}");
        let status = self.api.get(&path).await.unwrap()["status"].clone();
        let (counter, ended) = match errors {
            [] => ("successCount", "lastOKUnix"),
            _ => ("failureCount", "lastFailureUnix"),
        };
        let mut next = json!({
            "ok": errors.is_empty(), "errors": errors, "currentUUID": "", "lastRunUnix": started,
        });
        next[counter] = json!(status[counter].as_u64().unwrap_or(0) + 1);
        next[ended] = json!(unix_now());
        let patch = json!({"status": next});
        let path = format!("{path}/status");
        self.api.patch(&path, Patch::Merge, &patch).await.unwrap();
    }

    /// Runs of the check, one after the other, until `done`: they fail until the workload was `cured`.
    pub(crate) async fn run_checks(
        &self,
        name: &str,
        cured: impl AsyncFn() -> bool,
        done: impl AsyncFn() -> bool,
    ) {
        let deadline = Instant::now() + DEADLINE;
        while !done().await {
            assert!(
                Instant::now() < deadline,
                "not done: {}",
                self.story().await
            );
            // What it finds is what was the case after it began.
            let started = self.start_run(name).await;
            let errors: &[&str] = match cured().await {
                true => &[],
                false => &["expected status 200, got 503"],
            };
            self.end_run(name, started, errors).await;
            let second = unix_now();
            while unix_now() == second && !done().await {
                sleep(LOOK).await;
            }
        }
    }

    /// A replica of the remediator.
    pub(crate) fn replica(&self, identity: &str, more: &[&str]) -> Replica {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join(format!("{identity}.log")))
            .unwrap();
        let process = Command::new(crate::program("remediator"))
            .env("KUBECONFIG", self.directory.join("kubeconfig"))
            .args(["--identity", identity, "--listen", "127.0.0.1:0"])
            .args(["--lease-namespace", "kuberhealer"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Replica {
            process,
            identity: identity.to_owned(),
        }
    }

    /// Who holds the lease, if anybody: the replica's identity and something random.
    pub(crate) async fn leader(&self) -> String {
        let leases = self.api.list(LEASES).await.unwrap().items;
        let holder = leases
            .first()
            .map(|lease| lease["spec"]["holderIdentity"].clone());
        holder
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// Gives the lease of a replica that is dead free, so that nobody has to wait until its time is over.
    pub(crate) async fn free_lease(&self) {
        for lease in self.api.list(LEASES).await.unwrap().items {
            let path = format!("{LEASES}/{}", lease["metadata"]["name"].as_str().unwrap());
            let free = json!({"spec": {"holderIdentity": ""}});
            self.api.patch(&path, Patch::Merge, &free).await.unwrap();
        }
    }

    pub(crate) async fn wait_for_leader(&self, identity: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.leader().await.starts_with(identity) {
            assert!(
                Instant::now() < deadline,
                "{identity} does not lead: {}",
                self.story().await
            );
            sleep(LOOK).await;
        }
    }

    /// Reads the object at `path` until `holds`.
    pub(crate) async fn until(
        &self,
        path: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let object = self.api.get(path).await.unwrap();
            if holds(&object) {
                return object;
            }
            if Instant::now() > deadline {
                panic!(
                    "{path} never: {what}; last seen {object:#}\n{}",
                    self.story().await
                );
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn records(&self) -> Vec<Value> {
        self.api.list(RECORDS).await.unwrap().items
    }

    /// Whether there is a record and every one of them is over.
    pub(crate) async fn all_over(&self) -> bool {
        let records = self.records().await;
        let over = |record: &Value| record["status"]["completedTime"].is_string();
        !records.is_empty() && records.iter().all(over)
    }

    pub(crate) async fn deployment(&self, name: &str) -> Value {
        self.api
            .get(&format!("{DEPLOYMENTS}/{name}"))
            .await
            .unwrap()
    }

    /// UIDs of the pods of a Deployment that are not on their way out.
    pub(crate) async fn pods(&self, name: &str) -> BTreeSet<String> {
        let pods = self.api.list(PODS).await.unwrap().items;
        pods.iter()
            .filter(|pod| pod["metadata"]["labels"]["app"] == name)
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What remediators asked of workloads.
    pub(crate) fn writes(&self) -> Vec<Request> {
        let requests = self.sandbox.api_server().requests();
        let writes = ["create", "update", "patch", "delete", "deletecollection"];
        let workloads = [
            "pods",
            "deployments",
            "statefulsets",
            "daemonsets",
            "replicasets",
            "horizontalpodautoscalers",
        ];
        requests
            .into_iter()
            .filter(|request| request.agent.starts_with(AGENT))
            .filter(|request| writes.contains(&request.verb.as_str()))
            .filter(|request| {
                workloads.contains(&request.resource.split('/').next().unwrap_or_default())
            })
            .collect()
    }

    /// Policies, records and what the replicas wrote, for the message of a test that failed.
    pub(crate) async fn story(&self) -> String {
        let mut story = String::new();
        for path in [POLICIES, RECORDS] {
            for object in self.api.list(path).await.unwrap().items {
                story += &format!("{} {:#}\n", object["metadata"]["name"], object["status"]);
            }
        }
        for entry in std::fs::read_dir(&self.directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                story += &format!(
                    "{}\n{}\n",
                    path.display(),
                    std::fs::read_to_string(&path).unwrap()
                );
            }
        }
        story
    }

    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// A process of the remediator. Dropping it kills it.
pub(crate) struct Replica {
    process: Child,
    pub(crate) identity: String,
}

impl Replica {
    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = i32::try_from(self.process.id().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).unwrap();
    }
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "web"}]},
            },
        },
    })
}

/// The Deployment's controller has seen all of it, and all its pods are new and available.
pub(crate) fn rolled_out(deployment: &Value) -> bool {
    let status = &deployment["status"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"]
            .iter()
            .all(|field| status[*field] == deployment["spec"]["replicas"])
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
