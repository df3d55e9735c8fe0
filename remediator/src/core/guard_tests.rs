//! Each guard has a history that acts if and only if that guard is switched off.

use super::decide::{decide_by, still_wanted, target_allows};
use super::guards::{Guard, Question, Rules, ask_target};
use super::{
    Action, Autoscaler, CheckKey, CheckKind, CheckState, CheckStatus, Claim, Class, Decision,
    Facts, FactsNeed, Incident, Incident0, Intent, Limits, Matcher, Mode, ObjectKey, Pending,
    Phase, PodFact, PolicySpec, PolicyState, Reason, Record, RecordStatus, Retry, Revision, Run,
    RunId, Safety, Scaling, Selection, Step, StormState, Strategy, TargetKind, TargetRef, Time,
    Timing, Touched, Upstream, Verdict, Verify, Window, World, wake,
};

/// 03:46:40 on a day in UTC.
const SECONDS: i64 = 100_000;

fn now() -> Time {
    Time::from_unix(SECONDS)
}

fn ago(seconds: i64) -> Time {
    Time::from_unix(SECONDS - seconds)
}

fn id(name: &str) -> RunId {
    RunId(name.to_owned())
}

fn check(name: &str) -> CheckKey {
    CheckKey {
        kind: CheckKind::HealthCheck,
        namespace: "kuberhealthy".into(),
        name: name.into(),
    }
}

fn pod(name: &str, ready: bool, created: i64) -> PodFact {
    let uid = format!("uid-{name}");
    PodFact {
        name: name.to_owned(),
        uid,
        created: Time::from_unix(created),
        ready,
        deleting: false,
        owned: true,
    }
}

fn passed(finished: Time) -> Run {
    Run {
        id: id("up"),
        started: Some(finished),
        finished,
        verdict: Verdict::Passed,
        errors: vec![],
    }
}

/// A situation; as [`Case::new`] makes it, the pod that the check names is evicted.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) spec: PolicySpec,
    pub(crate) state: PolicyState,
    pub(super) facts: Facts,
    pub(super) records: Vec<Record>,
    pub(super) upstreams: Vec<Upstream>,
    cycle: Option<Vec<CheckKey>>,
    rival: Option<ObjectKey>,
    limits: Limits,
    status: CheckStatus,
    storm: StormState,
    in_flight: u32,
    last_hour: u32,
    stale: u32,
}

impl Case {
    pub(crate) fn now() -> Time {
        now()
    }

    /// An upstream check that has just passed.
    pub(super) fn upstream() -> Upstream {
        Upstream {
            key: check("db"),
            status: CheckStatus::Settled,
            last: Some(passed(ago(5))),
            recovered: None,
        }
    }

    pub(crate) fn new() -> Case {
        let key = |name: &str| ObjectKey {
            namespace: "shop".into(),
            name: name.into(),
        };
        let incident = Incident {
            id: "0123456789".to_owned(),
            opened: ago(1300),
            first_run: id("r1"),
            failing_run: id("r3"),
            failing_started: Some(ago(20)),
            errors: vec!["pod shop/web-1: 502".to_owned()],
            recovered: None,
            exhausted: false,
            joined: 0,
            upstream_recovered: None,
            reached: true,
        };
        Case {
            spec: PolicySpec {
                key: key("web"),
                uid: "policy".to_owned(),
                generation: 1,
                mode: Mode::Enforce,
                source: None,
                check: ObjectKey {
                    namespace: "kuberhealthy".into(),
                    name: "web".into(),
                },
                failure_threshold: 3,
                failure_seconds: 0,
                success_threshold: 1,
                match_errors: Matcher::default(),
                count_timeouts: false,
                target: (TargetKind::Deployment, "web".into()),
                steps: vec![step(Action::RestartPods {
                    pods: Selection::Reported,
                    max: 1,
                })],
                retry: Retry::default(),
                safety: Safety::default(),
                depends_on: vec![],
                dependency_grace: 300,
                windows: vec![],
                pause: None,
                history_limit: 20,
                infer_dependencies: true,
                strategy: Strategy::Ordered,
                notify: None,
                alert: None,
            },
            state: PolicyState {
                check: CheckState {
                    uid: "check".to_owned(),
                    last: Some((id("r3"), Verdict::Failed(Class::Reported), ago(10))),
                    last_activity: Some(ago(10)),
                    ..CheckState::default()
                },
                failures: 3,
                first_failure: Some(ago(1300)),
                last_counted: Some((id("r3"), ago(10))),
                verdicts: 0b111,
                incident: Some(incident),
                ..PolicyState::default()
            },
            facts: Facts {
                uid: "target".to_owned(),
                resource_version: "7".to_owned(),
                generation: 2,
                observed_generation: 2,
                replicas: 3,
                updated: 3,
                ready: 2,
                paused: false,
                stalled: false,
                controlled: false,
                excluded: false,
                deleting: false,
                autoscaler: None,
                pods: vec![
                    pod("web-0", true, 3),
                    pod("web-1", false, 2),
                    pod("web-2", true, 1),
                ],
                revision: None,
                restarted_at: None,
                current_revision: None,
            },
            records: vec![],
            upstreams: vec![],
            cycle: None,
            rival: None,
            limits: Limits::default(),
            status: CheckStatus::Settled,
            storm: StormState::Calm,
            in_flight: 0,
            last_hour: 0,
            stale: 0,
        }
    }

