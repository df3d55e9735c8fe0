//! The harness: from a check to its one verdict.

use std::future::Future;
use std::process::ExitCode;

use crate::context::Context;
use crate::display;
use crate::env::{EnvError, RunEnv};
use crate::report::Report;

/// Runs `check` in the environment of this process, reports its verdict, and returns the exit code.
pub fn run<C, F>(check: C) -> ExitCode
where
    C: FnOnce(Context) -> F + Send + 'static,
    F: Future,
    F::Output: Into<Report>,
{
    run_in(RunEnv::from_process(), check)
}

/// [`run`] in a given environment.
pub fn run_in<C, F>(env: Result<RunEnv, EnvError>, check: C) -> ExitCode
where
    C: FnOnce(Context) -> F + Send + 'static,
    F: Future,
    F::Output: Into<Report>,
{
    let Ok(env) = env else {
        return ExitCode::from(1);
    };
    let context = Context::new(env, None);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return ExitCode::from(1);
    };
    let report: Report = runtime.block_on(check(context)).into();
    display::print(&report);
    ExitCode::from(u8::from(!report.is_ok()))
}
