//! When to probe, how often, and how many have to pass: arithmetic only.

use std::time::Duration;

use super::args::ScheduleArgs;
use crate::cli::ConfigError;
use crate::values::Span;

/// The schedule of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Probes of each target, at least one.
    pub(super) count: u32,
    /// Pause between two probes of a target.
    pub(super) pause: Duration,
    /// Share of probes that must pass, 1 to 100.
    pub(super) percent: u32,
    /// Further tries of a probe that failed.
    pub(super) retries: u32,
    /// Pause before each of them.
    pub(super) retry_delay: Duration,
    /// Time for one request.
    pub(super) timeout: Duration,
    /// Targets probed at a time.
    pub(super) concurrency: usize,
}

impl From<&ScheduleArgs> for Schedule {
    fn from(args: &ScheduleArgs) -> Schedule {
        Schedule {
            count: args.count.0,
            pause: args.seconds.0,
            percent: args.passing_percent.0,
            retries: args.retries.0,
            retry_delay: args.retry_delay.0,
            timeout: args.timeout_duration.0,
            concurrency: args.concurrency.0,
        }
    }
}

impl Schedule {
    /// How many probes of a target must pass: the share, rounded up.
    pub(super) fn needed(&self) -> u32 {
        // At most the count, so it fits.
        (u64::from(self.count) * u64::from(self.percent)).div_ceil(100) as u32
    }

    /// The pauses alone: what a run takes if every probe passes in no time.
    pub(super) fn shortest(&self, targets: usize) -> Duration {
        let rounds = targets.div_ceil(self.concurrency).max(1);
        let pauses = u64::from(self.count.saturating_sub(1)).saturating_mul(rounds as u64);
        self.pause
            .saturating_mul(u32::try_from(pauses).unwrap_or(u32::MAX))
    }

    /// Whether a run with `targets` can be done in `remaining`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names `SECONDS`. It does not tell the time left, which is another in every run.
    pub(super) fn fits(&self, targets: usize, remaining: Duration) -> Result<(), ConfigError> {
        let shortest = self.shortest(targets);
        if shortest.is_zero() || shortest < remaining {
            return Ok(());
        }
        let mut message = format!(
            "does not fit before the deadline with COUNT=\"{}\"",
            self.count
        );
        if targets > self.concurrency {
            message += &format!(" and CONCURRENCY=\"{}\"", self.concurrency);
        }
        message += ": probe less often, or give the check a longer timeout";
        let pause = Span(self.pause).to_string();
        let seconds = self.pause.subsec_nanos() == 0;
        let pause = if seconds {
            pause.trim_end_matches('s')
        } else {
            &pause
        };
        Err(ConfigError::value("SECONDS", pause, message))
    }
}

/// More than a finding can hold. A run may make millions of probes, and each may fail for a reason of its own.
const MOST_REASONS: usize = 20;

/// The probes of one target so far.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    schedule: Schedule,
    passed: u32,
    failed: u32,
    reasons: Vec<String>,
}

impl Tally {
    /// No probe yet.
    pub(super) fn new(schedule: Schedule) -> Tally {
        Tally {
            schedule,
            passed: 0,
            failed: 0,
            reasons: Vec::new(),
        }
    }

