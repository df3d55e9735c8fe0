//! `/check`, where checker pods report.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Method, Response, StatusCode};

use super::super::go::{self, Report};
use super::super::server::answer;
use super::check::{Name, RUN_LABEL, Status};
use super::control::{CHECKS, Controller};
use crate::api::ApiError;

/// Retries of a write that met another one; waits double from a second.
const CONFLICT_RETRIES: u32 = 8;

/// Deals with a report.
pub(super) async fn receive(
    controller: &Controller,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let empty = |status| answer(status, String::new());
    if *method != Method::POST {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let text = |header: &str| {
        headers
            .get(header)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if !text("content-type").starts_with("application/json") {
        return empty(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let uuid = text(RUN_LABEL);
    if uuid.is_empty() {
        return empty(StatusCode::BAD_REQUEST);
    }
    let checks = match controller.api.list(CHECKS).await {
        Ok(list) => list.items,
        Err(error) => {
            let why = format!(
                "failed to lookup healthcheck for uuid {uuid}: {}",
                go::error(&error)
            );
            return answer(StatusCode::BAD_REQUEST, why);
        }
    };
    let Some(found) = checks
        .iter()
        .find(|check| Status::of(check).current_uuid == uuid)
    else {
        return answer(
            StatusCode::BAD_REQUEST,
            format!("run uuid {uuid} is invalid or expired"),
        );
    };
    let name = Name::of(found);
    // The check is read once more; one that cannot be read does not stop the report.
    if controller
        .api
        .get(&name.path())
        .await
        .is_ok_and(|check| !Controller::takes_report(&check, uuid))
    {
        return empty(StatusCode::GONE);
    }
    let Some(report) = Report::parse(body) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let contradicts_itself = report.ok
        && report
            .errors
            .as_ref()
            .is_some_and(|errors| !errors.is_empty());
    if contradicts_itself || report.lacks_reasons() {
        return empty(StatusCode::BAD_REQUEST);
    }
    match store(controller, &name, report).await {
        Ok(()) => empty(StatusCode::OK),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn store(controller: &Controller, name: &Name, report: Report) -> Result<(), ApiError> {
    let errors = report.errors.unwrap_or_default();
    let mut delay = Duration::from_secs(1);
    let mut retries = 0;
    loop {
        let take = |status: &mut Status| status.report(report.ok, errors.clone(), &name.namespace);
        match controller.change(name, take).await {
            Err(error) if error.is_conflict() && retries < CONFLICT_RETRIES => {
                tokio::time::sleep(controller.speed.scale(delay)).await;
                delay *= 2;
                retries += 1;
            }
            stored => {
                stored?;
                controller.release(name);
                return Ok(());
            }
        }
    }
}
