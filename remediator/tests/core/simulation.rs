//! Histories of one policy, made up at random: runs of all kinds, writes that are missed, restarts, edits, upstream
//! failures, storms, outcomes. The promises are checked against what really happened, which the simulation knows.
//!
//! A failure names the seed; `history(seed)` replays it.

use remediator::core::{
    Action, Body, CheckKey, CheckKind, CheckState, CheckStatus, Decision, Facts, Limits, Matcher,
    Mode, ObjectKey, Phase, PodFact, PolicySpec, PolicyState, Reason, Record, RecordStatus, Retry,
    Run, RunId, Safety, Selection, Snapshot, Step, StormState, TargetKind, Time, Timing, Touched,
    Upstream, V2, V3, Verdict, World, advance, check_status, count, decide, observe, prunable,
    record_name, settles_at, still_wanted, wake,
};

const HISTORIES: u64 = 5_000;
const INTERVAL: u32 = 600;
const TIMEOUT: u32 = 300;
const TIMING: Timing = Timing {
    interval: INTERVAL,
    timeout: TIMEOUT,
};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn one_in(&mut self, bound: u32) -> bool {
        self.below(bound) == 0
    }
}

/// How a run really ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Truth {
    Passed,
    Failed,
    Timeout,
    Infrastructure,
    Aborted,
}

#[derive(Clone, Copy, Debug)]
struct RealRun {
    number: u64,
    started: Time,
    truth: Truth,
}

struct History {
    dice: Dice,
    now: Time,
    spec: PolicySpec,
    state: PolicyState,
    body: Body,
    uid: u64,
    deleted: bool,
    runs: u64,
    /// The last run whose result was written, and when anything last was.
    latest: Option<RealRun>,
    written: Option<Time>,
    /// What of it was seen.
    seen: Vec<RealRun>,
    records: Vec<Record>,
    used: Vec<RunId>,
    upstream: Option<Upstream>,
    storm: StormState,
    others_in_flight: u32,
    others_last_hour: u32,
    finished: u64,
    acts: u32,
    last_decision: Option<Decision>,
}

impl History {
    fn new(seed: u64) -> History {
        let mut dice = Dice(seed);
        let v2 = dice.one_in(2);
        let mut history = History {
            now: Time::from_unix(1_800_000_000),
            spec: PolicySpec {
                key: ObjectKey {
                    namespace: "shop".into(),
                    name: "web".into(),
                },
                uid: "policy".to_owned(),
                generation: 1,
                mode: Mode::Enforce,
                source: None,
                check: ObjectKey {
                    namespace: "kuberhealthy".into(),
                    name: "web".into(),
                },
                failure_threshold: 1,
                failure_seconds: 0,
                success_threshold: 1,
                match_errors: Matcher::default(),
                count_timeouts: false,
                target: (TargetKind::Deployment, "web".into()),
                steps: Vec::new(),
                retry: Retry::default(),
                safety: Safety::default(),
                depends_on: Vec::new(),
                dependency_grace: 300,
                windows: Vec::new(),
                pause: None,
                history_limit: 3,
            },
            state: PolicyState::default(),
            body: if v2 {
                Body::V2(V2 {
                    ok: true,
                    ..V2::default()
                })
            } else {
                Body::V3(V3::default())
            },
            uid: 1,
            deleted: false,
            runs: 0,
            latest: None,
            written: None,
            seen: Vec::new(),
            records: Vec::new(),
            used: Vec::new(),
            upstream: None,
            storm: StormState::Calm,
            others_in_flight: 0,
            others_last_hour: 0,
            finished: 0,
            acts: 0,
            last_decision: None,
            dice,
        };
        history.edit();
        history
    }

