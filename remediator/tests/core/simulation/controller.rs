//! A remediator on a made-up cluster: it watches, decides and acts with the core's own functions, crashes and goes on.

use remediator::core::depends::upstreams_recovered;
use remediator::core::execution::{
    Creator, Live, Next, Standing, answered, at_once, begun, doubtful, in_flight, last, next, rank,
    unwritten, used,
};
use remediator::core::limits::storm;
use remediator::core::{
    Action, Begun, CheckState, CheckStatus, Decision, Facts, Intent, Limits, Matcher, Mode,
    ObjectKey, Observation, Phase, PolicySpec, PolicyState, Reason, Record, RecordStatus, Retry,
    Run, Safety, Scaling, Selection, Step, StormState, Strategy, TargetKind, Time, Upstream,
    Verdict, World, advance, check_status, count, observe, prunable, resume, settles_at,
    still_wanted, wake,
};

use super::blind::{Blind, decision, runs};
use super::check::{Check, INTERVAL, SeenRuns, Sight, TIMEOUT, TIMING};
use super::dice::Dice;
use super::promises::{
    Above, Broken, Entry, Kept, Promise, Scene, affected, decided, ended, promise,
};
use super::target::Target;

const POLICIES: usize = 3;
const RUNS: usize = 8;

struct Policy {
    spec: PolicySpec,
    state: PolicyState,
    records: Vec<Record>,
    target: Target,
    upstream: Option<usize>,
    decision: Option<Decision>,
    finished: u64,
    /// What its counters know.
    seen: SeenRuns,
}

/// What a process remembers of a check.
#[derive(Default)]
struct Memory {
    sight: Option<Sight>,
    state: CheckState,
    runs: Vec<Run>,
    recovered: Option<Time>,
    seen: SeenRuns,
}

impl Memory {
    /// Looks at what was seen last: a result may have settled meanwhile.
    fn look(&mut self, now: Time) {
        let Some(sight) = &self.sight else {
            return;
        };
        if self.state.uid != sight.snapshot.uid {
            self.runs.clear();
            self.recovered = None;
        }
        let state = std::mem::take(&mut self.state);
        let (state, told) = observe(state, &sight.snapshot, now);
        self.state = state;
        self.seen.see(sight);
        for observation in told {
            let (Observation::New(run) | Observation::Amended(run)) = observation;
            let before = self.runs.last().map(|run| run.verdict);
            if run.verdict == Verdict::Passed && matches!(before, Some(Verdict::Failed(_))) {
                self.recovered = Some(run.finished);
            }
            self.runs.retain(|known| known.id != run.id);
            self.runs.push(run);
            let surplus = self.runs.len().saturating_sub(RUNS);
            self.runs.drain(..surplus);
        }
    }
}

pub(super) struct Simulation {
    dice: Dice,
    pub(super) now: Time,
    blind: Blind,
    limits: Limits,
    term: i64,
    /// How many records this leader has begun with their creation, and the one it has created just now.
    begun: u32,
    created: Option<ObjectKey>,
    /// What a policy's status says while more is known: of an incident that it tells of already the rest is written after
    /// the record.
    behind: Option<(usize, PolicyState, SeenRuns)>,
    storm: StormState,
    checks: Vec<Check>,
    memory: Vec<Memory>,
    policies: Vec<Policy>,
    ledger: Vec<Entry>,
    calm: bool,
    pub(super) acts: u32,
    pub(super) ends: Vec<Phase>,
}

impl Simulation {
    pub(super) fn new(seed: u64, blind: Blind) -> Simulation {
        let mut dice = Dice::new(seed);
        let now = Time::from_unix(1_800_000_000);
        let v2 = dice.one_in(2);
        let checks: Vec<Check> = (0..POLICIES)
            .map(|index| Check::new(index, v2 ^ dice.one_in(4), now.plus(dice.below(INTERVAL))))
            .collect();
        let policies = (0..POLICIES)
            .map(|index| {
                let mut policy = Policy {
                    spec: spec(index),
                    state: PolicyState::default(),
                    records: Vec::new(),
                    target: Target::new(now),
                    upstream: (index > 0 && dice.one_in(2)).then(|| index - 1),
                    decision: None,
                    finished: 0,
                    seen: SeenRuns::default(),
                };
                policy.target.lax = blind == Blind::Preconditions;
                edit(&mut policy.spec, &mut dice);
                policy
            })
            .collect();
        Simulation {
            now,
            blind,
            limits: Limits {
                in_flight: 1 + dice.below(2),
                per_hour: 1 + dice.below(4),
                storm_minimum: 2 + dice.below(3),
                ..Limits::default()
            },
            dice,
            term: 1,
            begun: 0,
            created: None,
            behind: None,
            storm: StormState::Calm,
            checks,
            memory: (0..POLICIES).map(|_| Memory::default()).collect(),
            policies,
            ledger: Vec::new(),
            calm: false,
            acts: 0,
            ends: Vec::new(),
        }
    }

