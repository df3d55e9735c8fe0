//! A container's process and everything it starts: one process group.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::env::Env;
use crate::logs::Log;

/// How long the output of a process that has ended is still read: a child that left the group can hold it open.
const DRAIN: Duration = Duration::from_millis(500);

/// A running process group. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Group,
    readers: JoinSet<()>,
}

/// Kills what is left of the group when dropped: like a container, it ends with its first process.
#[derive(Debug)]
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // The only error is that no process of the group is left.
        let _ = killpg(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Process {
    /// Starts `argv` with nothing but `env`; output goes to `log`.
    pub(crate) fn start(
        argv: &[String],
        env: &Env,
        directory: &str,
        log: &Log,
    ) -> io::Result<Process> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no command specified",
            ));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env.iter())
            .current_dir(directory)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("the process has no id"))?;
        let mut readers = JoinSet::new();
        if let Some(output) = child.stdout.take() {
            readers.spawn(log.writer().read(output));
        }
        if let Some(output) = child.stderr.take() {
            readers.spawn(log.writer().read(output));
        }
        Ok(Process {
            child,
            group: Group(Pid::from_raw(id)),
            readers,
        })
    }

    /// Waits until the first process has ended, and gives its exit code as a shell does: 128 more than a signal.
    ///
    /// Cancel safe: who gives up waits again, with [`Process::stop`] for example.
    pub(crate) async fn wait(&mut self) -> i32 {
        let status = self.child.wait().await;
        // Its children do not outlive it; killed, they let go of the output.
        self.group.signal(Signal::SIGKILL);
        // A set, as one reader may have ended when this is cancelled, and its handle must not be waited for again.
        let drained = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, drained).await;
        self.readers.abort_all();
        status.map_or(255, exit_code)
    }

    /// Asks the whole group to end, and kills it after `grace`.
    pub(crate) async fn stop(&mut self, grace: Duration) -> i32 {
        self.group.signal(Signal::SIGTERM);
        if let Ok(code) = tokio::time::timeout(grace, self.wait()).await {
            return code;
        }
        self.group.signal(Signal::SIGKILL);
        self.wait().await
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// The container's process has ended, one of its outputs too, the other is held open by a process that left the
    /// group: the moment in which a probe or a deletion stops to wait for it, and `stop` waits again.
    #[tokio::test]
    async fn who_gives_up_waiting_may_wait_again() {
        // `$(...)` waits until the inner shell has ended, so that `sleep` is in a session of its own.
        let script = ": $(setsid sh -c 'sleep 20 >/dev/null &'); exit 3";
        let argv = ["sh", "-c", script].map(str::to_owned);
        let mut env = Env::default();
        env.set("PATH", std::env::var("PATH").unwrap());
        let mut process = Process::start(&argv, &env, "/", &Log::default()).unwrap();
        while process.readers.len() == 2 {
            assert_eq!(process.wait().now_or_never(), None, "stderr is held open");
            tokio::task::yield_now().await;
        }
        assert_eq!(process.wait().now_or_never(), None, "stderr is held open");
        assert_eq!(process.stop(Duration::ZERO).await, 3);
    }
}
