//! A container's process and everything it starts: one process group.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::env::Env;
use super::logs::Log;
use crate::informer::AbortOnDrop;

/// How long the output of a process that has ended is still read: a child that left the group can hold it open.
const DRAIN: Duration = Duration::from_millis(500);

/// A running process group. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Group,
    readers: Vec<AbortOnDrop>,
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
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            let log = log.clone();
            readers.push(AbortOnDrop(tokio::spawn(
                async move { log.read(output).await },
            )));
        }
        if let Some(output) = child.stderr.take() {
            let log = log.clone();
            readers.push(AbortOnDrop(tokio::spawn(
                async move { log.read(output).await },
            )));
        }
        Ok(Process {
            child,
            group: Group(Pid::from_raw(id)),
            readers,
        })
    }

    /// Waits until the first process has ended, and gives its exit code as a shell does: 128 more than a signal.
    pub(crate) async fn wait(&mut self) -> i32 {
        let status = self.child.wait().await;
        // Its children do not outlive it; killed, they let go of the output.
        self.group.signal(Signal::SIGKILL);
        let drained =
            futures::future::join_all(self.readers.iter_mut().map(|reader| &mut reader.0));
        let _ = tokio::time::timeout(DRAIN, drained).await;
        self.readers.clear();
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
