//! A check on a thread of its own, where it may block or panic.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::context::Context;
use crate::finding::Finding;
use crate::harness_errors::{NOT_STARTED, PANICKED};
use crate::report::Report;

/// What a check came to: its report, or why it has none.
type Outcome = Result<Report, Finding>;

/// Resolves (to an error, as nothing is ever sent) when the check's thread lets go of the other end.
pub(crate) type Ended = oneshot::Receiver<()>;

/// A check under way.
pub(crate) struct Running {
    /// What it comes to; nothing is sent if it was cancelled.
    pub(crate) outcome: oneshot::Receiver<Outcome>,
    /// When it is gone, and all it held with it.
    pub(crate) ended: Ended,
}

impl Running {
    /// Starts `check`. Once `context` is cancelled it may go on for `grace`, then its future is dropped.
    pub(crate) fn start<C, F>(context: Context, grace: Duration, check: C) -> Running
    where
        C: FnOnce(Context) -> F + Send + 'static,
        F: Future,
        F::Output: Into<Report>,
    {
        let (outcome_sender, outcome) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel();
        let body = move || {
            // A panic leaves nothing behind that anybody looks at again, but the findings in `context`, which are whole.
            let run = AssertUnwindSafe(|| run_to_end(context, grace, check));
            let outcome = catch_unwind(run)
                .unwrap_or_else(|payload| Some(Err(panic_finding(payload.as_ref()))));
            if let Some(outcome) = outcome {
                // Refused if the verdict was decided without it in this very moment.
                let _ = outcome_sender.send(outcome);
            }
            drop(ended_sender);
        };
        match thread::Builder::new().name("check".to_owned()).spawn(body) {
            // Detached: the process does not wait for it.
            Ok(_) => Running { outcome, ended },
            Err(error) => Running::failed(Finding::new(format!("{NOT_STARTED}{error}"))),
        }
    }

    fn failed(why: Finding) -> Running {
        let (outcome_sender, outcome) = oneshot::channel();
        let (_, ended) = oneshot::channel();
        let _ = outcome_sender.send(Err(why));
        Running { outcome, ended }
    }
}

/// `None` if it was cancelled and did not end by itself.
fn run_to_end<C, F>(context: Context, grace: Duration, check: C) -> Option<Outcome>
where
    C: FnOnce(Context) -> F,
    F: Future,
    F::Output: Into<Report>,
{
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Err(Finding::new(format!("{NOT_STARTED}{error}")))),
    };
    let cancelled = context.cancelled();
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            output = async { check(context).await.into() } => Some(Ok(output)),
            () = async { cancelled.await; tokio::time::sleep(grace).await } => None,
        }
    });
    // What the check left on the blocking pool is not waited for.
    runtime.shutdown_background();
    outcome
}

fn panic_finding(payload: &(dyn Any + Send)) -> Finding {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    Finding::new(format!("{PANICKED}{message}"))
}
