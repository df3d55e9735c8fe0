//! Who is told of a notice. Pure.

use super::config::Receiver;
use super::notice::Notice;
use crate::core::{Level, Notify};

/// Indexes of receivers, each with what matters enough to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) receivers: Vec<(usize, Level)>,
    /// Names that no receiver has.
    pub(super) unknown: Vec<String>,
}

/// The receivers that a policy means; those that are for all of them if it names none.
pub(super) fn route(receivers: &[Receiver], wanted: Option<&Notify>) -> Route {
    let level = wanted.and_then(|wanted| wanted.level);
    let names = wanted.map_or(&[][..], |wanted| wanted.receivers.as_slice());
    let mut route = Route::default();
    for name in names {
        if !receivers.iter().any(|receiver| receiver.name == *name) {
            route.unknown.push(name.clone());
        }
    }
    let meant = |receiver: &Receiver| {
        if names.is_empty() {
            receiver.default
        } else {
            names.contains(&receiver.name)
        }
    };
    let found = receivers.iter().enumerate();
    let found = found.filter(|(_, receiver)| meant(receiver));
    let found = found.map(|(index, receiver)| (index, level.unwrap_or(receiver.level)));
    route.receivers = found.collect();
    route
}

/// Who is meant by a notice.
pub(super) fn of_notice(receivers: &[Receiver], notice: &Notice) -> Route {
    let about = notice.about.as_ref();
    route(receivers, about.and_then(|about| about.notify.as_ref()))
}