    fn with(change: impl FnOnce(&mut Case)) -> Case {
        let mut case = Case::new();
        change(&mut case);
        case
    }

    fn step(action: Action, change: impl FnOnce(&mut Case)) -> Case {
        let mut case = Case::new();
        case.spec.steps = vec![step(action)];
        change(&mut case);
        case
    }

    pub(super) fn world(&self) -> World<'_> {
        World {
            records: &self.records,
            in_flight: self.in_flight,
            last_hour: self.last_hour,
            mapped: 10,
            checks: 10,
            failing: 1,
            stale: self.stale,
            storm: self.storm,
            upstreams: &self.upstreams,
            cycle: self.cycle.clone(),
            rival: self.rival.clone(),
            limits: self.limits,
            check_status: self.status,
            timing: Timing {
                interval: 600,
                timeout: 300,
            },
        }
    }

    fn decide(&self, without: Option<Guard>, facts: Option<&Facts>) -> Decision {
        let world = self.world();
        decide_by(
            Rules { without },
            Question {
                now: now(),
                spec: &self.spec,
                state: &self.state,
                world: &world,
            },
            facts,
        )
    }

    fn act(&self) -> Intent {
        match self.decide(None, Some(&self.facts)) {
            Decision::Act(intent) => *intent,
            other => panic!("{other:?}"),
        }
    }

    fn reason(&self) -> Reason {
        reason(&self.decide(None, Some(&self.facts)))
    }

    /// A finished record of the incident.
    pub(crate) fn record(
        &self,
        attempt: u32,
        run: &str,
        touched: Touched,
        completed: Time,
    ) -> Record {
        let mut intent = Case::new().act();
        intent.run = id(run);
        intent.attempt = attempt;
        let status = RecordStatus {
            phase: Phase::Failed,
            touched,
            completed: Some(completed),
            ..RecordStatus::default()
        };
        let name = ObjectKey {
            namespace: "shop".into(),
            name: format!("web-{attempt}").into(),
        };
        Record {
            name,
            uid: String::new(),
            resource_version: String::new(),
            deleting: false,
            approved: false,
            intent,
            status,
        }
    }
}

fn step(action: Action) -> Step {
    Step {
        action,
        verify_seconds: None,
    }
}

fn reason(decision: &Decision) -> Reason {
    match decision {
        Decision::Idle { reason } | Decision::Hold { reason, .. } => *reason,
        Decision::Exhausted { .. } => Reason::RetryBudgetExhausted,
        Decision::NeedFacts(_) | Decision::Act(_) => panic!("{decision:?}"),
    }
}

fn absolute(replicas: i32) -> Action {
    Action::Scale(Scaling::Absolute {
        replicas,
        revert: None,
    })
}

fn autoscaler() -> Autoscaler {
    Autoscaler {
        name: "web".to_owned(),
        resource_version: "1".to_owned(),
        min: 3,
        max: 6,
        raised_by: None,
    }
}

