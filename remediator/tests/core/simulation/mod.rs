//! Histories of three policies, made up at random: runs of all kinds, writes that are missed, crashes, lost answers,
//! edits, upstream failures, storms, writes of others. The core's own functions decide, act and conclude; the promises
//! are checked against what really happened, which only the simulation knows.
//!
//! A failure names the seed; `history(seed, Blind::Nothing)` replays it.

mod blind;
mod check;
mod controller;
pub(crate) mod dice;
mod promises;
mod target;

use remediator::core::{CheckState, CheckStatus, Phase, Time, check_status};

use blind::{BLIND, Blind};
use check::{INTERVAL, TIMEOUT, TIMING};
use controller::Simulation;
use promises::{Broken, Promise, promise};

const HISTORIES: u64 = 100_000;
const THREADS: u64 = 2;

/// Writes of Kuberhealthy in a history, at least and at most, before it is brought to an end.
const WRITES: (u64, u64) = (12, 36);

/// Plays one history.
fn history(seed: u64, blind: Blind) -> Result<Simulation, Broken> {
    let mut simulation = Simulation::new(seed, blind);
    for _ in 0..WRITES.0 + seed % (WRITES.1 - WRITES.0 + 1) {
        simulation.step()?;
    }
    if seed.is_multiple_of(8) {
        fail_for_ever(&mut simulation)?;
    } else {
        recover(&mut simulation)?;
    }
    simulation.counted()?;
    Ok(simulation)
}

/// From here on every check passes, and every incident has to end.
fn recover(simulation: &mut Simulation) -> Result<(), Broken> {
    simulation.calm_down();
    for _ in 0..40 {
        if !simulation.incident_open() {
            return Ok(());
        }
        simulation.write()?;
    }
    promise(Promise::Ends, !simulation.incident_open(), || {
        "every check passes, and an incident is open".to_owned()
    })
}

/// From here on one check fails, whatever is done, and nothing else stands in the way: everything is tried, and then
/// it ends.
fn fail_for_ever(simulation: &mut Simulation) -> Result<(), Broken> {
    simulation.calm_down();
    let most = simulation.only_failing(0);
    let began = simulation.now;
    while !simulation.exhausted(0) {
        simulation.write()?;
        let took = simulation.now.since(began);
        promise(Promise::Ends, took <= most, || {
            format!("after {took} s of at most {most}: {}", simulation.story(0))
        })?;
    }
    Ok(())
}

/// What was reached, to see that the simulation reaches anything.
#[derive(Default)]
struct Reached {
    acts: u64,
    phases: [u64; 8],
}

fn play(seeds: impl Iterator<Item = u64>) -> Reached {
    let mut reached = Reached::default();
    for seed in seeds {
        let played = history(seed, Blind::Nothing)
            .unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
        reached.acts += u64::from(played.acts);
        for phase in &played.ends {
            reached.phases[*phase as usize] += 1;
        }
    }
    reached
}

#[test]
fn a_hundred_thousand_histories_keep_every_promise() {
    let reached: Vec<Reached> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..THREADS)
            .map(|thread| {
                let seeds = (0..HISTORIES).filter(move |seed| seed % THREADS == thread);
                scope.spawn(move || play(seeds))
            })
            .collect();
        players
            .into_iter()
            .map(|player| player.join().unwrap())
            .collect()
    });
    let acts: u64 = reached.iter().map(|reached| reached.acts).sum();
    assert!(
        acts > HISTORIES / 2,
        "a simulation that hardly acts shows little: {acts}"
    );
    for phase in [
        Phase::Succeeded,
        Phase::Failed,
        Phase::Inconclusive,
        Phase::Blocked,
        Phase::DryRun,
    ] {
        let count: u64 = reached
            .iter()
            .map(|reached| reached.phases[phase as usize])
            .sum();
        assert!(count > HISTORIES / 200, "{phase:?} only {count} times");
    }
}

#[test]
fn each_promise_is_broken_by_a_remediator_that_does_not_see_what_it_rests_on() {
    for (blind, promises) in BLIND {
        let mut broken = None;
        for seed in 0..20_000 {
            match history(seed, *blind) {
                Err(found) if promises.contains(&found.promise) => {
                    broken = Some(found);
                    break;
                }
                _ => {}
            }
        }
        assert!(broken.is_some(), "blind to {blind:?}, and nobody noticed");
    }
}

#[test]
fn time_to_decision_is_bounded() {
    for seed in 0..2_000 {
        let mut simulation = Simulation::new(seed, Blind::Nothing);
        simulation.calm_down();
        simulation.only_failing(0);
        let spec = simulation.spec(0);
        let (threshold, seconds) = (spec.failure_threshold, spec.failure_seconds);
        let most = (threshold + 1) * (INTERVAL + TIMEOUT) + seconds + 60;
        let began = simulation.now;
        while simulation.acts == 0 {
            simulation.write().unwrap();
            assert!(
                simulation.now.since(began) <= i64::from(most),
                "seed {seed}: {}",
                simulation.story(0)
            );
        }
    }
}

#[test]
fn a_check_that_is_forgotten_is_gone() {
    assert_eq!(
        check_status(&CheckState::default(), TIMING, Time::from_unix(0)),
        CheckStatus::Gone
    );
}
