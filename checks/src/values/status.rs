//! Sets of HTTP status codes.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::BadValue;

/// HTTP status codes that are accepted: a list of codes, ranges and classes (`200,204,300-399`, `2xx`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet {
    ranges: Vec<RangeInclusive<u16>>,
}

impl StatusSet {
    /// Whether `status` is accepted.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(&status))
    }
}

impl FromStr for StatusSet {
    type Err = BadValue;

    /// `0` alone means 200, as in the official check.
    fn from_str(text: &str) -> Result<StatusSet, BadValue> {
        let wrong =
            || BadValue::expected("status codes from 100 to 599, such as 200,204,300-399 or 2xx");
        let code = |text: &str| match text.trim().parse::<u16>() {
            Ok(code) if (100..=599).contains(&code) => Ok(code),
            _ => Err(wrong()),
        };
        if text.trim() == "0" {
            return Ok(StatusSet {
                ranges: vec![200..=200],
            });
        }
        let ranges = text
            .split(',')
            .map(|part| {
                let part = part.trim();
                if let Some(class) = part.strip_suffix("xx").or_else(|| part.strip_suffix("XX")) {
                    let first = code(&format!("{class}00"))?;
                    return Ok(first..=first + 99);
                }
                let (from, to) = part.split_once('-').unwrap_or((part, part));
                let (from, to) = (code(from)?, code(to)?);
                if from > to {
                    Err(wrong())
                } else {
                    Ok(from..=to)
                }
            })
            .collect::<Result<Vec<_>, BadValue>>()?;
        Ok(StatusSet { ranges })
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (from, to) if from == to => write!(f, "{comma}{from}")?,
                (from, to) => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
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