/// A situation in which a guard, and no other, speaks against acting.
fn stopped_by(guard: Guard) -> (Case, Reason) {
    let failing = Run {
        verdict: Verdict::Failed(Class::Reported),
        ..passed(ago(5))
    };
    let upstream = Upstream {
        last: Some(failing),
        ..Case::upstream()
    };
    let key = ObjectKey {
        namespace: "shop".into(),
        name: "older".into(),
    };
    match guard {
        Guard::CheckGone => (
            Case::with(|c| c.status = CheckStatus::Gone),
            Reason::CheckNotFound,
        ),
        Guard::NeverRun => (
            Case::with(|c| c.status = CheckStatus::NeverRun),
            Reason::NeverRun,
        ),
        Guard::Stale => (Case::with(|c| c.status = CheckStatus::Stale), Reason::Stale),
        Guard::Unsettled => {
            let pending = Pending {
                run: passed(ago(1)),
                until: now().plus(14),
            };
            (
                Case::with(|c| c.state.check.pending = Some(pending)),
                Reason::Inconclusive,
            )
        }
        Guard::LastRun => {
            let last = (id("r4"), Verdict::Failed(Class::Infrastructure), ago(1));
            (
                Case::with(|c| c.state.check.last = Some(last)),
                Reason::InfrastructureFailure,
            )
        }
        Guard::Healthy => (
            Case::with(|c| c.state.incident.as_mut().unwrap().recovered = Some(ago(1))),
            Reason::Recovered,
        ),
        Guard::Unfinished => (
            Case::with(|c| {
                let mut record = c.record(1, "r2", Touched::No, ago(1000));
                record.status = RecordStatus {
                    reason: Reason::Applied,
                    ..RecordStatus::default()
                };
                c.records.push(record);
            }),
            Reason::Applied,
        ),
        Guard::Threshold => (Case::with(|c| c.state.failures = 2), Reason::BelowThreshold),
        Guard::Duration => (
            Case::with(|c| c.spec.failure_seconds = 1301),
            Reason::NotLongEnough,
        ),
        Guard::NoSteps => (Case::with(|c| c.spec.steps.clear()), Reason::NoSteps),
        Guard::Exhausted => (
            Case::with(|c| {
                let record = c.record(1, "r2", Touched::Yes, ago(1000));
                c.records.push(record);
            }),
            Reason::RetryBudgetExhausted,
        ),
        Guard::Cycle => (
            Case::with(|c| c.cycle = Some(vec![check("web"), check("web")])),
            Reason::DependencyCycle,
        ),
        Guard::Rival => (Case::with(|c| c.rival = Some(key)), Reason::TargetConflict),
        Guard::GlobalPause => (
            Case::with(|c| c.limits.paused = true),
            Reason::GloballyPaused,
        ),
        Guard::Pause => (
            Case::with(|c| c.spec.pause = Some("migration".to_owned())),
            Reason::Paused,
        ),
        Guard::Window => {
            let window = Window {
                days: 0,
                start: 0,
                end: 1,
                zone: "UTC".to_owned(),
            };
            (
                Case::with(|c| c.spec.windows = vec![window]),
                Reason::OutsideWindow,
            )
        }
        Guard::DryRunOnce => (
            Case::with(|c| {
                c.spec.mode = Mode::DryRun;
                let mut record = c.record(1, "r2", Touched::No, ago(1000));
                record.intent.mode = Mode::DryRun;
                c.records.push(record);
            }),
            Reason::DryRun,
        ),
        Guard::NewRun => (
            Case::with(|c| {
                let record = c.record(1, "r3", Touched::No, ago(1000));
                c.records.push(record);
            }),
            Reason::AwaitingNewRun,
        ),
        Guard::Flapping => (
            Case::with(|c| c.state.verdicts = 0b01_0101),
            Reason::Flapping,
        ),
        Guard::Cooldown => (
            Case::with(|c| {
                let record = c.record(1, "r2", Touched::No, ago(299));
                c.records.push(record);
            }),
            Reason::Cooldown,
        ),
        Guard::SourceStale => (Case::with(|c| c.stale = 5), Reason::SourceStale),
        Guard::Storm => (
            Case::with(|c| c.storm = StormState::Active { since: ago(1) }),
            Reason::StormActive,
        ),
        Guard::Upstream => (
            Case::with(|c| c.upstreams = vec![upstream]),
            Reason::UpstreamUnhealthy,
        ),
        Guard::InFlight => (Case::with(|c| c.in_flight = 1), Reason::TooManyInFlight),
        Guard::Rate => (Case::with(|c| c.last_hour = 10), Reason::RateLimited),
        Guard::Deleting => (
            Case::with(|c| c.facts.deleting = true),
            Reason::TargetDeleting,
        ),
        Guard::Excluded => (
            Case::with(|c| c.facts.excluded = true),
            Reason::TargetExcluded,
        ),
        Guard::Stateful => (
            Case::with(|c| c.spec.target.0 = TargetKind::StatefulSet),
            Reason::StatefulNotAllowed,
        ),
        Guard::NoReplicas => (
            Case::with(|c| {
                c.spec.safety.min_replicas = 0;
                c.facts.replicas = 0;
            }),
            Reason::TooFewReplicas,
        ),
        Guard::Controlled => (
            Case::step(Action::RolloutRestart, |c| c.facts.controlled = true),
            Reason::OwnedByController,
        ),
        Guard::TargetPaused => (Case::with(|c| c.facts.paused = true), Reason::TargetPaused),
        Guard::Rollout => (
            Case::with(|c| c.facts.updated = 2),
            Reason::RolloutInProgress,
        ),
        Guard::Replicas => (Case::with(|c| c.facts.replicas = 1), Reason::TooFewReplicas),
        Guard::Owned => (
            Case::with(|c| c.facts.pods[1].owned = false),
            Reason::SubjectNotOwned,
        ),
        Guard::ReadyPod => (
            Case::with(|c| {
                c.facts.pods[0].ready = false;
                c.facts.pods[1].ready = true;
            }),
            Reason::TargetUnhealthy,
        ),
        Guard::ScaleToZero => (
            Case::step(absolute(0), |c| c.spec.safety.min_replicas = 0),
            Reason::ScaleBounds,
        ),
        Guard::Autoscaler => (
            Case::step(absolute(5), |c| c.facts.autoscaler = Some(autoscaler())),
            Reason::AutoscalerConflict,
        ),
    }
}

