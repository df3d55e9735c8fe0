//! From snapshots of a check to its runs.
//!
//! Kuberhealthy keeps no list of runs: a check is one object that is overwritten. What a write means follows from what
//! it changed, so a little is remembered between two snapshots, in [`CheckState`]. A snapshot that is seen twice, or
//! again after a restart, tells nothing new.

mod alert;
mod classify;
mod parse;
mod stale;
mod v2;
mod v3;

pub use parse::{Malformed, parse_snapshot};
pub use stale::{check_status, reliance};

use super::{Body, CheckState, Observation, Run, RunId, Seen, Snapshot, Time};

/// How many runs are remembered, to recognise a late write of an old one.
const RECENT: usize = 8;

/// What `snapshot` tells that `prev` did not know, and what to remember for the next.
///
/// Ask again at [`settles_at`] with the same snapshot. An object that is gone, or is being deleted, is forgotten; so is
/// one that was replaced by another of the same name.
pub fn observe(prev: CheckState, snapshot: &Snapshot, now: Time) -> (CheckState, Vec<Observation>) {
    look(prev, snapshot, now, Some(now))
}

/// As [`observe`], where `prev` is not what was seen just before: it was kept by another process, or for longer than
/// anybody watched. A run that it does not know may have started at any time since. `started` is what somebody who
/// watches knows of it, as [`CheckState::started`]; without it the start is unknown, which is never taken for late
/// enough to judge a remediation by.
pub fn resume(
    prev: CheckState,
    snapshot: &Snapshot,
    started: Option<&(String, Time)>,
    now: Time,
) -> (CheckState, Vec<Observation>) {
    let known = match &snapshot.body {
        Body::V2(body) => started.filter(|(uuid, _)| *uuid == body.uuid),
        Body::V3(_) | Body::Alerts(_) => None,
    };
    look(prev, snapshot, now, known.map(|(_, time)| *time))
}

/// `appeared` is when the run under way is taken to have started if `prev` does not know it.
fn look(
    prev: CheckState,
    snapshot: &Snapshot,
    now: Time,
    appeared: Option<Time>,
) -> (CheckState, Vec<Observation>) {
    if snapshot.deleting {
        return (CheckState::default(), Vec::new());
    }
    let mut state = if prev.uid == snapshot.uid {
        prev
    } else {
        CheckState {
            uid: snapshot.uid.clone(),
            ..CheckState::default()
        }
    };
    let mut told = Vec::new();
    match &snapshot.body {
        Body::V2(body) => v2::observe(&mut state, body, now, appeared, &mut told),
        Body::V3(body) => v3::observe(&mut state, body, now, &mut told),
        Body::Alerts(body) => alert::observe(&mut state, body, now, &mut told),
    }
    (state, told)
}

/// When a result that may still change is taken as it is.
pub fn settles_at(state: &CheckState) -> Option<Time> {
    state.pending.as_ref().map(|pending| pending.until)
}

/// The name of a run: the object's UID, cut, and what the line has to tell its runs apart.
fn run_id(state: &CheckState, rest: &str) -> RunId {
    let uid = super::reason::bounded(&state.uid, 8);
    RunId(format!("{uid}/{}", super::reason::bounded(rest, 64)))
}

/// Tells of a run, unless nothing about it is new.
fn tell(state: &mut CheckState, run: Run, told: &mut Vec<Observation>) {
    let amends = match &state.last {
        Some((id, verdict, _)) if *id == run.id => {
            if *verdict == run.verdict {
                return;
            }
            true
        }
        _ => false,
    };
    state.last = Some((run.id.clone(), run.verdict, run.finished));
    if amends {
        told.push(Observation::Amended(run));
        return;
    }
    state.recent.push(run.id.clone());
    let surplus = state.recent.len().saturating_sub(RECENT);
    state.recent.drain(..surplus);
    told.push(Observation::New(run));
}

/// FNV-1a over the errors: what is remembered of them.
fn errors_hash(errors: &[String]) -> u64 {
    super::incident::fnv(errors.iter().flat_map(|error| error.bytes().chain([0])))
}

/// Keeps what the next snapshot is compared with.
fn remember(state: &mut CheckState, seen: Seen) {
    state.seen = Some(seen);
}
