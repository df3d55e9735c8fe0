//! Kuberhealthy v2: khchecks, khjobs and khstates of `comcast.github.io/v1`.
//!
//! ```text
//! khcheck ──► Runner ── uuid ──► khstate ◄── verdict ── Runner ◄── pod exits
//!                └── pod ──► checker ── POST /externalCheckStatus ──► report ──► khstate
//! ```

mod after;
mod checker;
mod control;
mod crds;
mod page;
mod reaper;
mod report;
mod run;
mod shared;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query};
use axum::routing::any;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::faults::ReportFaults;
use super::server::{Bound, Connection, Server, answer};
use super::{Speed, StartError, clock, go, install, pods};
use crate::api::Api;
use crate::informer::{AbortOnDrop, Cache};
use shared::Shared;
use state::States;

/// How a Kuberhealthy v2 is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespace it lives in. Checks are run in all namespaces.
    pub namespace: String,
    /// Name of its pod: the author of states, and the "current master". A pod object of this name is created for it,
    /// bound to no node.
    pub pod: String,
    /// Name of the pod that is made owner of the checker pods in its namespace; its own if `None`. The real one takes
    /// the host's name, and cannot create pods if there is no pod of that name.
    pub owner: Option<String>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How fast its own clocks run.
    pub speed: Speed,
}

impl Default for Options {
    /// In namespace `kuberhealthy` as pod `kuberhealthy-0`, on a free port of 127.0.0.1, at the real speed.
    fn default() -> Options {
        Options {
            namespace: "kuberhealthy".to_owned(),
            pod: "kuberhealthy-0".to_owned(),
            owner: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            speed: Speed::REAL,
        }
    }
}

/// A running Kuberhealthy v2. Dropping it stops it.
#[derive(Debug)]
pub struct Kuberhealthy {
    server: Server,
    _tasks: Vec<AbortOnDrop>,
}

/// Installs the definitions, then starts to run checks at once: unlike the real one it need not find out first whether
/// it is the master.
///
/// # Errors
/// If its address is taken or the API server refuses what it installs.
pub async fn start(api: Api, options: Options) -> Result<Kuberhealthy, StartError> {
    let bound = Bound::new(options.listen)
        .await
        .map_err(|why| StartError::Listen {
            address: options.listen,
            why,
        })?;
    crds::install(&api).await?;
    create_own_pod(&api, &options).await?;
    let Options {
        namespace,
        pod,
        owner,
        speed,
        ..
    } = options;
    let caches = Caches {
        states: Cache::start(&api, "/apis/comcast.github.io/v1/khstates"),
        checks: Cache::start(&api, "/apis/comcast.github.io/v1/khchecks"),
        jobs: Cache::start(&api, "/apis/comcast.github.io/v1/khjobs"),
        master: pod.clone(),
    };
    let states = States {
        api,
        speed,
        pod: pod.clone(),
    };
    let report_url = format!("http://{}/externalCheckStatus", bound.address);
    let shared = Arc::new(Shared::new(
        states,
        report_url,
        namespace,
        owner.unwrap_or(pod),
    ));
    let server = bound.serve(|faults| router(&shared, caches, faults));
    let (pods, states, jobs) = (
        Arc::clone(&shared),
        Arc::clone(&shared),
        Arc::clone(&shared),
    );
    let tasks = vec![
        AbortOnDrop(tokio::spawn(async move { reaper::sweep_pods(&pods).await })),
        AbortOnDrop(tokio::spawn(
            async move { reaper::sweep_states(&states).await },
        )),
        AbortOnDrop(tokio::spawn(control::run_jobs(jobs))),
        AbortOnDrop(tokio::spawn(control::run_checks(shared))),
    ];
    Ok(Kuberhealthy {
        server,
        _tasks: tasks,
    })
}

impl Kuberhealthy {
    /// Base URL: the status page is at its root, metrics at `/metrics`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Where checker pods report.
    #[must_use]
    pub fn report_url(&self) -> String {
        format!("{}/externalCheckStatus", self.url())
    }

    /// The knob for faults of the endpoint for reports.
    #[must_use]
    pub fn faults(&self) -> &ReportFaults {
        &self.server.faults
    }

    /// Stops at once, as if it were killed: runs in flight are left as they are.
    pub fn stop(self) {}
}

/// Its own pod is only an object; being bound to no known node, no node runs it.
async fn create_own_pod(api: &Api, options: &Options) -> Result<(), StartError> {
    let Options { namespace, pod, .. } = options;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    install::ensure(api, "/api/v1/namespaces", &object).await?;
    let (container, image) = ("kuberhealthy", "kuberhealthy/kuberhealthy:v2");
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod, "namespace": namespace, "labels": {"app": "kuberhealthy"}},
        "spec": {"nodeName": "outside", "containers": [{"name": container, "image": image}]},
    });
    install::ensure(api, &pods::path(namespace), &object).await?;
    let path = format!("{}/{pod}/status", pods::path(namespace));
    // As ready as it is: what it stands for has just started in this process.
    let now = clock::now_rfc3339();
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now}));
    let running = json!({
        "name": container, "image": image, "imageID": "", "ready": true, "started": true,
        "restartCount": 0, "lastState": {}, "state": {"running": {"startedAt": now}},
    });
    let status = json!({"status": {
        "phase": "Running", "startTime": now, "conditions": conditions, "containerStatuses": [running],
    }});
    let written = api.patch(&path, crate::api::Patch::Merge, &status).await;
    written.map(drop).map_err(|why| StartError::Install {
        what: format!("the status of pod {namespace}/{pod}"),
        why,
    })
}

#[derive(Clone)]
struct Caches {
    states: Cache,
    checks: Cache,
    jobs: Cache,
    master: String,
}

impl Caches {
    fn page(&self, namespaces: &[&str]) -> page::Page {
        let Caches {
            states,
            checks,
            jobs,
            master,
        } = self;
        page::Page::build(
            &states.snapshot(),
            &checks.snapshot(),
            &jobs.snapshot(),
            namespaces,
            master,
        )
    }
}

fn router(shared: &Arc<Shared>, caches: Caches, faults: ReportFaults) -> Router {
    let shared = Arc::clone(shared);
    let report = async move |ConnectInfo(connection): ConnectInfo<Connection>,
                             headers: HeaderMap,
                             body: Bytes| {
        let uuid = headers
            .get("kh-run-uuid")
            .and_then(|uuid| uuid.to_str().ok());
        let deal = async {
            let status = report::receive(&shared, uuid, connection.peer.ip(), &body).await;
            answer(status, String::new())
        };
        connection.report(faults.next(), deal).await
    };
    let metrics = caches.clone();
    // Everything else is the status page; a body there comes from a checker that reports to the wrong URL.
    let page = async move |Query(query): Query<Vec<(String, String)>>, body: Bytes| {
        if !body.is_empty() {
            return answer(StatusCode::BAD_REQUEST, String::new());
        }
        let wanted = query
            .iter()
            .find(|(key, _)| key == "namespace")
            .map_or("", |(_, value)| value);
        let wanted: Vec<&str> = wanted
            .split(',')
            .filter(|namespace| !namespace.is_empty())
            .collect();
        answer(StatusCode::OK, go::json(&caches.page(&wanted)))
    };
    Router::new()
        .route("/externalCheckStatus", any(report))
        .route(
            "/metrics",
            any(async move || answer(StatusCode::OK, metrics.page(&[]).metrics())),
        )
        .fallback(page)
}