    /// Somebody edits the policy.
    fn edit(&mut self) {
        let dice = &mut self.dice;
        self.spec.mode =
            [Mode::Enforce, Mode::Enforce, Mode::Manual, Mode::DryRun][dice.below(4) as usize];
        self.spec.failure_threshold = 1 + dice.below(3);
        self.spec.failure_seconds = [0, 0, 900][dice.below(3) as usize];
        self.spec.success_threshold = 1 + dice.below(2);
        self.spec.count_timeouts = dice.one_in(2);
        self.spec.retry.max_retry = dice.below(2);
        self.spec.pause = dice.one_in(8).then(|| "maintenance".to_owned());
        let evict = Action::RestartPods {
            pods: Selection::All,
            max: 1,
        };
        let steps = [evict, Action::RolloutRestart]
            .into_iter()
            .take(dice.below(3) as usize);
        self.spec.steps = steps
            .map(|action| Step {
                action,
                verify_seconds: None,
            })
            .collect();
    }

    fn wait(&mut self, seconds: u32) {
        self.now = self.now.plus(seconds);
    }

    fn snapshot(&self) -> Snapshot {
        let kind = if matches!(self.body, Body::V2(_)) {
            CheckKind::KuberhealthyState
        } else {
            CheckKind::HealthCheck
        };
        Snapshot {
            key: CheckKey {
                kind,
                namespace: "kuberhealthy".into(),
                name: "web".into(),
            },
            uid: format!("uid{}", self.uid),
            deleting: self.deleted,
            timing: TIMING,
            body: self.body.clone(),
        }
    }

    /// The remediator sees the check as it is, and decides.
    fn see(&mut self) {
        let check = std::mem::take(&mut self.state.check);
        let (check, told) = observe(check, &self.snapshot(), self.now);
        self.state.check = check;
        if let Some(latest) = self.latest.filter(|_| !self.deleted) {
            self.seen.retain(|run| run.number != latest.number);
            self.seen.push(latest);
        }
        let state = std::mem::take(&mut self.state);
        self.state = advance(state, &self.spec, TIMING, &told, self.now);
        if self.dice.one_in(16) {
            let json = serde_json::to_string(&self.state).unwrap();
            self.state = serde_json::from_str(&json).unwrap();
        }
        if self.dice.one_in(8) {
            let (again, nothing) = observe(self.state.check.clone(), &self.snapshot(), self.now);
            assert!(
                nothing.is_empty() && again == self.state.check,
                "seen twice, told twice: {nothing:?}"
            );
        }
        self.execute();
        self.decide();
    }

    fn write(&mut self) {
        if !self.dice.one_in(6) {
            self.see();
        }
    }

    fn result(&mut self, number: u64, started: Time, truth: Truth) {
        // An aborted run carries the verdict of the last one; where that was not seen, it is what is seen now.
        let unseen = |last: &RealRun| {
            self.seen
                .last()
                .is_none_or(|seen| seen.number != last.number)
        };
        if truth != Truth::Aborted || !self.latest.as_ref().is_some_and(unseen) {
            self.latest = Some(RealRun {
                number,
                started,
                truth,
            });
        }
        self.written = Some(self.now);
    }

    /// One run of the check, with every write Kuberhealthy makes.
    fn run(&mut self, truth: Truth) {
        self.runs += 1;
        let (number, started) = (self.runs, self.now);
        match &mut self.body {
            Body::V2(body) => body.uuid = format!("u{number}"),
            Body::V3(body) => {
                body.uuid = format!("u{number}");
                body.last_run = Some(started);
                self.written = Some(started);
            }
        }
        self.write();
        let length = if truth == Truth::Timeout {
            TIMEOUT
        } else {
            1 + self.dice.below(60)
        };
        self.wait(length);
        if matches!(self.body, Body::V2(_)) {
            self.end_v2(number, started, truth);
        } else {
            self.end_v3(number, started, truth);
        }
    }

