//! The log of requests: the latest ones whole, all of them counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Kinds of request that are counted apart; those beyond are counted together.
const MAX_KINDS: usize = 10_000;

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When it came in.
    pub received: Instant,
    /// `User-Agent`.
    pub agent: String,
    /// Authenticated user.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; for a path that names no
    /// object the HTTP method in lower case.
    pub verb: String,
    /// Plural and subresource, such as `pods` or `pods/status`; empty for a path that names no object.
    pub resource: String,
    /// Namespace; empty if none.
    pub namespace: String,
    /// Name; empty if none.
    pub name: String,
    /// Path and query.
    pub path: String,
    /// HTTP code of the answer; `None` if the connection was closed on purpose instead, or the client went away before.
    pub code: Option<u16>,
}

/// By what requests are counted; all empty for those that are too many kinds to be told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestKind {
    /// `User-Agent`.
    pub agent: String,
    /// As in [`Request`].
    pub verb: String,
    /// As in [`Request`].
    pub resource: String,
}

/// How many requests there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCount {
    /// All.
    pub all: u64,
    /// Answered with a code from 200 to 299.
    pub succeeded: u64,
    /// Not answered at all.
    pub unanswered: u64,
}

#[derive(Debug, Default)]
struct Entries {
    latest: VecDeque<Request>,
    counts: BTreeMap<RequestKind, RequestCount>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Log {
    limit: usize,
    entries: Mutex<Entries>,
}

impl Log {
    /// A log that remembers so many requests, but at least one.
    pub(crate) fn new(limit: usize) -> Log {
        Log {
            limit: limit.max(1),
            entries: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, request: Request) {
        let mut entries = self.lock();
        let mut kind = RequestKind {
            agent: request.agent.clone(),
            verb: request.verb.clone(),
            resource: request.resource.clone(),
        };
        if entries.counts.len() >= MAX_KINDS && !entries.counts.contains_key(&kind) {
            kind = RequestKind::default();
        }
        let count = entries.counts.entry(kind).or_default();
        count.all += 1;
        count.succeeded += u64::from(request.code.is_some_and(|code| (200..300).contains(&code)));
        count.unanswered += u64::from(request.code.is_none());
        if entries.latest.len() >= self.limit {
            entries.latest.pop_front();
        }
        entries.latest.push_back(request);
    }

    pub(crate) fn latest(&self) -> Vec<Request> {
        self.lock().latest.iter().cloned().collect()
    }

    pub(crate) fn newest(&self, wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        let entries = self.lock();
        let mut newest = entries.latest.iter().rev();
        newest.find(|request| wanted(request)).cloned()
    }

    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().latest).into()
    }

    pub(crate) fn counts(&self) -> BTreeMap<RequestKind, RequestCount> {
        self.lock().counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(agent: &str, code: Option<u16>) -> Request {
        Request {
            received: Instant::now(),
            agent: agent.to_owned(),
            verb: "get".to_owned(),
            code,
            user: String::new(),
            resource: String::new(),
            namespace: String::new(),
            name: String::new(),
            path: String::new(),
        }
    }

    #[test]
    fn what_is_forgotten_is_still_counted() {
        let log = Log::new(2);
        for code in [Some(200), Some(201), Some(404), None] {
            log.push(request("a", code));
        }
        let codes: Vec<_> = log.latest().iter().map(|request| request.code).collect();
        assert_eq!(codes, [Some(404), None]);
        assert_eq!(log.take().len(), 2);
        assert_eq!(log.latest(), []);
        let expected = RequestCount {
            all: 4,
            succeeded: 2,
            unanswered: 1,
        };
        assert_eq!(log.counts().into_values().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn kinds_without_end_are_counted_together() {
        let log = Log::new(1);
        for agent in 0..MAX_KINDS + 5 {
            log.push(request(&agent.to_string(), None));
        }
        let counts = log.counts();
        assert_eq!(counts.len(), MAX_KINDS + 1);
        assert_eq!(counts[&RequestKind::default()].all, 5);
    }
}
