//! The fence: whether this process may still write.
//!
//! A leader that was cut off or held up must have stopped before another one begins. So leadership is not a flag that
//! somebody clears in time, it is a moment after which every [`Fence::check`] fails by itself.

use std::time::Instant;

use tokio::sync::watch;

use crate::clock;

/// A time of leadership: the `leaseTransitions` of the lease. A later leader's is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term(pub i64);

/// This process is not, or no longer, the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not hold the lease; nothing was written")]
pub struct LostLease;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    term: Term,
    until: Instant,
}

impl Held {
    fn at(self, now: Instant) -> Option<Held> {
        (now < self.until).then_some(self)
    }
}

/// Tells whether this process may write. Clones are the same.
#[derive(Clone, Debug)]
pub struct Fence(watch::Receiver<Option<Held>>);

/// Opens and closes a [`Fence`]. Dropping it closes the fence for good.
#[derive(Debug)]
pub struct Keeper(watch::Sender<Option<Held>>);

impl Keeper {
    /// A closed fence.
    pub fn new() -> (Keeper, Fence) {
        let (sender, receiver) = watch::channel(None);
        (Keeper(sender), Fence(receiver))
    }

    /// Opens the fence until this moment.
    pub fn open(&self, term: Term, until: Instant) {
        self.0.send_replace(Some(Held { term, until }));
    }

    /// Keeps the fence open until this moment, if `term` still is. A term that is over is never taken up again: what was
    /// remembered in it is gone.
    #[must_use = "if not, the term is over"]
    pub fn renew(&self, term: Term, until: Instant) -> bool {
        self.0.send_if_modified(|held| {
            let open = held.and_then(|held| held.at(clock::instant()));
            let renewed = open.is_some_and(|held| held.term == term);
            if renewed {
                *held = Some(Held { term, until });
            }
            renewed
        })
    }

    /// Closes the fence now.
    pub fn close(&self) {
        self.0.send_replace(None);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

impl Fence {
    /// The current term. This is asked immediately before every write.
    ///
    /// # Errors
    /// [`LostLease`]: nothing may be written.
    pub fn check(&self, now: Instant) -> Result<Term, LostLease> {
        let held = *self.0.borrow();
        held.and_then(|held| held.at(now))
            .map(|held| held.term)
            .ok_or(LostLease)
    }

    /// Waits until this process leads.
    ///
    /// # Errors
    /// [`LostLease`]: it never will, as nobody seeks the lease any more.
    pub async fn gained(&self) -> Result<Term, LostLease> {
        let mut changes = self.0.clone();
        let open = |held: &Option<Held>| held.and_then(|held| held.at(clock::instant())).is_some();
        let held = changes.wait_for(open).await.map_err(|_| LostLease)?;
        held.map(|held| held.term).ok_or(LostLease)
    }

    /// Waits until `term` is over.
    pub async fn lost(&self, term: Term) {
        let mut changes = self.0.clone();
        loop {
            let held = *changes.borrow_and_update();
            // At that moment it may be renewed; whoever is later does not have it.
            let open = held.and_then(|held| held.at(clock::instant()));
            let Some(held) = open.filter(|held| held.term == term) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(held.until.into()) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Keeper, LostLease, Term};
    use crate::clock;

    #[test]
    fn a_fence_closes_by_itself() {
        let (keeper, fence) = Keeper::new();
        let now = clock::instant();
        let second = Duration::from_secs(1);
        assert_eq!(fence.check(now), Err(LostLease), "closed at first");
        keeper.open(Term(3), now + second);
        assert_eq!(fence.clone().check(now), Ok(Term(3)));
        assert_eq!(
            fence.check(now + second),
            Err(LostLease),
            "its time is over"
        );
        keeper.open(Term(3), now + 2 * second);
        assert_eq!(fence.check(now + second), Ok(Term(3)), "renewed");
        keeper.close();
        assert_eq!(fence.check(now), Err(LostLease));
        keeper.open(Term(4), now + second);
        drop(keeper);
        assert_eq!(fence.check(now), Err(LostLease), "nobody renews it");
    }

    #[tokio::test]
    async fn a_term_that_is_over_is_not_renewed() {
        let (keeper, fence) = Keeper::new();
        let soon = || clock::instant() + Duration::from_millis(20);
        let late = || clock::instant() + Duration::from_secs(60);
        assert!(!keeper.renew(Term(1), late()), "never opened");
        keeper.open(Term(1), soon());
        fence.lost(Term(1)).await;
        assert!(!keeper.renew(Term(1), late()));
        assert_eq!(fence.check(clock::instant()), Err(LostLease));
        keeper.open(Term(2), late());
        assert!(!keeper.renew(Term(1), late()) && keeper.renew(Term(2), late()));
        assert_eq!(fence.check(clock::instant()), Ok(Term(2)));
    }

    #[tokio::test]
    async fn the_end_of_a_term_is_told_even_if_nobody_closes_the_fence() {
        let (keeper, fence) = Keeper::new();
        keeper.open(Term(1), clock::instant() + Duration::from_millis(20));
        assert_eq!(fence.gained().await, Ok(Term(1)));
        fence.lost(Term(1)).await;
        assert_eq!(fence.check(clock::instant()), Err(LostLease));
        keeper.open(Term(2), clock::instant() + Duration::from_secs(60));
        fence.lost(Term(1)).await;
        drop(keeper);
        fence.lost(Term(2)).await;
        assert_eq!(fence.gained().await, Err(LostLease));
    }
}