    /// One write of Kuberhealthy, and perhaps something that happens meanwhile.
    pub(super) fn step(&mut self) -> Kept {
        self.disturb();
        self.write()
    }

    /// The next write of Kuberhealthy. Mostly it is seen.
    pub(super) fn write(&mut self) -> Kept {
        let index = (0..POLICIES)
            .min_by_key(|index| self.checks[*index].due)
            .unwrap();
        self.now = self.now.max(self.checks[index].due);
        if self.calm {
            self.checks[index].write_truly();
        } else {
            self.checks[index].write(&mut self.dice);
            if self.dice.one_in(8) {
                return Ok(());
            }
        }
        self.look(index)?;
        if let Some(until) = settles_at(&self.memory[index].state) {
            let next = (0..POLICIES).map(|index| self.checks[index].due).min();
            if next.is_some_and(|next| until < next) && !self.dice.one_in(4) {
                self.now = self.now.max(until);
                self.look(index)?;
            }
        }
        Ok(())
    }

    fn disturb(&mut self) {
        let index = self.dice.below(3) as usize;
        match self.dice.below(40) {
            0 => edit(&mut self.policies[index].spec, &mut self.dice),
            1..=6 => self.checks[index].healthy = !self.checks[index].healthy,
            7 => self
                .checks
                .iter_mut()
                .for_each(|check| check.healthy = false),
            8 => self.checks[index].pause(3000),
            9 => self.crash(),
            10 if self.dice.one_in(2) => self.checks[index].replace(self.now),
            11 => self.checks[index].deleted = !self.checks[index].deleted,
            12 | 13 => {
                let spec = self.dice.one_in(3);
                self.policies[index].target.meddle(self.now, spec);
            }
            14 => {
                let pause = self.dice.one_in(2).then(|| "maintenance".to_owned());
                self.policies[index].spec.pause = pause;
            }
            _ => {}
        }
    }

