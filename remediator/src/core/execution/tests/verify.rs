//! The target settles; then runs, or the end of an alert, say whether it has helped.

use super::*;
use crate::core::{Class, Verdict};

fn run(id: &str, started: Option<Time>, verdict: Verdict) -> Run {
    Run {
        id: RunId(id.to_owned()),
        started,
        finished: t0().plus(100),
        verdict,
        errors: Vec::new(),
    }
}

#[test]
fn only_runs_that_started_after_the_rollout_judge_it() {
    let failed = Verdict::Failed(Class::Reported);
    let after = Some(t0().plus(1));
    let table: &[(&[Run], i64, Phase, Reason)] = &[
        (&[], 0, Phase::Verifying, Reason::Verifying),
        (&[], 300, Phase::Inconclusive, Reason::NoFreshRun),
        (
            &[run("1", Some(t0()), Verdict::Passed)],
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
        (
            &[run("1", None, Verdict::Passed)],
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
        (
            &[run("1", after, Verdict::Passed)],
            1,
            Phase::Succeeded,
            Reason::Verified,
        ),
        (
            &[run("1", after, failed)],
            300,
            Phase::Failed,
            Reason::VerificationTimeout,
        ),
        (
            &[run("1", after, failed), run("2", after, failed)],
            1,
            Phase::Failed,
            Reason::VerificationFailed,
        ),
        (
            &[run("1", after, Verdict::Failed(Class::Infrastructure))],
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
    ];
    for (runs, seconds, phase, reason) in table {
        let mut record = record(Action::RolloutRestart);
        record.status = settled(t0(), &record.intent, &record.status, "");
        let now = Time::from_unix(t0().unix() + seconds);
        let live = Live::Target(Box::new(facts()));
        // The same runs are shown again and again and counted once.
        for _ in 0..3 {
            if let Next::Status(status) = next(now, &record, &live, &standing(runs)) {
                record.status = status;
            }
        }
        assert_eq!(
            (record.status.phase, record.status.reason),
            (*phase, *reason),
            "{runs:?}"
        );
    }
}

#[test]
fn a_timed_out_run_is_a_failure_where_the_policy_counts_it_as_one() {
    let timeout = Verdict::Failed(Class::Timeout);
    let after = Some(t0().plus(1));
    let runs = [
        run("1", after, timeout),
        run("2", after, Verdict::Inconclusive),
        run("3", after, timeout),
    ];
    for (counts, now, expected) in [
        (false, t0().plus(1), (Phase::Verifying, 0)),
        (false, t0().plus(300), (Phase::Inconclusive, 0)),
        (true, t0().plus(1), (Phase::Failed, 2)),
    ] {
        let mut record = record(Action::RolloutRestart);
        record.intent.verify.count_timeouts = counts;
        record.status = settled(t0(), &record.intent, &record.status, "");
        let live = Live::Target(Box::new(facts()));
        if let Next::Status(status) = next(now, &record, &live, &standing(&runs)) {
            record.status = status;
        }
        let found = (record.status.phase, record.status.fresh.failures);
        assert_eq!(found, expected, "{counts}");
    }
}

/// What an alert told holds until it tells something else.
#[test]
fn an_alert_is_judged_by_its_end_or_at_the_deadline() {
    let failed = Verdict::Failed(Class::Reported);
    let (before, at, after) = (Time::from_unix(t0().unix() - 10), t0(), t0().plus(1));
    let repeated: Vec<Run> = (1..9)
        .map(|number| run(&number.to_string(), Some(after), failed))
        .collect();
    let ended = |started: Time| {
        vec![
            run("0", Some(before), failed),
            run("1", Some(started), Verdict::Passed),
        ]
    };
    let settled_check = CheckStatus::Settled;
    for (runs, check, seconds, phase, reason) in [
        (
            repeated.clone(),
            settled_check,
            299,
            Phase::Verifying,
            Reason::Verifying,
        ),
        (
            repeated,
            settled_check,
            300,
            Phase::Failed,
            Reason::VerificationTimeout,
        ),
        (
            ended(after),
            settled_check,
            2,
            Phase::Succeeded,
            Reason::Verified,
        ),
        // Resolved while the target was still settling: nothing more will be told of it.
        (
            ended(at),
            settled_check,
            299,
            Phase::Verifying,
            Reason::Verifying,
        ),
        (
            ended(at),
            settled_check,
            300,
            Phase::Succeeded,
            Reason::Verified,
        ),
        // Resolved before anything was done.
        (
            ended(before),
            settled_check,
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
        (
            ended(before),
            CheckStatus::Stale,
            300,
            Phase::Inconclusive,
            Reason::Stale,
        ),
        (
            Vec::new(),
            settled_check,
            300,
            Phase::Inconclusive,
            Reason::NoFreshRun,
        ),
    ] {
        let mut record = record(Action::RolloutRestart);
        record.status = settled(t0(), &record.intent, &record.status, "");
        let live = Live::Target(Box::new(facts()));
        let standing = Standing {
            check,
            lasting: true,
            ..standing(&runs)
        };
        for _ in 0..3 {
            if let Next::Status(status) = next(t0().plus(seconds), &record, &live, &standing) {
                record.status = status;
            }
        }
        let found = (record.status.phase, record.status.reason);
        assert_eq!(found, (phase, reason), "{runs:?} {check:?} {seconds}");
    }
}

#[test]
fn a_target_that_does_not_settle_is_a_failure() {
    let mut record = record(Action::RolloutRestart);
    record.status = applied(t0(), &record.intent, &record.status, Touched::Yes);
    let target = Facts {
        restarted_at: Some(t0()),
        observed_generation: 2,
        ..facts()
    };
    assert!(matches!(ask(&record, &target), Next::Wait { .. }));
    let late = t0().plus(SETTLE_SECONDS);
    let found = status(next(
        late,
        &record,
        &Live::Target(Box::new(target)),
        &standing(&[]),
    ));
    assert_eq!(
        (found.phase, found.reason),
        (Phase::Failed, Reason::VerificationTimeout)
    );
}
