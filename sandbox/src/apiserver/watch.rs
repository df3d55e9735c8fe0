//! Watching: the events of a collection as a stream of JSON lines.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::call::{Call, shown};
use super::form::Form;
use super::handle::HangUp;
use super::respond;
use super::selector::Selector;
use crate::faults::{End, OpenWatch};
use crate::registry::{Resource, group_version};
use crate::status::Status;
use crate::store::Change;

/// How long a watch lasts that does not say; a real server ends it after 30 to 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Events taken from the log at a time, which bounds what a slow watcher can have waiting.
const BATCH: usize = 100;

struct Watcher {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    version: String,
    namespace: Option<String>,
    selector: Selector,
    form: Form,
    /// The log is read up to here.
    seen: u64,
    ready: VecDeque<Bytes>,
    grown: watch::Receiver<u64>,
    open: OpenWatch,
    ends: Instant,
    bookmark: Option<Instant>,
    over: bool,
}

impl Call<'_> {
    /// GET with `watch=true` by `agent`.
    pub(crate) fn watch(&self, form: Form, agent: &str) -> Result<Response, Status> {
        let mut selector = self.selector()?;
        if let Some(name) = &self.target.name {
            selector.and_name(name);
        }
        let timeout = match self.query.number("timeoutSeconds")? {
            None | Some(0) => DEFAULT_TIMEOUT,
            Some(seconds) => Duration::from_secs(seconds.min(DEFAULT_TIMEOUT.as_secs())),
        };
        let bookmarks = self.query.flag("allowWatchBookmarks");
        let asked = self.version_asked()?;
        let given = self.query.get("sendInitialEvents");
        let initial = self.query.flag("sendInitialEvents");
        let matching = self.query.get("resourceVersionMatch");
        let forbidden = match (given, matching) {
            (Some(_), Some("NotOlderThan")) | (None, None) => None,
            (Some(_), _) => {
                Some("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
            }
            (None, Some(_)) => Some(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
        };
        if let Some(why) = forbidden {
            let message = format!(
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: {why}"
            );
            return Err(Status::new(422, "Invalid", message));
        }
        let every = self.shared.options.bookmark_every;
        let mut watcher = Watcher {
            shared: Arc::clone(self.shared),
            resource: Arc::clone(&self.resource),
            version: self.version.name.clone(),
            namespace: self.target.namespace.clone(),
            selector,
            form,
            seen: asked,
            ready: VecDeque::new(),
            grown: self.shared.store.subscribe(self.resource.place()),
            open: self.shared.faults.open_watch(agent),
            ends: Instant::now() + timeout,
            bookmark: bookmarks.then(|| Instant::now() + every),
            over: false,
        };
        if initial || (asked == 0 && given.is_none()) {
            watcher.begin(initial && bookmarks);
        } else if asked == 0 {
            watcher.seen = self.shared.store.version();
        } else if let Err(too_old) = self.shared.store.reaches_back(asked) {
            watcher.fail(&Status::too_old(asked, too_old.oldest));
        }
        let stream = futures::stream::unfold(watcher, |mut watcher| async move {
            let line = watcher.next().await?;
            Some((line, watcher))
        });
        Ok(respond::with_type(
            StatusCode::OK,
            "application/json",
            Body::from_stream(stream),
        ))
    }
}

impl Watcher {
    /// Starts from what is there now.
    fn begin(&mut self, announce_end: bool) {
        let (objects, version) = self
            .shared
            .store
            .list(self.resource.place(), self.namespace.as_deref());
        for (_, object) in objects {
            if self.selector.matches(&object) {
                self.push("ADDED", (*object).clone());
            }
        }
        self.seen = version;
        if announce_end {
            self.push_bookmark(true);
        }
    }

    /// The next line; `None` ends the watch, an error closes its connection.
    async fn next(&mut self) -> Option<Result<Bytes, HangUp>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.over {
                return None;
            }
            self.grown.mark_unchanged();
            self.read_log();
            if !self.ready.is_empty() || self.over {
                continue;
            }
            let tick = self.bookmark.unwrap_or(self.ends).min(self.ends);
            tokio::select! {
                changed = self.grown.changed() => self.over = changed.is_err(),
                end = &mut self.open.ended => {
                    self.over = true;
                    match end {
                        Ok(End::Expire) => {
                            let status = Status::too_old(self.seen, self.shared.store.version());
                            self.fail(&status);
                        }
                        _ => return Some(Err(HangUp)),
                    }
                }
                () = tokio::time::sleep_until(tick) => self.tick(),
            }
        }
    }

    fn read_log(&mut self) {
        let store = &self.shared.store;
        // A version from the future: nothing to tell until the store has passed it.
        if self.seen > store.version() {
            return;
        }
        match store.changes(
            self.resource.place(),
            self.namespace.as_deref(),
            self.seen,
            BATCH,
        ) {
            Ok((changes, seen)) => {
                for change in changes {
                    self.report(&change);
                }
                self.seen = seen;
            }
            Err(too_old) => {
                let status = Status::too_old(self.seen, too_old.oldest);
                self.fail(&status);
            }
        }
    }

    /// Writes what a change means to one who sees only what matches the selector.
    fn report(&mut self, change: &Change) {
        let seen = |object: &Option<Arc<Value>>| {
            object
                .as_ref()
                .filter(|object| self.selector.matches(object))
                .cloned()
        };
        let (kind, object) = match (seen(&change.old), seen(&change.new)) {
            (None, None) => return,
            (None, Some(new)) => ("ADDED", new),
            (Some(_), Some(new)) => ("MODIFIED", new),
            (Some(old), None) => ("DELETED", old),
        };
        let mut object = (*object).clone();
        object["metadata"]["resourceVersion"] = Value::from(change.version.to_string());
        self.push(kind, object);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.bookmark.is_some() {
            // Changes elsewhere have not woken this watch, and yet it is past them.
            self.read_log();
            self.push_bookmark(false);
            self.bookmark = Some(now + self.shared.options.bookmark_every);
        }
        self.over = now >= self.ends;
    }

    fn push(&mut self, kind: &str, object: Value) {
        let object = shown(&self.resource, &self.version, Cow::Owned(object));
        let object = self.form.one(object);
        self.push_line(kind, &object);
    }

    fn push_bookmark(&mut self, initial_end: bool) {
        let mut object = json!({
            "kind": self.resource.kind,
            "apiVersion": group_version(self.resource.group(), &self.version),
            "metadata": {"resourceVersion": self.seen.to_string()},
        });
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.push_line("BOOKMARK", &object);
    }

    fn fail(&mut self, status: &Status) {
        self.push_line("ERROR", &status.to_value());
        self.over = true;
    }

    /// The type comes first, as a real server has it: clients that know it read the object as what it is.
    fn push_line(&mut self, kind: &str, object: &Value) {
        let line = format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
        self.ready.push_back(Bytes::from(line));
    }
}
