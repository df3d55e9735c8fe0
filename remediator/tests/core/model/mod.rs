//! Every order of events between an intent, its action and its record, on the core's own functions.

mod protocol;
mod server;

use std::collections::HashMap;

use stateright::{Checker, Model};

use protocol::{LIMIT, ONCE, Protocol, State, UNTOUCHED};
use server::Kind;

/// Explores all of it. Every property must hold.
fn explore(model: Protocol) {
    model
        .checker()
        .threads(2)
        .spawn_bfs()
        .join()
        .assert_properties();
}

/// A state from which no events lead to the end of all records.
fn stuck(model: &Protocol) -> Option<State> {
    let mut numbers: HashMap<State, usize> = HashMap::new();
    let mut came_from: Vec<Vec<usize>> = Vec::new();
    let mut waiting: Vec<State> = Vec::new();
    let mut ends = Vec::new();
    for state in model.init_states() {
        numbers.insert(state.clone(), came_from.len());
        came_from.push(Vec::new());
        waiting.push(state);
    }
    while let Some(state) = waiting.pop() {
        let number = numbers[&state];
        if state.over() {
            ends.push(number);
            continue;
        }
        let mut events = Vec::new();
        model.actions(&state, &mut events);
        for event in events {
            let Some(next) = model.next_state(&state, event) else {
                continue;
            };
            let known = numbers.get(&next).copied();
            let at = known.unwrap_or_else(|| {
                numbers.insert(next.clone(), came_from.len());
                came_from.push(Vec::new());
                waiting.push(next);
                came_from.len() - 1
            });
            came_from[at].push(number);
        }
    }
    let mut ended = vec![false; came_from.len()];
    while let Some(number) = ends.pop() {
        if !std::mem::replace(&mut ended[number], true) {
            ends.extend(&came_from[number]);
        }
    }
    numbers
        .into_iter()
        .find(|(_, number)| !ended[*number])
        .map(|(state, _)| state)
}

#[test]
fn one_pod_is_restarted_once() {
    explore(Protocol::of(&[Kind::Pods(1)]));
}

#[test]
fn two_pods_are_restarted_once_each() {
    explore(Protocol {
        quiet: true,
        ..Protocol::of(&[Kind::Pods(2)])
    });
}

#[test]
fn a_rollout_is_restarted_once() {
    explore(Protocol::of(&[Kind::Restart]));
}

#[test]
fn replicas_are_changed_once_and_set_back_once() {
    explore(Protocol::of(&[Kind::Scale]));
}

#[test]
fn a_rollout_is_undone_once() {
    explore(Protocol::of(&[Kind::Rollback]));
}

#[test]
fn a_minimum_is_raised_once() {
    explore(Protocol::of(&[Kind::Minimum]));
}

/// Two records, of which one was created by a request that arrives late, and one place.
fn two() -> Protocol {
    Protocol {
        late_creation: true,
        changes: 2,
        meddling: 0,
        quiet: true,
        ..Protocol::of(&[Kind::Restart, Kind::Restart])
    }
}

#[test]
fn the_limit_holds_though_leaders_change() {
    explore(two());
}

/// Two records that leaders create, and one place.
fn created() -> Protocol {
    Protocol {
        creates: true,
        changes: 2,
        meddling: 0,
        quiet: true,
        ..Protocol::of(&[Kind::Restart, Kind::Restart])
    }
}

#[test]
fn the_limit_holds_though_creations_begin() {
    explore(created());
}

#[test]
fn what_its_creation_begins_takes_effect_once() {
    for kind in [Kind::Pods(1), Kind::Restart, Kind::Rollback] {
        explore(Protocol {
            creates: true,
            ..Protocol::of(&[kind])
        });
    }
}

#[test]
fn from_every_state_there_is_a_way_to_the_end() {
    for kind in [
        Kind::Pods(1),
        Kind::Restart,
        Kind::Scale,
        Kind::Rollback,
        Kind::Minimum,
    ] {
        for creates in [false, true] {
            let model = Protocol {
                creates,
                meddling: u8::from(kind == Kind::Restart),
                late: 0,
                ..Protocol::of(&[kind])
            };
            let stuck = stuck(&model);
            assert!(
                stuck.is_none(),
                "{kind:?}: no way to the end from {stuck:#?}"
            );
        }
    }
}

#[test]
fn without_preconditions_a_write_takes_effect_twice() {
    for kind in [Kind::Restart, Kind::Scale, Kind::Rollback, Kind::Minimum] {
        let model = Protocol {
            lax: true,
            ..Protocol::of(&[kind])
        };
        let found = model.checker().threads(2).spawn_bfs().join();
        assert!(found.discovery(ONCE).is_some(), "{kind:?}");
    }
}

#[test]
fn without_turns_two_remediations_have_an_effect_at_once() {
    for model in [two(), created()] {
        let model = Protocol {
            selfish: true,
            ..model
        };
        let found = model.checker().threads(2).spawn_bfs().join();
        assert!(found.discovery(LIMIT).is_some());
    }
}

#[test]
fn who_acts_on_what_another_has_begun_exceeds_the_limit() {
    let model = Protocol {
        hasty: true,
        ..created()
    };
    let found = model.checker().threads(2).spawn_bfs().join();
    assert!(found.discovery(LIMIT).is_some());
}

/// Whether the model breaks this promise.
fn breaks(model: Protocol, promise: &'static str) -> bool {
    let found = model.checker().threads(2).spawn_bfs().join();
    found.discovery(promise).is_some()
}

#[test]
fn who_does_not_reckon_with_what_another_has_begun_writes_wrong_records() {
    assert!(breaks(
        Protocol {
            forgetful: true,
            creates: true,
            ..Protocol::of(&[Kind::Pods(1)])
        },
        UNTOUCHED
    ));
}

/// So a lease never gives the same one twice.
#[test]
fn with_a_term_that_another_had_the_limit_is_exceeded() {
    assert!(breaks(
        Protocol {
            again: true,
            ..created()
        },
        LIMIT
    ));
}
