//! The sandbox's Kuberhealthys against recordings of the real ones: the same states in the same order.
//!
//! Compared is everything but identities and times: a uuid becomes the number of its first appearance, a time whether
//! it changed, a run's length whether it is new. Two things are chance in the recordings and left out: whether a second
//! report within one run falls into the same second as the first, and the digits in a pod's name.

mod normal;
mod pages;
mod v2;
mod v3;

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use sandbox::api::{Api, WatchEvent};
use serde_json::{Value, json};

use crate::setup::DEADLINE;

/// One test for all of them: they wait most of the time, and do so side by side.
#[tokio::test]
async fn the_sandbox_goes_through_what_was_recorded() {
    tokio::join!(
        v2::reports_and_time_outs(),
        v2::a_pod_that_cannot_be_created_and_a_check_that_is_deleted(),
        v2::adding_a_check_aborts_the_runs_in_flight(),
        v3::reports_and_time_outs(),
        v3::a_flapping_check_that_was_there_first(),
    );
}

/// The events of a recording.
fn recorded(line: &str, situation: &str) -> Vec<Value> {
    let path = format!(
        "{}/tests/fixtures/kuberhealthy/{line}/{situation}.watch.ndjson",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The events of a collection from now on, in the form of the recordings.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Vec<Value>>>);

impl Watched {
    async fn start(api: &Api, path: &str) -> Watched {
        let watched = Watched::default();
        let version = api.list(path).await.unwrap().resource_version;
        let mut events = api.watch(path, &version).await.unwrap();
        let seen = watched.clone();
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                let (kind, object) = match event {
                    WatchEvent::Added(object) => ("ADDED", object),
                    WatchEvent::Modified(object) => ("MODIFIED", object),
                    WatchEvent::Deleted(object) => ("DELETED", object),
                    WatchEvent::Bookmark(_) => continue,
                };
                seen.0
                    .lock()
                    .unwrap()
                    .push(json!({"type": kind, "object": object}));
            }
        });
        watched
    }

    fn of(&self, name: &str) -> Vec<Value> {
        let seen = self.0.lock().unwrap();
        seen.iter()
            .filter(|event| event["object"]["metadata"]["name"] == name)
            .cloned()
            .collect()
    }

    /// The first `count` events of an object.
    async fn first(&self, name: &str, count: usize) -> Vec<Value> {
        let waiting = async {
            while self.of(name).len() < count {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(DEADLINE, waiting).await;
        let mut events = self.of(name);
        assert!(
            done.is_ok(),
            "{name}: only {} of {count} events: {events:#?}",
            events.len()
        );
        events.truncate(count);
        events
    }
}

/// Compares event by event, so that the first difference is shown with what led to it.
fn assert_same(situation: &str, recorded: &[Value], seen: &[Value]) {
    for (at, (recorded, seen)) in recorded.iter().zip(seen).enumerate() {
        assert_eq!(
            seen, recorded,
            "{situation}: event {at} (left: the sandbox, right: the recording)"
        );
    }
    assert_eq!(seen.len(), recorded.len(), "{situation}: number of events");
}
