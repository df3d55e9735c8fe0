//! Get and list.

use std::time::Instant;

use reqwest::{Certificate, Client, ClientBuilder};
use serde::de::DeserializeOwned;
use url::Url;

use super::access::Access;
use super::error::ClusterError;
use super::pages::{Page, Query};
use super::request::{Answer, Ask, ONE_REQUEST, Patience, Trouble, decode};
use crate::describe::describe;
use crate::values::read_bounded;
use sieve::Fields;

/// Objects asked for at a time.
const PAGE: u32 = 500;

/// A kind of object as the API addresses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Path of its group and version, such as `api/v1` or `apis/apps/v1`.
    pub group: &'a str,
    /// Plural in lower case, such as `pods`.
    pub plural: &'a str,
}

impl Resource<'static> {
    /// Pods.
    pub const PODS: Resource<'static> = Resource {
        group: "api/v1",
        plural: "pods",
    };
    /// Namespaces.
    pub const NAMESPACES: Resource<'static> = Resource {
        group: "api/v1",
        plural: "namespaces",
    };
}

impl std::fmt::Display for Resource<'_> {
    /// As kubectl and roles have it: `pods`, `deployments.apps`; a path if it is none in particular.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = self.group.split('/').nth(1).unwrap_or_default();
        match (self.group.starts_with("apis/"), self.plural) {
            (_, "") => write!(f, "/{}", self.group),
            (true, plural) => write!(f, "{plural}.{group}"),
            (false, plural) => f.write_str(plural),
        }
    }
}

/// A connection to an API server.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(super) access: Access,
    pub(super) client: Client,
    pub(super) until: Option<Instant>,
}

impl Cluster {
    /// Prepares requests; none is made yet. Nothing waits beyond `until`.
    ///
    /// # Errors
    ///
    /// [`ClusterError::File`] if the CA file cannot be used.
    pub fn connect(access: Access, until: Option<Instant>) -> Result<Cluster, ClusterError> {
        Cluster::build(access, until, |builder| builder)
    }

    /// As [`Cluster::connect`], for [`Cluster::web_socket`]: only a connection of HTTP/1.1 can be upgraded, and only a
    /// fresh one cannot be closed for its age in that moment, when nobody could tell whether the request had arrived.
    pub(crate) fn connect_for_upgrades(
        access: Access,
        until: Option<Instant>,
    ) -> Result<Cluster, ClusterError> {
        Cluster::build(access, until, |builder| {
            builder.http1_only().pool_max_idle_per_host(0)
        })
    }

    fn build(
        access: Access,
        until: Option<Instant>,
        adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Cluster, ClusterError> {
        khclient::install_crypto_provider();
        let mut certificates = Vec::new();
        if access.url.scheme() == "https" {
            let file = |reason: String| ClusterError::File {
                path: access.ca_file.clone(),
                reason,
            };
            let pem = read_bounded(&access.ca_file).map_err(|error| file(error.to_string()))?;
            certificates =
                Certificate::from_pem_bundle(&pem).map_err(|_| file("not PEM".to_owned()))?;
            if certificates.is_empty() {
                return Err(file("no certificates in it".to_owned()));
            }
        }
        let builder = Client::builder()
            .user_agent(crate::USER_AGENT)
            .tls_certs_only(certificates)
            // The API server is next door; a proxy for the internet cannot reach it.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ONE_REQUEST);
        let client = adjust(builder)
            .build()
            .map_err(|error| ClusterError::Unreachable(describe(&error)))?;
        Ok(Cluster {
            access,
            client,
            until,
        })
    }

    /// One object.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn get<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<T, ClusterError> {
        let what = format!("get {} {namespace}/{name}", resource.plural);
        let url = self.url(&[
            resource.group,
            "namespaces",
            namespace,
            resource.plural,
            name,
        ]);
        self.get_one(url, resource, &what).await
    }

    /// One object of a kind that has no namespaces.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn get_global<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        name: &str,
    ) -> Result<T, ClusterError> {
        let what = format!("get {} {name}", resource.plural);
        let url = self.url(&[resource.group, resource.plural, name]);
        self.get_one(url, resource, &what).await
    }

    /// What is served under `group`, such as `api/v1` or `apis/apps/v1` (an APIResourceList).
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn discover<T: DeserializeOwned>(&self, group: &str) -> Result<T, ClusterError> {
        let what = format!("get /{group}");
        let whole = Resource { group, plural: "" };
        self.get_one(self.url(&[group]), whole, &what).await
    }

    async fn get_one<T: DeserializeOwned>(
        &self,
        url: Url,
        resource: Resource<'_>,
        what: &str,
    ) -> Result<T, ClusterError> {
        let ask = Ask {
            resource,
            verb: "get",
            what,
        };
        let attempt = async || match self.once(&url, &ask, None).await? {
            Answer::Ok(response) => decode(response, &ask).await,
            Answer::Gone(_) => Err(Trouble::Lasting(ClusterError::NotFound(what.to_owned()))),
        };
        self.patiently(Patience::AFewTries, attempt).await
    }

    /// All objects of a kind, in one namespace or in all, that match a label selector.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn list<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<T>, ClusterError> {
        self.list_by(PAGE, resource, namespace, selector).await
    }

    /// The same with pages of another size: smaller ones where objects are large and few of their fields are kept.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn list_by<T: DeserializeOwned>(
        &self,
        page: u32,
        resource: Resource<'_>,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<T>, ClusterError> {
        let query = Query {
            resource,
            namespace,
            selector,
            limit: page,
            fields: Fields::All,
        };
        let mut pages = self.pages_with(&query, Patience::AFewTries);
        let mut items = Vec::new();
        let decode = |json: &[u8]| serde_json::from_slice(json).map(Some);
        while let Some(page) = pages.next(decode).await? {
            match page {
                Page::Items(more) => items.extend(more),
                Page::Again => items.clear(),
            }
        }
        Ok(items)
    }

    /// The URL of a path, whose segments are encoded; a group holds slashes of its own.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.access.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            let (group, rest) = segments.split_first().unwrap_or((&"", &[]));
            path.extend(group.split('/')).extend(rest);
        }
        url
    }
}
