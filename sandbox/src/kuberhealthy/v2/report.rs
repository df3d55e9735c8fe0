//! `/externalCheckStatus`, where checker pods report.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::super::go::Report;
use super::super::pods;
use super::checker::{CHECK_ANNOTATION, RUN_LABEL};
use super::shared::Shared;
use super::state::Details;

/// How long a reporting pod is looked for by its uuid, and then again by its address.
const LOOK_UP: Duration = Duration::from_secs(60);
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);

/// The pod a report comes from.
struct Reporter {
    namespace: String,
    name: String,
    uuid: String,
}

/// Deals with a report; the status is all the reporter gets. Method and content type are not looked at.
pub(super) async fn receive(
    shared: &Shared,
    uuid: Option<&str>,
    peer: IpAddr,
    body: &[u8],
) -> StatusCode {
    let mut reporter = None;
    if let Some(uuid) = uuid.filter(|uuid| !uuid.is_empty()) {
        let selected = format!("/api/v1/pods?labelSelector={RUN_LABEL}%3D{uuid}");
        reporter = identify(shared, &selected, |_| true).await;
    }
    if reporter.is_none() {
        let peer = peer.to_canonical().to_string();
        reporter = identify(shared, "/api/v1/pods", |pod| {
            pod["status"]["podIP"] == peer.as_str() && pods::phase(pod) == "Running"
        })
        .await;
    }
    let Some(reporter) = reporter else {
        return StatusCode::BAD_REQUEST;
    };
    let Some(report) = Report::parse(body) else {
        return StatusCode::BAD_REQUEST;
    };
    if report.lacks_reasons() {
        return StatusCode::BAD_REQUEST;
    }
    match store(shared, &reporter, report).await {
        Ok(()) => StatusCode::OK,
        Err(()) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Looks for the one pod that matches, again and again for a while; then checks that its uuid is the current one.
async fn identify(
    shared: &Shared,
    path: &str,
    matches: impl Fn(&Value) -> bool,
) -> Option<Reporter> {
    let speed = shared.states.speed;
    let end = Instant::now() + speed.scale(LOOK_UP);
    let pod = loop {
        if Instant::now() > end {
            return None;
        }
        let mut found = shared
            .states
            .api
            .list(path)
            .await
            .map(|list| list.items)
            .unwrap_or_default();
        found.retain(&matches);
        if found.len() == 1 {
            break found.pop()?;
        }
        tokio::time::sleep(speed.scale(LOOK_UP_PAUSE)).await;
    };
    let name = pod["metadata"]["annotations"][CHECK_ANNOTATION]
        .as_str()
        .filter(|name| !name.is_empty())?;
    let namespace = pods::metadata(&pod, "namespace");
    let containers = pod["spec"]["containers"].as_array()?;
    let uuid = containers
        .iter()
        .flat_map(|container| container["env"].as_array().into_iter().flatten())
        .rfind(|variable| variable["name"] == "KH_RUN_UUID")?["value"]
        .as_str()
        .filter(|uuid| !uuid.is_empty())?;
    let state = shared.states.get(namespace, name).await.ok()?;
    let expected = state["spec"]["uuid"] == uuid;
    expected.then(|| Reporter {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uuid: uuid.to_owned(),
    })
}

/// Writes the verdict as told, even OK with errors. The run's length is the previous one's, and no node is named.
async fn store(shared: &Shared, reporter: &Reporter, report: Report) -> Result<(), ()> {
    let Reporter {
        namespace,
        name,
        uuid,
    } = reporter;
    let known = shared
        .states
        .get(namespace, name)
        .await
        .map(|state| Details::of(&state))
        .unwrap_or_default();
    // Taken from the status page, which leaves out states that never had a result.
    let shown = !known.authoritative_pod.is_empty();
    let details = Details {
        ok: report.ok,
        errors: report.errors,
        run_duration: if shown {
            known.run_duration
        } else {
            String::new()
        },
        namespace: namespace.clone(),
        uuid: uuid.clone(),
        ..Details::default()
    };
    shared
        .states
        .store(namespace, name, &details)
        .await
        .map_err(drop)?;
    shared.has_reported(uuid);
    Ok(())
}
