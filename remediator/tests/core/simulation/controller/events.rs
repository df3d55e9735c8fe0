//! What happens to the cluster and to the process, until nothing disturbs any more.

use remediator::core::execution::{last, unwritten};
use remediator::core::{Action, Mode, RecordStatus, StormState};

use super::spec::{edit, step};
use super::{Memory, POLICIES, Simulation};
use crate::simulation::check::{INTERVAL, TIMEOUT};

impl Simulation {
    pub(super) fn disturb(&mut self) {
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
    pub(in crate::simulation) fn calm_down(&mut self) {
        self.calm = true;
        for check in &mut self.checks {
            (check.healthy, check.deleted) = (true, false);
            check.due = check.due.min(self.now.plus(INTERVAL));
        }
    }

    /// From here on this policy's check fails, and nothing keeps it from acting. Returns how long that may go on.
    pub(in crate::simulation) fn only_failing(&mut self, index: usize) -> i64 {
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

    /// All that is in memory is lost; what was kept is read again.
    pub(super) fn crash(&mut self) {
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
}
