//! Sets of HTTP status codes.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{BadValue, Ranges};

/// HTTP status codes that are accepted: a list of codes, ranges and classes (`200,204,300-399`, `2xx`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(Ranges<u16>);

impl StatusSet {
    /// Whether `status` is accepted.
    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(status)
    }
}

fn code(text: &str) -> Option<u16> {
    let code = text.parse::<u16>().ok();
    code.filter(|code| (100..=599).contains(code))
}

fn code_or_class(text: &str) -> Option<RangeInclusive<u16>> {
    match text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        Some(class) => code(&format!("{class}00")).map(|first| first..=first + 99),
        None => code(text).map(|code| code..=code),
    }
}

impl FromStr for StatusSet {
    type Err = BadValue;

    /// `0` alone means 200, as in the official check.
    fn from_str(text: &str) -> Result<StatusSet, BadValue> {
        let text = match text.trim() {
            "0" => "200",
            text => text,
        };
        Ranges::parse(text, code, code_or_class)
            .map(StatusSet)
            .ok_or_else(|| {
                BadValue::expected("status codes from 100 to 599, such as 200,204,300-399 or 2xx")
            })
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_sets_hold_codes_ranges_and_classes() {
        let set: StatusSet = "200, 204,300-399,5xx".parse().unwrap();
        for (status, expected) in [
            (200, true),
            (201, false),
            (204, true),
            (300, true),
            (399, true),
            (400, false),
            (599, true),
        ] {
            assert_eq!(set.contains(status), expected, "{status}");
        }
        assert_eq!(set.to_string(), "200,204,300-399,500-599");
        assert_eq!("0".parse::<StatusSet>().unwrap().to_string(), "200");
        for text in [
            "", "abc", "99", "600", "200,", "399-300", "6xx", "200-", "-200", "1000",
        ] {
            assert!(text.parse::<StatusSet>().is_err(), "{text}");
        }
    }
}