#[test]
fn each_safety_rule_has_a_test_that_dies_with_it() {
    for &guard in Guard::ALL {
        let (case, expected) = stopped_by(guard);
        assert_eq!(case.reason(), expected, "{guard:?}");
        assert!(guard.reasons().contains(&expected), "{guard:?}");
        let without = case.decide(Some(guard), Some(&case.facts));
        // Without steps there is nothing to be done, and then everything has been tried.
        let acts = matches!(without, Decision::Act(_))
            || guard == Guard::NoSteps && matches!(without, Decision::Exhausted { .. });
        assert!(acts, "{guard:?}: {without:?}");
    }
}

#[test]
fn without_facts_nothing_is_done() {
    for &guard in Guard::ALL {
        let (case, _) = stopped_by(guard);
        assert!(
            !matches!(case.decide(Some(guard), None), Decision::Act(_)),
            "{guard:?}"
        );
    }
    assert_eq!(
        Case::new().decide(None, None),
        Decision::NeedFacts(FactsNeed::Pods)
    );
}

#[test]
fn what_was_not_begun_is_dropped_when_it_is_not_wanted_any_more() {
    let wanted = |case: &Case| still_wanted(now(), &case.spec, &case.state, &case.world());
    assert_eq!(wanted(&Case::new()), Ok(()));
    for guard in [
        Guard::Stale,
        Guard::LastRun,
        Guard::Healthy,
        Guard::Pause,
        Guard::Storm,
        Guard::Upstream,
        Guard::Cycle,
    ] {
        let (case, expected) = stopped_by(guard);
        assert_eq!(wanted(&case), Err(expected), "{guard:?}");
    }
    for guard in [
        Guard::Unfinished,
        Guard::NewRun,
        Guard::Cooldown,
        Guard::InFlight,
        Guard::Rate,
    ] {
        assert_eq!(
            wanted(&stopped_by(guard).0),
            Ok(()),
            "{guard:?}: its own record is the reason"
        );
    }
}

#[test]
fn the_intent_says_it_all() {
    let intent = Case::new().act();
    assert_eq!(intent.pods, [("web-1".to_owned(), "uid-web-1".to_owned())]);
    assert_eq!((intent.attempt, intent.step, intent.run), (1, 0, id("r3")));
    assert_eq!(
        intent.target,
        TargetRef {
            kind: TargetKind::Deployment,
            name: "web".to_owned(),
            uid: "target".to_owned()
        }
    );
    assert_eq!(
        intent.claim,
        Claim {
            resource_version: "7".to_owned(),
            generation: 2
        }
    );
    assert_eq!(
        intent.verify,
        Verify {
            seconds: 600 + 300 + 60,
            success_threshold: 1,
            failure_threshold: 3,
            count_timeouts: false,
        }
    );
    let first = Incident0 {
        id: "0123456789".to_owned(),
        opened: ago(1300),
        first_run: id("r1"),
    };
    assert_eq!(intent.incident, first);
}

