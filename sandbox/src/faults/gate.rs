//! Holding requests until a test has done what it wants to do meanwhile.

use std::sync::Arc;

use tokio::sync::watch;

/// A request that is being held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// `User-Agent`.
    pub agent: String,
    /// `get`, `create` and so on.
    pub verb: String,
    /// Plural and subresource, such as `pods/eviction`.
    pub resource: String,
    /// Name; empty if none.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Shut,
    Open,
    Broken,
}

#[derive(Debug)]
struct State {
    way: Way,
    next: u64,
    /// In the order of arrival.
    held: Vec<(u64, Held)>,
}

/// Where [`Effect::Hold`](super::Effect::Hold) holds requests: for good, unless [`Gate::release`] or [`Gate::hang_up`]
/// is called. A request whose client goes away is no longer held, and goes no further. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    state: Arc<watch::Sender<State>>,
}

impl PartialEq for Gate {
    fn eq(&self, other: &Gate) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for Gate {}

impl Default for Gate {
    fn default() -> Gate {
        Gate::new()
    }
}

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn new() -> Gate {
        let state = State {
            way: Way::Shut,
            next: 0,
            held: Vec::new(),
        };
        Gate {
            state: Arc::new(watch::Sender::new(state)),
        }
    }

    /// Waits until a request is being held; the answer is the one held longest.
    pub async fn held(&self) -> Held {
        let mut state = self.state.subscribe();
        // The sender is this gate's own, so waiting does not fail.
        match state.wait_for(|state| !state.held.is_empty()).await {
            Ok(state) => state.held[0].1.clone(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until no request is held: each has gone on, was hung up, or was given up by its client.
    pub async fn empty(&self) {
        // The sender is this gate's own, so waiting does not fail.
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| state.held.is_empty())
            .await;
    }

    /// Lets all requests go on, those held and those that come.
    pub fn release(&self) {
        self.state.send_modify(|state| state.way = Way::Open);
    }

    /// Closes the connections of all requests, those held and those that come: before the commit they have no effect,
    /// after it no answer.
    pub fn hang_up(&self) {
        self.state.send_modify(|state| state.way = Way::Broken);
    }

    /// Holds a request; whether it goes on.
    pub(crate) async fn pass(&self, held: Held) -> bool {
        let mut state = self.state.subscribe();
        let mut id = 0;
        self.state.send_modify(|state| {
            state.next += 1;
            id = state.next;
            state.held.push((id, held));
        });
        let _place = Place { gate: self, id };
        let way = state.wait_for(|state| state.way != Way::Shut).await;
        way.is_ok_and(|state| state.way == Way::Open)
    }
}

/// A request's place among those held, which it leaves however it ends.
struct Place<'a> {
    gate: &'a Gate,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate
            .state
            .send_modify(|state| state.held.retain(|(id, _)| *id != self.id));
    }
}
