//! What the core hands out to be kept comes back the same, through JSON and through the pruning of an API server.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use remediator::core::{
    Action, ActionName, Begun, Candidate, CheckKey, CheckKind, CheckState, Choice, Claim, Class,
    Counters, Fresh, Incident, Incident0, Inferred, Intent, KnownFailure, KnownStep, Learned, Mode,
    ObjectKey, Pattern, Pending, Phase, PolicyState, Reason, RecordStatus, Revert, Run, RunId,
    Scaling, Seen, Selection, Standing, Statistics, Tally, TargetKind, TargetRef, Time, Touched,
    Verdict, Verify,
};
use remediator::crd::remediation::PodReference;
use remediator::crd::{
    Remediation, RemediationPolicy, RemediationPolicyStatus, record_status, record_view,
    remediation, state_view, write_state,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::support::{full_policy, schema};

/// Through JSON, and through the schema: a field that it does not know would be gone, a value out of its bounds
/// refused by an API server.
fn stored<T: Serialize + DeserializeOwned>(file: &str, object: &T) -> T {
    let value = serde_json::to_value(object).unwrap();
    let schema = schema(file);
    for part in ["spec", "status"] {
        if !value[part].is_null() {
            known(&schema["properties"][part], &value[part], part);
        }
    }
    serde_json::from_value(value).unwrap()
}

fn known(schema: &Value, value: &Value, at: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = schema["properties"].get(name);
                let field = field.unwrap_or(&schema["additionalProperties"]);
                assert!(field.is_object(), "{at}.{name} would be pruned");
                known(field, value, &format!("{at}.{name}"));
            }
        }
        Value::Array(elements) => {
            let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
            assert!(elements.len() as u64 <= most, "{at} has more than {most}");
            for value in elements {
                known(&schema["items"], value, &format!("{at}[]"));
            }
        }
        Value::String(text) => {
            let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
            assert!(
                text.chars().count() as u64 <= most,
                "{at} is longer than {most}"
            );
            if let Some(choices) = schema["enum"].as_array() {
                assert!(choices.contains(value), "{at}: {text} is unknown");
            }
        }
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
            let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
            assert!((least..=most).contains(&number), "{at}: {number}");
        }
        Value::Bool(_) => {}
        Value::Null => panic!("{at} is null: it should be left out"),
    }
}

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_unix)
}

