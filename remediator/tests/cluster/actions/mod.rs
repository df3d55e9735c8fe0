//! Reads of workloads and writes to them, on the sandbox's API server.

mod behind;
mod reads;
mod rollouts;
mod uncertain;
mod writes;

use std::time::Duration;

use kube::{Client, Config};
use remediator::actions::Cluster;
use remediator::clock;
use remediator::controller::Workloads as _;
use remediator::core::execution::{Answer, Live, TargetWrite};
use remediator::core::{Claim, Facts, FactsNeed, TargetKind, TargetRef};
use remediator::fence::{Fence, Keeper, Term};
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServer, ApiServerOptions, Token};
use serde_json::{Value, json};

const AGENT: &str = "remediator";
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
const PODS: &str = "/api/v1/namespaces/default/pods";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const HISTORY: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

fn plural(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Deployment => "deployments",
        TargetKind::StatefulSet => "statefulsets",
        TargetKind::DaemonSet => "daemonsets",
    }
}

fn collection(kind: TargetKind) -> String {
    format!("/apis/apps/v1/namespaces/default/{}", plural(kind))
}

/// A client as the remediator's, with a bearer token if there is one.
fn client(url: &str, token: Option<&str>) -> Client {
    khclient::install_crypto_provider();
    let mut config = Config::new(url.parse().unwrap());
    config.default_retry = false;
    config
        .headers
        .push((http::header::USER_AGENT, AGENT.parse().unwrap()));
    if let Some(token) = token {
        let token = format!("Bearer {token}").parse().unwrap();
        config.headers.push((http::header::AUTHORIZATION, token));
    }
    Client::try_from(config).unwrap()
}

/// An open fence, as long as the keeper lives.
fn open() -> (Keeper, Fence) {
    let (keeper, fence) = Keeper::new();
    keeper.open(Term(1), clock::instant() + Duration::from_secs(600));
    (keeper, fence)
}

/// An API server on which the test plays the controllers of workloads.
struct Stage {
    server: ApiServer,
    api: Api,
    cluster: Cluster,
    keeper: Keeper,
    fence: Fence,
}

impl Stage {
    async fn start() -> Stage {
        let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
        let api = Api::new(&server.url(), None, "test").unwrap();
        let cluster = Cluster::new(client(&server.url(), None));
        Stage::of(server, api, cluster)
    }

    /// Where the remediator may do only what `rules` allow.
    async fn restricted(rules: Value) -> Stage {
        let token = |token: &str, user: &str, group: &str| Token {
            token: token.to_owned(),
            user: user.to_owned(),
            groups: vec![group.to_owned()],
        };
        let options = ApiServerOptions {
            tokens: vec![
                token("admin", "admin", "system:masters"),
                token("weak", "weak", "people"),
            ],
            rbac: true,
            ..ApiServerOptions::default()
        };
        let server = ApiServer::start(options).await.unwrap();
        let api = Api::new(&server.url(), Some("admin"), "test").unwrap();
        let cluster = Cluster::new(client(&server.url(), Some("weak")));
        let stage = Stage::of(server, api, cluster);
        let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
        let role = json!({"metadata": {"name": "r"}, "rules": rules});
        stage
            .api
            .create(&format!("{roles}/roles"), &role)
            .await
            .unwrap();
        let binding = json!({
            "metadata": {"name": "r"}, "subjects": [{"kind": "User", "name": "weak"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        });
        let bindings = format!("{roles}/rolebindings");
        stage.api.create(&bindings, &binding).await.unwrap();
        stage
    }

    fn of(server: ApiServer, api: Api, cluster: Cluster) -> Stage {
        let (keeper, fence) = open();
        Stage {
            server,
            api,
            cluster,
            keeper,
            fence,
        }
    }

    async fn create(&self, collection: &str, object: Value) -> Value {
        self.api.create(collection, &object).await.unwrap()
    }

    /// A workload `web` with these fields of its spec, and its reference.
    async fn workload(&self, kind: TargetKind, spec: Value) -> TargetRef {
        let mut object = json!({
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template("one")},
        });
        let fields = spec.as_object().unwrap().clone();
        object["spec"].as_object_mut().unwrap().extend(fields);
        let created = self.create(&collection(kind), object).await;
        TargetRef {
            kind,
            name: "web".to_owned(),
            uid: text(&created["metadata"]["uid"]),
        }
    }

    async fn get(&self, target: &TargetRef) -> Value {
        let path = format!("{}/{}", collection(target.kind), target.name);
        self.api.get(&path).await.unwrap()
    }

    async fn status(&self, path: &str, status: Value) {
        let status = json!({"status": status});
        let path = format!("{path}/status");
        self.api.patch(&path, Patch::Merge, &status).await.unwrap();
    }

    /// A pod `name` with the workload's labels and these owners.
    async fn pod(&self, name: &str, owners: Value) -> Value {
        let pod = json!({
            "metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": owners},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        });
        self.create(PODS, pod).await
    }

    /// What is running, and ready or not.
    async fn running(&self, pod: &str, ready: bool) {
        let ready = if ready { "True" } else { "False" };
        let status = json!({"phase": "Running", "conditions": [
            {"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready},
        ]});
        self.status(&format!("{PODS}/{pod}"), status).await;
    }

    async fn live(&self, target: &TargetRef, need: FactsNeed) -> Live {
        let named = (target.kind, target.name.as_str());
        self.cluster.facts("default", named, need).await.unwrap()
    }

    async fn facts(&self, target: &TargetRef, need: FactsNeed) -> Facts {
        match self.live(target, need).await {
            Live::Target(facts) => *facts,
            other => panic!("expected the target, found {other:?}"),
        }
    }

    async fn claim(&self, target: &TargetRef) -> Claim {
        let found = self.get(target).await;
        Claim {
            resource_version: text(&found["metadata"]["resourceVersion"]),
            generation: found["metadata"]["generation"].as_i64().unwrap(),
        }
    }

    async fn write(&self, target: &TargetRef, write: &TargetWrite) -> Answer {
        self.cluster
            .write(&self.fence, "default", target, write)
            .await
    }

    /// The remediator's requests that write: verb and resource.
    fn writes(&self) -> Vec<(String, String)> {
        let reads = ["get", "list", "watch"];
        let requests = self.server.requests();
        let own = requests
            .into_iter()
            .filter(|request| request.agent == AGENT);
        own.filter(|request| !reads.contains(&request.verb.as_str()))
            .map(|request| (request.verb, request.resource))
            .collect()
    }
}

/// A pod template.
fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    })
}

/// References to a controlling owner.
fn owned_by(kind: &str, owner: &Value) -> Value {
    let (name, uid) = (&owner["metadata"]["name"], &owner["metadata"]["uid"]);
    json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true}])
}

/// A ControllerRevision as a workload's controller makes it.
fn history(owner: &Value, kind: &str, number: i64, template: &Value) -> Value {
    let mut template = template.clone();
    template["$patch"] = json!("replace");
    json!({
        "metadata": {"name": format!("web-{number}"), "labels": {"app": "web"}, "ownerReferences": owned_by(kind, owner)},
        "revision": number, "data": {"spec": {"template": template}},
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
