//! What is sent, as each kind of receiver takes it. Pure.

mod alertmanager;
mod slack;
mod webhook;

pub(super) use alertmanager::{LABELS, alerts};
pub(super) use slack::message;
pub(super) use webhook::{SIGNATURE, event, signature};
