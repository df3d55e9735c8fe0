//! Durations as Go writes and reads them, because both Kuberhealthy lines put them into resources that way.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A signed number of nanoseconds, displayed like Go's `time.Duration` (`1m30s`, `213.24ms`, `-5.1s`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

impl GoDuration {
    /// A duration of so many nanoseconds.
    #[must_use]
    pub fn from_nanos(nanos: i64) -> GoDuration {
        GoDuration(nanos)
    }

    /// `whole - part`, which may be negative: Kuberhealthy v2 takes its own waiting times off a run's length and can
    /// end up below zero.
    #[must_use]
    pub fn difference(whole: Duration, part: Duration) -> GoDuration {
        GoDuration(nanos(whole).saturating_sub(nanos(part)))
    }

    /// Nanoseconds.
    #[must_use]
    pub fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds, with their fraction.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }

    /// The same length as a [`Duration`]; zero for a negative one.
    #[must_use]
    pub fn unsigned(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> GoDuration {
        GoDuration(nanos(duration))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0..NANOS_PER_MICRO => write!(f, "{nanos}ns"),
            NANOS_PER_MICRO..NANOS_PER_MILLI => fraction(f, nanos, NANOS_PER_MICRO, "µs"),
            NANOS_PER_MILLI..NANOS_PER_SECOND => fraction(f, nanos, NANOS_PER_MILLI, "ms"),
            _ => {
                let minutes = nanos / NANOS_PER_SECOND / 60;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                fraction(
                    f,
                    nanos - minutes * 60 * NANOS_PER_SECOND,
                    NANOS_PER_SECOND,
                    "s",
                )
            }
        }
    }
}

/// `value / unit` without trailing zeroes, then the unit's name.
fn fraction(f: &mut fmt::Formatter<'_>, value: u64, unit: u64, name: &str) -> fmt::Result {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return write!(f, "{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    write!(f, "{whole}.{}{name}", digits.trim_end_matches('0'))
}

/// Why a text is no duration, in the words of Go's `time.ParseDuration`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a duration at all.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number without a unit; only `0` may stand alone.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit Go does not know.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<GoDuration, DurationError> {
        let invalid = || DurationError::Invalid(text.to_owned());
        let (sign, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (-1_i128, &text[1..]),
            Some(b'+') => (1, &text[1..]),
            _ => (1, text),
        };
        if rest == "0" {
            return Ok(GoDuration(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let number_end = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(number_end);
            let unit_end = after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len());
            let (unit, remaining) = after.split_at(unit_end);
            if !number.bytes().any(|b| b.is_ascii_digit()) || number.matches('.').count() > 1 {
                return Err(invalid());
            }
            let scale: i128 = match unit {
                "" => return Err(DurationError::MissingUnit(text.to_owned())),
                "ns" => 1,
                "us" | "µs" | "μs" => NANOS_PER_MICRO.into(),
                "ms" => NANOS_PER_MILLI.into(),
                "s" => NANOS_PER_SECOND.into(),
                "m" => i128::from(NANOS_PER_SECOND) * 60,
                "h" => i128::from(NANOS_PER_SECOND) * 3600,
                unit => {
                    return Err(DurationError::UnknownUnit {
                        unit: unit.to_owned(),
                        text: text.to_owned(),
                    });
                }
            };
            total = scaled(number, scale)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(invalid)?;
            rest = remaining;
        }
        i64::try_from(sign * total)
            .map(GoDuration)
            .map_err(|_| invalid())
    }
}

/// `number` (digits with at most one point) times `scale`, fractions of a nanosecond dropped.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut sum = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        sum = sum.checked_add(i128::from(digit - b'0') * place)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (126_390_486, "126.390486ms"),
            (276_553_640, "276.55364ms"),
            (1_000_000_000, "1s"),
            (3_420_359_249, "3.420359249s"),
            (-5_110_718_235, "-5.110718235s"),
            (90_000_000_000, "1m30s"),
            (600_000_000_000, "10m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_025_500_000_000, "1h23m45.5s"),
        ] {
            assert_eq!(GoDuration(nanos).to_string(), text);
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+2m", 120_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("x", "time: invalid duration \"x\""),
            ("10", "time: missing unit in duration \"10\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("1..2s", "time: invalid duration \"1..2s\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
        ] {
            assert_eq!(GoDuration::from_str(text).unwrap_err().to_string(), message);
        }
    }
}