    /// Counts one probe; `Err` holds what was wrong.
    pub(super) fn count(&mut self, outcome: Result<(), Vec<String>>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(reasons) => {
                self.failed += 1;
                for reason in reasons {
                    if self.reasons.len() < MOST_REASONS && !self.reasons.contains(&reason) {
                        self.reasons.push(reason);
                    }
                }
            }
        }
    }

    /// Whether another probe is to be made: some are left, and they can still change the verdict to a good one.
    /// A target that already passed is probed on, as COUNT says.
    pub(super) fn goes_on(&self) -> bool {
        let left = self.schedule.count - self.passed - self.failed;
        left > 0 && self.passed + left >= self.schedule.needed()
    }

    /// Whether enough probes passed.
    pub(super) fn passes(&self) -> bool {
        self.passed >= self.schedule.needed()
    }

    /// The verdict, when no more probes are made: what was wrong, in an order that does not depend on which came first.
    ///
    /// # Errors
    ///
    /// What was wrong with the target, if not enough probes passed.
    pub(super) fn verdict(mut self, unfinished: bool) -> Result<(), String> {
        if self.passes() {
            return Ok(());
        }
        if unfinished {
            self.reasons
                .push("not finished before the deadline of the run".to_owned());
        } else {
            self.reasons.sort();
        }
        let reasons = self.reasons.join("; ");
        Err(match self.schedule {
            Schedule { count: 1, .. } => reasons,
            Schedule {
                count,
                percent: 100,
                ..
            } => format!("{reasons} (not all of {count} probes passed)"),
            Schedule { count, percent, .. } => {
                format!("{reasons} (less than {percent}% of {count} probes passed)")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(count: u32, percent: u32) -> Schedule {
        Schedule {
            count,
            pause: Duration::from_secs(10),
            percent,
            retries: 0,
            retry_delay: Duration::ZERO,
            timeout: Duration::from_secs(10),
            concurrency: 10,
        }
    }

    /// The official check truncates: 1 x 99% needs none, 100 x 53% needs 52.
    #[test]
    fn what_is_needed_is_rounded_up() {
        for (count, percent, needed) in [
            (1, 99, 1),
            (1, 1, 1),
            (100, 53, 53),
            (10, 80, 8),
            (3, 50, 2),
            (5, 100, 5),
            (u32::MAX, 100, u32::MAX),
        ] {
            assert_eq!(
                schedule(count, percent).needed(),
                needed,
                "{percent}% of {count}"
            );
        }
    }

    #[test]
    fn pauses_lie_between_probes() {
        let s = |secs| Duration::from_secs(secs);
        assert_eq!(schedule(1, 100).shortest(1), s(0));
        assert_eq!(schedule(5, 100).shortest(10), s(40));
        assert_eq!(schedule(5, 100).shortest(11), s(80));
        assert_eq!(schedule(5, 100).shortest(0), s(40));
        assert!(schedule(5, 100).fits(1, s(41)).is_ok());
        let error = schedule(5, 100).fits(1, s(40)).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "configuration: SECONDS=\"10\": does not fit before the deadline with COUNT=\"5\""
            ),
            "{error}"
        );
        assert!(
            schedule(5, 100)
                .fits(11, s(41))
                .unwrap_err()
                .to_string()
                .contains("CONCURRENCY=\"10\"")
        );
        assert!(schedule(u32::MAX, 100).fits(usize::MAX, s(1)).is_err());
    }

    #[test]
    fn a_tally_stops_when_it_cannot_pass_any_more() {
        let mut tally = Tally::new(schedule(5, 80));
        tally.count(Err(vec!["b".into()]));
        assert!(tally.goes_on() && !tally.passes());
        tally.count(Err(vec!["a".into(), "b".into()]));
        assert!(!tally.goes_on());
        assert_eq!(
            tally.verdict(false),
            Err("a; b (less than 80% of 5 probes passed)".to_owned())
        );
    }

    #[test]
    fn a_tally_goes_on_after_it_has_passed() {
        let mut tally = Tally::new(schedule(2, 50));
        tally.count(Ok(()));
        assert!(tally.passes() && tally.goes_on());
        tally.count(Err(vec!["late".into()]));
        assert!(!tally.goes_on());
        assert_eq!(tally.verdict(true), Ok(()));
    }

    #[test]
    fn a_tally_keeps_no_more_reasons_than_can_be_told() {
        let mut tally = Tally::new(schedule(1000, 1));
        for number in 0..1000 {
            tally.count(Err(vec![format!("got {number}")]));
        }
        assert_eq!(tally.reasons.len(), MOST_REASONS);
    }

    #[test]
    fn an_unfinished_tally_says_so() {
        let tally = Tally::new(schedule(1, 100));
        assert_eq!(
            tally.verdict(true),
            Err("not finished before the deadline of the run".to_owned())
        );
    }

    proptest::proptest! {
        /// Stopping early never changes the verdict.
        #[test]
        fn stopping_early_is_safe(outcomes in proptest::collection::vec(proptest::bool::ANY, 1..40), percent in 1_u32..=100) {
            let all = schedule(outcomes.len() as u32, percent);
            let result = |passed: bool| if passed { Ok(()) } else { Err(vec!["no".to_owned()]) };
            let mut early = Tally::new(all);
            for passed in &outcomes {
                if !early.goes_on() { break; }
                early.count(result(*passed));
            }
            let passed = outcomes.iter().filter(|p| **p).count() as u32;
            proptest::prop_assert_eq!(early.verdict(false).is_ok(), passed >= all.needed());
        }
    }
}
