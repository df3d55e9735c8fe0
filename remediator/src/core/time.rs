//! Time as Kubernetes and Kuberhealthy write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Whole seconds since the epoch, UTC; RFC 3339 in JSON. That is the resolution of Kubernetes' and Kuberhealthy's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(i64);

/// Years 0001 to 9999, all that RFC 3339 can write.
const MINIMUM: i64 = -62_135_596_800;
const MAXIMUM: i64 = 253_402_207_200;

/// A text that is no RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("expected a time such as 2026-01-31T12:00:00Z")]
pub struct NoTime;

impl Time {
    /// The latest that can be written.
    pub const LATEST: Time = Time(MAXIMUM);

    /// From seconds since the epoch; what RFC 3339 cannot write is cut to the nearest it can.
    pub fn from_unix(seconds: i64) -> Time {
        Time(seconds.clamp(MINIMUM, MAXIMUM))
    }

    /// Seconds since the epoch.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// This many seconds later.
    pub fn plus(self, seconds: u32) -> Time {
        Time::from_unix(self.0.saturating_add(i64::from(seconds)))
    }

    /// Seconds from `earlier` to this; negative if `earlier` is later.
    pub fn since(self, earlier: Time) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Time, NoTime> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| NoTime)?;
        Ok(Time::from_unix(timestamp.as_second()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn times_are_written_and_read_as_rfc_3339() {
        for seconds in [0, 1_785_844_000, i64::MIN, i64::MAX, -1] {
            let time = Time::from_unix(seconds);
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time, "{json}");
        }
        assert_eq!(Time::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
        assert!("yesterday".parse::<Time>().is_err());
    }
}
