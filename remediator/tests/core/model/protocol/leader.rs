//! What a leader knows, what it does for a record, and what it makes of the answer.

use remediator::core::execution::{
    Answer, Creator, Live, Next, Standing, answered, at_once, certain, doubtful, greatest, last,
    next, rank,
};
use remediator::core::{
    Begun, CheckStatus, Limits, Reason, Record, RecordStatus, Run, RunId, Time, Verdict,
};

use super::Protocol;
use super::state::{Leader, Packet, Request, State, creation};
use crate::model::server::Stored;

/// The term of a record of which the leader does not know what it says.
const UNSURE: i64 = -1;

impl Protocol {
    pub(super) fn record(&self, number: usize, stored: &Stored) -> Record {
        let mut record = Record {
            status: stored.status.clone(),
            ..self.created[number].clone()
        };
        record.intent.begun = stored.begun;
        record
    }

    /// The leader that finds these records.
    pub(super) fn leader(&self, records: &[Option<Stored>]) -> Leader {
        let mut leader = Leader {
            cache: records.to_vec(),
            created: None,
            begun: 0,
        };
        let known = self.known(&leader);
        if let Some(last) = last(&known).filter(|_| !self.forgetful) {
            let number = self
                .created
                .iter()
                .position(|record| record.name == last.name);
            self.begin(&mut leader, number.unwrap());
        }
        leader
    }

    /// The leader reckons with the record having been acted on at its creation.
    pub(super) fn begin(&self, leader: &mut Leader, number: usize) {
        if let Some(stored) = leader.cache[number].clone() {
            let status = self.record(number, &stored).begun_with_creation().status;
            leader.cache[number] = Some(Stored { status, ..stored });
        }
    }

    /// What the leader knows.
    fn known(&self, leader: &Leader) -> Vec<Record> {
        let known = leader.cache.iter().enumerate();
        known
            .filter_map(|(number, stored)| Some(self.record(number, stored.as_ref()?)))
            .collect()
    }

    /// Whether the leader may work on this record, or create it. What is not begun for certain is worked on alone.
    pub(super) fn free(&self, state: &State, leader: &Leader, number: usize) -> bool {
        let alone = |number: usize| match &leader.cache[number] {
            None => true,
            Some(stored) => !certain(&self.record(number, stored)),
        };
        let mut others = (0..self.kinds.len()).filter(|other| *other != number);
        let busy = |other: usize| state.waits(other) || leader.created == Some(other);
        let taken = others.any(|other| busy(other) && alone(other));
        let waits = state.waits(number) || alone(number) && taken;
        !waits
    }

    /// The record's creation.
    pub(super) fn create(&self, state: &State, number: usize) -> Option<Request> {
        let leader = state.leader.as_ref()?;
        if leader.cache[number].is_some() || !self.free(state, leader, number) {
            return None;
        }
        let records = self.known(leader);
        let made = Begun {
            term: state.term,
            number: leader.begun,
        };
        let creator = Creator {
            made,
            greatest: greatest(None, &records),
            last_hour: 0,
            limits: Limits::default(),
        };
        let first = at_once(&self.created[number], &records, &creator);
        let begun = Begun {
            number: made.number + 1,
            ..made
        };
        Some(Request::Create((first || self.selfish).then_some(begun)))
    }

    /// What the leader does for a record now, if it does anything.
    pub(super) fn work(&self, state: &State, number: usize) -> Option<Request> {
        let leader = state.leader.as_ref()?;
        let stored = leader.cache[number].as_ref()?;
        if !self.free(state, leader, number) {
            return None;
        }
        let records = self.known(leader);
        let own = self.record(number, stored);
        let rank = rank(&own, &records, state.term);
        let run = Run {
            id: RunId("fresh".to_owned()),
            started: Some(Time::from_unix(i64::MAX)),
            finished: Time::from_unix(i64::MAX),
            verdict: Verdict::Passed,
            errors: Vec::new(),
        };
        let standing = Standing {
            rank: if self.selfish { 0 } else { rank },
            doubtful: doubtful(&own, &records, state.term),
            last_hour: 0,
            term: state.term,
            created: leader.created == Some(number) || self.hasty,
            limits: Limits::default(),
            wanted: if state.wanted {
                Ok(())
            } else {
                Err(Reason::Recovered)
            },
            runs: if state.passes { &[run] } else { &[] },
            check: CheckStatus::Settled,
            policy_deleted: false,
            lasting: false,
            set_back: Ok(()),
        };
        let live = Live::Target(Box::new(state.workloads[number].facts.clone()));
        match next(state.now(), &own, &live, &standing) {
            Next::Status(status) => Some(self.put(state, stored, status)),
            Next::Act(write) => Some(Request::Write(write, own.finished())),
            Next::Wait { .. } | Next::DropFinalizer | Next::Finished => None,
        }
    }

    fn put(&self, state: &State, stored: &Stored, status: RecordStatus) -> Request {
        Request::Put {
            version: stored.version,
            status: RecordStatus {
                term: state.term,
                // Which no decision looks at.
                message: String::new(),
                ..status
            },
        }
    }

    /// What the leader makes of an answer.
    pub(super) fn hear(&self, state: &mut State, packet: &Packet, answer: Answer) {
        let number = packet.record;
        let now = state.now();
        let Some(leader) = state.leader.as_mut() else {
            return;
        };
        match &packet.request {
            Request::Create(begun) if answer == Answer::Done => {
                leader.cache[number] = Some(creation(*begun));
                leader.created = begun.map(|_| number);
            }
            // It exists: it is read.
            Request::Create(_) if answer == Answer::Conflict => {
                leader.cache[number].clone_from(&state.records[number]);
            }
            Request::Create(_) => {}
            Request::Put { version, status } if answer == Answer::Done => {
                if let Some(stored) = &mut leader.cache[number] {
                    stored.version = version + 1;
                    stored.status = status.clone();
                }
            }
            // It may take effect yet: until the record is written again it is not known what the record says.
            Request::Put { .. } if answer == Answer::Unknown => {
                if let Some(stored) = &mut leader.cache[number] {
                    stored.status.term = UNSURE;
                }
            }
            Request::Put { .. } => {}
            Request::Write(write, _) => {
                let Some(stored) = leader.cache[number].clone() else {
                    return;
                };
                let own = self.record(number, &stored);
                // Only the time to wait is left out, as it passes.
                let passes = matches!(answer, Answer::Conflict | Answer::Unknown);
                let mut status = answered(now, &own, write, answer);
                if passes {
                    status.retry_at = stored.status.retry_at;
                }
                if status != stored.status {
                    let request = self.put(state, &stored, status);
                    state.packets.push(Packet {
                        record: number,
                        request,
                        awaited: true,
                    });
                }
            }
        }
    }
}
