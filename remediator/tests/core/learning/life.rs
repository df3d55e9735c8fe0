//! A policy that lives through incidents, with the core's own decisions.

use remediator::core::{
    Action, CheckState, CheckStatus, Class, Decision, Facts, Incident, Limits, Matcher, Mode,
    ObjectKey, Phase, PodFact, PolicySpec, PolicyState, Record, RecordStatus, Retry, Revision,
    RunId, Safety, Scaling, Selection, Step, StormState, Strategy, TargetKind, Time, Timing,
    Touched, Verdict, World, count, decide,
};

/// Seconds from one run of the check to the next.
const INTERVAL: u32 = 300;
/// Runs that have to fail.
const THRESHOLD: u32 = 3;
/// Seconds that a step takes that helps: until the next run of the check.
const HELPED: u32 = INTERVAL;
/// Seconds that a step takes that does not: as many failing runs as say so, and the cooldown.
const FAILED: u32 = THRESHOLD * INTERVAL + 300;

/// Steps of the policy.
pub(super) const STEPS: usize = 4;

fn policy(strategy: Strategy) -> PolicySpec {
    let key = |namespace: &str, name: &str| ObjectKey {
        namespace: namespace.into(),
        name: name.into(),
    };
    let restart = Action::RestartPods {
        pods: Selection::Reported,
        max: 1,
    };
    let scale = Action::Scale(Scaling::By {
        step: 2,
        max: 10,
        revert: Some(1800),
    });
    let steps = [restart, Action::RolloutRestart, scale, Action::Rollback];
    PolicySpec {
        key: key("shop", "web"),
        uid: "policy".to_owned(),
        generation: 1,
        mode: Mode::Enforce,
        source: None,
        check: key("kuberhealthy", "web"),
        failure_threshold: THRESHOLD,
        failure_seconds: 0,
        success_threshold: 1,
        match_errors: Matcher::default(),
        count_timeouts: false,
        target: (TargetKind::Deployment, "web".into()),
        steps: steps
            .map(|action| Step {
                action,
                verify_seconds: None,
            })
            .into(),
        retry: Retry::default(),
        safety: Safety::default(),
        depends_on: Vec::new(),
        dependency_grace: 300,
        windows: Vec::new(),
        pause: None,
        history_limit: 20,
        strategy,
        infer_dependencies: true,
        notify: None,
        alert: None,
    }
}

fn facts(reported: &str) -> Facts {
    Facts {
        uid: "target".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        observed_generation: 1,
        replicas: 3,
        updated: 3,
        ready: 2,
        paused: false,
        stalled: false,
        controlled: false,
        excluded: false,
        deleting: false,
        autoscaler: None,
        pods: vec![PodFact {
            name: reported.to_owned(),
            uid: "pod".to_owned(),
            created: Time::from_unix(0),
            ready: false,
            deleting: false,
            owned: true,
        }],
        revision: Some(Revision {
            name: "web-1".to_owned(),
            uid: "revision".to_owned(),
            number: 1,
        }),
        restarted_at: None,
        current_revision: None,
    }
}

/// What became of an incident.
#[derive(Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) actions: u32,
    /// From the first decision until the check passes again; nothing, if everything was tried.
    pub(super) recovered: Option<u32>,
}

/// A policy that lives through one incident after the other.
pub(super) struct Life {
    spec: PolicySpec,
    state: PolicyState,
    now: Time,
    runs: u32,
}

impl Life {
    pub(super) fn new(strategy: Strategy) -> Life {
        Life {
            spec: policy(strategy),
            state: PolicyState::default(),
            now: Time::from_unix(1_800_000_000),
            runs: 0,
        }
    }

    /// The check fails with this error, until a step cures it.
    pub(super) fn incident(&mut self, error: &str, cures: impl Fn(u32) -> bool) -> Outcome {
        self.now = self.now.plus(100_000);
        let id = format!("{:010x}", self.runs);
        let mut records: Vec<Record> = Vec::new();
        let mut outcome = Outcome::default();
        let mut seconds = 0;
        let name = error.strip_prefix("pod shop/").unwrap();
        let facts = facts(name.split(':').next().unwrap());
        loop {
            self.fails(&id, error);
            let Decision::Act(intent) = self.decide(&records, &facts) else {
                break;
            };
            outcome.actions += 1;
            let helped = cures(intent.step);
            let took = if helped { HELPED } else { FAILED };
            seconds += took;
            self.now = self.now.plus(took);
            records.push(Record {
                name: ObjectKey {
                    namespace: "shop".into(),
                    name: format!("web-{id}-{}", intent.attempt).into(),
                },
                uid: String::new(),
                resource_version: String::new(),
                deleting: false,
                approved: false,
                intent: *intent,
                status: RecordStatus {
                    phase: if helped {
                        Phase::Succeeded
                    } else {
                        Phase::Failed
                    },
                    touched: Touched::Yes,
                    completed: Some(self.now),
                    ..RecordStatus::default()
                },
            });
            let statistics = std::mem::take(&mut self.state.statistics);
            self.state.statistics = count(statistics, &records);
            if helped {
                outcome.recovered = Some(seconds);
                break;
            }
        }
        outcome
    }

    /// One more run has failed, after the cooldown.
    fn fails(&mut self, id: &str, error: &str) {
        self.runs += 1;
        let run = RunId(format!("run{}", self.runs));
        let started = self.now.plus(400);
        self.now = self.now.plus(410);
        let state = &mut self.state;
        state.check = CheckState {
            uid: "check".to_owned(),
            last: Some((run.clone(), Verdict::Failed(Class::Reported), self.now)),
            last_activity: Some(self.now),
            ..CheckState::default()
        };
        state.failures = THRESHOLD;
        state.first_failure = Some(self.now);
        state.last_counted = Some((run.clone(), self.now));
        state.verdicts = 0b111;
        state.incident = Some(Incident {
            id: id.to_owned(),
            opened: self.now,
            first_run: run.clone(),
            failing_run: run,
            failing_started: Some(started),
            errors: vec![error.to_owned()],
            recovered: None,
            exhausted: false,
            joined: 0,
            upstream_recovered: None,
            reached: true,
        });
    }

    fn decide(&self, records: &[Record], facts: &Facts) -> Decision {
        let world = World {
            records,
            in_flight: 0,
            last_hour: 0,
            mapped: 10,
            checks: 10,
            failing: 1,
            stale: 0,
            storm: StormState::Calm,
            upstreams: &[],
            cycle: None,
            rival: None,
            limits: Limits::default(),
            check_status: CheckStatus::Settled,
            timing: Timing {
                interval: INTERVAL,
                timeout: 60,
            },
        };
        let decision = decide(self.now, &self.spec, &self.state, &world, Some(facts));
        let expected = matches!(decision, Decision::Act(_) | Decision::Exhausted { .. });
        assert!(expected, "{decision:?}");
        decision
    }
}
