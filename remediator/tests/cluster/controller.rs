//! The controller on the sandbox's API server. The tests play Kuberhealthy and the controller of Deployments.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PatchParams;
use kube::{Client, Config};
use remediator::clock;
use remediator::controller::{self, Workloads};
use remediator::core::execution::{Answer, Live, TargetWrite};
use remediator::core::{Facts, FactsNeed, TargetKind, TargetRef};
use remediator::crd::definitions;
use remediator::fence::{Fence, Keeper, Term};
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const AGENT: &str = "remediator";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
const CHECK: &str = "/apis/kuberhealthy.github.io/v2/namespaces/default/healthchecks/web";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const POLICIES: &str = "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediationpolicies";
const RECORDS: &str = "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediations";

/// Restarts Deployments, and nothing else.
struct Deployments(Client);

impl Workloads for Deployments {
    async fn facts(
        &self,
        namespace: &str,
        (_, name): (TargetKind, &str),
        _: FactsNeed,
    ) -> Result<Live, kube::Error> {
        let api: kube::Api<Deployment> = kube::Api::namespaced(self.0.clone(), namespace);
        let Some(found) = api.get_opt(name).await? else {
            return Ok(Live::Gone);
        };
        let (metadata, spec, status) =
            (found.metadata, found.spec, found.status.unwrap_or_default());
        let annotations = spec.template.metadata.and_then(|m| m.annotations);
        let restarted = annotations.and_then(|a| a.get(RESTARTED).cloned());
        Ok(Live::Target(Box::new(Facts {
            uid: metadata.uid.unwrap(),
            resource_version: metadata.resource_version.unwrap(),
            generation: metadata.generation.unwrap(),
            observed_generation: status.observed_generation.unwrap_or(0),
            replicas: spec.replicas.unwrap(),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            paused: false,
            stalled: false,
            controlled: false,
            excluded: false,
            deleting: false,
            autoscaler: None,
            pods: Vec::new(),
            revision: None,
            restarted_at: restarted.map(|at| at.parse().unwrap()),
            current_revision: None,
        })))
    }

    async fn write(
        &self,
        fence: &Fence,
        namespace: &str,
        target: &TargetRef,
        write: &TargetWrite,
    ) -> Answer {
        let TargetWrite::Restart { claim, at } = write else {
            panic!("{write:?}");
        };
        fence.check(clock::instant()).unwrap();
        let api: kube::Api<Deployment> = kube::Api::namespaced(self.0.clone(), namespace);
        let patch = json!({
            "metadata": {"resourceVersion": claim.resource_version},
            "spec": {"template": {"metadata": {"annotations": {RESTARTED: at.to_string()}}}},
        });
        let parameters = PatchParams::default();
        let patch = kube::api::Patch::Merge(patch);
        match api.patch(&target.name, &parameters, &patch).await {
            Ok(_) => Answer::Done,
            Err(kube::Error::Api(status)) if status.code == 409 => Answer::Conflict,
            Err(_) => Answer::Unknown,
        }
    }
}

struct Cluster {
    server: ApiServer,
    api: Api,
}

impl Cluster {
    async fn start() -> Cluster {
        let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
        let api = Api::new(&server.url(), None, "test").unwrap();
        for definition in definitions().unwrap() {
            api.create(DEFINITIONS, &definition.value).await.unwrap();
        }
        api.create(DEFINITIONS, &health_checks()).await.unwrap();
        let cluster = Cluster { server, api };
        cluster.create(CHECK, json!({
            "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck", "metadata": {"name": "web"},
            "spec": {"runInterval": "60s", "timeout": "10s"},
        })).await;
        let labels = json!({"app": "web"});
        cluster
            .create(
                DEPLOYMENT,
                json!({
                    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                    "spec": {
                        "replicas": 2, "selector": {"matchLabels": labels},
                        "template": {
                            "metadata": {"labels": labels},
                            "spec": {"containers": [{"name": "main", "image": "none"}]},
                        },
                    },
                }),
            )
            .await;
        cluster.roll_out().await;
        cluster
    }

    async fn create(&self, path: &str, object: Value) {
        let (collection, _) = path.rsplit_once('/').unwrap();
        self.api.create(collection, &object).await.unwrap();
    }

