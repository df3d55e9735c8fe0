//! The harness: from a check to its one verdict, whatever the check does.

use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Builder;
use tokio::time::{sleep_until, timeout, timeout_at};

use crate::context::Context;
use crate::display::{self, log};
use crate::env::{Endpoint, EnvError, Line, RunEnv};
use crate::finding::Finding;
use crate::harness_errors::{INTERRUPTED, OVERDUE, STARTED_LATE};
use crate::report::Report;
use crate::reporter::{Delivery, Reporter, Undelivered};
use crate::running::{Ended, Running};
use crate::signals::Signals;
use crate::timing::{Plan, Timing};

/// Exit codes, as a program's last word to whoever started it.
mod exit {
    pub(super) const DELIVERED: u8 = 0;
    pub(super) const UNDELIVERED: u8 = 1;
    /// Without a reporting URL.
    pub(super) const PASSED: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const MISCONFIGURED: u8 = 2;
}

/// Runs `check` in the environment of this process and delivers its verdict; returns the exit code for `main`.
///
/// The check gets a thread and a single-threaded tokio runtime of its own, so that it may block or panic and the
/// verdict is delivered all the same. One that has not finished when [`Context::deadline`] comes is reported as failed,
/// with the findings it had added until then. Call this before starting anything else, as SIGTERM is handled from here
/// on: an undecided run is then reported as interrupted to Kuberhealthy 3, and not at all to Kuberhealthy 2, which stops
/// running checks whenever any check is edited.
///
/// The exit code is 0 once the report was accepted, whatever the verdict, and 1 if it was not delivered. Without
/// `KH_REPORTING_URL` the verdict is printed, and the code is 0 (passed), 1 (failed) or 2 (misconfigured).
///
/// Panics are caught by unwinding: do not build a check with `panic = "abort"`.
pub fn run<C, F>(check: C) -> ExitCode
where
    C: FnOnce(Context) -> F + Send + 'static,
    F: Future,
    F::Output: Into<Report>,
{
    run_in(RunEnv::from_process(), check)
}

/// [`run`] in a given environment. An environment that could not be read ends at once, with exit code 1.
pub fn run_in<C, F>(env: Result<RunEnv, EnvError>, check: C) -> ExitCode
where
    C: FnOnce(Context) -> F + Send + 'static,
    F: Future,
    F::Output: Into<Report>,
{
    run_in_with_timing(env, Timing::default(), check)
}

/// [`run_in`] with other durations, for tests.
#[doc(hidden)]
pub fn run_in_with_timing<C, F>(env: Result<RunEnv, EnvError>, timing: Timing, check: C) -> ExitCode
where
    C: FnOnce(Context) -> F + Send + 'static,
    F: Future,
    F::Output: Into<Report>,
{
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log(&format!("khclient: cannot start: {error}"));
            return ExitCode::from(exit::UNDELIVERED);
        }
    };
    let code = runtime.block_on(async {
        let signals = Signals::handle();
        crate::install_crypto_provider();
        match env {
            Ok(env) => supervise(env, timing, signals, check).await,
            Err(error) => {
                log(&format!(
                    "khclient: the verdict cannot be reported: {error}"
                ));
                exit::UNDELIVERED
            }
        }
    });
    // A name look-up that is still under way must not hold the exit up.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// How a run was decided.
struct Decided {
    report: Report,
    interrupted: bool,
    /// Set if the run was cut short: resolves when the check is gone.
    still_running: Option<Ended>,
}

/// From the start of the check to the exit code.
async fn supervise<C, F>(env: RunEnv, timing: Timing, mut signals: Signals, check: C) -> u8
where
    C: FnOnce(Context) -> F + Send + 'static,
    F: Future,
    F::Output: Into<Report>,
{
    for ignored in &env.ignored {
        log(&format!("khclient: {ignored}"));
    }
    let start = Instant::now();
    let plan = Plan::new(&env, SystemTime::now(), &timing);
    if let (Plan::Over, Some(endpoint)) = (plan, &env.endpoint) {
        return started_late(endpoint, &env, &timing, &mut signals).await;
    }
    // A deadline beyond what the clock can hold is none.
    let deadline = plan.check().and_then(|check| start.checked_add(check));
    let context = Context::new(env, deadline);
    let running = Running::start(context.clone(), timing.cancel, check);
    let Some(decided) = decide(&context, running, &mut signals, timing.exit).await else {
        log(
            "khclient: told to stop before there was a verdict, which is not reported to Kuberhealthy 2",
        );
        return exit::UNDELIVERED;
    };
    let decided_at = Instant::now();
    let code = match &context.env().endpoint {
        None => {
            display::print(&decided.report);
            terminal_code(&decided.report)
        }
        Some(endpoint) => {
            let mut until = match plan {
                Plan::Until { report, .. } => start.checked_add(report),
                _ => None,
            }
            .unwrap_or(decided_at + timing.report);
            if decided.interrupted {
                until = until.min(decided_at + timing.report_terminated);
            }
            deliver(
                &decided.report,
                endpoint,
                context.env(),
                &timing,
                Some(until),
                &mut signals,
            )
            .await
        }
    };
    if let Some(ended) = decided.still_running {
        let _ = timeout_at((decided_at + timing.exit).into(), ended).await;
    }
    code
}

