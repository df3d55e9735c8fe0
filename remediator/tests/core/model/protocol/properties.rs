//! What holds in every state, and what is reached in one at least.

use remediator::core::{Phase, RecordStatus, Touched};
use stateright::Property;

use super::Protocol;
use super::state::State;
use crate::model::server::{Kind, Stored, Workload};

pub(in crate::model) const ONCE: &str = "a record's write takes effect at most once";
const HONEST: &str = "success only with an effect";
pub(in crate::model) const UNTOUCHED: &str =
    "what is over and says that it touched nothing never has an effect";
pub(in crate::model) const LIMIT: &str =
    "no more remediations have an effect at once than are allowed";

pub(super) fn all() -> Vec<Property<Protocol>> {
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
            state.each(|status, workload| status.phase != Phase::Succeeded || workload.effects > 0)
        }),
        Property::always(UNTOUCHED, |_, state: &State| {
            state.each(|status, workload| {
                status.completed.is_none() || status.touched != Touched::No || workload.effects == 0
            })
        }),
        Property::always(LIMIT, |_, state: &State| state.acting() <= 1),
        Property::sometimes("a remediation succeeds", |_, state: &State| {
            !state.each(|status, _| status.phase != Phase::Succeeded)
        }),
    ]
}

impl State {
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
