//! Values of options: what is accepted, what a zero means, and how a wrong one is answered.
//!
//! Each type is a `FromStr` whose error says what was expected; [`crate::cli`] adds the name of the option and the
//! value. Types that name a file read it while parsing, so a file that cannot be read is answered the same way.

mod family;
mod file;
mod pattern;
mod ranges;
mod selector;
mod status;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use family::IpFamily;
pub use file::FileText;
pub(crate) use file::{read_bounded, read_file};
pub use pattern::Pattern;
pub(crate) use ranges::Ranges;
pub use selector::Selector;
pub(crate) use selector::split_outside_parentheses;
pub use status::StatusSet;

/// Why a value was refused: what was expected instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

impl BadValue {
    pub(crate) fn expected(what: &str) -> BadValue {
        BadValue(format!("expected {what}"))
    }
}

/// A switch: `true`, `false`, and the other spellings of both that are common in manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Switch, BadValue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "on" => Ok(Switch(true)),
            "false" | "f" | "0" | "no" | "off" => Ok(Switch(false)),
            _ => Err(BadValue::expected("true or false")),
        }
    }
}

/// How many probes a run makes. Zero, the official default, means one: no run passes without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl FromStr for Count {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Count, BadValue> {
        let number = text.trim().parse::<u32>();
        number
            .map(|n| Count(n.max(1)))
            .map_err(|_| BadValue::expected("a whole number, such as 5"))
    }
}

/// A whole number of at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeastOne(pub usize);

impl FromStr for AtLeastOne {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<AtLeastOne, BadValue> {
        match text.trim().parse::<u32>() {
            Ok(n) if n > 0 => Ok(AtLeastOne(n as usize)),
            _ => Err(BadValue::expected("a whole number from 1")),
        }
    }
}

/// A whole number from 0 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpTo<const MAX: u32>(pub u32);

impl<const MAX: u32> FromStr for UpTo<MAX> {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<UpTo<MAX>, BadValue> {
        match text.trim().parse::<u32>() {
            Ok(n) if n <= MAX => Ok(UpTo(n)),
            _ => Err(BadValue(format!("expected a whole number from 0 to {MAX}"))),
        }
    }
}

/// A share of probes in percent, 1 to 100. Zero means 100, as in the official check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u32);

impl FromStr for Percent {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Percent, BadValue> {
        let text = text.trim();
        match text
            .strip_suffix('%')
            .unwrap_or(text)
            .trim_end()
            .parse::<u32>()
        {
            Ok(0) => Ok(Percent(100)),
            Ok(n) if n <= 100 => Ok(Percent(n)),
            _ => Err(BadValue::expected("a percentage from 1 to 100")),
        }
    }
}

/// A length of time: a number of seconds (`10`, `0.5`) or a Go duration (`1m30s`, `500ms`), never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Span, BadValue> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(BadValue::expected(
                "a duration that is not negative, such as 10s or 1m30s",
            ));
        }
        duration(text)
            .map(Span)
            .ok_or_else(|| BadValue::expected("a duration, such as 10s, 500ms or 1m30s"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 if !self.0.is_zero() => write!(f, "{}us", self.0.as_micros()),
            ms if ms % 1000 != 0 => write!(f, "{ms}ms"),
            ms => write!(f, "{}s", ms / 1000),
        }
    }
}

/// A length of time that must be longer than nothing, such as a time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositiveSpan(pub Duration);

impl FromStr for PositiveSpan {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<PositiveSpan, BadValue> {
        match text.parse::<Span>()? {
            Span(d) if d.is_zero() => Err(BadValue::expected("a duration above zero, such as 10s")),
            Span(d) => Ok(PositiveSpan(d)),
        }
    }
}

/// A year is longer than any run; the bound keeps sums of durations from overflowing.
const LONGEST: f64 = 366.0 * 86_400.0;

fn duration(text: &str) -> Option<Duration> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let seconds = if !text.is_empty() && text.chars().all(digits) {
        text.parse::<f64>().ok()?
    } else {
        let mut rest = text;
        let mut sum = 0.0;
        while !rest.is_empty() {
            let (number, tail) = rest.split_at(rest.find(|c| !digits(c))?);
            let (unit, tail) = tail.split_at(tail.find(digits).unwrap_or(tail.len()));
            let scale = match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            sum += number.parse::<f64>().ok()? * scale;
            rest = tail;
        }
        if text.is_empty() { None? } else { sum }
    };
    (seconds <= LONGEST)
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

/// A number of bytes: `4096`, `64k`, `10MB`, `4MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

impl FromStr for Size {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Size, BadValue> {
        let wrong = || BadValue::expected("a size, such as 64KiB or 10MB, up to 1GiB");
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "ki" | "kib" => 1 << 10,
            "mi" | "mib" => 1 << 20,
            "gi" | "gib" => 1 << 30,
            _ => return Err(wrong()),
        };
        let bytes = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(scale))
            .ok_or_else(wrong)?;
        if bytes == 0 || bytes > 1 << 30 {
            Err(wrong())
        } else {
            Ok(Size(bytes as usize))
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % (1 << 20) == 0 => write!(f, "{}MiB", n >> 20),
            n if n % (1 << 10) == 0 => write!(f, "{}KiB", n >> 10),
            n => write!(f, "{n} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_go_durations() {
        let ms = |text: &str| text.parse::<Span>().map(|s| s.0.as_millis());
        for (text, expected) in [
            ("10", 10_000),
            ("0", 0),
            ("0.5", 500),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            (" 2s ", 2_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(ms(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "abc",
            "-1s",
            "-5",
            "10x",
            "s",
            "1m30",
            ".",
            "1..2s",
            "99999999999h",
            "nan",
            "inf",
        ] {
            assert!(ms(text).is_err(), "{text}");
        }
        assert!(
            "-1s"
                .parse::<Span>()
                .unwrap_err()
                .0
                .contains("not negative")
        );
        assert!("0".parse::<PositiveSpan>().is_err());
        for (text, shown) in [
            ("10", "10s"),
            ("500ms", "500ms"),
            ("1m30s", "90s"),
            ("0", "0s"),
            ("5us", "5us"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn zero_has_the_official_meaning() {
        assert_eq!("0".parse::<Count>(), Ok(Count(1)));
        assert_eq!("0".parse::<Percent>(), Ok(Percent(100)));
        assert_eq!("80%".parse::<Percent>(), Ok(Percent(80)));
        for text in ["-1", "abc", "", "1.5", "99999999999"] {
            assert!(text.parse::<Count>().is_err(), "{text}");
        }
        assert_eq!("9".parse(), Ok(UpTo::<9>(9)));
        assert!("10".parse::<UpTo<9>>().is_err());
        for text in ["101", "-1", "abc", ""] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("64k", 64_000),
            ("4MiB", 4 << 20),
            ("10 MB", 10_000_000),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "0", "-1", "k", "2GiB", "1.5MB", "99999999999999999999"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!(Size(4 << 20).to_string(), "4MiB");
        assert_eq!(Size(1000).to_string(), "1000 bytes");
    }
}
