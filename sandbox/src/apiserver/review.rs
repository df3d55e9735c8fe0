//! `SelfSubjectAccessReview`: asks what one is allowed, and is stored nowhere. It has to come as JSON; `kubectl auth can-i`
//! sends protobuf and is refused.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::rbac::{Action, Policies};
use super::{Token, meta, respond};
use crate::status::{Cause, Status};

impl Call<'_> {
    /// POST of a review by `user`.
    pub(crate) fn review(&self, user: &Token, mut review: Value) -> Result<Response, Status> {
        meta::belongs(&self.resource, &self.version.name, None, &mut review)?;
        let spec = &review["spec"];
        let cause = match (
            spec["resourceAttributes"].is_object(),
            spec["nonResourceAttributes"].is_object(),
        ) {
            (true, true) => Some((
                "spec.nonResourceAttributes",
                "cannot be specified in combination with resourceAttributes",
            )),
            (false, false) => Some((
                "spec.resourceAttributes",
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )),
            _ => None,
        };
        if let Some((field, why)) = cause {
            let cause = Cause::invalid(field, &Value::Null, why);
            let (group, kind) = (self.resource.group(), &self.resource.kind);
            return Err(Status::invalid(group, kind, "", &[cause]));
        }
        let allowed = self.is_allowed(user, &spec["resourceAttributes"]);
        review["status"] = json!({"allowed": allowed});
        Ok(respond::json(StatusCode::CREATED, &review))
    }

    fn is_allowed(&self, user: &Token, attributes: &Value) -> bool {
        // Paths that name no objects are open to all.
        if !attributes.is_object() || !self.shared.options.rbac {
            return true;
        }
        let text = |field: &str| attributes[field].as_str().unwrap_or_default();
        let resource = match text("subresource") {
            "" => text("resource").to_owned(),
            part => format!("{}/{part}", text("resource")),
        };
        let action = Action {
            verb: text("verb"),
            group: text("group"),
            resource: &resource,
            namespace: text("namespace"),
            name: text("name"),
        };
        Policies::of(self.shared).permit(user, &action)
    }
}