#[test]
fn steps_escalate_and_never_go_back() {
    let mut case = Case::new();
    case.spec.retry.max_retry = 1;
    case.spec.steps.push(step(Action::RolloutRestart));
    let expected = [(1, 0), (2, 0), (3, 1), (4, 1)];
    for (attempt, index) in expected {
        let intent = case.act();
        assert_eq!((intent.attempt, intent.step), (attempt, index));
        let mut record = case.record(attempt, &format!("old{attempt}"), Touched::Yes, ago(1000));
        record.intent.step = index;
        case.records.push(record);
    }
    assert_eq!(case.reason(), Reason::RetryBudgetExhausted);
}

#[test]
fn what_touched_nothing_uses_up_no_try() {
    let mut case = Case::new();
    for attempt in 1..5 {
        assert_eq!((case.act().attempt, case.act().step), (attempt, 0));
        let record = case.record(attempt, &format!("old{attempt}"), Touched::No, ago(1000));
        case.records.push(record);
    }
}

#[test]
fn what_the_api_server_refused_is_a_try() {
    for reason in [Reason::Forbidden, Reason::Refused] {
        let mut case = Case::new();
        case.spec.steps.push(step(Action::RolloutRestart));
        let mut record = case.record(1, "old1", Touched::No, ago(1000));
        record.status.reason = reason;
        case.records.push(record.clone());
        assert_eq!(case.act().step, 1, "{reason:?}");
        record.intent.step = 1;
        record.intent.attempt = 2;
        case.records.push(record);
        assert_eq!(case.reason(), Reason::RetryBudgetExhausted, "{reason:?}");
    }
}

#[test]
fn a_record_that_waited_asks_its_target_again() {
    let mut asked = 0;
    for guard in Guard::ALL {
        let (case, reason) = stopped_by(*guard);
        let Some(Step { action, .. }) = case.spec.steps.first() else {
            continue;
        };
        if ask_target(*guard, &case.spec, action, &case.facts).is_none() {
            continue;
        }
        asked += 1;
        let found = target_allows(&case.spec, action, &case.facts);
        assert_eq!(found, Err(reason), "{guard:?}");
        assert_eq!(
            target_allows(&case.spec, action, &Case::new().facts).is_ok(),
            *guard != Guard::Stateful
        );
    }
    assert!(asked >= 8, "{asked} guards of the target");
}

#[test]
fn a_run_that_began_before_an_action_ended_is_no_reason_for_the_next() {
    let mut case = Case::new();
    case.spec.retry.max_retry = 1;
    case.spec.retry.cooldown = 0;
    // The failing run started 20 s ago. The action never settled, so nobody knows when the last pod was gone.
    for (applied, rolled_out, completed, acts) in [
        (ago(900), None, ago(19), false),
        (ago(900), None, ago(20), false),
        (ago(900), None, ago(21), true),
        (ago(900), Some(ago(20)), ago(10), false),
        (ago(900), Some(ago(21)), ago(10), true),
    ] {
        let mut record = case.record(1, "r2", Touched::Yes, completed);
        record.status.applied = Some(applied);
        record.status.rolled_out = rolled_out;
        case.records = vec![record];
        let decision = case.decide(None, Some(&case.facts));
        assert_eq!(
            matches!(decision, Decision::Act(_)),
            acts,
            "{rolled_out:?} {completed:?}: {decision:?}"
        );
    }
}

#[test]
fn what_a_disruption_budget_refused_is_not_escalated() {
    let mut case = Case::new();
    case.spec.steps.push(step(Action::RolloutRestart));
    for (attempt, touched) in [(1, Touched::No), (2, Touched::Maybe)] {
        let mut record = case.record(attempt, &format!("old{attempt}"), touched, ago(1000));
        record.status.phase = Phase::Blocked;
        case.records.push(record);
        assert_eq!((case.act().attempt, case.act().step), (attempt + 1, 0));
    }
}

#[test]
fn a_step_that_needs_named_pods_is_left_out_where_none_is_named() {
    let mut case =
        Case::with(|c| c.state.incident.as_mut().unwrap().errors = vec!["502".to_owned()]);
    assert_eq!(case.reason(), Reason::NoEligiblePod);
    case.spec.steps.push(step(Action::RolloutRestart));
    assert_eq!(case.act().step, 1);
}

#[test]
fn pods_of_other_owners_are_never_chosen() {
    for error in [
        "pod shop/web-9: x",
        "pod kube-system/web-1: x",
        "pod shop/db-0: x",
    ] {
        let mut case =
            Case::with(|c| c.state.incident.as_mut().unwrap().errors = vec![error.to_owned()]);
        case.facts.pods.push(PodFact {
            owned: false,
            ..pod("db-0", false, 0)
        });
        assert_eq!(case.reason(), Reason::SubjectNotOwned, "{error}");
    }
}