    fn end_v2(&mut self, number: u64, started: Time, truth: Truth) {
        let now = self.now;
        let Body::V2(body) = &mut self.body else {
            return;
        };
        body.last_run = Some(now);
        body.node.clear();
        match truth {
            Truth::Passed | Truth::Failed => {
                body.ok = truth == Truth::Passed;
                body.errors = if body.ok {
                    Vec::new()
                } else {
                    vec!["pod shop/web-0: 502".to_owned()]
                };
            }
            Truth::Timeout | Truth::Infrastructure => {
                let what = if truth == Truth::Timeout {
                    "timed out waiting for checker pod to report in"
                } else {
                    "pod deleted unexpectedly"
                };
                body.ok = false;
                body.errors = vec![format!("Check execution error: kuberhealthy/web: {what}")];
                body.has_duration = false;
            }
            Truth::Aborted => body.has_duration = true,
        }
        self.result(number, started, truth);
        self.write();
        if !matches!(truth, Truth::Passed | Truth::Failed) {
            return;
        }
        self.wait(5);
        let flips = self.dice.one_in(8);
        let now = self.now;
        let Body::V2(body) = &mut self.body else {
            return;
        };
        body.last_run = Some(now);
        if flips {
            // The pod does not end in time.
            body.ok = false;
            body.errors = vec![
                "Check execution error: kuberhealthy/web: timed out waiting for pod to exit"
                    .to_owned(),
            ];
            body.has_duration = false;
            self.result(number, started, Truth::Infrastructure);
        } else {
            body.node = "n1".to_owned();
            body.has_duration = true;
            self.result(number, started, truth);
        }
        self.write();
    }

    fn end_v3(&mut self, number: u64, started: Time, truth: Truth) {
        let now = self.now;
        let Body::V3(body) = &mut self.body else {
            return;
        };
        match truth {
            // The leader changes: the next run takes its place and nothing is told of this one.
            Truth::Aborted => return,
            Truth::Passed => {
                (body.ok, body.errors, body.last_ok) = (true, Vec::new(), Some(now));
                body.successes += 1;
            }
            Truth::Failed | Truth::Timeout | Truth::Infrastructure => {
                let error = match truth {
                    Truth::Failed => "pod shop/web-0: 502".to_owned(),
                    Truth::Timeout => {
                        format!("check run u{number} timed out after 5m (started at {started})")
                    }
                    _ => "failed to create check pod: quota".to_owned(),
                };
                (body.ok, body.errors, body.last_failure) = (false, vec![error], Some(now));
                body.failures += 1;
            }
        }
        if truth != Truth::Timeout {
            body.uuid.clear();
        }
        self.result(number, started, truth);
        self.write();
        if let (Body::V3(body), Truth::Timeout) = (&mut self.body, truth) {
            body.uuid.clear();
            self.write();
        }
    }

    /// The record goes on, in one of the ways it can.
    fn execute(&mut self) {
        let Some(index) = self.records.iter().position(|record| !record.finished()) else {
            return;
        };
        let (records, upstreams) = (self.records.clone(), self.upstream.clone());
        let world = self.world(&records, upstreams.as_slice());
        let wanted = still_wanted(self.now, &self.spec, &self.state, &world);
        let (now, roll) = (self.now, self.dice.below(8));
        let record = &mut self.records[index];
        if record.intent.mode == Mode::Manual && !record.approved {
            record.approved = roll == 0;
            if wanted.is_ok() {
                return;
            }
        }
        let status = &mut record.status;
        let end = match (status.phase, roll) {
            (Phase::Pending, _) if record.intent.mode == Mode::DryRun => Phase::DryRun,
            (Phase::Pending, 0) => return,
            (Phase::Pending, _) if wanted.is_err() => Phase::Inconclusive,
            (Phase::Pending, 1) => {
                status.touched = Touched::Maybe;
                Phase::Inconclusive
            }
            (Phase::Pending, _) => {
                (status.phase, status.touched) = (Phase::Verifying, Touched::Yes);
                (status.applied, status.rolled_out) = (Some(now), Some(now));
                return;
            }
            (_, 0) => Phase::Succeeded,
            (_, 1) => Phase::Inconclusive,
            (_, 2..=4) => Phase::Failed,
            _ => return,
        };
        (status.phase, status.completed) = (end, Some(now));
        self.finished += 1;
        let statistics = std::mem::take(&mut self.state.statistics);
        self.state.statistics = count(statistics, &self.records);
        let open = self.state.incident.as_ref();
        let gone = prunable(
            &self.state.statistics,
            &self.records,
            open,
            self.spec.history_limit,
            now,
        );
        for name in &gone {
            let record = self
                .records
                .iter()
                .find(|record| record.name == *name)
                .unwrap();
            assert!(
                record.finished() && open.is_none_or(|open| open.id != record.intent.incident.id)
            );
        }
        self.records.retain(|record| !gone.contains(&record.name));
    }

