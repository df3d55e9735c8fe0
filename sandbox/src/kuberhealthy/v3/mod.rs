//! Kuberhealthy v3: HealthChecks of `kuberhealthy.github.io/v2`.
//!
//! ```text
//! HealthCheck ──► Controller ── uuid, start time, time-out ──► HealthCheck.status ◄── report
//!                     └── pod ──► checker ── POST /check ─────────────────────────────┘
//! ```

mod check;
mod control;
mod crds;
mod page;
mod reaper;
mod report;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query};
use axum::routing::{any, get};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;

use super::faults::ReportFaults;
use super::server::{Bound, Connection, Server, answer, typed};
use super::{Speed, StartError, go, install, pods};
use crate::api::{Api, ApiError};
use crate::informer::AbortOnDrop;
use check::{Name, RUN_LABEL, Status};
use control::{CHECKS, Controller};
use page::Page;

pub use crds::health_check;

/// How a Kuberhealthy v3 is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether it runs checks. Off, HealthChecks are only stored, for who wants to write their status without it.
    pub enabled: bool,
    /// Namespace it lives in. Checks are run in all namespaces.
    pub namespace: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How fast its own clocks run.
    pub speed: Speed,
}

impl Default for Options {
    /// Running checks, in namespace `kuberhealthy`, on a free port of 127.0.0.1, at the real speed.
    fn default() -> Options {
        Options {
            enabled: true,
            namespace: "kuberhealthy".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            speed: Speed::REAL,
        }
    }
}

/// A running Kuberhealthy v3. Dropping it stops it.
#[derive(Debug)]
pub struct Kuberhealthy {
    server: Server,
    _tasks: Vec<AbortOnDrop>,
}

/// Installs the definition, then starts to run checks at once, being the only candidate for leader.
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
    install::define(&api, &health_check()).await?;
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}});
    install::ensure(&api, "/api/v1/namespaces", &namespace).await?;
    let report_url = format!("http://{}/check", bound.address);
    let controller = Arc::new(Controller::new(api, options.speed, report_url));
    let server = bound.serve(|faults| router(&controller, faults));
    let reaped = Arc::clone(&controller);
    let tasks = if options.enabled {
        vec![
            AbortOnDrop(tokio::spawn(async move { reaper::sweep(&reaped).await })),
            AbortOnDrop(tokio::spawn(controller.run())),
        ]
    } else {
        Vec::new()
    };
    Ok(Kuberhealthy {
        server,
        _tasks: tasks,
    })
}

impl Kuberhealthy {
    /// Base URL: the status page is at `/json`, metrics at `/metrics`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Where checker pods report.
    #[must_use]
    pub fn report_url(&self) -> String {
        format!("{}/check", self.url())
    }

    /// The knob for faults of the endpoint for reports.
    #[must_use]
    pub fn faults(&self) -> &ReportFaults {
        &self.server.faults
    }

    /// Stops at once, as if it were killed: runs in flight are left as they are.
    pub fn stop(self) {}
}

fn router(controller: &Arc<Controller>, faults: ReportFaults) -> Router {
    let of = Arc::clone(controller);
    let report = async move |ConnectInfo(connection): ConnectInfo<Connection>,
                             method: Method,
                             headers: HeaderMap,
                             body: Bytes| {
        connection
            .report(
                faults.next(),
                report::receive(&of, &method, &headers, &body),
            )
            .await
    };
    let of = Arc::clone(controller);
    let json = async move |Query(query): Query<Vec<(String, String)>>, body: Bytes| {
        if !body.is_empty() {
            return answer(StatusCode::BAD_REQUEST, String::new());
        }
        let page = page(&of, parameter(&query, "namespace")).await;
        typed(
            StatusCode::OK,
            "application/json; charset=utf-8",
            go::json(&page),
        )
    };
    let of = Arc::clone(controller);
    let metrics = async move || {
        let page = page(&of, "").await;
        let now = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
        let text = page.metrics(&of.lock_metrics(), now);
        answer(StatusCode::OK, text)
    };
    let of = Arc::clone(controller);
    let healthz = async move || match of.api.get("/version").await {
        Ok(_) => answer(StatusCode::OK, "OK".to_owned()),
        Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, String::new()),
    };
    let of = Arc::clone(controller);
    let run_now = async move |method: Method, Query(query): Query<Vec<(String, String)>>| {
        answer(run_now(&of, &method, &query).await, String::new())
    };
    Router::new()
        .route("/check", any(report))
        .route("/json", any(json))
        .route("/metrics", any(metrics))
        .route("/healthz", any(healthz))
        .route("/api/run", any(run_now))
        .fallback(get(front_page))
}

/// In place of the web interface.
async fn front_page() -> Response<Body> {
    let text = "<!doctype html><title>Kuberhealthy</title><p><a href=\"/json\">status</a> <a href=\"/metrics\">metrics</a>";
    typed(StatusCode::OK, "text/html; charset=utf-8", text.to_owned())
}

fn parameter<'a>(query: &'a [(String, String)], key: &str) -> &'a str {
    query
        .iter()
        .find(|(known, _)| known == key)
        .map_or("", |(_, value)| value.trim())
}

/// The page as of now, of all namespaces or of a comma-separated list of them.
async fn page(controller: &Controller, namespaces: &str) -> Page {
    let wanted: Vec<&str> = namespaces
        .split(',')
        .filter(|namespace| !namespace.is_empty())
        .collect();
    let checks = match controller.api.list(CHECKS).await {
        Ok(list) => list.items,
        Err(error) => return Page::broken(go::error(&error)),
    };
    let mut page = Page::empty();
    for check in checks {
        let Name { namespace, .. } = Name::of(&check);
        if !wanted.is_empty() && !wanted.contains(&namespace.as_str()) {
            continue;
        }
        let uuid = Status::of(&check).current_uuid;
        let mut pod = String::new();
        if !uuid.is_empty() {
            let pods = controller
                .api
                .list(&pods::labelled(&namespace, RUN_LABEL, Some(&uuid)))
                .await;
            if let Some(first) = pods.ok().as_ref().and_then(|pods| pods.items.first()) {
                pods::metadata(first, "name").clone_into(&mut pod);
            }
        }
        page.add(&check, pod);
    }
    page
}

/// Starts a run outside of the schedule; the start time is written once more afterwards.
async fn run_now(
    controller: &Arc<Controller>,
    method: &Method,
    query: &[(String, String)],
) -> StatusCode {
    if *method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let name = Name {
        namespace: parameter(query, "namespace").to_owned(),
        name: parameter(query, "healthcheck").to_owned(),
    };
    if name.namespace.is_empty() || name.name.is_empty() {
        return StatusCode::BAD_REQUEST;
    }
    let check = match controller.api.get(&name.path()).await {
        Ok(check) => check,
        Err(error) if error.is_not_found() => return StatusCode::NOT_FOUND,
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR,
    };
    if !Status::of(&check).current_uuid.is_empty() {
        return StatusCode::CONFLICT;
    }
    if controller.start(&check).await.is_err() || stamp_start(controller, &name).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    StatusCode::ACCEPTED
}

/// Tries a few times if others write meanwhile.
async fn stamp_start(controller: &Controller, name: &Name) -> Result<(), ApiError> {
    let now = super::clock::now_unix();
    let mut left = 3;
    loop {
        left -= 1;
        match controller
            .change(name, |status| status.last_run_unix = now)
            .await
        {
            Err(error) if error.is_conflict() && left > 0 => {}
            written => return written.map(drop),
        }
    }
}
