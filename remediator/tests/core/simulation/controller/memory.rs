//! What the process remembers of the checks, and what it takes the cluster for.

use remediator::core::execution::{begun, in_flight, used};
use remediator::core::{
    CheckState, CheckStatus, Observation, Record, Run, Time, Upstream, Verdict, World,
    check_status, observe,
};

use super::{POLICIES, Simulation};
use crate::simulation::check::{SeenRuns, Sight, TIMING};

const RUNS: usize = 8;

/// What a process remembers of a check.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) sight: Option<Sight>,
    pub(super) state: CheckState,
    pub(super) runs: Vec<Run>,
    pub(super) recovered: Option<Time>,
    pub(super) seen: SeenRuns,
}

impl Memory {
    /// Looks at what was seen last: a result may have settled meanwhile.
    pub(super) fn look(&mut self, now: Time) {
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

impl Simulation {
    pub(super) fn watch(&mut self, index: usize) {
        let (check, memory) = (&self.checks[index], &mut self.memory[index]);
        if check.deleted {
            *memory = Memory::default();
            return;
        }
        memory.sight = Some(check.sight());
        memory.look(self.now);
    }

    pub(super) fn upstreams(&self, index: usize) -> Vec<Upstream> {
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
    pub(super) fn failing(&self) -> u32 {
        let failing = (0..POLICIES).filter(|index| {
            let last = self.memory[*index].runs.last().map(|run| run.verdict);
            let records = &self.policies[*index].records;
            matches!(last, Some(Verdict::Failed(_))) || records.iter().any(in_flight)
        });
        u32::try_from(failing.count()).unwrap()
    }

    pub(super) fn all_records(&self) -> impl Iterator<Item = &Record> {
        self.policies.iter().flat_map(|policy| &policy.records)
    }

    /// Records that were begun in the last hour, and those that are counted with them.
    pub(super) fn last_hour(&self, also: impl Fn(&Record) -> bool) -> u32 {
        let used = |record: &Record| used(self.now, record);
        let within = |record: &Record| used(record).is_some_and(|at| self.now.since(at) < 3600);
        let counted = self
            .all_records()
            .filter(|record| within(record) || also(record));
        u32::try_from(counted.count()).unwrap()
    }

    pub(super) fn world<'a>(&'a self, index: usize, upstreams: &'a [Upstream]) -> World<'a> {
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
}
