//! The two signals that ask a program to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a command that was ended by the user before it was done, as shells give it for SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// SIGINT (Ctrl-C) and SIGTERM. From its creation on, neither kills the process by itself.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
