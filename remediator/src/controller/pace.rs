//! How often something is done at most, whatever goes wrong. Pure: the time and the chance are parameters.

use std::time::{Duration, Instant};

/// So many at once, then one each so often.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u32,
    every: Duration,
    /// When it would be full again: it holds one place less for each `every` until then.
    full: Option<Instant>,
}

impl Bucket {
    pub(super) const fn new(burst: u32, every: Duration) -> Bucket {
        Bucket {
            burst,
            every,
            full: None,
        }
    }

    /// Takes a place, or says how long there will be none.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full = self.full.map_or(now, |full| full.max(now));
        let missing = full - now;
        let most = self.every * self.burst.saturating_sub(1);
        if missing > most {
            return Err(missing - most);
        }
        self.full = Some(full + self.every);
        Ok(())
    }
}

/// The first pause after a failure, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// When a list or watch may be begun: twelve a minute in the long run, and with longer and longer pauses as long as each
/// one is refused. Fewer would spare an API server that ends each watch at once, and leave us blind for longer.
#[derive(Debug)]
pub(super) struct Pace {
    bucket: Bucket,
    failures: u32,
}

impl Pace {
    pub(super) const fn new() -> Pace {
        Pace {
            bucket: Bucket::new(8, Duration::from_secs(5)),
            failures: 0,
        }
    }

    /// How long to wait before beginning now. `chance` is between 0 and 1: without it all that failed together would come
    /// back together.
    pub(super) fn begin(&mut self, now: Instant, chance: f64) -> Duration {
        let back_off = match self.failures {
            0 => Duration::ZERO,
            failures => FIRST
                .saturating_mul(2_u32.saturating_pow(failures - 1))
                .min(LONGEST)
                .mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0),
        };
        let at = now + back_off;
        let wait = self.bucket.take(at).err().unwrap_or_default();
        if !wait.is_zero() {
            // There is a place by then.
            let _ = self.bucket.take(at + wait);
        }
        back_off + wait
    }

    /// It was refused.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// It was not.
    pub(super) fn began(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bucket, Pace};
    use crate::clock;

    #[test]
    fn a_bucket_has_a_burst_and_then_a_rate() {
        let now = clock::instant();
        let second = Duration::from_secs(1);
        let mut bucket = Bucket::new(2, second);
        assert_eq!(bucket.take(now), Ok(()));
        assert_eq!(bucket.take(now), Ok(()));
        assert_eq!(bucket.take(now), Err(second));
        assert_eq!(bucket.take(now + second), Ok(()));
        assert_eq!(bucket.take(now + second), Err(second));
        assert_eq!(bucket.take(now + 60 * second), Ok(()));
        assert_eq!(bucket.take(now + 60 * second), Ok(()));
        assert_eq!(bucket.take(now + 60 * second), Err(second));
    }

    /// Begins in an hour, each refused or ended at once or after so long; and the most of them in one minute.
    fn an_hour(fails: bool, after: Duration) -> (usize, usize) {
        let start = clock::instant();
        let (mut pace, mut now, mut begun) = (Pace::new(), start, Vec::new());
        while now < start + Duration::from_secs(3600) {
            let chance = if begun.len() % 2 == 0 { 0.0 } else { 1.0 };
            now += pace.begin(now, chance);
            begun.push(now);
            now += after;
            if fails {
                pace.failed();
            } else {
                pace.began();
            }
        }
        let minute = Duration::from_secs(60);
        let within = |first: &std::time::Instant| {
            let all = begun.iter();
            all.filter(|at| *at >= first && **at < *first + minute)
                .count()
        };
        (begun.len(), begun.iter().map(within).max().unwrap())
    }

    #[test]
    fn watches_are_begun_a_few_times_a_minute_whatever_happens() {
        let (at_once, later) = (Duration::ZERO, Duration::from_secs(2));
        for (fails, after, hourly, most) in [
            (false, at_once, 728, 20),
            (false, later, 728, 20),
            (true, at_once, 170, 8),
            (true, later, 170, 8),
        ] {
            let (hour, minute) = an_hour(fails, after);
            assert!(hour <= hourly, "{hour} an hour: {fails} {after:?}");
            assert!(minute <= most, "{minute} a minute: {fails} {after:?}");
            assert!(hour >= 100, "it goes on: {hour} {fails} {after:?}");
        }
    }

    #[test]
    fn the_first_is_begun_at_once_and_so_is_one_after_a_good_one() {
        let (mut pace, now) = (Pace::new(), clock::instant());
        assert_eq!(pace.begin(now, 0.5), Duration::ZERO);
        pace.failed();
        assert_eq!(pace.begin(now, 0.5), Duration::from_millis(500));
        pace.failed();
        assert_eq!(pace.begin(now, 0.5), Duration::from_secs(1));
        pace.began();
        assert_eq!(pace.begin(now, 0.5), Duration::ZERO);
    }
}
