//! A check that another depends on holds its policy back.

use super::*;

#[test]
fn upstream_must_pass_after_our_first_failure() {
    for (status, last, recovered, expected) in [
        (CheckStatus::Settled, Some(passed(ago(5))), None, None),
        (CheckStatus::Running, Some(passed(ago(5))), None, None),
        (
            CheckStatus::Settled,
            Some(passed(ago(1300))),
            None,
            Some(Reason::UpstreamUnknown),
        ),
        (
            CheckStatus::Settled,
            None,
            None,
            Some(Reason::UpstreamUnknown),
        ),
        (
            CheckStatus::Stale,
            Some(passed(ago(5))),
            None,
            Some(Reason::UpstreamUnknown),
        ),
        (
            CheckStatus::Gone,
            Some(passed(ago(5))),
            None,
            Some(Reason::UpstreamUnknown),
        ),
        (
            CheckStatus::Settled,
            Some(passed(ago(5))),
            Some(ago(299)),
            Some(Reason::UpstreamGrace),
        ),
        (
            CheckStatus::Settled,
            Some(passed(ago(5))),
            Some(ago(305)),
            Some(Reason::UpstreamGrace),
        ),
        // The grace ended ten seconds ago; the last run to fail started twenty seconds ago.
        (
            CheckStatus::Settled,
            Some(passed(ago(5))),
            Some(ago(310)),
            Some(Reason::UpstreamGrace),
        ),
        (
            CheckStatus::Settled,
            Some(passed(ago(5))),
            Some(ago(320)),
            None,
        ),
    ] {
        let upstream = Upstream {
            key: check("db"),
            status,
            last: last.clone(),
            recovered,
        };
        let case = Case::with(|c| c.upstreams = vec![upstream]);
        match expected {
            Some(reason) => assert_eq!(case.reason(), reason, "{status:?} {last:?} {recovered:?}"),
            None => drop(case.act()),
        }
    }
}
