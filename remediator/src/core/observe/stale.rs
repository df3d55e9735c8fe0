//! How far a check's result can be relied on.

use super::super::{Body, CheckState, CheckStatus, Snapshot, Time, Timing};
use super::alert;

/// Seconds granted beyond two intervals and a time-out.
const SLACK: i64 = 120;

/// How far the result can be relied on. A check is stale once it has not been written for two intervals, a time-out and
/// two minutes, and also if its times lie as far in the future: then one of the clocks is wrong.
pub fn check_status(state: &CheckState, timing: Timing, now: Time) -> CheckStatus {
    if state.uid.is_empty() {
        return CheckStatus::Gone;
    }
    if state.last.is_none() && state.pending.is_none() {
        return CheckStatus::NeverRun;
    }
    let limit = 2 * i64::from(timing.interval) + i64::from(timing.timeout) + SLACK;
    match state.last_activity {
        Some(written) if now.since(written).abs() <= limit => {}
        _ => return CheckStatus::Stale,
    }
    if state.pending.is_some() || state.started.is_some() {
        CheckStatus::Running
    } else {
        CheckStatus::Settled
    }
}

/// How far what `snapshot` says can be relied on, whatever tells it.
pub fn reliance(snapshot: &Snapshot, state: &CheckState, now: Time) -> CheckStatus {
    match &snapshot.body {
        Body::V2(_) | Body::V3(_) => check_status(state, snapshot.timing, now),
        Body::Alerts(alerts) => alert::status(state, alerts, now),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{CheckState, CheckStatus, RunId, Time, Timing, Verdict};
    use super::check_status;

    #[test]
    fn what_was_not_written_for_long_is_stale() {
        let timing = Timing {
            interval: 600,
            timeout: 300,
        };
        let now = Time::from_unix(10_000);
        let state = |written: i64| CheckState {
            uid: "u".to_owned(),
            last: Some((
                RunId("r".to_owned()),
                Verdict::Passed,
                Time::from_unix(written),
            )),
            last_activity: Some(Time::from_unix(written)),
            ..CheckState::default()
        };
        for (written, expected) in [
            (10_000, CheckStatus::Settled),
            (10_000 - 1620, CheckStatus::Settled),
            (10_000 - 1621, CheckStatus::Stale),
            (10_000 + 1621, CheckStatus::Stale),
        ] {
            assert_eq!(
                check_status(&state(written), timing, now),
                expected,
                "{written}"
            );
        }
        assert_eq!(
            check_status(&CheckState::default(), timing, now),
            CheckStatus::Gone
        );
        assert_eq!(
            check_status(
                &CheckState {
                    uid: "u".to_owned(),
                    ..CheckState::default()
                },
                timing,
                now
            ),
            CheckStatus::NeverRun
        );
    }
}
