//! Fields of objects: texts, counts, shares and times.

use serde_json::Value;

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// A count; 0 if it is left out.
pub(super) fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The time as Kubernetes writes it: RFC 3339, whole seconds, UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Seconds since a time as Kubernetes writes it; 0 if it is none.
pub(super) fn seconds_since(time: &Value) -> i64 {
    let time = time
        .as_str()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok());
    time.map_or(0, |time| {
        jiff::Timestamp::now().duration_since(time).as_secs()
    })
}

/// A number or a percentage of `whole`.
pub(super) fn share(value: &Value, whole: i64, round_up: bool) -> i64 {
    let percent = value
        .as_str()
        .and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    match percent {
        Some(percent) => {
            let hundredfold = percent.saturating_mul(whole);
            (hundredfold + if round_up { 99 } else { 0 }) / 100
        }
        None => count(value),
    }
}