#[test]
fn failing_pods_go_first_then_the_oldest() {
    for (selection, max, ready, expected) in [
        (Selection::NotReady, 2, 2, &["web-1"][..]),
        (Selection::All, 3, 2, &["web-1"]),
        (Selection::All, 3, 3, &["web-1", "web-2", "web-0"]),
        (Selection::All, 2, 3, &["web-1", "web-2"]),
    ] {
        let case = Case::step(
            Action::RestartPods {
                pods: selection,
                max,
            },
            |c| c.facts.ready = ready,
        );
        let names: Vec<String> = case.act().pods.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{selection:?} of {ready} ready");
    }
}

#[test]
fn scaling_stays_within_its_bounds() {
    let by = |step, max| {
        Action::Scale(Scaling::By {
            step,
            max,
            revert: Some(60),
        })
    };
    for (action, expected) in [
        (absolute(5), Ok((3, 5))),
        (absolute(3), Err(Reason::ScaleBounds)),
        (absolute(1), Err(Reason::ScaleBounds)),
        // Down, but not below the least.
        (absolute(2), Err(Reason::ScaleBounds)),
        (by(2, 10), Ok((3, 5))),
        (by(2, 4), Ok((3, 4))),
        (by(2, 3), Err(Reason::ScaleBounds)),
        (by(2, 2), Err(Reason::ScaleBounds)),
        (by(i32::MAX, i32::MAX), Ok((3, i32::MAX))),
    ] {
        let case = Case::step(action.clone(), |_| {});
        match expected {
            Ok(replicas) => assert_eq!(case.act().replicas, Some(replicas), "{action:?}"),
            Err(reason) => assert_eq!(case.reason(), reason, "{action:?}"),
        }
    }
}

#[test]
fn a_raised_minimum_is_not_one_to_be_set_back() {
    let revert = Action::Scale(Scaling::Absolute {
        replicas: 5,
        revert: Some(60),
    });
    let case = Case::step(revert, |c| {
        c.spec.safety.raise_minimum = true;
        c.facts.autoscaler = Some(autoscaler());
    });
    assert_eq!(case.reason(), Reason::AutoscalerConflict);
}

#[test]
fn an_autoscalers_minimum_is_raised_only_when_asked_and_only_to_its_maximum() {
    for (to, expected) in [
        (5, Ok((3, 5))),
        (7, Err(Reason::ScaleBounds)),
        (2, Err(Reason::ScaleBounds)),
    ] {
        let case = Case::step(absolute(to), |c| {
            c.spec.safety.raise_minimum = true;
            c.facts.autoscaler = Some(autoscaler());
        });
        match expected {
            Ok(replicas) => {
                let intent = case.act();
                assert_eq!(
                    (intent.replicas, intent.autoscaler.as_deref()),
                    (Some(replicas), Some("web"))
                );
            }
            Err(reason) => assert_eq!(case.reason(), reason, "{to}"),
        }
    }
}

#[test]
fn a_rollback_needs_an_earlier_revision() {
    let mut case = Case::step(Action::Rollback, |_| {});
    assert_eq!(
        case.decide(None, None),
        Decision::NeedFacts(FactsNeed::Revision)
    );
    assert_eq!(case.reason(), Reason::NoPreviousRevision);
    case.facts.revision = Some(Revision {
        name: "web-1".to_owned(),
        uid: "u".to_owned(),
        number: 1,
    });
    assert_eq!(
        case.act().revision,
        Some(("web-1".to_owned(), "u".to_owned(), 1))
    );
}

#[test]
fn a_stalled_rollout_does_not_hold() {
    let case = Case::with(|c| {
        c.facts.updated = 2;
        c.facts.stalled = true;
    });
    case.act();
}

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

#[test]
fn a_reason_that_ends_by_itself_wakes_the_policy() {
    for guard in [
        Guard::Unsettled,
        Guard::Duration,
        Guard::Cooldown,
        Guard::Window,
    ] {
        let (case, _) = stopped_by(guard);
        let decision = case.decide(None, None);
        let at =
            wake(now(), &case.spec, &case.state, &decision).unwrap_or_else(|| panic!("{guard:?}"));
        assert!(at > now() && at.since(now()) <= 86_400, "{guard:?}: {at}");
    }
    let case = stopped_by(Guard::Pause).0;
    assert_eq!(
        wake(now(), &case.spec, &case.state, &case.decide(None, None)),
        None
    );
}
