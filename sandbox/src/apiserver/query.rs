//! Parameters in a request's query.

use std::collections::BTreeMap;

use crate::status::Status;

/// The query of a request. Of a parameter given twice the last counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(query: &str) -> Query {
        Query(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The value; an empty one is as good as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// As Go reads a boolean of a query: anything but `false` and `0` is true, an empty value too.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|value| value != "false" && value != "0")
    }

    /// A number of 0 or more.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    Status::bad_request(format!(
                        "strconv.ParseUint: parsing \"{value}\": invalid syntax ({name})"
                    ))
                })
            })
            .transpose()
    }

    /// Whether nothing is to be written.
    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Status::bad_request(format!(
                "dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ))),
        }
    }
}
