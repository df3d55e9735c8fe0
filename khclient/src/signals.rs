//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::display::log;

/// SIGTERM (a pod is being deleted) and SIGINT (Ctrl-C), which mean the same to a check.
pub(crate) struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    /// From here on these signals do not end the process. Needs a tokio runtime.
    pub(crate) fn handle() -> Signals {
        Signals {
            terminate: handle(SignalKind::terminate()),
            interrupt: handle(SignalKind::interrupt()),
        }
    }

    /// Waits for the next signal.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            () = next(&mut self.terminate) => {}
            () = next(&mut self.interrupt) => {}
        }
    }
}

/// A check that cannot be told to stop can still report.
fn handle(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| {
            log(&format!(
                "khclient: cannot handle signal {}: {error}",
                kind.as_raw_value()
            ))
        })
        .ok()
}

async fn next(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}
