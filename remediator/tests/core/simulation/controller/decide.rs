//! A policy is reconciled: what it decides is checked, and a record created for it.

use remediator::core::depends::upstreams_recovered;
use remediator::core::execution::{Creator, at_once, greatest};
use remediator::core::limits::storm;
use remediator::core::{
    Begun, Decision, Facts, Intent, PolicyState, Record, Upstream, advance, resume, settles_at,
    wake,
};

use super::{POLICIES, Simulation};
use crate::simulation::blind::decision;
use crate::simulation::check::TIMING;
use crate::simulation::promises::{Above, Entry, Kept, Scene, decided};

impl Simulation {
    /// The policy is reconciled, unless its status cannot be written.
    pub(super) fn policy(&mut self, index: usize) -> Kept {
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
            greatest: greatest(None, &records),
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
}

/// The incident, while it is open.
fn open(state: &PolicyState) -> Option<&str> {
    let open = state.incident.as_ref();
    let open = open.filter(|incident| incident.recovered.is_none())?;
    Some(&open.id)
}