    /// From here on nothing disturbs, and everything that runs passes.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        for check in &mut self.checks {
            (check.healthy, check.deleted) = (true, false);
            check.due = check.due.min(self.now.plus(INTERVAL));
        }
    }

    /// From here on this policy's check fails, and nothing keeps it from acting. Returns how long that may go on.
    pub(super) fn only_failing(&mut self, index: usize) -> i64 {
        self.checks[index].healthy = false;
        self.limits.per_hour = 100;
        for policy in &mut self.policies {
            policy.spec.mode = Mode::Enforce;
            policy.spec.pause = None;
        }
        let spec = &mut self.policies[index].spec;
        if spec.steps.is_empty() {
            spec.steps.push(step(Action::RolloutRestart));
        }
        let tries = u32::try_from(spec.steps.len()).unwrap() * (spec.retry.max_retry + 1);
        let slowest = INTERVAL + TIMEOUT;
        let each = 600 + (spec.failure_threshold + 2) * slowest + spec.retry.cooldown;
        let first = 16 * slowest + spec.failure_seconds + 3600 + self.limits.storm_cooldown;
        i64::from(first + (tries + 1) * each)
    }

    /// Whether everything was tried, or what is left concerns pods that do not exist any more.
    pub(super) fn exhausted(&self, index: usize) -> bool {
        matches!(
            self.policies[index].decision,
            Some(
                Decision::Exhausted { .. }
                    | Decision::Hold {
                        reason: Reason::SubjectNotOwned,
                        ..
                    }
            )
        )
    }

    pub(super) fn incident_open(&self) -> bool {
        self.policies.iter().any(|policy| {
            let incident = policy.state.incident.as_ref();
            incident.is_some_and(|incident| incident.recovered.is_none())
        })
    }

    pub(super) fn spec(&self, index: usize) -> &PolicySpec {
        &self.policies[index].spec
    }

    /// What is known of a policy, for a failure's message.
    pub(super) fn story(&self, index: usize) -> String {
        let policy = &self.policies[index];
        let records: Vec<_> = policy
            .records
            .iter()
            .map(|record| (&record.intent.action, record.intent.time, &record.status))
            .collect();
        format!(
            "{:?}\n{:?}\n{:?}\n{records:?}",
            policy.decision, policy.spec, policy.state
        )
    }

    /// All that is in memory is lost; what was kept is read again.
    fn crash(&mut self) {
        self.term += 1;
        (self.begun, self.created) = (0, None);
        if let Some((index, state, seen)) = self.behind.take() {
            let policy = &mut self.policies[index];
            (policy.state, policy.seen) = (state, seen);
        }
        self.storm = StormState::Cooling {
            until: self.now.plus(self.limits.storm_cooldown),
        };
        for index in 0..POLICIES {
            self.memory[index] = Memory::default();
            self.watch(index);
        }
        // What the last one knew of its own records is lost too; what it can have acted on is reckoned with.
        let records = self
            .policies
            .iter_mut()
            .flat_map(|policy| &mut policy.records);
        for record in records.filter(|record| unwritten(record)) {
            record.status = RecordStatus::default();
        }
        let acted = last(self.all_records()).map(|record| record.name.clone());
        let mut records = self
            .policies
            .iter_mut()
            .flat_map(|policy| &mut policy.records);
        if let Some(record) = records.find(|record| Some(&record.name) == acted.as_ref()) {
            *record = record.clone().begun_with_creation();
        }
        let policy = &mut self.policies[self.dice.below(3) as usize];
        let json = serde_json::to_string(&policy.state).unwrap();
        policy.state = serde_json::from_str(&json).unwrap();
    }

    /// The remediator sees the check as it is, and does what its policy and those below need.
    fn look(&mut self, index: usize) -> Kept {
        self.watch(index);
        self.policy(index)?;
        if let Some(below) = self
            .policies
            .iter()
            .position(|policy| policy.upstream == Some(index))
        {
            self.policy(below)?;
        }
        Ok(())
    }

    fn watch(&mut self, index: usize) {
        let (check, memory) = (&self.checks[index], &mut self.memory[index]);
        if check.deleted {
            *memory = Memory::default();
            return;
        }
        memory.sight = Some(check.sight());
        memory.look(self.now);
    }

    fn upstreams(&self, index: usize) -> Vec<Upstream> {
        let above = self.policies[index].upstream;
        let upstream = above.map(|above| {
            let memory = &self.memory[above];
            Upstream {
                key: self.checks[above].key(),
                status: check_status(&memory.state, TIMING, self.now),
                last: memory.runs.last().cloned(),
                recovered: memory.recovered,
            }
        });
        upstream.into_iter().collect()
    }

    /// Checks that fail, as the remediator knows them.
    fn failing(&self) -> u32 {
        let failing = (0..POLICIES).filter(|index| {
            let last = self.memory[*index].runs.last().map(|run| run.verdict);
            let records = &self.policies[*index].records;
            matches!(last, Some(Verdict::Failed(_))) || records.iter().any(in_flight)
        });
        u32::try_from(failing.count()).unwrap()
    }

    fn all_records(&self) -> impl Iterator<Item = &Record> {
        self.policies.iter().flat_map(|policy| &policy.records)
    }

    /// Records that were begun in the last hour, and those that are counted with them.
    fn last_hour(&self, also: impl Fn(&Record) -> bool) -> u32 {
        let used = |record: &Record| used(self.now, record);
        let within = |record: &Record| used(record).is_some_and(|at| self.now.since(at) < 3600);
        let counted = self
            .all_records()
            .filter(|record| within(record) || also(record));
        u32::try_from(counted.count()).unwrap()
    }

    fn world<'a>(&'a self, index: usize, upstreams: &'a [Upstream]) -> World<'a> {
        let status = |index: usize| check_status(&self.memory[index].state, TIMING, self.now);
        let stale = (0..POLICIES).filter(|index| status(*index) == CheckStatus::Stale);
        let number = |count: usize| u32::try_from(count).unwrap();
        World {
            records: &self.policies[index].records,
            in_flight: number(
                self.all_records()
                    .filter(|record| in_flight(record))
                    .count(),
            ),
            last_hour: self.last_hour(|record| in_flight(record) && !begun(record)),
            mapped: number(POLICIES),
            checks: number(POLICIES),
            failing: self.failing(),
            stale: number(stale.count()),
            storm: self.storm,
            upstreams,
            cycle: None,
            rival: None,
            limits: self.limits,
            check_status: status(index),
            timing: TIMING,
        }
    }

    /// The policy is reconciled, unless its status cannot be written.
    fn policy(&mut self, index: usize) -> Kept {
        if !self.calm && self.dice.one_in(12) {
            return Ok(());
        }
        for memory in &mut self.memory {
            if settles_at(&memory.state).is_some_and(|until| until <= self.now) {
                memory.look(self.now);
            }
        }
        let upstreams = self.upstreams(index);
        let mut state = std::mem::take(&mut self.policies[index].state);
        let before = (state.clone(), self.policies[index].seen.clone());
        if let Some(sight) = &self.memory[index].sight {
            let snapshot = &sight.snapshot;
            let known = std::mem::take(&mut state.check);
            let started = self.memory[index].state.started.as_ref();
            let (check, told) = resume(known, snapshot, started, self.now);
            state.check = check;
            self.policies[index].seen.see(sight);
            let spec = &self.policies[index].spec;
            state = advance(state, spec, TIMING, &told, self.now);
            state = upstreams_recovered(state, spec, &upstreams);
            if self.dice.one_in(16) {
                let (again, nothing) = resume(state.check.clone(), snapshot, started, self.now);
                assert!(
                    nothing.is_empty() && again == state.check,
                    "seen twice, told twice: {nothing:?}"
                );
            }
        }
        self.policies[index].state = state;
        self.storm = storm(
            self.storm,
            self.failing(),
            u32::try_from(POLICIES).unwrap(),
            &self.limits,
            self.now,
        );
        self.drive(index, &upstreams)?;
        let known = &self.policies[index].state;
        if open(&before.0).is_some() && open(&before.0) == open(known) {
            self.behind = Some((index, before.0, before.1));
        }
        self.decide(index, &upstreams)?;
        self.behind = None;
        self.drive(index, &upstreams)
    }

    fn decide(&mut self, index: usize, upstreams: &[Upstream]) -> Kept {
        let now = self.now;
        self.policies[index].target.tick(now);
        let policy = &self.policies[index];
        let world = self.world(index, upstreams);
        let ask = |facts: Option<&Facts>| {
            decision(self.blind, now, &policy.spec, &policy.state, &world, facts)
        };
        let mut decision = ask(None);
        assert!(
            !matches!(decision, Decision::Act(_)),
            "acts without having looked"
        );
        if let Decision::NeedFacts(_) = decision {
            decision = ask(Some(&policy.target.facts));
        }
        if let Some(at) = wake(now, &policy.spec, &policy.state, &decision) {
            assert!(at > now, "woken at once by {decision:?}");
        }
        if let Decision::Hold { message, .. } = &decision {
            assert!(!message.is_empty() && message.chars().count() <= 512);
        }
        if let Decision::Act(intent) = &decision {
            decided(&self.scene(index, intent))?;
            self.create(index, intent);
        }
        let policy = &mut self.policies[index];
        if let (Decision::Exhausted { .. }, Some(incident)) =
            (&decision, policy.state.incident.as_mut())
        {
            incident.exhausted = true;
        }
        policy.decision = Some(decision);
        Ok(())
    }

    fn scene<'a>(&'a self, index: usize, intent: &'a Intent) -> Scene<'a> {
        let policy = &self.policies[index];
        let above = policy.upstream.map(|above| {
            let memory = &self.memory[above];
            let mut newest = memory.seen.runs.iter().rev().copied();
            let last = newest.next();
            Above {
                runs: [newest.next(), last],
                recovered: memory.recovered,
            }
        });
        Scene {
            now: self.now,
            policy: index,
            spec: &policy.spec,
            state: &policy.state,
            intent,
            written: self.checks[index].written,
            seen: &policy.seen.runs,
            ledger: &self.ledger,
            limits: self.limits,
            failing: (self.failing(), u32::try_from(POLICIES).unwrap()),
            above,
        }
    }

    fn create(&mut self, index: usize, intent: &Intent) {
        self.acts += 1;
        self.ledger.push(Entry::new(index, intent));
        let mut record = Record::planned(intent.clone());
        let records: Vec<Record> = self.all_records().cloned().collect();
        let made = Begun {
            term: self.term,
            number: self.begun,
        };
        let creator = Creator {
            made,
            greatest: records
                .iter()
                .filter_map(|record| record.intent.begun)
                .max(),
            last_hour: self.last_hour(|_| false),
            limits: self.limits,
        };
        if at_once(&record, &records, &creator) {
            self.begun += 1;
            record.intent.begun = Some(Begun {
                number: self.begun,
                ..made
            });
        }
        let records = &mut self.policies[index].records;
        let known = records.iter().any(|known| known.name == record.name);
        assert!(!known, "{} exists", record.name.name);
        self.created = record.intent.begun.map(|_| record.name.clone());
        records.push(record);
        // The process may end before it has done anything for it.
        if !self.calm && self.dice.one_in(24) {
            self.crash();
        }
    }

    /// Goes on with what is recorded, as far as that goes now.
    fn drive(&mut self, index: usize, upstreams: &[Upstream]) -> Kept {
        let before = self.ends.len();
        for at in 0..self.policies[index].records.len() {
            for _ in 0..8 {
                let Some(record) = self.policies[index].records.get_mut(at) else {
                    return Ok(());
                };
                let revert = record.status.revert.as_ref();
                if record.finished() && revert.is_none_or(|revert| revert.end.is_some()) {
                    break;
                }
                if record.intent.mode == Mode::Manual && !record.approved {
                    record.approved = self.dice.one_in(4);
                }
                if !self.go_on(index, at, upstreams)? {
                    break;
                }
            }
        }
        if self.ends.len() > before {
            self.prune(index);
        }
        Ok(())
    }

    /// One step of one record. Whether there is another at once.
    fn go_on(&mut self, index: usize, at: usize, upstreams: &[Upstream]) -> Result<bool, Broken> {
        let now = self.now;
        self.policies[index].target.tick(now);
        let created = self.created.as_ref() == Some(&self.policies[index].records[at].name);
        if created {
            self.created = None;
        }
        let policy = &self.policies[index];
        let record = &policy.records[at];
        let world = self.world(index, upstreams);
        let mut wanted = still_wanted(now, &policy.spec, &policy.state, &world);
        if self.blind == Blind::NotWanted {
            wanted = Ok(());
        }
        let before = rank(record, self.all_records(), self.term);
        let seen = &self.memory[index].runs;
        let told;
        let standing = Standing {
            rank: if self.blind == Blind::Turn { 0 } else { before },
            doubtful: doubtful(record, self.all_records(), self.term),
            last_hour: match self.blind {
                Blind::PerHour => 0,
                // Who is asked has not been begun if it matters.
                _ => self.last_hour(|_| false) - u32::from(unwritten(record)),
            },
            term: self.term,
            created,
            limits: self.limits,
            wanted,
            runs: if self.blind == Blind::Nothing {
                seen
            } else {
                told = runs(self.blind, seen);
                &told
            },
            check: world.check_status,
            policy_deleted: false,
            lasting: false,
            set_back: Ok(()),
        };
        let mut facts = policy.target.facts.clone();
        if self.blind == Blind::Preconditions {
            // And what was read is older than what was written.
            facts.generation = record.intent.claim.generation;
        }
        let live = Live::Target(Box::new(facts));
        match next(now, record, &live, &standing) {
            Next::Status(status) => self.put(index, at, status),
            Next::Act(write) => {
                let policy = &mut self.policies[index];
                if created {
                    let record = &mut policy.records[at];
                    *record = record.clone().begun_with_creation();
                }
                let (done, answer) = policy.target.write(now, &write, &mut self.dice);
                let record = &policy.records[at];
                let status = answered(now, record, &write, answer);
                if done && !record.finished() {
                    self.affect(index, at)?;
                }
                self.put(index, at, status)
            }
            Next::Wait { until, .. } => {
                assert!(until > now, "waits for what has been");
                Ok(false)
            }
            Next::DropFinalizer | Next::Finished => Ok(false),
        }
    }

    fn entry(&self, index: usize, at: usize) -> usize {
        let intent = &self.policies[index].records[at].intent;
        self.ledger
            .iter()
            .position(|entry| {
                entry.policy == index
                    && entry.attempt == intent.attempt
                    && entry.incident == intent.incident.id
            })
            .unwrap()
    }

    fn affect(&mut self, index: usize, at: usize) -> Kept {
        let entry = self.entry(index, at);
        self.ledger[entry].effects.push(self.now);
        if self.dice.one_in(3) && !self.calm {
            self.checks[index].healthy = true;
        }
        let policy = &self.policies[index];
        let approved = policy.records[at].approved;
        affected(
            &self.ledger,
            entry,
            self.limits,
            (approved, &policy.spec, &policy.state),
        )
    }

    /// The status is written, or that fails, or it is the last thing this process does.
    fn put(&mut self, index: usize, at: usize, status: RecordStatus) -> Result<bool, Broken> {
        let fate = if self.calm { 99 } else { self.dice.below(24) };
        if fate == 0 {
            return Ok(false);
        }
        let record = &mut self.policies[index].records[at];
        let ends = !record.finished() && status.completed.is_some();
        record.status = RecordStatus {
            term: self.term,
            ..status
        };
        if ends {
            self.finish(index, at)?;
        }
        if fate == 1 {
            self.crash();
            return Ok(false);
        }
        Ok(true)
    }

    fn finish(&mut self, index: usize, at: usize) -> Kept {
        let entry = self.entry(index, at);
        let status = &self.policies[index].records[at].status;
        let (phase, touched) = (status.phase, status.touched);
        self.ledger[entry].ended = Some((self.now, phase));
        self.ends.push(phase);
        self.policies[index].finished += 1;
        let real = &self.memory[index].seen.runs;
        ended(&self.ledger[entry], phase, touched, real)
    }

    fn prune(&mut self, index: usize) {
        let policy = &mut self.policies[index];
        let statistics = std::mem::take(&mut policy.state.statistics);
        policy.state.statistics = count(statistics, &policy.records);
        let open = policy.state.incident.as_ref();
        let gone = prunable(
            &policy.state.statistics,
            &policy.records,
            open,
            policy.spec.history_limit,
            self.now,
        );
        policy.records.retain(|record| !gone.contains(&record.name));
    }

    /// Whether each outcome was counted, and once.
    pub(super) fn counted(&self) -> Kept {
        for policy in &self.policies {
            let tallies = policy.state.statistics.by_action.values();
            let counted: u64 = tallies
                .map(|t| t.succeeded + t.failed + t.inconclusive + t.blocked + t.dry_run)
                .sum();
            promise(Promise::CountedOnce, counted == policy.finished, || {
                format!("{counted} of {} outcomes", policy.finished)
            })?;
        }
        Ok(())
    }
}

