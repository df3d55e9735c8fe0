//! The protocol between intent, action and record, with every order of events.
//!
//! One leader at a time has a fence that is open: a replica whose lease is over, or that has crashed, makes no further
//! request, and what it knew is of no use to it. What it sent before may arrive at any later moment, or never. The next
//! leader, whichever replica it is, reads all records first.

use remediator::core::execution::{
    Answer, Creator, Live, Next, Standing, TargetWrite, answered, at_once, certain, doubtful, last,
    next, rank, unwritten,
};
use remediator::core::{
    Begun, CheckStatus, Limits, Phase, Reason, Record, RecordStatus, Run, RunId, Time, Touched,
    Verdict,
};
use stateright::{Model, Property};

use super::server::{Kind, Stored, Workload, intent, record, refusal, t0};

/// The term of a record of which the leader does not know what it says.
const UNSURE: i64 = -1;

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

    fn record(&self, number: usize, stored: &Stored) -> Record {
        let mut record = Record {
            status: stored.status.clone(),
            ..self.created[number].clone()
        };
        record.intent.begun = stored.begun;
        record
    }

    /// The leader that finds these records.
    fn leader(&self, records: &[Option<Stored>]) -> Leader {
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
    fn begin(&self, leader: &mut Leader, number: usize) {
        if let Some(stored) = leader.cache[number].clone() {
            let status = self.record(number, &stored).begun_with_creation().status;
            leader.cache[number] = Some(Stored { status, ..stored });
        }
    }
}

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
    record: usize,
    request: Request,
    /// Whether the leader waits for its answer.
    awaited: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    /// What it knows of each record.
    cache: Vec<Option<Stored>>,
    /// What it has created just now, and nobody else has worked on.
    created: Option<usize>,
    /// How many records it has begun with their creation.
    begun: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) records: Vec<Option<Stored>>,
    pub(super) workloads: Vec<Workload>,
    packets: Vec<Packet>,
    leader: Option<Leader>,
    term: i64,
    changes: u8,
    lost: u8,
    meddling: u8,
    wanted: bool,
    passes: bool,
    late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
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
    fn now(&self) -> Time {
        if self.late { t0().plus(2000) } else { t0() }
    }

    fn waits(&self, number: usize) -> bool {
        let mut packets = self.packets.iter();
        packets.any(|packet| packet.awaited && packet.record == number)
    }

    fn orphans(&self) -> usize {
        self.packets.iter().filter(|packet| !packet.awaited).count()
    }

    /// Records that have had an effect and are not over.
    fn acting(&self) -> usize {
        self.records
            .iter()
            .zip(&self.workloads)
            .filter(|(stored, workload)| {
                let open = |stored: &Stored| stored.status.completed.is_none();
                workload.effects > 0 && stored.as_ref().is_some_and(open)
            })
            .count()
    }

    pub(super) fn over(&self) -> bool {
        // What is not wanted any more is not created either.
        self.records.iter().all(|stored| match stored {
            Some(stored) => stored.status.completed.is_some(),
            None => !self.wanted,
        })
    }

    fn each(&self, holds: impl Fn(&RecordStatus, &Workload) -> bool) -> bool {
        self.records
            .iter()
            .zip(&self.workloads)
            .all(|(stored, workload)| {
                stored
                    .as_ref()
                    .is_none_or(|stored| holds(&stored.status, workload))
            })
    }
}

impl Protocol {
    /// What the leader knows.
    fn known(&self, leader: &Leader) -> Vec<Record> {
        let known = leader.cache.iter().enumerate();
        known
            .filter_map(|(number, stored)| Some(self.record(number, stored.as_ref()?)))
            .collect()
    }

