//! The form in which a client wants objects: whole, as rows of a table, or only their metadata.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::table::Columns;
use crate::registry::{Resource, Version};

/// What a row of a table carries besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    Whole,
    Table(Columns, Include),
    Metadata,
}

impl Form {
    /// The first form of an `Accept` header that is known.
    pub(crate) fn negotiate(
        accept: &str,
        include: Option<&str>,
        resource: &Resource,
        version: &Version,
    ) -> Form {
        for part in accept.split(',') {
            let parameter = |name: &str| {
                part.split(';')
                    .filter_map(|parameter| parameter.trim().split_once('='))
                    .find_map(|(key, value)| (key == name).then_some(value))
            };
            if parameter("v").is_some_and(|version| version != "v1") {
                continue;
            }
            match parameter("as") {
                Some("Table") => {
                    let include = match include {
                        Some("None") => Include::Nothing,
                        Some("Object") => Include::Object,
                        _ => Include::Metadata,
                    };
                    return Form::Table(Columns::of(resource, version), include);
                }
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Form::Metadata;
                }
                Some(_) => {}
                None => return Form::Whole,
            }
        }
        Form::Whole
    }

    /// One object in this form.
    pub(crate) fn one<'a>(&self, object: Cow<'a, Value>) -> Cow<'a, Value> {
        let other = match self {
            Form::Whole => return object,
            Form::Metadata => partial(&object),
            Form::Table(columns, include) => {
                let version = &object["metadata"]["resourceVersion"];
                let metadata = json!({"resourceVersion": version});
                table(columns, *include, &metadata, std::slice::from_ref(&*object))
            }
        };
        Cow::Owned(other)
    }

    /// A list in this form; `None` if it is to be written as it is.
    pub(crate) fn many(&self, metadata: &Value, objects: &[Value]) -> Option<Value> {
        match self {
            Form::Whole => None,
            Form::Metadata => Some(json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": objects.iter().map(partial).collect::<Vec<_>>(),
            })),
            Form::Table(columns, include) => Some(table(columns, *include, metadata, objects)),
        }
    }
}

fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn table(columns: &Columns, include: Include, metadata: &Value, objects: &[Value]) -> Value {
    let now = jiff::Timestamp::now();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut row = json!({"cells": columns.cells(object, now)});
            match include {
                Include::Nothing => {}
                Include::Metadata => row["object"] = partial(object),
                Include::Object => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns.definitions(), "rows": rows,
    })
}