fn run_id() -> impl Strategy<Value = RunId> {
    "[a-z0-9/+-]{1,60}".prop_map(RunId)
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

fn failure() -> impl Strategy<Value = Pattern> {
    ("[0-9a-f]{10}", "\\PC{0,120}").prop_map(|(id, text)| Pattern { id, text })
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

fn state() -> impl Strategy<Value = PolicyState> {
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

fn intent() -> impl Strategy<Value = Intent> {
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

fn status() -> impl Strategy<Value = RecordStatus> {
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

fn policy() -> RemediationPolicy {
    serde_json::from_value(full_policy()).unwrap()
}

proptest! {
    #[test]
    fn a_policys_state_comes_back(state in state()) {
        let mut policy = policy();
        let status = policy.status.get_or_insert_with(RemediationPolicyStatus::default);
        status.observed_generation = Some(7);
        write_state(&state, status);
        let read = stored("remediationpolicies.yaml", &policy);
        prop_assert_eq!(state_view(&read), state);
        prop_assert_eq!(read.status.unwrap().observed_generation, Some(7));
    }

    #[test]
    fn a_record_comes_back(intent in intent(), status in status(), approved in any::<bool>()) {
        let mut object = remediation(&intent, &policy());
        prop_assert_eq!(
            &record_view(&stored("remediations.yaml", &object)).unwrap().status,
            &RecordStatus::default()
        );
        object.spec.approved = approved;
        object.status = Some(record_status(&intent, &status));
        let record = record_view(&stored::<Remediation>("remediations.yaml", &object)).unwrap();
        prop_assert_eq!(record.intent, intent);
        prop_assert_eq!(record.status, status);
        prop_assert_eq!(record.approved, approved);
    }
}

#[test]
fn a_damaged_status_is_brought_within_bounds() {
    let mut policy = full_policy();
    policy["status"] = json!({
        "failures": -1, "successes": 1_i64 << 40, "verdicts": -7,
        "check": {"uid": "u", "seen": {"ok": true, "errorsHash": "not hexadecimal", "failures": -3}},
        "statistics": {"byAction": {"explode": {"failed": 9}, "scale": {"failed": -9}}},
        "learned": vec![json!({
            "id": "0123456789abcdef", "text": "x".repeat(1000), "lastTime": "2026-01-01T00:00:00Z",
            "steps": vec![json!({"step": "y".repeat(100), "outcomes": "SxF".repeat(9)}); 9],
        }); 99],
    });
    let policy: RemediationPolicy = serde_json::from_value(policy).unwrap();
    let state = state_view(&policy);
    assert_eq!(
        (state.failures, state.successes, state.verdicts),
        (0, u32::MAX, 0)
    );
    let seen = state.check.seen.unwrap();
    assert_eq!((seen.errors_hash, seen.failures), (0, 0));
    let learned = &state.statistics.learned.failures;
    assert_eq!((learned.len(), learned[0].steps.len()), (16, 5));
    assert_eq!(learned[0].pattern.text.len(), 120);
    let step = &learned[0].steps[0];
    assert_eq!((step.step.len(), step.outcomes.len()), (64, 10));
    let tallies: Vec<_> = state.statistics.by_action.into_iter().collect();
    assert_eq!(tallies, [(ActionName::Scale, Tally::default())]);
}

#[test]
fn the_success_rate_leaves_out_what_tells_nothing() {
    for (succeeded, failed, expected) in [
        (0, 0, None),
        (1, 2, Some(33)),
        (5, 0, Some(100)),
        (0, 1, Some(0)),
    ] {
        let tally = Tally {
            succeeded,
            failed,
            inconclusive: 100,
            dry_run: 100,
            ..Tally::default()
        };
        let state = PolicyState {
            statistics: Statistics {
                by_action: [(ActionName::Scale, tally)].into(),
                ..Statistics::default()
            },
            ..PolicyState::default()
        };
        let mut status = RemediationPolicyStatus::default();
        write_state(&state, &mut status);
        assert_eq!(status.success_percent, expected);
    }
}

#[test]
fn an_object_that_no_remediator_wrote_is_refused() {
    let intent = {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        intent().new_tree(&mut runner).unwrap().current()
    };
    let object = remediation(&intent, &policy());
    assert!(record_view(&object).is_ok());
    type Damage = fn(&mut Remediation);
    let wrong: [(&str, Damage); 10] = [
        ("spec.action", |object| {
            object.spec.action = Default::default()
        }),
        ("spec.actionName", |object| {
            object.spec.action_name = "explode".to_owned()
        }),
        ("spec.target.name", |object| {
            object.spec.target.name = "../../other/deployments/web".to_owned();
        }),
        ("spec.pods[0].name", |object| {
            let name = "web/../../other".to_owned();
            let uid = "1".to_owned();
            object.spec.pods = vec![PodReference { name, uid }];
        }),
        ("spec.autoscaler", |object| {
            object.spec.autoscaler = Some("web?dryRun=All".to_owned());
        }),
        ("spec.attempt", |object| object.spec.attempt = 0),
        ("spec.step", |object| object.spec.step = 5),
        ("spec.target.uid", |object| object.spec.target.uid.clear()),
        ("spec.verify.seconds", |object| {
            object.spec.verify.seconds = -1
        }),
        ("spec.choice.steps[0].tries", |object| {
            let candidate = json!({"step": "scale", "tries": -1, "successes": 0, "score": 0, "standing": "Held"});
            let choice = json!({"failure": "0123456789", "steps": [candidate]});
            object.spec.choice = serde_json::from_value(choice).unwrap();
        }),
    ];
    for (field, damage) in wrong {
        let mut object = object.clone();
        damage(&mut object);
        assert_eq!(record_view(&object).unwrap_err().field, field);
    }
}