    /// Whether the leader may work on this record, or create it. What is not begun for certain is worked on alone.
    fn free(&self, state: &State, leader: &Leader, number: usize) -> bool {
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
    fn create(&self, state: &State, number: usize) -> Option<Request> {
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
            greatest: records
                .iter()
                .filter_map(|record| record.intent.begun)
                .max(),
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
    fn work(&self, state: &State, number: usize) -> Option<Request> {
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

    /// A request arrives. The answer to a write, and whether a put took effect.
    fn arrive(&self, state: &mut State, packet: &Packet) -> (Answer, bool) {
        let number = packet.record;
        match &packet.request {
            Request::Create(begun) => {
                if state.records[number].is_some() {
                    return (Answer::Conflict, false);
                }
                state.records[number] = Some(creation(*begun));
                (Answer::Done, true)
            }
            Request::Put { version, status } => {
                let Some(stored) = state.records[number].as_mut() else {
                    return (Answer::Gone, false);
                };
                if stored.version != *version {
                    return (Answer::Conflict, false);
                }
                stored.version += 1;
                stored.status = status.clone();
                (Answer::Done, true)
            }
            Request::Write(write, back) => {
                (state.workloads[number].write(write, self.lax, *back), false)
            }
        }
    }

    /// What the leader makes of an answer.
    fn hear(&self, state: &mut State, packet: &Packet, answer: Answer) {
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

/// A record as it is created.
fn creation(begun: Option<Begun>) -> Stored {
    Stored {
        version: 0,
        begun,
        status: RecordStatus::default(),
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
        if state.leader.is_none() {
            events.push(Event::Lead);
        } else if state.changes < self.changes {
            events.push(Event::Fall);
        }
        for (at, packet) in state.packets.iter().enumerate() {
            events.push(Event::Arrive(at));
            if matches!(packet.request, Request::Write(..)) && !self.quiet {
                events.push(Event::Refuse(at));
            }
            if !packet.awaited {
                if self.creates || packet.request != Request::Create(None) {
                    events.push(Event::Lose(at));
                }
            } else if state.lost < self.lost {
                events.extend([Event::Lose(at), Event::ArriveUnanswered(at)]);
                if state.orphans() < self.late {
                    events.push(Event::GiveUp(at));
                    let cached = |leader: &Leader| leader.cache[packet.record].clone();
                    let stored = state.leader.as_ref().and_then(cached);
                    let known = stored.map(|stored| self.record(packet.record, &stored));
                    if known.is_some_and(|record| unwritten(&record)) {
                        events.push(Event::BreakOff(at));
                    }
                }
            }
        }
        // What is over stays as it is, but for what is under way and what is to be set back.
        let over = state.over();
        if over && !self.kinds.contains(&Kind::Scale) {
            events.retain(|event| matches!(event, Event::Arrive(_)));
            return;
        }
        for number in 0..self.kinds.len() {
            if let Some(leader) = &state.leader {
                let known = leader.cache[number].is_some();
                if known && !state.waits(number) {
                    events.push(Event::Work(number));
                } else if self.creates && state.wanted && !known {
                    events.push(Event::Create(number));
                }
            }
            let told = state.leader.as_ref().is_some_and(|leader| {
                let version =
                    |stored: &Option<Stored>| stored.as_ref().map(|stored| stored.version);
                !state.waits(number)
                    && version(&leader.cache[number]) < version(&state.records[number])
            });
            if told {
                events.push(Event::Tell(number));
            }
            let workload = &state.workloads[number];
            if workload.settles() {
                events.push(Event::Settle(number));
            }
            if state.meddling < self.meddling && !over {
                events.extend([Event::Touch(number), Event::Meddle(number)]);
            }
        }
        let some = |phases: &[Phase]| {
            let mut known = state.records.iter().flatten();
            known.any(|stored| phases.contains(&stored.status.phase))
        };
        if state.wanted && !over && !self.quiet {
            events.push(Event::Unwanted);
        }
        if !state.passes && some(&[Phase::Verifying]) {
            events.push(Event::Pass);
        }
        let waits = [
            Phase::Blocked,
            Phase::Applied,
            Phase::Succeeded,
            Phase::Inconclusive,
        ];
        if !state.late && !self.quiet && some(&waits) {
            events.push(Event::Later);
        }
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Fall => {
                state.leader = None;
                for packet in &mut state.packets {
                    packet.awaited = false;
                }
                // Of more than are looked at the newest are lost, which is one of the things that can happen.
                state.packets.truncate(self.late);
            }
            Event::Lead => {
                state.term += i64::from(!self.again);
                state.changes += 1;
                state.leader = Some(self.leader(&state.records));
            }
            Event::Create(number) => {
                let request = self.create(before, number)?;
                let leader = state.leader.as_mut()?;
                leader.begun += u32::from(request != Request::Create(None));
                state.packets.push(Packet {
                    record: number,
                    request,
                    awaited: true,
                });
            }
            Event::Work(number) => {
                let request = self.work(before, number);
                let leader = state.leader.as_mut()?;
                if leader.created == Some(number) && self.free(before, leader, number) {
                    leader.created = None;
                    if matches!(request, Some(Request::Write(..))) {
                        self.begin(leader, number);
                    }
                }
                let Some(request) = request else {
                    return (state != *before).then_some(state);
                };
                state.packets.push(Packet {
                    record: number,
                    request,
                    awaited: true,
                });
            }
            Event::Tell(number) => {
                state.leader.as_mut()?.cache[number].clone_from(&before.records[number]);
            }
            Event::Arrive(at) => {
                let packet = state.packets.remove(at);
                let (answer, _) = self.arrive(&mut state, &packet);
                if packet.awaited {
                    self.hear(&mut state, &packet, answer);
                }
            }
            Event::ArriveUnanswered(at) => {
                let packet = state.packets.remove(at);
                state.lost += 1;
                self.arrive(&mut state, &packet);
                self.hear(&mut state, &packet, Answer::Unknown);
            }
            Event::Refuse(at) => {
                let packet = state.packets.remove(at);
                if let (Request::Write(write, _), true) = (&packet.request, packet.awaited) {
                    self.hear(&mut state, &packet, refusal(write));
                }
            }
            Event::Lose(at) => {
                let packet = state.packets.remove(at);
                if packet.awaited {
                    state.lost += 1;
                    self.hear(&mut state, &packet, Answer::Unknown);
                }
            }
            Event::BreakOff(at) => {
                state.packets[at].awaited = false;
                state.lost += 1;
            }
            Event::GiveUp(at) => {
                state.packets[at].awaited = false;
                state.lost += 1;
                let packet = state.packets[at].clone();
                self.hear(&mut state, &packet, Answer::Unknown);
            }
            Event::Settle(number) => state.workloads[number].settle(),
            Event::Touch(number) => {
                state.meddling += 1;
                state.workloads[number].touch();
            }
            Event::Meddle(number) => {
                state.meddling += 1;
                state.workloads[number].meddle();
            }
            Event::Unwanted => state.wanted = false,
            Event::Pass => state.passes = true,
            Event::Later => state.late = true,
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        vec![
            Property::always(ONCE, |model: &Protocol, state: &State| {
                model
                    .kinds
                    .iter()
                    .zip(&state.workloads)
                    .all(|(kind, workload)| {
                        let most = match kind {
                            Kind::Pods(pods) => *pods,
                            _ => 1,
                        };
                        workload.effects <= most && workload.set_back <= 1
                    })
            }),
            Property::always(HONEST, |_, state: &State| {
                state.each(|status, workload| {
                    status.phase != Phase::Succeeded || workload.effects > 0
                })
            }),
            Property::always(UNTOUCHED, |_, state: &State| {
                state.each(|status, workload| {
                    status.completed.is_none()
                        || status.touched != Touched::No
                        || workload.effects == 0
                })
            }),
            Property::always(LIMIT, |_, state: &State| state.acting() <= 1),
            Property::sometimes("a remediation succeeds", |_, state: &State| {
                !state.each(|status, _| status.phase != Phase::Succeeded)
            }),
        ]
    }
}

pub(super) const ONCE: &str = "a record's write takes effect at most once";
pub(super) const HONEST: &str = "success only with an effect";
pub(super) const UNTOUCHED: &str =
    "what is over and says that it touched nothing never has an effect";
pub(super) const LIMIT: &str = "no more remediations have an effect at once than are allowed";
