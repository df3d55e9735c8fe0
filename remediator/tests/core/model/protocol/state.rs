//! A state: what is stored, what is under way and what the leader knows; and the events that lead to others.

use remediator::core::execution::TargetWrite;
use remediator::core::{Begun, RecordStatus, Time};

use crate::model::server::{Stored, Workload, t0};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Create(Option<Begun>),
    Put {
        version: u8,
        status: RecordStatus,
    },
    /// And whether the record was over: then it sets back.
    Write(TargetWrite, bool),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Packet {
    pub(super) record: usize,
    pub(super) request: Request,
    /// Whether the leader waits for its answer.
    pub(super) awaited: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    /// What it knows of each record.
    pub(super) cache: Vec<Option<Stored>>,
    /// What it has created just now, and nobody else has worked on.
    pub(super) created: Option<usize>,
    /// How many records it has begun with their creation.
    pub(super) begun: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::model) struct State {
    pub(super) records: Vec<Option<Stored>>,
    pub(super) workloads: Vec<Workload>,
    pub(super) packets: Vec<Packet>,
    pub(super) leader: Option<Leader>,
    pub(super) term: i64,
    pub(super) changes: u8,
    pub(super) lost: u8,
    pub(super) meddling: u8,
    pub(super) wanted: bool,
    pub(super) passes: bool,
    pub(super) late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::model) enum Event {
    /// The leader crashes or loses its lease.
    Fall,
    /// Another leads.
    Lead,
    /// The leader creates the record.
    Create(usize),
    /// It does what the record needs.
    Work(usize),
    /// The watch tells the leader of the record.
    Tell(usize),
    /// A request arrives, and its answer gets back if somebody waits for it.
    Arrive(usize),
    /// A request arrives, and its answer is lost.
    ArriveUnanswered(usize),
    /// A write is refused: by a budget, or for want of permission.
    Refuse(usize),
    /// A request is lost.
    Lose(usize),
    /// The leader waits for the answer no longer.
    GiveUp(usize),
    /// Nor does it make anything of that: what it did is broken off.
    BreakOff(usize),
    /// The workload's controllers do their work.
    Settle(usize),
    /// Its status changes; or somebody else changes its spec.
    Touch(usize),
    Meddle(usize),
    /// The remediation is not wanted any more.
    Unwanted,
    /// A run that started after everything passes.
    Pass,
    /// All waiting is over.
    Later,
}

impl State {
    pub(super) fn now(&self) -> Time {
        if self.late { t0().plus(2000) } else { t0() }
    }

    pub(super) fn waits(&self, number: usize) -> bool {
        let mut packets = self.packets.iter();
        packets.any(|packet| packet.awaited && packet.record == number)
    }

    pub(super) fn orphans(&self) -> usize {
        self.packets.iter().filter(|packet| !packet.awaited).count()
    }

    pub(in crate::model) fn over(&self) -> bool {
        // What is not wanted any more is not created either.
        self.records.iter().all(|stored| match stored {
            Some(stored) => stored.status.completed.is_some(),
            None => !self.wanted,
        })
    }
}

/// A record as it is created.
pub(super) fn creation(begun: Option<Begun>) -> Stored {
    Stored {
        version: 0,
        begun,
        status: RecordStatus::default(),
    }
}
