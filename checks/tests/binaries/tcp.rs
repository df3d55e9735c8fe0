//! tcp-check against real listeners.

mod configuration;
mod connections;
mod dialogues;
mod grpc;
mod pods;
mod starttls;
mod tls;
mod udp;

use crate::support::*;

/// The check with these variables.
fn check(vars: &[(&str, &str)]) -> Check {
    Check::of(env!("CARGO_BIN_EXE_tcp-check")).with(vars)
}

/// The check of one target, with further variables.
fn probe(target: &str, vars: &[(&str, &str)]) -> Verdict {
    check(&[("CONNECTION_TARGET", target)]).with(vars).run()
}
