//! What a record keeps of an intent and of what became of it, made up at random.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use remediator::core::{
    Action, Begun, Candidate, Choice, Claim, Fresh, Incident0, Intent, Mode, ObjectKey, Phase,
    Reason, RecordStatus, Revert, Scaling, Selection, Standing, TargetKind, TargetRef, Touched,
    Verify,
};

use super::{failure, run_id, time};

pub(in crate::crds) fn intent() -> impl Strategy<Value = Intent> {
    let mode = prop::sample::select(vec![Mode::DryRun, Mode::Enforce, Mode::Manual]);
    let kind = prop::sample::select(vec![
        TargetKind::Deployment,
        TargetKind::StatefulSet,
        TargetKind::DaemonSet,
    ]);
    let verify = (any::<u32>(), any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
        |(seconds, success_threshold, failure_threshold, count_timeouts)| Verify {
            seconds,
            success_threshold,
            failure_threshold,
            count_timeouts,
        },
    );
    let details = (
        vec(("[a-z0-9]{1,63}", "[a-f0-9-]{1,36}"), 0..=20),
        option::of((0..=i32::MAX, 1..=i32::MAX)),
        option::of("[a-z]{1,20}"),
        option::of((
            "[a-z0-9]{1,63}".prop_map(String::from),
            "[a-f0-9-]{1,36}",
            0..i64::MAX,
        )),
        verify,
        option::of(any::<u32>()),
        option::of(choice()),
        option::of((0..i64::MAX, 1..=u32::MAX)),
    );
    let names = (
        "[a-z]{1,63}",
        "[a-f0-9-]{1,36}",
        "[0-9a-f]{10}",
        run_id(),
        run_id(),
    );
    (
        names,
        (1..=u32::MAX, 0..=4_u32, mode, time(), time()),
        vec("\\PC{0,300}", 0..=10),
        (action(), kind, claim()),
        details,
    )
        .prop_map(
            |(
                (name, uid, id, first_run, run),
                (attempt, step, mode, opened, time),
                errors,
                what,
                details,
            )| {
                let (pods, replicas, autoscaler, revision, verify, revert_after, choice, begun) =
                    details;
                Intent {
                    policy: ObjectKey {
                        namespace: "shop".into(),
                        name: name.as_str().into(),
                    },
                    policy_uid: uid.clone(),
                    incident: Incident0 {
                        id,
                        opened,
                        first_run,
                    },
                    attempt,
                    step,
                    mode,
                    run,
                    errors,
                    time,
                    action: what.0,
                    target: TargetRef {
                        kind: what.1,
                        name,
                        uid,
                    },
                    claim: what.2,
                    pods,
                    replicas,
                    autoscaler,
                    revision,
                    verify,
                    revert_after,
                    choice,
                    begun: begun.map(|(term, number)| Begun { term, number }),
                }
            },
        )
}

fn action() -> impl Strategy<Value = Action> {
    let selection = prop::sample::select(vec![
        Selection::Reported,
        Selection::NotReady,
        Selection::All,
    ]);
    let revert = || option::of(60..=604_800_u32);
    prop_oneof![
        (selection, 1..=20_u32).prop_map(|(pods, max)| Action::RestartPods { pods, max }),
        Just(Action::RolloutRestart),
        Just(Action::Rollback),
        (1..=1000_i32, revert())
            .prop_map(|(replicas, revert)| Action::Scale(Scaling::Absolute { replicas, revert })),
        (1..=100_i32, 1..=1000_i32, revert())
            .prop_map(|(step, max, revert)| Action::Scale(Scaling::By { step, max, revert })),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    ("[0-9]{1,20}", 0..i64::MAX).prop_map(|(resource_version, generation)| Claim {
        resource_version,
        generation,
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    let standing = prop::sample::select(vec![
        Standing::Chosen,
        Standing::Waiting,
        Standing::Used,
        Standing::NoPodNamed,
        Standing::Held,
    ]);
    let step = (
        "[ -~]{1,64}",
        0..=10_u32,
        0..=10_u32,
        0..=1000_u32,
        standing,
    )
        .prop_map(|(step, tries, successes, score, standing)| Candidate {
            step,
            tries,
            successes,
            score,
            standing,
        });
    (failure(), vec(step, 0..=5)).prop_map(|(failure, steps)| Choice { failure, steps })
}

pub(in crate::crds) fn status() -> impl Strategy<Value = RecordStatus> {
    let phase = prop::sample::select(vec![
        Phase::Pending,
        Phase::Applied,
        Phase::Verifying,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Inconclusive,
        Phase::Blocked,
        Phase::DryRun,
    ]);
    let reason = || prop::sample::select(Reason::ALL.to_vec());
    let touched = prop::sample::select(vec![Touched::No, Touched::Maybe, Touched::Yes]);
    let times = (
        option::of(time()),
        option::of(time()),
        option::of(time()),
        option::of(time()),
        option::of(time()),
    );
    let fresh =
        (any::<u32>(), any::<u32>(), option::of(run_id())).prop_map(|(passes, failures, last)| {
            Fresh {
                passes,
                failures,
                last,
            }
        });
    let revert = (time(), option::of(claim()), option::of(reason()))
        .prop_map(|(due, claim, end)| Revert { due, claim, end });
    (
        (phase, reason(), "\\PC{0,512}", touched),
        (
            option::of(claim()),
            vec("[a-f0-9-]{1,36}", 0..=20),
            any::<u32>(),
        ),
        times,
        (fresh, option::of(revert), any::<i64>(), option::of(time())),
    )
        .prop_map(|(what, work, times, rest)| RecordStatus {
            phase: what.0,
            reason: what.1,
            message: what.2,
            touched: what.3,
            claim: work.0,
            pods_done: work.1,
            blocked_tries: work.2,
            retry_at: times.0,
            applied: times.1,
            rolled_out: times.2,
            deadline: times.3,
            completed: times.4,
            fresh: rest.0,
            revert: rest.1,
            term: rest.2,
            begun: rest.3,
        })
}