    async fn policy(&self, mode: &str) {
        let policy = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "metadata": {"name": "web"},
            "spec": {
                "mode": mode,
                "trigger": {"check": {"namespace": "default", "name": "web"}, "failureThreshold": 1},
                "target": {"kind": "Deployment", "name": "web"},
                "steps": [{"rolloutRestart": {}}],
            },
        });
        self.api.create(POLICIES, &policy).await.unwrap();
    }

    /// What the Deployment's controller does.
    async fn roll_out(&self) {
        let generation = self.api.get(DEPLOYMENT).await.unwrap()["metadata"]["generation"].clone();
        let status = json!({"status": {
            "observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
            "availableReplicas": 2,
        }});
        let path = format!("{DEPLOYMENT}/status");
        self.api.patch(&path, Patch::Merge, &status).await.unwrap();
    }

    /// What Kuberhealthy does after a run that began `ago` seconds ago.
    async fn report(&self, ok: bool, successes: u64, failures: u64, ago: i64) {
        let began = clock::now().unix() - ago;
        let errors = if ok { json!([]) } else { json!(["broken"]) };
        let mut status = json!({
            "ok": ok, "errors": errors, "currentUUID": "", "lastRunUnix": began,
            "successCount": successes, "failureCount": failures,
        });
        let ended = if ok { "lastOKUnix" } else { "lastFailureUnix" };
        status[ended] = json!(clock::now().unix());
        let path = format!("{CHECK}/status");
        let status = json!({"status": status});
        self.api.patch(&path, Patch::Merge, &status).await.unwrap();
    }

    /// A leader's process. Aborting it is a crash.
    fn controller(&self, term: i64) -> (JoinHandle<()>, Keeper) {
        khclient::install_crypto_provider();
        let mut config = Config::new(self.server.url().parse().unwrap());
        config.default_retry = false;
        let agent = AGENT.parse().unwrap();
        config.headers.push((http::header::USER_AGENT, agent));
        let client = Client::try_from(config).unwrap();
        let (keeper, fence) = Keeper::new();
        keeper.open(Term(term), clock::instant() + Duration::from_secs(600));
        let task = tokio::spawn(async move {
            let workloads = Deployments(client.clone());
            let ended =
                controller::run(client, workloads, fence, controller::Settings::default()).await;
            assert!(ended.is_err());
        });
        (task, keeper)
    }

    async fn records(&self) -> Vec<Value> {
        let list = self.api.get(RECORDS).await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    async fn restarted(&self) -> bool {
        let deployment = self.api.get(DEPLOYMENT).await.unwrap();
        let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
        annotations[RESTARTED].is_string()
    }

    async fn phase(&self) -> String {
        let records = self.records().await;
        let phase = records.first().map(|record| &record["status"]["phase"]);
        phase.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    async fn reaches(&self, phase: &str) {
        let mut last = String::new();
        for _ in 0..600 {
            last = self.phase().await;
            if last == phase {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let policy = self.api.get(&format!("{POLICIES}/web")).await.unwrap();
        panic!(
            "expected {phase}, found {last:?}: {:#} {:#?}",
            policy["status"],
            self.records().await
        );
    }

    /// Writes to the workload.
    fn writes(&self) -> usize {
        let writes = ["update", "patch", "create", "delete"];
        let requests = self.server.requests();
        let own = requests.iter().filter(|r| r.agent == AGENT);
        own.filter(|r| r.resource.starts_with("deployments") && writes.contains(&r.verb.as_str()))
            .count()
    }
}

fn health_checks() -> Value {
    let kept = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "healthchecks.kuberhealthy.github.io"},
        "spec": {
            "group": "kuberhealthy.github.io", "scope": "Namespaced",
            "names": {"kind": "HealthCheck", "listKind": "HealthCheckList", "plural": "healthchecks", "singular": "healthcheck"},
            "versions": [{
                "name": "v2", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": kept},
            }],
        },
    })
}

/// The next whole second, as a run is fresh only if it began in a later one than the rollout ended.
async fn next_second() {
    let now = clock::now();
    while clock::now().since(now) < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_failing_check_restarts_its_deployment_once_and_a_passing_run_verifies_it() {
    let cluster = Cluster::start().await;
    cluster.policy("Enforce").await;
    cluster.report(true, 1, 0, 60).await;
    let (first, _first) = cluster.controller(1);
    cluster.report(false, 1, 1, 5).await;
    cluster.reaches("Applied").await;
    assert!(cluster.restarted().await);

    // A crash: the next leader goes on with the record.
    first.abort();
    let (second, _second) = cluster.controller(2);
    cluster.roll_out().await;
    cluster.reaches("Verifying").await;
    next_second().await;
    cluster.report(true, 2, 1, 0).await;
    cluster.reaches("Succeeded").await;
    assert_eq!(cluster.records().await.len(), 1);
    assert_eq!(cluster.writes(), 1);
    second.abort();
}

#[tokio::test]
async fn a_dry_run_is_recorded_and_touches_nothing() {
    let cluster = Cluster::start().await;
    cluster.policy("DryRun").await;
    cluster.report(false, 0, 1, 5).await;
    let (task, _keeper) = cluster.controller(1);
    cluster.reaches("DryRun").await;
    assert_eq!(cluster.writes(), 0);
    assert!(!cluster.restarted().await);
    task.abort();
}
