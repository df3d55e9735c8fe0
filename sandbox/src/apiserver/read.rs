//! Reading one object and listing many.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::form::Form;
use super::page::Continue;
use super::selector::Selector;
use super::{meta, respond};
use crate::status::Status;
use crate::store::{Key, Page, Part};

/// The message that comes with a fresh, inconsistent token when a list took too long.
const CONTINUE_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. \
    You can start a new list without the continue parameter, or use the continue token in this response to retrieve \
    the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that \
    were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Objects of one answer, before they take the form the client wants.
pub(crate) struct Listing {
    pub(crate) items: Vec<Arc<Value>>,
    /// `metadata` of the list.
    pub(crate) metadata: Value,
}

impl Call<'_> {
    /// GET of one object.
    pub(crate) fn read(&self) -> Result<Arc<Value>, Status> {
        let name = self.name()?;
        self.not_from_the_future()?;
        self.shared
            .store
            .get(&self.key(name))
            .ok_or_else(|| self.not_found(name))
    }

    pub(crate) fn selector(&self) -> Result<Selector, Status> {
        let (labels, fields) = (
            self.query.get("labelSelector"),
            self.query.get("fieldSelector"),
        );
        Selector::parse(&self.resource, labels, fields)
    }

    /// GET of a collection.
    pub(crate) fn list(&self) -> Result<Listing, Status> {
        let selector = self.selector()?;
        let limit = match self.query.number("limit")? {
            None | Some(0) => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let place = self
            .query
            .get("continue")
            .map(Continue::parse)
            .transpose()?;
        let page = self.page(place.as_ref(), &selector, limit)?;
        let mut metadata = json!({"resourceVersion": page.version.to_string()});
        if let (1.., Some((key, _))) = (page.left, page.objects.last()) {
            let place = Continue {
                version: Some(page.version),
                after: self.position(key),
            };
            metadata["continue"] = Value::from(place.token());
            if selector.is_empty() {
                metadata["remainingItemCount"] = Value::from(page.left);
            }
        }
        Ok(Listing {
            items: page.objects.into_iter().map(|(_, object)| object).collect(),
            metadata,
        })
    }

    /// The list as the client wants it.
    pub(crate) fn list_response(&self, listing: &Listing, form: &Form) -> Response {
        let mut items: Vec<Value> = listing
            .items
            .iter()
            .map(|object| self.shown(object).into_owned())
            .collect();
        if let Some(list) = form.many(&listing.metadata, &items) {
            return respond::json(StatusCode::OK, &list);
        }
        // Items of built-in kinds come without their kind, those of custom kinds with it.
        if !self.resource.custom {
            for item in &mut items {
                meta::remove(item, "kind");
                meta::remove(item, "apiVersion");
            }
        }
        let list = json!({
            "kind": self.resource.list_kind, "apiVersion": self.api_version(),
            "metadata": listing.metadata, "items": items,
        });
        respond::json(StatusCode::OK, &list)
    }

    /// Namespace, if the list spans them, and name.
    fn position(&self, key: &Key) -> (String, String) {
        match self.target.namespace {
            Some(_) => (String::new(), key.name.clone()),
            None => (key.namespace.clone(), key.name.clone()),
        }
    }

    /// What is listed, as of the version that the parameters ask for.
    fn page(
        &self,
        place: Option<&Continue>,
        selector: &Selector,
        limit: usize,
    ) -> Result<Page, Status> {
        let store = &self.shared.store;
        let (collection, namespace) = (self.resource.place(), self.target.namespace.as_deref());
        let given = self.query.get("resourceVersion");
        let matching = self.query.get("resourceVersionMatch");
        let at = match place {
            Some(_) if given.is_some_and(|given| given != "0") => {
                let message = "specifying resource version is not allowed when using continue";
                return Err(Status::bad_request(message));
            }
            Some(place) => place.version,
            None => {
                self.not_from_the_future()?;
                match matching {
                    None | Some("NotOlderThan") => None,
                    Some("Exact") => Some(self.version_asked()?),
                    Some(other) => {
                        let message = format!(
                            "resourceVersionMatch: Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\""
                        );
                        return Err(Status::bad_request(message));
                    }
                }
            }
        };
        let part = Part {
            after: place.map(|place| (place.after.0.as_str(), place.after.1.as_str())),
            wanted: &|object| selector.matches(object),
            limit,
            count_rest: selector.is_empty(),
        };
        store
            .page(collection, namespace, at, &part)
            .map_err(|_| match place {
                None => Status::new(
                    410,
                    "Expired",
                    "The resourceVersion for the provided list is too old.",
                ),
                Some(place) => {
                    let fresh = Continue {
                        version: None,
                        after: place.after.clone(),
                    };
                    let mut status = Status::new(410, "Expired", CONTINUE_TOO_OLD);
                    status.continue_token = Some(fresh.token());
                    status
                }
            })
    }

    /// `resourceVersion` of the query; 0 if there is none.
    pub(crate) fn version_asked(&self) -> Result<u64, Status> {
        let Some(given) = self.query.get("resourceVersion") else {
            return Ok(0);
        };
        given.parse().map_err(|_| {
            let message = format!("resourceVersion: Invalid value: \"{given}\": strconv.ParseUint: parsing \"{given}\": invalid syntax");
            Status::bad_request(message)
        })
    }

    /// A real server waits a while for a version it has not reached and then gives up; the store never gets there
    /// by waiting, so this gives up at once.
    fn not_from_the_future(&self) -> Result<(), Status> {
        let (asked, current) = (self.version_asked()?, self.shared.store.version());
        if asked <= current {
            return Ok(());
        }
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut status = Status::new(504, "Timeout", message);
        status.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        Err(status)
    }
}