    fn world<'a>(&self, records: &'a [Record], upstreams: &'a [Upstream]) -> World<'a> {
        let unfinished = records.iter().filter(|record| !record.finished()).count() as u32;
        let hour = records
            .iter()
            .filter(|record| self.now.since(record.intent.time) < 3600)
            .count() as u32;
        World {
            records,
            in_flight: self.others_in_flight + unfinished,
            last_hour: self.others_last_hour + hour,
            mapped: 20,
            failing: 1,
            stale: 0,
            storm: self.storm,
            upstreams,
            cycle: None,
            rival: None,
            limits: Limits {
                in_flight: 2,
                ..Limits::default()
            },
            check_status: check_status(&self.state.check, TIMING, self.now),
            timing: TIMING,
        }
    }

    fn decide(&mut self) {
        let (records, upstreams) = (self.records.clone(), self.upstream.clone());
        let world = self.world(&records, upstreams.as_slice());
        let mut decision = decide(self.now, &self.spec, &self.state, &world, None);
        assert!(
            !matches!(decision, Decision::Act(_)),
            "acts without having looked"
        );
        if let Decision::NeedFacts(_) = decision {
            let facts = facts(self.now);
            decision = decide(self.now, &self.spec, &self.state, &world, Some(&facts));
        }
        if let Some(at) = wake(self.now, &self.spec, &self.state, &decision) {
            assert!(at > self.now);
        }
        if let Decision::Hold { message, .. } = &decision {
            assert!(!message.is_empty() && message.chars().count() <= 512);
        }
        if let Decision::Act(intent) = &decision {
            self.judge(intent, &world);
            self.acts += 1;
            self.used.push(intent.run.clone());
            let name = record_name("web", &intent.incident.id, intent.attempt);
            let name = ObjectKey {
                namespace: "shop".into(),
                name: name.into(),
            };
            assert!(
                self.records.iter().all(|record| record.name != name),
                "{} exists",
                name.name
            );
            let status = RecordStatus::default();
            let intent = (**intent).clone();
            let resource_version = String::new();
            let uid = String::new();
            self.records.push(Record {
                name,
                uid,
                resource_version,
                deleting: false,
                approved: false,
                intent,
                status,
            });
        }
        self.last_decision = Some(decision);
    }

