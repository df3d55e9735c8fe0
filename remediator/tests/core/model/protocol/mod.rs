//! The protocol between intent, action and record, with every order of events.
//!
//! One leader at a time has a fence that is open: a replica whose lease is over, or that has crashed, makes no further
//! request, and what it knew is of no use to it. What it sent before may arrive at any later moment, or never. The next
//! leader, whichever replica it is, reads all records first.

mod events;
mod leader;
mod properties;
mod state;

use remediator::core::Record;
use stateright::{Model, Property};

use super::server::{Kind, Stored, Workload, intent, record};
pub(super) use properties::{LIMIT, ONCE, UNTOUCHED};
pub(super) use state::State;
use state::{Event, Packet, Request, creation};

/// What is explored, and how far.
#[derive(Clone)]
pub(super) struct Protocol {
    /// The records as they were created.
    pub(super) created: Vec<Record>,
    /// One record for each, all allowed to exist at once.
    pub(super) kinds: Vec<Kind>,
    /// The first record's creation is still on its way.
    pub(super) late_creation: bool,
    /// No record exists yet: leaders create them, and begin with that what there is a place for.
    pub(super) creates: bool,
    /// So many times another replica takes over.
    pub(super) changes: u8,
    /// So many requests whose sender does not wait for them any more are under way at once.
    pub(super) late: usize,
    /// So many answers are lost, though their senders wait.
    pub(super) lost: u8,
    /// So many times others write to a workload.
    pub(super) meddling: u8,
    /// Nothing is refused, nothing takes too long, and the remediation stays wanted.
    pub(super) quiet: bool,
    /// The server takes no notice of resourceVersions.
    pub(super) lax: bool,
    /// The leader takes no notice of other records.
    pub(super) selfish: bool,
    /// The leader acts at once on whatever was begun with its creation, by whomever and whenever.
    pub(super) hasty: bool,
    /// The leader does not reckon with the last one having acted on what it created.
    pub(super) forgetful: bool,
    /// A replica that takes over has the term of the one before.
    pub(super) again: bool,
}

impl Protocol {
    pub(super) fn of(kinds: &[Kind]) -> Protocol {
        Protocol {
            created: kinds
                .iter()
                .enumerate()
                .map(|(number, kind)| record(&intent(*kind, number), number))
                .collect(),
            kinds: kinds.to_vec(),
            late_creation: false,
            creates: false,
            changes: 1,
            late: 1,
            lost: 1,
            meddling: 1,
            quiet: false,
            lax: false,
            selfish: false,
            hasty: false,
            forgetful: false,
            again: false,
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let numbers = 0..self.kinds.len();
        let mut records: Vec<Option<Stored>> = numbers
            .map(|_| (!self.creates).then(|| creation(None)))
            .collect();
        let mut packets = Vec::new();
        if self.late_creation {
            records[0] = None;
            packets.push(Packet {
                record: 0,
                request: Request::Create(None),
                awaited: false,
            });
        }
        vec![State {
            leader: Some(self.leader(&records)),
            records,
            workloads: self.kinds.iter().map(|kind| Workload::new(*kind)).collect(),
            packets,
            term: 1,
            changes: 0,
            lost: 0,
            meddling: 0,
            wanted: true,
            passes: false,
            late: false,
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        self.possible(state, events);
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        self.after(before, event)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        properties::all()
    }
}
