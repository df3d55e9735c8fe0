//! Values of options: what is accepted, what a zero means, and how a wrong one is answered.
//!
//! Each type is a `FromStr` whose error says what was expected; [`crate::cli`] adds the name of the option and the
//! value. Types that name a file read it while parsing, so a file that cannot be read is answered the same way.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use regex::Regex;

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

/// Which addresses of a name are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// All of them, in the order the resolver gives.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// IPv4 first, then IPv6.
    PreferV4,
    /// IPv6 first, then IPv4.
    PreferV6,
}

impl IpFamily {
    /// The addresses that may be used, in the order in which to try them.
    pub fn order<T>(self, mut all: Vec<T>, ip: impl Fn(&T) -> IpAddr) -> Vec<T> {
        match self {
            IpFamily::Any => {}
            IpFamily::V4 => all.retain(|a| ip(a).is_ipv4()),
            IpFamily::V6 => all.retain(|a| ip(a).is_ipv6()),
            IpFamily::PreferV4 => all.sort_by_key(|a| ip(a).is_ipv6()),
            IpFamily::PreferV6 => all.sort_by_key(|a| ip(a).is_ipv4()),
        }
        all
    }
}

impl FromStr for IpFamily {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<IpFamily, BadValue> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "any" => IpFamily::Any,
            "4" | "ip4" | "ipv4" => IpFamily::V4,
            "6" | "ip6" | "ipv6" => IpFamily::V6,
            "prefer-4" => IpFamily::PreferV4,
            "prefer-6" => IpFamily::PreferV6,
            _ => return Err(BadValue::expected("any, 4, 6, prefer-4 or prefer-6")),
        })
    }
}

impl fmt::Display for IpFamily {
    /// As in "has no IPv4 address".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
            IpFamily::Any | IpFamily::PreferV4 | IpFamily::PreferV6 => "IP",
        })
    }
}

/// A regular expression, compiled once.
#[derive(Debug, Clone)]
pub struct Pattern(pub Regex);

impl FromStr for Pattern {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Pattern, BadValue> {
        Regex::new(text).map(Pattern).map_err(|error| {
            // The last line says what is wrong; those before it draw an arrow under the pattern.
            let text = error.to_string();
            let last = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            BadValue(format!("expected a regular expression: {last}"))
        })
    }
}

/// The text of a file, read while the options are parsed. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct FileText(pub String);

/// Larger than any token, password or request body that makes sense for a probe, smaller than what would hurt.
const LARGEST_FILE: u64 = 1 << 20;

impl FromStr for FileText {
    type Err = BadValue;

    fn from_str(path: &str) -> Result<FileText, BadValue> {
        let bytes = read_file(path)?;
        String::from_utf8(bytes)
            .map(FileText)
            .map_err(|_| BadValue::expected("a file with UTF-8 text"))
    }
}

impl FileText {
    /// The text without the line end that editors and `kubectl create secret --from-file` leave behind.
    pub fn trimmed(&self) -> &str {
        self.0.trim_end_matches(['\r', '\n'])
    }
}

impl fmt::Debug for FileText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileText({} bytes)", self.0.len())
    }
}

pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, BadValue> {
    use std::io::Read;
    let cannot = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => error.to_string(),
        };
        BadValue(format!("expected a file that can be read: {reason}"))
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path.trim()).map_err(cannot)?;
    // A FIFO or a device would block or never end.
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(BadValue::expected("a regular file"));
    }
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(BadValue::expected("a file of at most 1MiB"));
    }
    Ok(bytes)
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

    #[test]
    fn families_filter_and_order() {
        let all: Vec<IpAddr> = vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let order = |family: &str| {
            let family: IpFamily = family.parse().unwrap();
            family
                .order(all.clone(), |ip| *ip)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(order("any"), ["::1", "127.0.0.1"]);
        assert_eq!(order("4"), ["127.0.0.1"]);
        assert_eq!(order("ipv6"), ["::1"]);
        assert_eq!(order("prefer-4"), ["127.0.0.1", "::1"]);
        assert_eq!(order("prefer-6"), ["::1", "127.0.0.1"]);
        assert!("5".parse::<IpFamily>().is_err());
    }

    #[test]
    fn files_are_read_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "secret\n").unwrap();
        let text: FileText = path.to_str().unwrap().parse().unwrap();
        assert_eq!(text.trimmed(), "secret");
        assert!(!format!("{text:?}").contains("secret"));
        let missing = "/nowhere/at-all".parse::<FileText>().unwrap_err();
        assert_eq!(missing.0, "expected a file that can be read: no such file");
        assert!(dir.path().to_str().unwrap().parse::<FileText>().is_err());
        std::fs::write(&path, vec![b'x'; (LARGEST_FILE + 1) as usize]).unwrap();
        assert!(path.to_str().unwrap().parse::<FileText>().is_err());
    }
}