    /// Whether acting is right, by what really happened.
    fn judge(&self, intent: &remediator::core::Intent, world: &World<'_>) {
        let counts = |truth: Truth| {
            truth == Truth::Failed || truth == Truth::Timeout && self.spec.count_timeouts
        };
        let silent = self
            .now
            .since(self.written.expect("acts on a check that never ran"));
        assert!(
            silent <= i64::from(2 * INTERVAL + TIMEOUT + 120),
            "acts on a check that is silent for {silent} s"
        );
        let last = self.seen.last().expect("acts on a check that never ran");
        assert!(
            counts(last.truth),
            "acts on {last:?}: {:?}, {:?}",
            self.body,
            self.state.check
        );
        let streak = self
            .seen
            .iter()
            .rev()
            .take_while(|run| run.truth != Truth::Passed)
            .filter(|run| matches!(run.truth, Truth::Failed | Truth::Timeout));
        assert!(
            streak.count() >= self.spec.failure_threshold as usize,
            "too few failures in a row: {:?}, {:?}",
            self.seen,
            self.state
        );
        assert!(
            !self.used.contains(&intent.run),
            "{:?} is acted on twice",
            intent.run
        );

        assert!(self.spec.pause.is_none() && world.in_flight < world.limits.in_flight);
        assert!(world.last_hour < world.limits.per_hour && self.storm == StormState::Calm);
        assert!(self.records.iter().all(Record::finished), "two at once");
        let touched = || {
            self.records
                .iter()
                .filter(|record| record.status.touched != Touched::No)
        };
        for record in touched() {
            let done = record
                .status
                .rolled_out
                .or(record.status.completed)
                .unwrap();
            assert!(last.started > done, "the run began before the last action");
        }
        for record in self
            .records
            .iter()
            .filter(|record| record.intent.mode != Mode::DryRun)
        {
            let since = self.now.since(record.status.completed.unwrap());
            assert!(
                since >= i64::from(self.spec.retry.cooldown),
                "{since} s after the last"
            );
        }
        let same = || touched().filter(|record| record.intent.incident.id == intent.incident.id);
        assert!(
            same()
                .filter(|record| record.intent.step == intent.step)
                .count()
                <= self.spec.retry.max_retry as usize
        );
        assert!(
            same().all(|record| record.intent.step <= intent.step),
            "goes back to a gentler step"
        );
        if let Some(upstream) = &self.upstream {
            let run = upstream
                .last
                .as_ref()
                .expect("acts although an upstream check is unknown");
            assert!(run.verdict == Verdict::Passed && upstream.status == CheckStatus::Settled);
            assert!(
                run.finished > self.state.first_failure.unwrap(),
                "upstream's run is older than our failure"
            );
        }
    }

    fn upstream(&mut self) {
        let (now, roll) = (self.now, self.dice.below(5));
        self.upstream = (roll > 1).then(|| Upstream {
            key: CheckKey {
                kind: CheckKind::HealthCheck,
                namespace: "kuberhealthy".into(),
                name: "db".into(),
            },
            status: if roll == 2 {
                CheckStatus::Stale
            } else {
                CheckStatus::Settled
            },
            last: Some(Run {
                id: RunId("db".to_owned()),
                started: Some(now),
                finished: now,
                verdict: if roll == 3 {
                    Verdict::Failed(remediator::core::Class::Reported)
                } else {
                    Verdict::Passed
                },
                errors: Vec::new(),
            }),
            recovered: (roll == 4 && self.dice.one_in(2)).then_some(now),
        });
    }

    fn random_step(&mut self) {
        let passes = self.dice.one_in(8);
        match self.dice.below(20) {
            0 => self.run(Truth::Timeout),
            1 => self.run(Truth::Infrastructure),
            2 => self.run(Truth::Aborted),
            3 => self.run(Truth::Passed),
            4 => self.edit(),
            5 => self.upstream(),
            6 => {
                self.storm = if self.dice.one_in(2) {
                    StormState::Active { since: self.now }
                } else {
                    StormState::Calm
                };
            }
            7 => {
                (self.others_in_flight, self.others_last_hour) =
                    (self.dice.below(3), self.dice.below(11))
            }
            8 => self.wait(3000),
            9 if self.dice.one_in(4) => {
                self.uid += 1;
                (self.latest, self.written) = (None, None);
                self.seen.clear();
                self.body = match self.body {
                    Body::V2(_) => Body::V2(V2 {
                        ok: true,
                        ..V2::default()
                    }),
                    Body::V3(_) => Body::V3(V3::default()),
                };
            }
            10 => {
                self.deleted = !self.deleted && self.dice.one_in(4);
            }
            _ if passes => self.run(Truth::Passed),
            _ => self.run(Truth::Failed),
        }
        match self.dice.below(4) {
            0 => self.wait(1),
            _ => self.wait(INTERVAL),
        }
        if let Some(until) = settles_at(&self.state.check) {
            assert!(until.since(self.now) <= 15);
        }
        self.see();
    }

