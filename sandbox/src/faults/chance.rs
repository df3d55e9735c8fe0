//! Faults that strike at random, the same ones for the same seed and the same requests.

use std::time::Duration;

use super::{Effect, Rule};

/// How likely a rule strikes, and where its dice begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance {
    /// Of 2^32.
    share: u64,
    pub(super) seed: u64,
}

impl Chance {
    pub(super) fn new(probability: f64, seed: u64) -> Chance {
        const WHOLE: f64 = 4_294_967_296.0;
        // NaN becomes 0.
        let share = (probability.clamp(0.0, 1.0) * WHOLE) as u64;
        Chance { share, seed }
    }

    /// Rolls the dice whose state is `dice`.
    pub(super) fn strikes(self, dice: &mut u64) -> bool {
        // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
        *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 32) < self.share
    }
}

/// Rules that together strike a request with this probability (0 to 1), each of seven effects as likely as another: 429
/// and 503 with a `Retry-After` of 1 s, 500 without, connections closed before and after the commit, 500 after the
/// commit, and a delay of 20 ms. They may be narrowed further, such as to an agent, and are then added one by one:
///
/// ```
/// # let faults = |_: sandbox::faults::Rule| ();
/// for rule in sandbox::faults::storm(0.05, 7) {
///     faults(rule.agent("remediator"));
/// }
/// ```
#[must_use]
pub fn storm(probability: f64, seed: u64) -> Vec<Rule> {
    let busy = |code| {
        Rule::new(Effect::Refuse {
            code,
            retry_after: Some(1),
        })
    };
    let rules = vec![
        busy(429),
        Rule::refuse(500),
        busy(503),
        Rule::hang_up(),
        Rule::hang_up().after_commit(),
        Rule::refuse(500).after_commit(),
        Rule::new(Effect::Delay(Duration::from_millis(20))),
    ];
    let probability = probability.clamp(0.0, 1.0);
    let each = probability / 7.0;
    let mut rest = 1.0;
    let mut storm = Vec::new();
    for (place, rule) in (0_u64..).zip(rules) {
        // A rule is asked only where those before it have not struck.
        storm.push(rule.chance(each / rest, seed ^ (place << 56)));
        rest -= each;
    }
    storm
}

#[cfg(test)]
mod tests {
    use super::super::{Faults, Subject};
    use super::*;

    const GET: Subject<'static> = Subject {
        agent: "a",
        verb: "get",
        resource: "pods",
        name: "p",
    };

    fn struck(probability: f64, seed: u64) -> Vec<Option<Effect>> {
        let faults = Faults::new();
        for rule in storm(probability, seed) {
            faults.add(rule);
        }
        (0..7000)
            .map(|_| faults.strike(&GET).map(|(_, effect)| effect))
            .collect()
    }

    #[test]
    fn a_storm_strikes_as_often_as_told_and_in_every_way() {
        let hits = struck(0.5, 1);
        let of = |wanted: fn(&Effect) -> bool| hits.iter().flatten().filter(|e| wanted(e)).count();
        // Seven ways at 1/14 of 7000 each, give or take six standard deviations (22 for one way).
        let expected = |ways: usize| ways * 500 - 130 * ways..ways * 500 + 130 * ways;
        assert!(expected(7).contains(&of(|_| true)));
        assert!(expected(4).contains(&of(|effect| matches!(effect, Effect::Refuse { .. }))));
        assert!(expected(2).contains(&of(|effect| *effect == Effect::Drop)));
        assert!(expected(1).contains(&of(|effect| matches!(effect, Effect::Delay(_)))));
        assert_eq!(struck(0.5, 1), hits);
        assert_ne!(struck(0.5, 2), hits);
        assert!(struck(0.0, 1).iter().all(Option::is_none));
        assert!(struck(1.0, 1).iter().all(Option::is_some));
    }
}
