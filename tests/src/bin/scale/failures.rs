//! The checks that fail, and how long it takes until somebody acts on each.
//!
//! The remediator and the bare program take turns, on the same server at the same time, so that whatever else the machine
//! does falls on both alike. Each write of a run has a tick of its own, which is long enough for all that follows from it.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;

use super::bare;
use super::cluster::{Cluster, POLICIES};
use super::figures::Latencies;

/// How often a run ends in a cluster of 10,000 checks with an interval of ten minutes.
const TICK: Duration = Duration::from_millis(60);

/// Rounds between two failing runs of a check; in a round each number below has its tick.
const APART: usize = 4;

/// Rounds from the action until the check passes: what is remediated is verified by runs that began later.
const UNTIL_WELL: usize = 8;

/// What happens in a round, each of another check.
#[derive(Clone, Copy)]
enum Step {
    /// The remediator's check fails for this time, and is not acted on yet.
    Fails(u32),
    /// It fails for the last time.
    Acted,
    /// A run of it begins, which is the first that can show that the action has helped.
    Begins,
    /// It passes.
    Passes,
    /// The bare program's check fails.
    ActedBare,
    /// It passes.
    PassesBare,
}

/// A round: what happens in it, and in which round of a check that is, in an order that keeps the two that are timed far
/// from each other.
const ROUND: [(usize, Step); 7] = [
    (0, Step::ActedBare),
    (0, Step::Fails(1)),
    (UNTIL_WELL, Step::PassesBare),
    (APART, Step::Fails(2)),
    (2 * APART, Step::Acted),
    (2 * APART + UNTIL_WELL, Step::Begins),
    (LAST, Step::Passes),
];
const LAST: usize = 3 * APART + UNTIL_WELL;

/// Failing runs in a row that a policy waits for if it does not say: the last is the one that is acted on.
const THRESHOLD: u32 = 3;

/// Lets so many checks fail, and as many of the bare program's. Returns how long the remediator and the bare program took.
pub(crate) async fn time(
    cluster: &Cluster,
    checks: usize,
) -> anyhow::Result<(Latencies, Latencies)> {
    let (mut remediator, mut bare) = (Latencies::default(), Latencies::default());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0..checks + LAST {
        for (after, step) in ROUND {
            let Some(number) = round.checked_sub(after).filter(|nth| *nth < checks) else {
                continue;
            };
            tick.tick().await;
            let of_bare = POLICIES + number;
            match step {
                Step::Fails(failure) => cluster.fail(number, failure, THRESHOLD - failure).await?,
                Step::Acted => {
                    let took = cluster.fail_and_wait(number, "remediator", THRESHOLD).await;
                    remediator.add(took.with_context(|| format!("check {number}"))?);
                }
                Step::Begins => cluster.begin(number).await?,
                Step::Passes => cluster.pass(number, 2).await?,
                Step::ActedBare => {
                    let took = cluster.fail_and_wait(of_bare, bare::AGENT, 1).await;
                    bare.add(took.with_context(|| format!("check {of_bare}"))?);
                }
                Step::PassesBare => cluster.pass(of_bare, 2).await?,
            }
        }
    }
    Ok((remediator, bare))
}
