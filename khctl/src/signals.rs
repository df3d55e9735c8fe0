//! The signals that ask a program to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a command that was ended by the user before it was done, as shells give it for SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal was closed). From its creation on, none kills the process by
/// itself, which would leave the processes it started behind.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