    /// From here on the check passes, and everything is seen.
    fn recover(&mut self) {
        self.deleted = false;
        for _ in 0..=self.spec.success_threshold {
            self.run(Truth::Passed);
            self.wait(INTERVAL);
            self.see();
        }
    }
}

fn facts(now: Time) -> Facts {
    let pod = |name: &str| PodFact {
        name: name.to_owned(),
        uid: name.to_owned(),
        created: now,
        ready: true,
        deleting: false,
        owned: true,
    };
    Facts {
        uid: "target".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        observed_generation: 1,
        replicas: 2,
        updated: 2,
        ready: 2,
        paused: false,
        stalled: false,
        controlled: false,
        excluded: false,
        deleting: false,
        autoscaler: None,
        pods: vec![pod("web-0"), pod("web-1")],
        revision: None,
        restarted_at: None,
        current_revision: None,
    }
}

/// Plays one history; the number of times it acted.
fn history(seed: u64) -> u32 {
    let mut history = History::new(seed);
    let steps = 4 + history.dice.below(8);
    for _ in 0..steps {
        history.random_step();
    }
    let tallies = history.state.statistics.by_action.values();
    let counted: u64 = tallies
        .map(|t| t.succeeded + t.failed + t.inconclusive + t.blocked + t.dry_run)
        .sum();
    assert_eq!(counted, history.finished, "each outcome is counted once");
    history.recover();
    history.acts
}

#[test]
fn thousands_of_histories_keep_every_promise() {
    let threads = 4;
    let play = |thread: u64| {
        let mut acts = 0;
        for seed in (thread..HISTORIES).step_by(4) {
            acts += u64::from(
                std::panic::catch_unwind(|| history(seed))
                    .unwrap_or_else(|_| panic!("seed {seed}")),
            );
        }
        acts
    };
    let acts: u64 = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || play(thread)))
            .collect();
        players
            .into_iter()
            .map(|player| player.join().unwrap())
            .sum()
    });
    assert!(
        acts > HISTORIES / 4,
        "a simulation that hardly acts shows little: {acts}"
    );
}

#[test]
fn every_incident_ends() {
    for seed in 0..5_000 {
        let mut history = History::new(seed);
        for _ in 0..12 {
            history.random_step();
        }
        match history.last_decision.as_ref().unwrap() {
            Decision::NeedFacts(_) => panic!("seed {seed}: undecided"),
            Decision::Idle { .. }
            | Decision::Hold { .. }
            | Decision::Act(_)
            | Decision::Exhausted { .. } => {}
        }
        history.recover();
        history.recover();
        let open = history
            .state
            .incident
            .as_ref()
            .filter(|incident| incident.recovered.is_none());
        assert!(open.is_none(), "seed {seed}: the check passes and {open:?}");
    }
}

#[test]
fn time_to_decision_is_bounded() {
    for seed in 0..2_000 {
        let mut history = History::new(seed);
        history.spec.pause = None;
        history.spec.mode = Mode::Enforce;
        history.spec.steps = vec![Step {
            action: Action::RolloutRestart,
            verify_seconds: None,
        }];
        history.run(Truth::Passed);
        history.wait(INTERVAL);
        let began = history.now;
        while history.acts == 0 {
            history.run(Truth::Failed);
            history.wait(15);
            history.see();
            history.wait(INTERVAL);
            let limit = (history.spec.failure_threshold + 4) * (INTERVAL + 80)
                + history.spec.failure_seconds;
            let reason = match &history.last_decision {
                Some(Decision::Hold { reason, .. } | Decision::Idle { reason }) => *reason,
                _ => Reason::Intended,
            };
            assert!(
                history.now.since(began) <= i64::from(limit) * 2,
                "seed {seed}: still {reason}"
            );
        }
    }
}

#[test]
fn a_check_that_is_forgotten_is_gone() {
    assert_eq!(
        check_status(&CheckState::default(), TIMING, Time::from_unix(0)),
        CheckStatus::Gone
    );
}
