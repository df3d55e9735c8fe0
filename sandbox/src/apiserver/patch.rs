//! The kinds of patch.

use serde_json::Value;

use super::strategic;
use crate::registry::Resource;
use crate::status::Status;

/// How the body of a PATCH is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Merge,
    Json,
    Strategic,
    Apply,
}

impl Kind {
    /// The kind that a content type names and `resource` understands.
    pub(crate) fn of(content_type: &str, resource: &Resource) -> Result<Kind, Status> {
        let name = content_type.split(';').next().unwrap_or_default().trim();
        match name {
            "application/merge-patch+json" => Ok(Kind::Merge),
            "application/json-patch+json" => Ok(Kind::Json),
            "application/apply-patch+yaml" => Ok(Kind::Apply),
            "application/strategic-merge-patch+json" if !resource.custom => Ok(Kind::Strategic),
            _ => {
                let strategic = match resource.custom {
                    true => "",
                    false => ", application/strategic-merge-patch+json",
                };
                let message = format!(
                    "the body of the request was in an unknown format - accepted media types include: \
                     application/json-patch+json, application/merge-patch+json{strategic}, application/apply-patch+yaml"
                );
                Err(Status::new(415, "UnsupportedMediaType", message))
            }
        }
    }
}

/// `object` with `patch` applied.
pub(crate) fn apply(
    kind: Kind,
    resource: &Resource,
    object: &Value,
    patch: &Value,
) -> Result<Value, Status> {
    let mut patched = object.clone();
    match kind {
        Kind::Merge => json_patch::merge(&mut patched, patch),
        Kind::Apply if resource.custom => json_patch::merge(&mut patched, patch),
        Kind::Strategic | Kind::Apply => strategic::merge(&mut patched, patch)?,
        Kind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|why| Status::bad_request(format!("error decoding patch: {why}")))?;
            json_patch::patch(&mut patched, &operations).map_err(|why| {
                let message = format!(
                    "the server rejected our request due to an error in our request: {why}"
                );
                Status::new(422, "Invalid", message)
            })?;
        }
    }
    if patched.is_object() && patched["metadata"].is_object() {
        Ok(patched)
    } else {
        Err(Status::bad_request(
            "the patch leaves no object with metadata",
        ))
    }
}
