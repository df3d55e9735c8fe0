//! How long things may take, and what that leaves for a run.

use std::time::{Duration, SystemTime};

use crate::env::{Line, RunEnv};

/// Every duration the harness and the reporter go by. Not part of the public surface: it is there so that tests need
/// not wait for minutes.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long the first attempt waits for an answer of line 2. It looks the pod up for up to a minute, twice, before
    /// it gives in, and an attempt that is dropped starts this anew.
    pub patience_v2: Duration,
    /// How long the first attempt waits for an answer of line 3.
    pub patience_v3: Duration,
    /// What the patience is multiplied with after each attempt that got no answer.
    pub patience_factor: u32,
    /// How long connecting may take, name look-up and TLS handshake included.
    pub connect: Duration,
    /// How long the body of an answer may take once its status is known.
    pub body: Duration,
    /// The shortest pause between two attempts.
    pub pause_min: Duration,
    /// The longest pause between two attempts.
    pub pause_max: Duration,
    /// What reporting needs of a run on line 2: it polls every 5 s for the report and again every 5 s for the pod's end.
    pub reserve_v2: Duration,
    /// What reporting needs of a run on line 3.
    pub reserve_v3: Duration,
    /// How long a check may take on line 2 if no deadline is known (its default time-out).
    pub limit_v2: Duration,
    /// How long a check may take on line 3 if no deadline is known (its default time-out, less the reserve).
    pub limit_v3: Duration,
    /// How long reporting may take if no deadline is known.
    pub report: Duration,
    /// How long reporting may take after SIGTERM; a pod is killed 30 s after it.
    pub report_terminated: Duration,
    /// How long a check that was cut short may take to let go before its future is dropped.
    pub cancel: Duration,
    /// How long the process may wait, from the same moment, for the check to be gone.
    pub exit: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            patience_v2: Duration::from_secs(45),
            patience_v3: Duration::from_secs(15),
            patience_factor: 3,
            connect: Duration::from_secs(10),
            body: Duration::from_secs(2),
            pause_min: Duration::from_millis(200),
            pause_max: Duration::from_secs(5),
            reserve_v2: Duration::from_secs(12),
            reserve_v3: Duration::from_secs(5),
            limit_v2: Duration::from_secs(300),
            limit_v3: Duration::from_secs(25),
            report: Duration::from_secs(30),
            report_terminated: Duration::from_secs(20),
            cancel: Duration::from_millis(750),
            exit: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// The defaults, each divided by `by` but `exit`: it is waited for only as long as a check has not let go.
    pub fn shortened(by: u32) -> Timing {
        let default = Timing::default();
        Timing {
            patience_v2: default.patience_v2 / by,
            patience_v3: default.patience_v3 / by,
            patience_factor: default.patience_factor,
            connect: default.connect / by,
            body: default.body / by,
            pause_min: default.pause_min / by,
            pause_max: default.pause_max / by,
            reserve_v2: default.reserve_v2 / by,
            reserve_v3: default.reserve_v3 / by,
            limit_v2: default.limit_v2 / by,
            limit_v3: default.limit_v3 / by,
            report: default.report / by,
            report_terminated: default.report_terminated / by,
            cancel: default.cancel / by,
            exit: default.exit,
        }
    }

    pub(crate) fn patience(&self, line: Line) -> Duration {
        match line {
            Line::V2 => self.patience_v2,
            Line::V3 => self.patience_v3,
        }
    }
}

/// What a run may take, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nobody waits for a report.
    Unlimited,
    /// The deadline is known.
    Until {
        /// When the check must be done.
        check: Duration,
        /// When the report must be delivered: at the deadline.
        report: Duration,
    },
    /// The deadline is not known.
    Assumed {
        /// When the check must be done.
        check: Duration,
    },
    /// The deadline passed before the run began.
    Over,
}

impl Plan {
    /// The plan for a run in `env` that begins `now`.
    pub(crate) fn new(env: &RunEnv, now: SystemTime, timing: &Timing) -> Plan {
        let Some(endpoint) = &env.endpoint else {
            return Plan::Unlimited;
        };
        let (reserve, limit) = match endpoint.line {
            Line::V2 => (timing.reserve_v2, timing.limit_v2),
            Line::V3 => (timing.reserve_v3, timing.limit_v3),
        };
        let Some(deadline) = env.deadline else {
            return Plan::Assumed { check: limit };
        };
        match deadline.duration_since(now) {
            Ok(left) if !left.is_zero() => Plan::Until {
                check: left - reserve.min(left / 2),
                report: left,
            },
            _ => Plan::Over,
        }
    }

    /// When the check must be done, if ever.
    pub(crate) fn check(self) -> Option<Duration> {
        match self {
            Plan::Until { check, .. } | Plan::Assumed { check } => Some(check),
            Plan::Unlimited | Plan::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::env::Endpoint;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn plan(path: &str, deadline: Option<u64>) -> Plan {
        let url = Url::parse("http://kh").unwrap().join(path).unwrap();
        let env = RunEnv {
            endpoint: Some(Endpoint::new(url, None)),
            deadline: deadline.map(|seconds| NOW + Duration::from_secs(seconds)),
            ..RunEnv::default()
        };
        Plan::new(&env, NOW, &Timing::default())
    }

    #[test]
    fn the_reserve_is_taken_off_but_never_more_than_half() {
        let cases = [
            ("externalCheckStatus", 300, 288),
            ("externalCheckStatus", 24, 12),
            ("externalCheckStatus", 10, 5),
            ("check", 30, 25),
            ("check", 10, 5),
            ("check", 4, 2),
        ];
        for (path, left, check) in cases {
            let expected = Plan::Until {
                check: Duration::from_secs(check),
                report: Duration::from_secs(left),
            };
            assert_eq!(plan(path, Some(left)), expected, "{path} {left}");
        }
    }

    #[test]
    fn without_a_deadline_the_default_time_outs_hold() {
        let assumed = |seconds| Plan::Assumed {
            check: Duration::from_secs(seconds),
        };
        assert_eq!(plan("externalCheckStatus", None), assumed(300));
        assert_eq!(plan("check", None), assumed(25));
    }

    #[test]
    fn a_deadline_in_the_past_is_over_and_a_terminal_has_none() {
        assert_eq!(plan("check", Some(0)), Plan::Over);
        let terminal = RunEnv {
            deadline: Some(NOW),
            ..RunEnv::default()
        };
        assert_eq!(
            Plan::new(&terminal, NOW, &Timing::default()),
            Plan::Unlimited
        );
    }
}
