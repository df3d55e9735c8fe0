//! When acting is allowed.

use jiff::civil::Time as Clock;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::{Time, Window};

/// Whether a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Yes, or there are no windows.
    Open,
    /// No.
    Closed {
        /// When the next one opens; none: a time zone is unknown or no day fits.
        until: Option<Time>,
    },
}

/// A window may open on the day before, and a weekly one opens within eight days.
const DAYS: std::ops::RangeInclusive<i64> = -1..=8;

/// Whether any of the windows is open. One that crosses midnight belongs to the day on which it opens. A window with an
/// unknown time zone never opens.
pub fn opening(windows: &[Window], now: Time) -> Opening {
    if windows.is_empty() {
        return Opening::Open;
    }
    let mut until: Option<Time> = None;
    for (start, end) in windows.iter().flat_map(|window| openings(window, now)) {
        if start <= now && now < end {
            return Opening::Open;
        }
        if start > now {
            until = Some(until.map_or(start, |until| until.min(start)));
        }
    }
    Opening::Closed { until }
}

/// The times at which a window opens and closes, around now.
fn openings(window: &Window, now: Time) -> Vec<(Time, Time)> {
    let (Ok(zone), Ok(timestamp)) = (
        TimeZone::get(&window.zone),
        Timestamp::from_second(now.unix()),
    ) else {
        return Vec::new();
    };
    let today = timestamp.to_zoned(zone.clone()).date();
    let at = |date: jiff::civil::Date, minutes: u16| {
        let hour = i8::try_from(minutes / 60).ok()?;
        let minute = i8::try_from(minutes % 60).ok()?;
        let clock = Clock::new(hour, minute, 0, 0).ok()?;
        let zoned = date.to_datetime(clock).to_zoned(zone.clone()).ok()?;
        Some(Time::from_unix(zoned.timestamp().as_second()))
    };
    let opening = |days: i64| {
        let date = today.checked_add(Span::new().days(days)).ok()?;
        let weekday = u8::try_from(date.weekday().to_monday_zero_offset()).ok()?;
        if window.days != 0 && window.days & 1 << weekday == 0 {
            return None;
        }
        let last = if window.end > window.start {
            date
        } else {
            date.tomorrow().ok()?
        };
        Some((at(date, window.start)?, at(last, window.end)?))
    };
    DAYS.filter_map(opening).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Time, Window};
    use super::{Opening, opening};

    fn window(days: u8, start: u16, end: u16, zone: &str) -> Window {
        Window {
            days,
            start,
            end,
            zone: zone.to_owned(),
        }
    }

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn windows_open_and_close() {
        let weekdays = window(0b001_1111, 9 * 60, 17 * 60, "Europe/Berlin");
        let night = window(0b001_0000, 22 * 60, 6 * 60, "UTC");
        // 2026-11-20 is a Friday; Berlin is an hour ahead of UTC then, and two in July.
        for (windows, now, until) in [
            (vec![], "2026-11-21T03:00:00Z", None),
            (vec![weekdays.clone()], "2026-11-20T08:00:00Z", None),
            (
                vec![weekdays.clone()],
                "2026-11-20T07:59:59Z",
                Some("2026-11-20T08:00:00Z"),
            ),
            (
                vec![weekdays.clone()],
                "2026-11-20T16:00:00Z",
                Some("2026-11-23T08:00:00Z"),
            ),
            (vec![weekdays.clone()], "2026-07-17T07:00:00Z", None),
            (vec![night.clone()], "2026-11-21T05:59:59Z", None),
            (
                vec![night.clone()],
                "2026-11-21T06:00:00Z",
                Some("2026-11-27T22:00:00Z"),
            ),
            (
                vec![weekdays, night],
                "2026-11-20T21:00:00Z",
                Some("2026-11-20T22:00:00Z"),
            ),
        ] {
            let expected = match until {
                None => Opening::Open,
                Some(until) => Opening::Closed {
                    until: Some(time(until)),
                },
            };
            assert_eq!(
                opening(&windows, time(now)),
                expected,
                "{windows:?} at {now}"
            );
        }
    }

    #[test]
    fn an_unknown_zone_never_opens() {
        let windows = [window(0, 0, 1439, "Atlantis/Centre")];
        assert_eq!(
            opening(&windows, time("2026-11-20T12:00:00Z")),
            Opening::Closed { until: None }
        );
    }
}
