//! Who is looked at when: everything once, then what is still missing, until all is available or time is up.
//!
//! Polling with growing pauses costs the API server less than a watch for each object would, needs no further verbs
//! in the role, and works the same for names, ports and URLs.

use std::time::{Duration, Instant};

use futures::StreamExt;
use khclient::Finding;

use crate::log;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is wrong with a dependency; nothing if it is available.
pub(super) type Standing = Vec<Finding>;

/// How to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    /// Dependencies looked at at the same time.
    pub(super) concurrency: usize,
    /// When to stop waiting. The first look is taken even if that is over.
    pub(super) give_up: Instant,
}

impl Rounds {
    /// The standing of each dependency, in their order. Optional ones are looked at once and not waited for.
    ///
    /// Where waiting took more than one round, all are looked at once more in the end: what was there at first may be
    /// gone by then.
    pub(super) async fn run(
        self,
        optional: &[bool],
        look: impl AsyncFn(usize) -> Standing,
    ) -> Vec<Standing> {
        let mut standings = vec![Standing::new(); optional.len()];
        let required: Vec<usize> = (0..optional.len()).filter(|at| !optional[*at]).collect();
        self.round(
            &(0..optional.len()).collect::<Vec<_>>(),
            &mut standings,
            &look,
        )
        .await;
        let mut pause = FIRST_PAUSE;
        let mut outdated = false;
        loop {
            let mut next: Vec<usize> = required.clone();
            next.retain(|at| !standings[*at].is_empty());
            if next.is_empty() && !outdated {
                return standings;
            }
            if next.is_empty() {
                outdated = false;
                next = required.clone();
            } else {
                let now = Instant::now();
                if now >= self.give_up {
                    return standings;
                }
                for finding in next.iter().filter_map(|at| standings[*at].first()) {
                    log!("waiting: {finding}");
                }
                tokio::time::sleep(pause.min(self.give_up - now)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                outdated = next.len() < required.len();
            }
            self.round(&next, &mut standings, &look).await;
        }
    }

    async fn round(
        self,
        places: &[usize],
        standings: &mut [Standing],
        look: &impl AsyncFn(usize) -> Standing,
    ) {
        let looks = places
            .iter()
            .map(|place| async move { (*place, look(*place).await) });
        let mut looks = futures::stream::iter(looks).buffer_unordered(self.concurrency);
        while let Some((place, standing)) = looks.next().await {
            standings[place] = standing;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// Runs rounds over dependencies that are available from their `n`th look on, counted from 0. Gives the standings
    /// as available or not, and the order of looks.
    async fn run(
        from: &[Option<usize>],
        optional: &[bool],
        wait: Duration,
    ) -> (Vec<bool>, Vec<usize>) {
        let seen: Vec<Cell<usize>> = from.iter().map(|_| Cell::new(0)).collect();
        let order = RefCell::new(Vec::new());
        let rounds = Rounds {
            concurrency: 2,
            give_up: Instant::now() + wait,
        };
        let standings = rounds
            .run(optional, async |place| {
                order.borrow_mut().push(place);
                let nth = seen[place].replace(seen[place].get() + 1);
                match from[place] {
                    Some(first) if nth >= first => Vec::new(),
                    _ => vec![Finding::new("not yet")],
                }
            })
            .await;
        (
            standings.iter().map(Vec::is_empty).collect(),
            order.into_inner(),
        )
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn without_waiting_each_is_looked_at_once() {
        let (available, looks) = run(
            &[Some(0), None, Some(1)],
            &[false, false, true],
            Duration::ZERO,
        )
        .await;
        assert_eq!(available, [true, false, false]);
        assert_eq!(looks, [0, 1, 2]);
    }

    #[tokio::test]
    async fn nothing_is_waited_for_if_all_are_there() {
        let (available, looks) = run(&[Some(0), None], &[false, true], LONG).await;
        assert_eq!(available, [true, false]);
        assert_eq!(looks, [0, 1]);
    }

    #[tokio::test]
    async fn only_what_is_missing_is_looked_at_again_and_all_in_the_end() {
        let (available, looks) = run(&[Some(0), Some(2), Some(0)], &[false; 3], LONG).await;
        assert_eq!(available, [true; 3]);
        assert_eq!(looks, [0, 1, 2, 1, 1, 0, 1, 2]);
    }

    #[tokio::test]
    async fn a_round_that_saw_all_is_the_last() {
        let (_, looks) = run(&[Some(1)], &[false], LONG).await;
        assert_eq!(looks, [0, 0]);
    }

    #[tokio::test]
    async fn the_last_look_is_taken_when_time_is_up() {
        let (available, looks) = run(&[None], &[false], Duration::from_millis(20)).await;
        assert_eq!(available, [false]);
        assert_eq!(looks, [0, 0]);
    }

    #[tokio::test]
    async fn at_most_so_many_are_looked_at_at_once() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let rounds = Rounds {
            concurrency: 3,
            give_up: Instant::now(),
        };
        rounds
            .run(&[false; 10], async |_| {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::task::yield_now().await;
                now.set(now.get() - 1);
                Vec::new()
            })
            .await;
        assert_eq!(most.get(), 3);
    }
}
