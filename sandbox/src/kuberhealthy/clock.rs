//! Times as Kuberhealthy writes them.

use jiff::Timestamp;

/// Now in RFC 3339 with seconds, Kubernetes' resolution for times in objects.
pub(crate) fn now_rfc3339() -> String {
    rfc3339(Timestamp::now().as_second())
}

/// Unix seconds as RFC 3339 in UTC.
pub(crate) fn rfc3339(unix: i64) -> String {
    Timestamp::from_second(unix).unwrap_or_default().to_string()
}

/// Seconds since the epoch.
pub(crate) fn now_unix() -> i64 {
    Timestamp::now().as_second()
}

/// Unix seconds of an RFC 3339 time; `None` if it is none.
pub(crate) fn parse_unix(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_in_utc() {
        assert_eq!(rfc3339(1_795_226_861), "2026-11-21T02:07:41Z");
        assert_eq!(parse_unix("2026-11-21T02:07:41Z"), Some(1_795_226_861));
    }
}
