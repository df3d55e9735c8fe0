//! What a policy remembers, made up at random.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use remediator::core::{
    ActionName, CheckKey, CheckKind, CheckState, Class, Counters, Incident, Inferred, KnownFailure,
    KnownStep, Learned, Pending, PolicyState, Run, Seen, Statistics, Tally, Verdict,
};

use super::{failure, run_id, time};

pub(in crate::crds) fn state() -> impl Strategy<Value = PolicyState> {
    let parts = (
        check(),
        counters(),
        option::of(counters()),
        statistics(),
        upstreams(),
    );
    parts.prop_map(|(check, now, before, statistics, upstreams)| PolicyState {
        check,
        failures: now.failures,
        successes: now.successes,
        first_failure: now.first_failure,
        last_counted: now.last_counted,
        before_last: before.map(Box::new),
        verdicts: now.verdicts,
        incident: now.incident,
        healthy_since: now.healthy_since,
        statistics,
        upstreams,
    })
}

fn check() -> impl Strategy<Value = CheckState> {
    (
        ("[a-f0-9-]{0,36}", option::of(seen()), vec(run_id(), 0..=8)),
        option::of((run(), time()).prop_map(|(run, until)| Pending { run, until })),
        option::of(("[a-f0-9-]{0,36}", time())),
        option::of((run_id(), verdict(), time())),
        option::of(time()),
    )
        .prop_map(
            |((uid, seen, recent), pending, started, last, last_activity)| CheckState {
                uid,
                seen,
                recent,
                pending,
                started,
                last,
                last_activity,
            },
        )
}

fn seen() -> impl Strategy<Value = Seen> {
    let counts = (0..=i64::MAX as u64, 0..=i64::MAX as u64);
    (
        option::of(time()),
        "[a-f0-9-]{0,36}",
        any::<bool>(),
        any::<u64>(),
        counts,
    )
        .prop_map(
            |(last_run, uuid, ok, errors_hash, (successes, failures))| Seen {
                last_run,
                uuid,
                ok,
                errors_hash,
                successes,
                failures,
            },
        )
}

fn run() -> impl Strategy<Value = Run> {
    (run_id(), option::of(time()), time(), verdict(), errors()).prop_map(
        |(id, started, finished, verdict, errors)| Run {
            id,
            started,
            finished,
            verdict,
            errors,
        },
    )
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Passed),
        Just(Verdict::Failed(Class::Reported)),
        Just(Verdict::Failed(Class::Timeout)),
        Just(Verdict::Failed(Class::Infrastructure)),
        Just(Verdict::Inconclusive),
    ]
}

fn errors() -> impl Strategy<Value = Vec<String>> {
    vec("\\PC{0,40}", 0..4)
}

fn counters() -> impl Strategy<Value = Counters> {
    (
        (any::<u32>(), any::<u32>(), any::<u16>()),
        option::of(time()),
        option::of((run_id(), time())),
        option::of(incident()),
        option::of(time()),
    )
        .prop_map(
            |(
                (failures, successes, verdicts),
                first_failure,
                last_counted,
                incident,
                healthy_since,
            )| {
                Counters {
                    failures,
                    successes,
                    first_failure,
                    last_counted,
                    verdicts,
                    incident,
                    healthy_since,
                }
            },
        )
}

fn incident() -> impl Strategy<Value = Incident> {
    let runs = (run_id(), run_id(), option::of(time()), errors());
    let ends = (
        option::of(time()),
        any::<bool>(),
        any::<u32>(),
        option::of(time()),
        any::<bool>(),
    );
    ("[0-9a-f]{10}", time(), runs, ends).prop_map(
        |(id, opened, (first_run, failing_run, failing_started, errors), ends)| Incident {
            id,
            opened,
            first_run,
            failing_run,
            failing_started,
            errors,
            recovered: ends.0,
            exhausted: ends.1,
            joined: ends.2,
            upstream_recovered: ends.3,
            reached: ends.4,
        },
    )
}

fn statistics() -> impl Strategy<Value = Statistics> {
    let number = || 0..=i64::MAX as u64;
    let tally = (
        number(),
        number(),
        number(),
        number(),
        number(),
        option::of(time()),
    )
        .prop_map(
            |(succeeded, failed, inconclusive, blocked, dry_run, last)| Tally {
                succeeded,
                failed,
                inconclusive,
                blocked,
                dry_run,
                last,
            },
        );
    let names = [
        ActionName::RestartPods,
        ActionName::RolloutRestart,
        ActionName::Scale,
        ActionName::Rollback,
    ];
    (
        proptest::collection::btree_map(prop::sample::select(names.to_vec()), tally, 0..=4),
        proptest::collection::btree_set("[0-9a-f]{10}-[0-9]{1,3}", 0..5),
        vec(known_failure(), 0..=16),
    )
        .prop_map(|(by_action, counted, failures)| Statistics {
            by_action: BTreeMap::from_iter(by_action),
            counted,
            learned: Learned { failures },
        })
}

fn known_failure() -> impl Strategy<Value = KnownFailure> {
    let step = ("[ -~]{1,64}", vec(any::<bool>(), 0..=10))
        .prop_map(|(step, outcomes)| KnownStep { step, outcomes });
    (failure(), time(), vec(step, 0..=5)).prop_map(|(pattern, last, steps)| KnownFailure {
        pattern,
        last,
        steps,
    })
}

fn upstreams() -> impl Strategy<Value = Vec<Inferred>> {
    let kinds = prop::sample::select(vec![CheckKind::KuberhealthyState, CheckKind::HealthCheck]);
    let one = (
        kinds,
        "[a-z]{1,9}",
        "[a-z]{1,9}",
        "service [a-z]{1,9}/[a-z]{1,9}",
    );
    let one = one.prop_map(|(kind, namespace, name, via)| Inferred {
        check: CheckKey {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        },
        via,
    });
    vec(one, 0..=16)
}
