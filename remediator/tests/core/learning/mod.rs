//! What learning is worth: the same failures, answered in the order of the policy and by what helped before.
//!
//! Whether a step cures a failure depends on failure and step alone, so both strategies meet the same luck.

mod life;

use std::fmt::Write as _;

use remediator::core::Strategy;
use remediator::core::learning::OUTCOMES;

use super::simulation::dice::Dice;
use life::{Life, Outcome, STEPS};

/// Why something fails.
#[derive(Clone, Copy)]
struct Cause {
    name: &'static str,
    /// What the check says.
    says: fn(&mut Dice) -> String,
    /// How often each step cures it, in percent. Some failures end by themselves, and whatever was done looks like it.
    cures: [u32; STEPS],
    /// How many of a hundred failures are of this cause.
    share: u32,
}

const CAUSES: [Cause; 5] = [
    Cause {
        name: "a pod hangs",
        says: |dice| format!("pod shop/{}: expected status 200, got 503", pod(dice)),
        cures: [95, 95, 5, 5],
        share: 30,
    },
    Cause {
        name: "all pods share a bad cache",
        says: |dice| {
            let (pod, key) = (pod(dice), dice.below(1 << 30));
            format!("pod shop/{pod}: checksum of key {key} differs")
        },
        cures: [5, 95, 5, 20],
        share: 30,
    },
    Cause {
        name: "too much load",
        says: |dice| {
            let (pod, queue) = (pod(dice), 100 + dice.below(9000));
            format!("pod shop/{pod}: {queue} requests wait, expected at most 100")
        },
        cures: [5, 10, 90, 5],
        share: 20,
    },
    Cause {
        name: "a bad release",
        says: |dice| format!("pod shop/{}: exit code 78", pod(dice)),
        cures: [0, 5, 0, 95],
        share: 10,
    },
    Cause {
        name: "nothing helps",
        says: |dice| {
            let (net, host) = (dice.below(256), dice.below(256));
            format!(
                "pod shop/{}: connection to 10.0.{net}.{host}:5432 refused",
                pod(dice)
            )
        },
        cures: [5, 5, 5, 5],
        share: 10,
    },
];

fn pod(dice: &mut Dice) -> String {
    let letters: Vec<char> = "bcdfghjklmnpqrstvwxz2456789".chars().collect();
    let mut part = |length| -> String { (0..length).map(|_| dice.pick(&letters)).collect() };
    format!("web-{}-{}", part(9), part(5))
}

/// Luck that depends on the seed, the incident and the step, and on nothing else.
fn cures(seed: u64, incident: u64, step: u32, percent: u32) -> bool {
    let mut dice = Dice::new(seed << 32 | incident << 8 | u64::from(step));
    dice.below(100) < percent
}

/// Both strategies on the same failures; the outcomes by cause.
fn compared(seeds: u64, incidents: u64) -> Vec<[Vec<Outcome>; 2]> {
    let mut outcomes: Vec<[Vec<Outcome>; 2]> = CAUSES.iter().map(|_| Default::default()).collect();
    for seed in 0..seeds {
        let mut lives = [Strategy::Ordered, Strategy::Adaptive].map(Life::new);
        let mut dice = Dice::new(seed);
        for incident in 0..incidents {
            let mut share = dice.below(100);
            let which = CAUSES.iter().position(|cause| {
                let this = share < cause.share;
                share = share.saturating_sub(cause.share);
                this
            });
            let which = which.unwrap();
            let error = (CAUSES[which].says)(&mut dice);
            let cure = |step: u32| cures(seed, incident, step, CAUSES[which].cures[step as usize]);
            for (life, outcomes) in lives.iter_mut().zip(&mut outcomes[which]) {
                outcomes.push(life.incident(&error, cure));
            }
        }
    }
    outcomes
}

/// Actions, and minutes until the check passed, both for each incident in hundredths; incidents that were left to a person.
fn figures<'a>(outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> (u64, u64, u64) {
    let of = |sum: u64, count: usize| sum * 100 / u64::try_from(count.max(1)).unwrap();
    let actions = outcomes.clone().map(|outcome| u64::from(outcome.actions));
    let minutes = outcomes.clone().filter_map(|outcome| outcome.recovered);
    let seconds: u64 = minutes.clone().map(u64::from).sum();
    let left = outcomes
        .clone()
        .filter(|outcome| outcome.recovered.is_none());
    (
        of(actions.sum(), outcomes.clone().count()),
        of(seconds / 60, minutes.count()),
        u64::try_from(left.count()).unwrap(),
    )
}