/// The incident, while it is open.
fn open(state: &PolicyState) -> Option<&str> {
    let open = state.incident.as_ref();
    let open = open.filter(|incident| incident.recovered.is_none())?;
    Some(&open.id)
}

fn step(action: Action) -> Step {
    Step {
        action,
        verify_seconds: None,
    }
}

/// Somebody edits the policy.
fn edit(spec: &mut PolicySpec, dice: &mut Dice) {
    spec.generation += 1;
    spec.mode = dice.pick(&[
        Mode::Enforce,
        Mode::Enforce,
        Mode::Enforce,
        Mode::Manual,
        Mode::DryRun,
    ]);
    spec.failure_threshold = 1 + dice.below(3);
    spec.failure_seconds = dice.pick(&[0, 0, 900]);
    spec.success_threshold = 1 + dice.below(2);
    spec.count_timeouts = dice.one_in(2);
    spec.retry.max_retry = dice.below(2);
    spec.retry.cooldown = dice.pick(&[0, 60, 300]);
    spec.dependency_grace = dice.pick(&[60, 300, 900]);
    spec.strategy = dice.pick(&[Strategy::Ordered, Strategy::Adaptive]);
    let evict = Action::RestartPods {
        pods: dice.pick(&[Selection::All, Selection::Reported]),
        max: 1 + dice.below(2),
    };
    let scale = Action::Scale(Scaling::By {
        step: 1,
        max: 4,
        revert: dice.one_in(2).then_some(900),
    });
    let most = dice.below(5) as usize;
    spec.steps = [evict, Action::RolloutRestart, scale, Action::Rollback]
        .into_iter()
        .take(most)
        .map(step)
        .collect();
}

fn spec(index: usize) -> PolicySpec {
    let key = |namespace: &str, name: String| ObjectKey {
        namespace: namespace.into(),
        name: name.into(),
    };
    PolicySpec {
        key: key("shop", format!("web{index}")),
        uid: format!("policy{index}"),
        generation: 1,
        mode: Mode::Enforce,
        source: None,
        check: key("kuberhealthy", format!("check{index}")),
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
        infer_dependencies: true,
        strategy: Strategy::Ordered,
        notify: None,
        alert: None,
    }
}
