//! What can happen in a state, and what comes of it.

use remediator::core::Phase;
use remediator::core::execution::{Answer, unwritten};

use super::Protocol;
use super::state::{Event, Leader, Packet, Request, State, creation};
use crate::model::server::{Kind, Stored, refusal};

impl Protocol {
    /// What can happen in this state.
    pub(super) fn possible(&self, state: &State, events: &mut Vec<Event>) {
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

    /// The state after it; none if nothing has changed.
    pub(super) fn after(&self, before: &State, event: Event) -> Option<State> {
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
                let answer = self.arrive(&mut state, &packet);
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

    /// A request arrives, and is answered.
    fn arrive(&self, state: &mut State, packet: &Packet) -> Answer {
        let number = packet.record;
        match &packet.request {
            Request::Create(begun) => {
                if state.records[number].is_some() {
                    return Answer::Conflict;
                }
                state.records[number] = Some(creation(*begun));
                Answer::Done
            }
            Request::Put { version, status } => {
                let Some(stored) = state.records[number].as_mut() else {
                    return Answer::Gone;
                };
                if stored.version != *version {
                    return Answer::Conflict;
                }
                stored.version += 1;
                stored.status = status.clone();
                Answer::Done
            }
            Request::Write(write, back) => state.workloads[number].write(write, self.lax, *back),
        }
    }
}
