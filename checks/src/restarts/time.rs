//! Times as the Kubernetes API writes them (RFC 3339).

/// Seconds since 1970 of a time such as `2026-11-21T03:12:44Z`; `None` if it is none.
///
/// Fractions of a second are dropped. The API writes UTC; another offset is understood too.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    let (date, time) = (text.get(..10)?, text.get(10..)?);
    let number = |text: &str, from: usize, length: usize| -> Option<i64> {
        let digits = text.get(from..from + length)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse().ok())?
    };
    let mark = |text: &str, at: usize, marks: &[u8]| {
        text.as_bytes()
            .get(at)
            .is_some_and(|byte| marks.contains(byte))
    };
    let marked = mark(date, 4, b"-")
        && mark(date, 7, b"-")
        && mark(time, 0, b"Tt")
        && mark(time, 3, b":")
        && mark(time, 6, b":");
    let (year, month, day) = (
        number(date, 0, 4)?,
        number(date, 5, 2)?,
        number(date, 8, 2)?,
    );
    let (hour, minute, second) = (
        number(time, 1, 2)?,
        number(time, 4, 2)?,
        number(time, 7, 2)?,
    );
    // A leap second is written as 60.
    let sound = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !marked || !sound {
        return None;
    }
    let rest = time.get(9..)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit())?;
            fraction.get(end..).filter(|_| end > 0)?
        }
        None => rest,
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = match zone.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            if zone.len() != 6 || !mark(zone, 3, b":") {
                return None;
            }
            sign * (number(zone, 1, 2)? * 3600 + number(zone, 4, 2)? * 60)
        }
    };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. The year is taken to begin in March, so that the day that
/// may be missing is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        // Counted by `date -d TEXT +%s`.
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2001-02-28T23:59:60Z", 983_404_800),
            ("2024-03-01T00:00:00Z", 1_709_251_200),
            ("2026-11-21T03:12:44Z", 1_795_230_764),
            ("2026-11-21T03:12:44.987654Z", 1_795_230_764),
            ("2026-11-21T05:42:44+02:30", 1_795_230_764),
            ("2026-11-20T19:12:44-08:00", 1_795_230_764),
            ("2100-03-01T00:00:00z", 4_107_542_400),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
        ] {
            assert_eq!(unix_seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T03:12:44",
            "2026-11-21 03:12:44Z",
            "2026-13-21T03:12:44Z",
            "2026-00-21T03:12:44Z",
            "2026-11-32T03:12:44Z",
            "2026-11-21T24:12:44Z",
            "2026-11-21T03:60:44Z",
            "2026-11-21T03:12:61Z",
            "2026-11-21T03:12:44.Z",
            "2026-11-21T03:12:44.5",
            "2026-11-21T03:12:44+0200",
            "2026-11-21T03:12:44+02:00x",
            "+026-11-21T03:12:44Z",
            "2026-11-21T03:12:44Zé",
            "2026é11-21T03:12:44Z",
            "soon",
        ] {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }
}
