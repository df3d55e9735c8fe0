//! A cluster in which the tests play Kuberhealthy and the controller of Deployments.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PatchParams;
use kube::{Client, Config};
use remediator::clock;
use remediator::controller::{self, Settings, Workloads};
use remediator::core::cascade::{Behind, Subject, Target};
use remediator::core::execution::{Answer, Live, TargetWrite};
use remediator::core::{Facts, FactsNeed, TargetKind, TargetRef};
use remediator::crd::definitions;
use remediator::fence::{Fence, Keeper, Term};
use remediator::metrics::{Format, Metrics};
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServer, ApiServerOptions, Token};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(super) const AGENT: &str = "remediator";
pub(super) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
pub(super) const CHECKS: &str = "/apis/kuberhealthy.github.io/v2/namespaces/default/healthchecks";
pub(super) const STATES: &str = "/apis/comcast.github.io/v1/namespaces/default/khstates";
pub(super) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
pub(super) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
pub(super) const POLICIES: &str =
    "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediationpolicies";
pub(super) const RECORDS: &str = "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediations";

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

    async fn behind(
        &self,
        subject: &Subject,
        candidates: &[Target],
    ) -> Result<Behind, kube::Error> {
        let workloads = remediator::actions::Cluster::new(self.0.clone());
        workloads.behind(subject, candidates).await
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

/// What the controller may do if roles decide: all of this, and what a test adds.
const NEEDED: [(&str, &str, &[&str]); 6] = [
    (
        "kuberhealer.io",
        "remediationpolicies",
        &["get", "list", "watch"],
    ),
    ("kuberhealer.io", "remediationpolicies/status", &["update"]),
    ("kuberhealer.io", "remediations", &["get", "list", "watch"]),
    (
        "kuberhealthy.github.io",
        "healthchecks",
        &["get", "list", "watch"],
    ),
    ("apps", "deployments", &["get", "patch"]),
    ("events.k8s.io", "events", &["create"]),
];

pub(super) struct Cluster {
    pub(super) server: ApiServer,
    pub(super) api: Api,
    pub(super) metrics: Metrics,
    rbac: bool,
}

/// A leader's process.
pub(super) struct Controller {
    task: JoinHandle<()>,
    _keeper: Keeper,
}

impl Controller {
    /// It dies at once, wherever it is.
    pub(super) async fn crash(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// With both definitions, HealthChecks, and a Deployment and a check named web.
    pub(super) async fn start() -> Cluster {
        let cluster = Cluster::bare(ApiServerOptions::default()).await;
        cluster.create(DEFINITIONS, &health_checks()).await;
        cluster.check("web").await;
        cluster.deployment("web").await;
        cluster
    }

    /// Where the controller may do only what a role says.
    pub(super) async fn with_roles() -> Cluster {
        let token = |token: &str, user: &str, group: &str| Token {
            token: token.to_owned(),
            user: user.to_owned(),
            groups: vec![group.to_owned()],
        };
        let cluster = Cluster::bare(ApiServerOptions {
            tokens: vec![
                token("all", "admin", "system:masters"),
                token("some", "remediator", "system:authenticated"),
            ],
            rbac: true,
            ..ApiServerOptions::default()
        })
        .await;
        cluster.create(DEFINITIONS, &health_checks()).await;
        cluster.check("web").await;
        cluster.deployment("web").await;
        for (group, resource, verbs) in NEEDED {
            cluster.allow(group, resource, verbs).await;
        }
        cluster
    }

    /// With both definitions only.
    pub(super) async fn bare(options: ApiServerOptions) -> Cluster {
        let rbac = options.rbac;
        let server = ApiServer::start(options).await.unwrap();
        let api = Api::new(&server.url(), rbac.then_some("all"), "test").unwrap();
        for definition in definitions().unwrap() {
            api.create(DEFINITIONS, &definition.value).await.unwrap();
        }
        Cluster {
            server,
            api,
            metrics: Metrics::new(),
            rbac,
        }
    }

    pub(super) async fn create(&self, collection: &str, object: &Value) {
        self.api.create(collection, object).await.unwrap();
    }

    pub(super) async fn allow(&self, group: &str, resource: &str, verbs: &[&str]) {
        let name = format!("{group}-{resource}-{}", verbs.join("-")).replace('/', "-");
        let roles = "/apis/rbac.authorization.k8s.io/v1";
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs}],
        });
        self.create(&format!("{roles}/clusterroles"), &role).await;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "remediator"}],
        });
        self.create(&format!("{roles}/clusterrolebindings"), &binding)
            .await;
    }

    pub(super) async fn check(&self, name: &str) {
        let check = json!({
            "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck", "metadata": {"name": name},
            "spec": {"runInterval": "60s", "timeout": "10s"},
        });
        self.create(CHECKS, &check).await;
    }

    pub(super) async fn deployment(&self, name: &str) {
        let labels = json!({"app": name});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "main", "image": "none"}]},
                },
            },
        });
        self.create(DEPLOYMENTS, &deployment).await;
        self.roll_out(name).await;
    }

    /// A policy of this name for the check and the Deployment of the same name, with `changes` to its spec.
    pub(super) async fn policy(&self, name: &str, changes: Value) {
        let policy = policy(name, changes);
        self.create(POLICIES, &policy).await;
    }

    /// What the Deployment's controller does.
    pub(super) async fn roll_out(&self, name: &str) {
        let path = format!("{DEPLOYMENTS}/{name}");
        let generation = self.api.get(&path).await.unwrap()["metadata"]["generation"].clone();
        let status = json!({"status": {
            "observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
            "availableReplicas": 2,
        }});
        let path = format!("{path}/status");
        self.api.patch(&path, Patch::Merge, &status).await.unwrap();
    }

    /// What Kuberhealthy does after the `run`th run of a check, which began `ago` seconds ago.
    pub(super) async fn report(&self, check: &str, errors: &[&str], run: u64, ago: i64) {
        let now = clock::now().unix();
        let ok = errors.is_empty();
        let ended = if ok { "lastOKUnix" } else { "lastFailureUnix" };
        let status = json!({"status": {
            "ok": ok, "errors": errors, "currentUUID": "", "lastRunUnix": now - ago,
            "successCount": if ok { run } else { 0 }, "failureCount": if ok { 0 } else { run }, ended: now,
        }});
        let path = format!("{CHECKS}/{check}/status");
        self.api.patch(&path, Patch::Merge, &status).await.unwrap();
    }

    /// A leader's process.
    pub(super) fn controller(&self, term: i64) -> Controller {
        self.controller_with(term, Settings::default())
    }

    pub(super) fn controller_with(&self, term: i64, settings: Settings) -> Controller {
        khclient::install_crypto_provider();
        let mut config = Config::new(self.server.url().parse().unwrap());
        config.default_retry = false;
        let agent = AGENT.parse().unwrap();
        config.headers.push((http::header::USER_AGENT, agent));
        if self.rbac {
            let token = "Bearer some".parse().unwrap();
            config.headers.push((http::header::AUTHORIZATION, token));
        }
        let client = Client::try_from(config).unwrap();
        let (keeper, fence) = Keeper::new();
        keeper.open(Term(term), clock::instant() + Duration::from_secs(600));
        let settings = Settings {
            metrics: self.metrics.clone(),
            ..settings
        };
        let task = tokio::spawn(async move {
            let workloads = Deployments(client.clone());
            let ended = controller::run(client, workloads, fence, settings).await;
            assert!(ended.is_err());
        });
        Controller {
            task,
            _keeper: keeper,
        }
    }

    pub(super) async fn list(&self, path: &str) -> Vec<Value> {
        let list = self.api.get(path).await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    pub(super) async fn records(&self) -> Vec<Value> {
        self.list(RECORDS).await
    }

    pub(super) async fn restarted(&self, name: &str) -> bool {
        let path = format!("{DEPLOYMENTS}/{name}");
        let deployment = self.api.get(&path).await.unwrap();
        let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
        annotations[RESTARTED].is_string()
    }

    /// Waits until the only record is in this phase.
    pub(super) async fn reaches(&self, phase: &str) {
        self.until(&format!("phase {phase}"), async || {
            let records = self.records().await;
            records
                .first()
                .is_some_and(|record| record["status"]["phase"] == phase)
        })
        .await;
    }

    /// Waits until something is so, looking at it again and again; a generous while.
    pub(super) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let until = clock::instant() + Duration::from_secs(90);
        while !is_so().await {
            if clock::instant() > until {
                let policies = self.list(POLICIES).await;
                let records = self.records().await;
                let mut found = format!("{policies:#?} {records:#?}");
                found.truncate(20_000);
                panic!("expected {what}: {found}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The policy's condition: its status, reason and message.
    pub(super) async fn condition(&self, policy: &str, name: &str) -> (String, String, String) {
        let path = format!("{POLICIES}/{policy}");
        let policy = self.api.get(&path).await.unwrap();
        let conditions = policy["status"]["conditions"].as_array();
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == name);
        let text = |field: &str| {
            let text = found.and_then(|found| found[field].as_str());
            text.unwrap_or_default().to_owned()
        };
        (text("status"), text("reason"), text("message"))
    }

    /// Waits until the policy's condition has this reason; returns its status and message.
    pub(super) async fn says(&self, policy: &str, name: &str, reason: &str) -> (String, String) {
        self.until(&format!("{policy}: {name}: {reason}"), async || {
            self.condition(policy, name).await.1 == reason
        })
        .await;
        let (status, _, message) = self.condition(policy, name).await;
        (status, message)
    }

    /// What the controller asked for: verb, resource and name.
    pub(super) fn asked(&self) -> Vec<(String, String, String)> {
        let requests = self.server.requests().into_iter();
        let own = requests.filter(|request| request.agent == AGENT);
        own.map(|request| (request.verb, request.resource, request.name))
            .collect()
    }

    /// How often the controller asked for this.
    pub(super) fn count(&self, verb: &str, resource: &str) -> usize {
        let asked = self.asked();
        asked
            .iter()
            .filter(|(v, r, _)| v == verb && r == resource)
            .count()
    }

    /// Events on objects of this kind: their reasons and notes, oldest first.
    pub(super) async fn events(&self, kind: &str) -> Vec<(String, String)> {
        let mut events = self.list(EVENTS).await;
        events.retain(|event| event["regarding"]["kind"] == kind);
        events.sort_by_key(|event| event["eventTime"].as_str().unwrap().to_owned());
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        events
            .iter()
            .map(|event| (text(event, "reason"), text(event, "note")))
            .collect()
    }

    /// Waits until the events on objects of this kind have these reasons.
    pub(super) async fn tells(&self, kind: &str, reasons: &[&str]) {
        self.until(&format!("events on the {kind}: {reasons:?}"), async || {
            let events = self.events(kind).await;
            let found: Vec<&str> = events.iter().map(|(reason, _)| reason.as_str()).collect();
            found == reasons
        })
        .await;
    }

    pub(super) fn metrics(&self) -> String {
        self.metrics.text(Format::Text).unwrap()
    }

    /// Writes to the workload.
    pub(super) fn writes(&self) -> usize {
        let writes = ["update", "patch", "create", "delete"];
        let asked = self.asked();
        asked
            .iter()
            .filter(|(verb, resource, _)| {
                resource.starts_with("deployments") && writes.contains(&verb.as_str())
            })
            .count()
    }
}

pub(super) fn policy(name: &str, changes: Value) -> Value {
    let mut policy = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "mode": "Enforce",
            "trigger": {"check": {"namespace": "default", "name": name}, "failureThreshold": 1},
            "target": {"kind": "Deployment", "name": name},
            "steps": [{"rolloutRestart": {}}],
        },
    });
    for (field, value) in changes.as_object().unwrap() {
        policy["spec"][field] = value.clone();
    }
    policy
}

pub(super) fn health_checks() -> Value {
    checks(
        "kuberhealthy.github.io",
        "v2",
        ("HealthCheck", "healthchecks"),
    )
}

pub(super) fn states() -> Value {
    checks("comcast.github.io", "v1", ("KuberhealthyState", "khstates"))
}

fn checks(group: &str, version: &str, (kind, plural): (&str, &str)) -> Value {
    let kept = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase(),
            },
            "versions": [{
                "name": version, "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": kept},
            }],
        },
    })
}

/// The next whole second, as a run is fresh only if it began in a later one than the rollout ended.
pub(super) async fn next_second() {
    let now = clock::now();
    while clock::now().since(now) < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
