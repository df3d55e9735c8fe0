//! Work that is due: each key at most once, never twice at the same time, each at its time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::clock;

/// Keys and when they are due. The earliest of several times counts; a key that is being worked on becomes due again
/// once that is done.
#[derive(Debug)]
pub(super) struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    order: BTreeSet<(Instant, K)>,
    due: HashMap<K, Instant>,
    active: HashSet<K>,
    /// Due while active.
    again: HashMap<K, Instant>,
}

impl<K: Clone + Eq + Hash + Ord> State<K> {
    fn add(&mut self, key: K, at: Instant) {
        if self.active.contains(&key) {
            let due = self.again.entry(key).or_insert(at);
            *due = at.min(*due);
            return;
        }
        if let Some(due) = self.due.get(&key).copied() {
            if due <= at {
                return;
            }
            self.order.remove(&(due, key.clone()));
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    /// What is due now, or when something will be.
    fn take(&mut self, now: Instant) -> Result<K, Option<Instant>> {
        let Some((at, key)) = self.order.pop_first() else {
            return Err(None);
        };
        if at > now {
            self.order.insert((at, key));
            return Err(Some(at));
        }
        self.due.remove(&key);
        self.active.insert(key.clone());
        Ok(key)
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    pub(super) fn new() -> Queue<K> {
        Queue {
            state: Mutex::new(State {
                order: BTreeSet::new(),
                due: HashMap::new(),
                active: HashSet::new(),
                again: HashMap::new(),
            }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `key` due at `at`, or earlier if it already is.
    pub(super) fn add(&self, key: K, at: Instant) {
        self.lock().add(key, at);
        self.changed.notify_one();
    }

    /// The next key, once one is due. It has to be given back by [`Queue::done`].
    pub(super) async fn next(&self) -> K {
        loop {
            let found = self.lock().take(clock::instant());
            match found {
                Ok(key) => {
                    // This worker looked after the next key's time; now another one has to.
                    self.changed.notify_one();
                    return key;
                }
                Err(None) => self.changed.notified().await,
                Err(Some(at)) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// `key` is worked on no more.
    pub(super) fn done(&self, key: &K) {
        let mut state = self.lock();
        state.active.remove(key);
        if let Some(at) = state.again.remove(key) {
            state.add(key.clone(), at);
        }
        drop(state);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Queue;
    use crate::clock;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_key_is_due_once_and_at_its_earliest_time() {
        let queue = Queue::new();
        let now = clock::instant();
        queue.add("b", now);
        queue.add("a", now + 60 * SECOND);
        queue.add("a", now);
        queue.add("b", now + 60 * SECOND);
        assert_eq!([queue.next().await, queue.next().await], ["a", "b"]);
        assert_eq!(queue.lock().take(now + 99 * SECOND), Err(None));
    }

    #[tokio::test]
    async fn a_key_that_is_worked_on_waits_for_its_worker() {
        let queue = Queue::new();
        let now = clock::instant();
        queue.add("a", now);
        assert_eq!(queue.next().await, "a");
        queue.add("a", now + SECOND);
        queue.add("a", now);
        assert_eq!(queue.lock().take(now + 99 * SECOND), Err(None));
        queue.done(&"a");
        assert_eq!(queue.next().await, "a");
        queue.done(&"a");
        assert_eq!(queue.lock().take(now + 99 * SECOND), Err(None));
    }

    #[tokio::test]
    async fn a_busy_worker_keeps_nobody_waiting() {
        let queue = Arc::new(Queue::new());
        let now = clock::instant();
        let (a, b) = (queue.clone(), queue.clone());
        let first = tokio::spawn(async move { a.next().await });
        let second = tokio::spawn(async move { b.next().await });
        tokio::task::yield_now().await;
        queue.add("later", now + Duration::from_millis(50));
        tokio::task::yield_now().await;
        queue.add("now", now);
        let both = tokio::time::timeout(10 * SECOND, async {
            [first.await.unwrap(), second.await.unwrap()]
        });
        let mut both = both.await.unwrap();
        both.sort_unstable();
        assert_eq!(both, ["later", "now"]);
    }
}