fn table(outcomes: &[[Vec<Outcome>; 2]]) -> String {
    let mut text = String::from(
        "                                     Ordered                     Adaptive\n\
         cause                   incidents  actions  minutes  unsolved  actions  minutes  unsolved\n",
    );
    let names = CAUSES.iter().map(|cause| cause.name).chain(["all"]);
    for (row, name) in names.enumerate() {
        let of = |which: usize| -> Vec<&Outcome> {
            let rows = outcomes.iter().enumerate();
            let rows = rows.filter(|(cause, _)| row == *cause || row == CAUSES.len());
            rows.flat_map(|(_, both)| &both[which]).collect()
        };
        let (ordered, adaptive) = (of(0), of(1));
        let _ = write!(text, "{name:<26}{:>7}", ordered.len());
        for outcomes in [ordered, adaptive] {
            let (actions, minutes, left) = figures(outcomes.into_iter());
            let _ = write!(
                text,
                "  {:>4}.{:02}  {:>5}.{}  {left:>8}",
                actions / 100,
                actions % 100,
                minutes / 100,
                minutes % 100 / 10
            );
        }
        text.push('\n');
    }
    text
}

/// The figures in the documents are these.
#[test]
fn learning_saves_actions_and_time() {
    let outcomes = compared(100, 100);
    let of = |which: usize| outcomes.iter().flat_map(move |both| &both[which]);
    let (ordered, adaptive) = (figures(of(0)), figures(of(1)));
    assert!(
        adaptive.0 < ordered.0,
        "{} actions of {}",
        adaptive.0,
        ordered.0
    );
    assert!(
        adaptive.1 < ordered.1,
        "{} minutes of {}",
        adaptive.1,
        ordered.1
    );
    assert_eq!(
        adaptive.2, ordered.2,
        "whatever the order, all steps are tried"
    );
    for (cause, [ordered, adaptive]) in CAUSES.iter().zip(&outcomes) {
        for (ordered, adaptive) in ordered.iter().zip(adaptive) {
            let extra = i64::from(adaptive.actions) - i64::from(ordered.actions);
            assert!(extra < STEPS as i64, "{}", cause.name);
            assert_eq!(ordered.recovered.is_some(), adaptive.recovered.is_some());
        }
    }
    let table = table(&outcomes);
    println!("{table}");
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/remediation.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    assert!(
        docs.contains(&table),
        "docs/remediation.md has another table than\n{table}"
    );
}

/// The past misleads: up to some day one step cured this failure, afterwards another does, or the first never had and it
/// was chance. Each step that has to be unlearned costs one action in an incident, in no more incidents than outcomes are
/// remembered.
#[test]
fn a_misleading_past_is_unlearned() {
    let most = i64::try_from(OUTCOMES * (STEPS - 1)).unwrap();
    let says = CAUSES[0].says;
    let mut text = String::from("before           after            more actions than Ordered\n");
    let names = ["restartPods", "rolloutRestart", "scale", "rollback"];
    for before in 0..STEPS {
        for after in (0..STEPS).filter(|after| *after != before) {
            let mut lives = [Strategy::Ordered, Strategy::Adaptive].map(Life::new);
            let mut dice = Dice::new(1);
            let mut extra = 0;
            let mut last = 0;
            for incident in 0..100 {
                let cure = if incident < 50 { before } else { after };
                let error = says(&mut dice);
                let [ordered, adaptive] = lives
                    .each_mut()
                    .map(|life| life.incident(&error, |step| step as usize == cure));
                let more = i64::from(adaptive.actions) - i64::from(ordered.actions);
                assert!(more < STEPS as i64);
                if incident >= 50 {
                    extra += more.max(0);
                    last = more;
                }
            }
            assert!(extra <= most, "{before} {after}: {extra}");
            assert!(last <= 0, "{before} {after}: it is never unlearned");
            let _ = writeln!(
                text,
                "{:<16} {:<16} {extra:>6}",
                names[before], names[after]
            );
        }
    }
    println!("{text}");
}
