//! A situation in which a pod is evicted, and how to change it: what the tests of the decision share.

mod choice;
mod each;
mod tries;
mod upstreams;

use super::{Guard, Question, Rules};
use crate::core::decide::decide_by;
use crate::core::{
    Action, Autoscaler, CheckKey, CheckKind, CheckState, CheckStatus, Class, Decision, Facts,
    Incident, Intent, Limits, Matcher, Mode, ObjectKey, Phase, PodFact, PolicySpec, PolicyState,
    Reason, Record, RecordStatus, Retry, Run, RunId, Safety, Scaling, Selection, Step, StormState,
    Strategy, TargetKind, Time, Timing, Touched, Upstream, Verdict, World,
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
    pub(in crate::core) facts: Facts,
    pub(in crate::core) records: Vec<Record>,
    pub(in crate::core) upstreams: Vec<Upstream>,
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
    pub(in crate::core) fn upstream() -> Upstream {
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

    pub(in crate::core) fn world(&self) -> World<'_> {
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
