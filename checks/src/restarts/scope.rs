//! Which namespaces are looked at.

use std::collections::BTreeSet;

use super::args::{Place, RestartsArgs};
use super::globs::NamespaceGlobs;
use super::objects::{NAME, Named};
use crate::cli::ConfigError;
use crate::cluster::{Cluster, ClusterError, Page, Query, Resource};
use crate::pods::Namespaces;
use crate::values::Selector;

/// Namespaces asked for at a time.
const NAMESPACES_AT_A_TIME: u32 = 500;

/// Namespaces to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    kind: Kind,
    excluded: NamespaceGlobs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    All,
    Some {
        /// Not excluded, in order, each once.
        named: BTreeSet<String>,
        selector: Option<Selector>,
    },
}

impl Scope {
    pub(super) fn new(args: &RestartsArgs) -> Result<Scope, ConfigError> {
        let excluded = args.exclude_namespaces.clone().unwrap_or_default();
        let selector = args.pod_namespace_selector.clone();
        let kind = match (&args.pod_namespace, selector) {
            (None | Some(Place(Namespaces::All)), None) => Kind::All,
            (Some(Place(Namespaces::All)), Some(selector)) => {
                return Err(ConfigError::value(
                    "POD_NAMESPACE_SELECTOR",
                    selector.as_str(),
                    "expected none, because POD_NAMESPACE asks for all namespaces",
                ));
            }
            (None, selector) => Kind::Some {
                named: BTreeSet::new(),
                selector,
            },
            (Some(Place(Namespaces::Named(names))), selector) => {
                let left = names.iter().filter(|name| !excluded.matches(name));
                let named: BTreeSet<String> = left.cloned().collect();
                if named.is_empty() && selector.is_none() {
                    return Err(ConfigError::of(
                        "EXCLUDE_NAMESPACES",
                        "expected to leave out fewer than all namespaces of POD_NAMESPACE",
                    ));
                }
                Kind::Some { named, selector }
            }
        };
        Ok(Scope { kind, excluded })
    }

    /// The namespaces to list one by one; `None` is one list of all.
    ///
    /// # Errors
    ///
    /// If namespaces cannot be listed.
    pub(super) async fn places(
        &self,
        cluster: &Cluster,
    ) -> Result<Vec<Option<String>>, ClusterError> {
        let (named, selector) = match &self.kind {
            Kind::All => return Ok(vec![None]),
            Kind::Some { named, selector } => (named, selector),
        };
        let mut names = named.clone();
        if let Some(selector) = selector {
            let mut pages = cluster.pages(&Query {
                resource: Resource::NAMESPACES,
                namespace: None,
                selector: Some(selector.as_str()),
                limit: NAMESPACES_AT_A_TIME,
                fields: NAME,
            });
            let keep = |json: &[u8]| {
                let Named { metadata } = serde_json::from_slice(json)?;
                Ok(Some(metadata.name).filter(|name| !self.excluded.matches(name)))
            };
            while let Some(page) = pages.next(keep).await? {
                match page {
                    Page::Items(more) => names.extend(more),
                    Page::Again => names.clone_from(named),
                }
            }
        }
        Ok(names.into_iter().map(Some).collect())
    }

    pub(super) fn excludes(&self, namespace: &str) -> bool {
        self.excluded.matches(namespace)
    }

    /// Whether the options name it, rather than a selector having found it.
    pub(super) fn names(&self, namespace: &str) -> bool {
        matches!(&self.kind, Kind::Some { named, .. } if named.contains(namespace))
    }

    /// For findings.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::All => "any namespace".to_owned(),
            Kind::Some { named, selector } => {
                let mut parts: Vec<String> = Vec::new();
                if !named.is_empty() {
                    let names: Vec<&str> = named.iter().map(String::as_str).collect();
                    parts.push(format!("namespace {}", names.join(", ")));
                }
                parts.extend(
                    selector
                        .iter()
                        .map(|selector| format!("namespaces with {selector}")),
                );
                parts.join(" and ")
            }
        }
    }
}