/// Waits for whichever comes first: the check's verdict, a signal, the deadline. `None`: there is nothing to report, and
/// the check had `patience` to let go of what it held.
async fn decide(
    context: &Context,
    mut running: Running,
    signals: &mut Signals,
    patience: Duration,
) -> Option<Decided> {
    let overdue = async {
        match context.deadline() {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    // A verdict that is there counts, even if a signal or the deadline came in the same instant.
    let cut_short = tokio::select! {
        biased;
        outcome = &mut running.outcome => {
            let report = match outcome {
                Ok(Ok(report)) => report,
                Ok(Err(why)) => Report::failed(with_early(why, context)),
                // Its thread is gone without a word, which a panic while panicking can do.
                Err(_) => Report::failed(with_early(Finding::new("the check ended without a verdict"), context)),
            };
            return Some(Decided { report, interrupted: false, still_running: None });
        }
        () = signals.recv() => INTERRUPTED,
        () = overdue => OVERDUE,
    };
    context.cancel();
    let interrupted = cut_short == INTERRUPTED;
    let line = context
        .env()
        .endpoint
        .as_ref()
        .map(|endpoint| endpoint.line);
    if interrupted && line == Some(Line::V2) {
        let _ = timeout(patience, running.ended).await;
        return None;
    }
    Some(Decided {
        report: Report::failed(with_early(Finding::new(cut_short), context)),
        interrupted,
        still_running: Some(running.ended),
    })
}

/// The reason first, so that no number of findings can push it out of the report.
fn with_early(reason: Finding, context: &Context) -> impl Iterator<Item = Finding> {
    std::iter::once(reason).chain(context.early_findings())
}

/// The deadline passed before the check began. Kuberhealthy 2 has reported a time-out by now, or begun the next run,
/// whose result a late report would overwrite. Kuberhealthy 3 refuses late reports itself, by its own clock.
async fn started_late(
    endpoint: &Endpoint,
    env: &RunEnv,
    timing: &Timing,
    signals: &mut Signals,
) -> u8 {
    match endpoint.line {
        Line::V2 => {
            log(&format!("khclient: {STARTED_LATE}; nothing is reported"));
            exit::UNDELIVERED
        }
        Line::V3 => {
            deliver(
                &Report::failed([STARTED_LATE]),
                endpoint,
                env,
                timing,
                None,
                signals,
            )
            .await
        }
    }
}

/// Delivers the verdict until `until`, or in one attempt if there is no such time. A signal shortens the time it has
/// and changes nothing else: the report may already be with the server.
async fn deliver(
    report: &Report,
    endpoint: &Endpoint,
    env: &RunEnv,
    timing: &Timing,
    until: Option<Instant>,
    signals: &mut Signals,
) -> u8 {
    log(&report.to_string());
    let sending = async {
        let mut reporter =
            Reporter::with_timing(endpoint.clone(), env.ca_file.as_deref(), timing.clone())?;
        match until {
            Some(until) => reporter.send(report, until).await,
            None => reporter.send_once(report).await,
        }
    };
    tokio::pin!(sending);
    let sent = tokio::select! {
        biased;
        sent = &mut sending => Some(sent),
        () = signals.recv() => timeout(timing.report_terminated, sending).await.ok(),
    };
    let (line, code) = describe(endpoint, sent);
    log(&format!("khclient: {line}"));
    code
}

fn describe(endpoint: &Endpoint, sent: Option<Result<Delivery, Undelivered>>) -> (String, u8) {
    match sent {
        Some(Ok(Delivery {
            confirmed: true, ..
        })) => (format!("reported to {endpoint}"), exit::DELIVERED),
        Some(Ok(Delivery {
            confirmed: false, ..
        })) => (
            format!("reported to {endpoint}, by an attempt whose answer was lost"),
            exit::DELIVERED,
        ),
        Some(Err(error)) => (
            format!("the verdict was not delivered: {error}"),
            exit::UNDELIVERED,
        ),
        None => (
            format!("the verdict was not delivered: told to stop while {endpoint} did not take it"),
            exit::UNDELIVERED,
        ),
    }
}

fn terminal_code(report: &Report) -> u8 {
    if report.is_ok() {
        exit::PASSED
    } else if report.is_misconfigured() {
        exit::MISCONFIGURED
    } else {
        exit::FAILED
    }
}
