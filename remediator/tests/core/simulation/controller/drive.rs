//! What is recorded is gone on with, until it is over, counted and pruned.

use remediator::core::execution::{
    Live, Next, Standing, answered, doubtful, next, rank, unwritten,
};
use remediator::core::{Mode, RecordStatus, Upstream, count, prunable, still_wanted};

use super::Simulation;
use crate::simulation::blind::{Blind, runs};
use crate::simulation::promises::{Broken, Kept, affected, ended};

impl Simulation {
    /// Goes on with what is recorded, as far as that goes now.
    pub(super) fn drive(&mut self, index: usize, upstreams: &[Upstream]) -> Kept {
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
}
