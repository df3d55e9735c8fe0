//! Events of Kubernetes on policies and workloads.
//!
//! Nothing waits for an event: it is queued, and when the queue is full or the API server does not take it, it is lost
//! and the log says so. Its name follows from what it tells, so that the same is never told twice: not after a lost
//! answer, and not by the next leader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;

use crate::clock;
use crate::core::Reason;
use crate::core::incident::fnv;
use crate::core::reason::bounded;
use crate::fence::Fence;

/// Events that wait to be written at most.
const QUEUE: usize = 1024;

/// From one event to the next at least.
const EVERY: Duration = Duration::from_millis(20);

/// The longest one request takes.
const REQUEST: Duration = Duration::from_secs(4);

/// How often an event is tried.
const TRIES: u32 = 3;

/// Who tells, as events show it.
const CONTROLLER: &str = "kuberhealer.io/remediator";

/// Bytes of a note; the API server refuses longer ones.
const NOTE: usize = 1024;

/// Bytes of an object's name that an event's name begins with, so that it stays below 253.
const NAME: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Normal,
    /// Somebody may have to look.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// To what. Namespace, name and UID have to be set.
    pub regarding: ObjectReference,
    /// And what else has to do with it.
    pub related: Option<ObjectReference>,
    /// How bad it is.
    pub severity: Severity,
    /// Why: the same word as in conditions and metrics.
    pub reason: Reason,
    /// Why, in a sentence.
    pub note: String,
    /// What was being done.
    pub action: &'static str,
    /// What tells it from others with the same object and reason.
    pub transition: String,
}

impl Event {
    /// A name that is the same whoever tells this.
    fn name(&self) -> String {
        let of = self.regarding.name.as_deref().unwrap_or_default();
        let uid = self.regarding.uid.as_deref().unwrap_or_default();
        let parts = [uid, self.reason.as_str(), &self.transition];
        let hash = fnv(parts.iter().flat_map(|part| part.bytes().chain([0])));
        format!("{}.{hash:016x}", cut(of, NAME))
    }

    fn object(&self, instance: &str, now: Timestamp) -> Object {
        Object {
            metadata: ObjectMeta {
                namespace: self.regarding.namespace.clone(),
                name: Some(self.name()),
                ..ObjectMeta::default()
            },
            action: Some(self.action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(cut(&bounded(&self.note, NOTE), NOTE).to_owned()),
            reason: Some(self.reason.as_str().to_owned()),
            regarding: Some(self.regarding.clone()),
            related: self.related.clone(),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(cut(instance, 128).to_owned()),
            type_: Some(self.severity.as_str().to_owned()),
            ..Object::default()
        }
    }
}

/// At most so many bytes.
fn cut(text: &str, length: usize) -> &str {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Takes events. Clones are the same.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    lost: Arc<AtomicU64>,
}

/// Writes events.
pub struct Publisher {
    client: Client,
    fence: Fence,
    instance: String,
    queue: mpsc::Receiver<Event>,
}

impl Events {
    /// A queue and who writes what is in it, as `instance`, while `fence` is open.
    pub fn new(client: Client, fence: Fence, instance: String) -> (Events, Publisher) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let publisher = Publisher {
            client,
            fence,
            instance,
            queue,
        };
        let events = Events {
            queue: sender,
            lost: Arc::default(),
        };
        (events, publisher)
    }

    /// Queues an event.
    pub fn tell(&self, event: Event) {
        if self.queue.try_send(event).is_ok() {
            return;
        }
        let lost = self.lost.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        // Each time that it has doubled: what is too much for events would be too much for the log.
        if lost.is_power_of_two() {
            tracing::warn!(lost, "too many events at once: some were left out");
        }
    }
}

impl Publisher {
    /// Writes events until nobody tells any more.
    pub async fn run(mut self) {
        while let Some(event) = self.queue.recv().await {
            self.publish(&event).await;
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn publish(&self, event: &Event) {
        let namespace = event.regarding.namespace.as_deref().unwrap_or_default();
        let events: Api<Object> = Api::namespaced(self.client.clone(), namespace);
        let object = event.object(&self.instance, clock::timestamp());
        for left in (0..TRIES).rev() {
            if self.fence.check(clock::instant()).is_err() {
                return;
            }
            let parameters = PostParams::default();
            let created = tokio::time::timeout(REQUEST, events.create(&parameters, &object)).await;
            let why = match created {
                Ok(Ok(_)) => return,
                // It has been told, or its namespace is going away.
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => return,
                Ok(Err(kube::Error::Api(status))) if status.code < 429 => {
                    let message = &status.message;
                    tracing::warn!(namespace, %message, "an event was refused");
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", REQUEST.as_secs()),
            };
            if left == 0 {
                tracing::warn!(namespace, %why, "an event could not be written");
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::{Event, Severity};
    use crate::core::Reason;

    fn event(name: &str, reason: Reason, transition: &str) -> Event {
        Event {
            regarding: ObjectReference {
                namespace: Some("n".to_owned()),
                name: Some(name.to_owned()),
                uid: Some("u".to_owned()),
                ..ObjectReference::default()
            },
            related: None,
            severity: Severity::Warning,
            reason,
            note: "é\u{1b}".repeat(2000),
            action: "Remediate",
            transition: transition.to_owned(),
        }
    }

    #[test]
    fn an_events_name_follows_from_what_it_tells() {
        let one = event("web", Reason::Cooldown, "a").name();
        assert_eq!(one, event("web", Reason::Cooldown, "a").name());
        assert_ne!(one, event("web", Reason::Cooldown, "b").name());
        assert_ne!(one, event("web", Reason::Flapping, "a").name());
        let long = event(&"é".repeat(253), Reason::Cooldown, "a").name();
        assert!(long.len() <= 253, "{long}");
    }

    #[test]
    fn a_note_is_one_line_that_the_api_server_takes() {
        let object = event("web", Reason::Cooldown, "a").object("x", Timestamp::UNIX_EPOCH);
        let note = object.note.unwrap();
        assert!(note.len() <= 1024 && !note.chars().any(char::is_control));
        assert_eq!(object.reason.as_deref(), Some(Reason::Cooldown.as_str()));
    }
}
