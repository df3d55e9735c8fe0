//! Exit codes that count as success.

use std::fmt;
use std::str::FromStr;

use crate::values::{BadValue, Ranges};

/// A list of exit codes and ranges of them (`0`, `0,3,10-20`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExitCodes(Ranges<u8>);

impl ExitCodes {
    /// Whether `code` is expected. No code outside 0 to 255 is.
    pub(super) fn contains(&self, code: i32) -> bool {
        u8::try_from(code).is_ok_and(|code| self.0.contains(code))
    }
}

impl FromStr for ExitCodes {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<ExitCodes, BadValue> {
        let code = |text: &str| text.parse::<u8>().ok();
        Ranges::parse(text, code, |text| code(text).map(|code| code..=code))
            .map(ExitCodes)
            .ok_or_else(|| BadValue::expected("exit codes from 0 to 255, such as 0,3,10-20"))
    }
}

impl fmt::Display for ExitCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranges_are_read() {
        let codes: ExitCodes = "0, 3,10-20".parse().unwrap();
        for (code, expected) in [
            (0, true),
            (1, false),
            (3, true),
            (10, true),
            (20, true),
            (21, false),
            (-1, false),
            (256, false),
        ] {
            assert_eq!(codes.contains(code), expected, "{code}");
        }
        assert_eq!(codes.to_string(), "0,3,10-20");
        for text in ["", "a", "256", "-1", "1-", "3-1", "0,", "0 1", "1.0"] {
            assert!(text.parse::<ExitCodes>().is_err(), "{text}");
        }
    }
}
