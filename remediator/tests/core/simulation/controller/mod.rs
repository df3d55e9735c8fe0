//! A remediator on a made-up cluster: it watches, decides and acts with the core's own functions, crashes and goes on.

mod decide;
mod drive;
mod events;
mod memory;
mod spec;

use remediator::core::{
    Decision, Limits, ObjectKey, Phase, PolicySpec, PolicyState, Reason, Record, StormState, Time,
    settles_at,
};

use super::blind::Blind;
use super::check::{Check, INTERVAL, SeenRuns};
use super::dice::Dice;
use super::promises::{Entry, Kept, Promise, promise};
use super::target::Target;
use memory::Memory;
use spec::{edit, spec};

const POLICIES: usize = 3;

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
