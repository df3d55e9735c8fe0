//! Values of the core's types, made up at random; here what a policy's state and a record both have.

mod record;
mod state;

use proptest::prelude::*;
use remediator::core::{Pattern, RunId, Time};

pub(super) use record::{intent, status};
pub(super) use state::state;

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_unix)
}

fn run_id() -> impl Strategy<Value = RunId> {
    "[a-z0-9/+-]{1,60}".prop_map(RunId)
}

fn failure() -> impl Strategy<Value = Pattern> {
    ("[0-9a-f]{10}", "\\PC{0,120}").prop_map(|(id, text)| Pattern { id, text })
}
