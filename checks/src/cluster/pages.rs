//! Lists of any length, a page at a time.
//!
//! ```text
//! Pages::next --GET limit, continue--> bytes --Sieve--> the wanted fields of an object --keep--> Page
//! ```
//!
//! What is held is what `keep` makes of the objects of one page; the page itself is not.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::error::ClusterError;
use super::read::{Cluster, Resource};
use super::request::{Answer, Ask, ONE_REQUEST, Patience, Trouble};
use sieve::Fields;
use sieve::{Malformed, Part, Sieve};

/// Times a list begins again because its token ran out.
const RESTARTS: u32 = 3;
/// The API server gives up after this time by itself; a page that arrives slowly is still one that arrives.
const ONE_PAGE: Duration = Duration::from_secs(60);

/// What to list, and how.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The kind.
    pub resource: Resource<'a>,
    /// The namespace; `None` for all, and for kinds that have none.
    pub namespace: Option<&'a str>,
    /// A label selector.
    pub selector: Option<&'a str>,
    /// Objects asked for at a time. The server may send more or fewer.
    pub limit: u32,
    /// What is decoded of each object.
    pub fields: Fields,
}

/// What came of asking for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page<T> {
    /// What was kept of objects that were not seen before.
    Items(Vec<T>),
    /// The list begins again: the server no longer knows the state that was read, and not how to go on either.
    Again,
}

/// A list that is being read.
#[derive(Debug)]
pub struct Pages<'a> {
    cluster: &'a Cluster,
    resource: Resource<'a>,
    /// Without a token.
    url: Url,
    what: String,
    fields: Fields,
    patience: Patience,
    place: Place,
    restarts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Start,
    At {
        token: String,
        /// The token came with a 410, and no page since.
        fresh: bool,
    },
    End,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl Cluster {
    /// A list page by page. Nothing is asked for yet.
    ///
    /// A server that is overloaded, slow or away for a while is asked again for the page it failed at, until the time
    /// given to [`Cluster::connect`] is over; without one, a few times.
    pub fn pages<'a>(&'a self, query: &Query<'a>) -> Pages<'a> {
        self.pages_with(query, Patience::UntilDeadline)
    }

    pub(super) fn pages_with<'a>(&'a self, query: &Query<'a>, patience: Patience) -> Pages<'a> {
        let plural = query.resource.plural;
        let (what, mut url) = match query.namespace {
            Some(ns) => (
                format!("list {plural} in namespace {ns}"),
                self.url(&[query.resource.group, "namespaces", ns, plural]),
            ),
            None if query.resource == Resource::NAMESPACES => (
                format!("list {plural}"),
                self.url(&[query.resource.group, plural]),
            ),
            None => (
                format!("list {plural} in all namespaces"),
                self.url(&[query.resource.group, plural]),
            ),
        };
        url.query_pairs_mut()
            .append_pair("limit", &query.limit.to_string())
            .extend_pairs(query.selector.map(|selector| ("labelSelector", selector)));
        Pages {
            cluster: self,
            resource: query.resource,
            url,
            what,
            fields: query.fields,
            patience,
            place: Place::Start,
            restarts: 0,
        }
    }
}

impl Pages<'_> {
    /// The next page; `None` after the last. `keep` gets the wanted fields of an object as JSON and says what of it is
    /// kept. It may be asked again about an object, if a page breaks off and is read once more.
    ///
    /// A token that ran out (410) comes with another that leads on from the same place, but shows the state of now: so
    /// no object is seen twice, and one made or deleted meanwhile may be seen or not. Without such a token the list
    /// begins again.
    ///
    /// # Errors
    ///
    /// Any [`ClusterError`] but those of set-up.
    pub async fn next<K>(
        &mut self,
        mut keep: impl FnMut(&[u8]) -> serde_json::Result<Option<K>>,
    ) -> Result<Option<Page<K>>, ClusterError> {
        loop {
            let mut url = self.url.clone();
            match &self.place {
                Place::Start => {}
                Place::At { token, .. } => {
                    url.query_pairs_mut().append_pair("continue", token);
                }
                Place::End => return Ok(None),
            }
            let ask = Ask {
                resource: self.resource,
                verb: "list",
                what: &self.what,
            };
            let attempt = async || self.page(&url, &ask, &mut keep).await;
            let gone = match self.cluster.patiently(self.patience, attempt).await? {
                Ok((items, token)) => {
                    self.place = token.map_or(Place::End, |token| Place::At {
                        token,
                        fresh: false,
                    });
                    return Ok(Some(Page::Items(items)));
                }
                Err(gone) => gone,
            };
            match (&self.place, gone) {
                (Place::At { fresh: false, .. }, Some(token)) => {
                    self.place = Place::At { token, fresh: true };
                }
                (Place::At { .. }, _) if self.restarts < RESTARTS => {
                    self.restarts += 1;
                    self.place = Place::Start;
                    return Ok(Some(Page::Again));
                }
                _ => {
                    return Err(ask.refused(410, "the list changes faster than it can be read"));
                }
            }
        }
    }

    /// One page, asked for once: what is kept of it and the token of the next. `Err` inside: 410, with the token that
    /// came with it.
    async fn page<K>(
        &self,
        url: &Url,
        ask: &Ask<'_>,
        keep: &mut impl FnMut(&[u8]) -> serde_json::Result<Option<K>>,
    ) -> Result<Result<(Vec<K>, Option<String>), Option<String>>, Trouble> {
        // A server that falls silent is no slow one.
        let head = timeout(ONE_REQUEST, self.cluster.once(url, ask, Some(ONE_PAGE)));
        let mut response = match head.await.map_err(|_| Trouble::silence())?? {
            Answer::Ok(response) => response,
            Answer::Gone(token) => return Ok(Err(token)),
        };
        let mut sieve = Sieve::new(self.fields);
        let mut items = Vec::new();
        let mut next = None;
        let mut part = |part: Part<'_>| {
            match part {
                Part::Metadata(json) => {
                    let metadata: Metadata = serde_json::from_slice(json).map_err(|_| Malformed)?;
                    next = metadata.next.filter(|token| !token.is_empty());
                }
                Part::Item(json) => {
                    items.extend(keep(json).map_err(|_| Malformed)?);
                }
            }
            Ok(())
        };
        let malformed = |Malformed| Trouble::Lasting(ask.malformed());
        loop {
            let next = timeout(ONE_REQUEST, response.chunk()).await;
            let next = next.map_err(|_| Trouble::silence())?;
            let Some(bytes) = next.map_err(Trouble::no_answer)? else {
                break;
            };
            sieve.feed(&bytes, &mut part).map_err(malformed)?;
        }
        sieve.end().map_err(malformed)?;
        Ok(Ok((items, next)))
    }
}
