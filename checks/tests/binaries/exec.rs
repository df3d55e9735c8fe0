//! exec-check with real commands, and with an API server that speaks the exec protocol.

mod access;
mod api;
mod configuration;
mod endings;
mod folder;
mod pods;
mod processes;
mod recordings;
mod surroundings;

use crate::support::*;
use folder::{Folder, runs};

/// The check with these variables and PATH, in the namespace `shop`.
fn exec(vars: &[(&str, &str)]) -> Check {
    Check::of(env!("CARGO_BIN_EXE_exec-check"))
        .var("PATH", &std::env::var("PATH").unwrap())
        .var("KH_POD_NAMESPACE", "shop")
        .with(vars)
}

/// The check of a shell line.
fn shell(line: &str) -> Check {
    exec(&[("EXEC_COMMAND", line)])
}

/// The check of a program with its arguments.
fn program(argv: &[&str]) -> Check {
    exec(&[]).arg("--").args(argv)
}
