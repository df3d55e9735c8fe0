//! Objects either line needs in the cluster before it can start.

use std::time::Duration;

use serde_json::Value;

use super::StartError;
use crate::api::Api;

/// Pause before it is looked again whether a new kind is served.
const RETRY: Duration = Duration::from_millis(50);

/// Creates an object unless it is there.
pub(super) async fn ensure(api: &Api, collection: &str, object: &Value) -> Result<(), StartError> {
    match api.create(collection, object).await {
        Err(why) if !why.is_already_exists() => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let what = format!(
                "{} {}",
                text(&object["kind"]),
                text(&object["metadata"]["name"])
            );
            Err(StartError::Install { what, why })
        }
        _ => Ok(()),
    }
}

/// Creates a definition unless it is there, and waits until its objects can be listed.
pub(super) async fn define(api: &Api, definition: &Value) -> Result<(), StartError> {
    ensure(
        api,
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        definition,
    )
    .await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &definition["spec"];
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let path = format!(
        "/apis/{group}/{}/{plural}?limit=1",
        text(&spec["versions"][0]["name"])
    );
    let mut tries = 0;
    loop {
        match api.get(&path).await {
            Ok(_) => return Ok(()),
            Err(why) if tries >= 100 => {
                return Err(StartError::Install {
                    what: format!("{plural}.{group}"),
                    why,
                });
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
        tries += 1;
    }
}
