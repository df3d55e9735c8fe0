//! One attempt: start, drain, wait, and leave nothing behind.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::Child;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{Fuse, FusedFuture};
use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::{sleep, sleep_until, timeout};

use super::children::{Children, End};
use super::start::start;
use crate::describe::shorten;
use crate::exec::outcome::{Limit, Outcome};
use crate::exec::output::{Output, Seen, Stream};

/// How long the output of a command that ended is waited for, which a process it left behind may hold open.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// How long a run that is cut short gives a command to end by itself; the check as a whole has less than a second.
const HASTY: Duration = Duration::from_millis(300);
/// How long killed processes are waited for. One in the middle of a system call may take a moment.
const KILLED: Duration = Duration::from_secs(2);
/// Read at a time.
const PIECE: usize = 8 << 10;

/// A command that can be started any number of times.
#[derive(Debug, Clone)]
pub(in crate::exec) struct Job {
    /// The program and its arguments.
    pub(in crate::exec) argv: Vec<String>,
    /// Where it runs; `None`: where the check does.
    pub(in crate::exec) dir: Option<PathBuf>,
    /// All its variables.
    pub(in crate::exec) env: Vec<(OsString, OsString)>,
    /// How long it may run.
    pub(in crate::exec) timeout: Duration,
    /// How long it has between SIGTERM and SIGKILL when that is over.
    pub(in crate::exec) grace: Duration,
}

/// Why a command is not waited for any longer.
enum Stop {
    Ended(End),
    Late(Limit),
    Cancelled,
}

/// Runs `job` once. `None` if the run was cut short meanwhile (`cancelled`): nobody waits for an answer then.
pub(in crate::exec) async fn run(
    job: &Job,
    deadline: Option<Instant>,
    cancelled: impl Future<Output = ()>,
    mut output: Output<'_>,
) -> Option<(Outcome, Seen)> {
    // Before there is a child, so that no end is missed.
    let watch = signal(SignalKind::child())
        .map_err(|error| shorten(&format!("cannot watch children: {error}"), 100));
    let started = watch.and_then(|watch| {
        let mut child = start(&job.argv, job.dir.as_deref(), &job.env)?;
        let watched = Watched {
            children: Children::of(child.id()),
            watch,
        };
        let pipes = Pipes::of(&mut child)
            .map_err(|error| shorten(&format!("cannot read its output: {error}"), 100))?;
        Ok((watched, pipes))
    });
    let (mut watched, pipes) = match started {
        Ok(started) => started,
        Err(reason) => return Some(Outcome::CannotStart(reason).with(output)),
    };
    let outcome = {
        let mut drained = pin!(pipes.drain(&mut output).fuse());
        let limit = Instant::now() + job.timeout;
        let (limit, which) = match deadline {
            Some(deadline) if deadline < limit => (deadline, Limit::Deadline),
            _ => (limit, Limit::Timeout(job.timeout)),
        };
        let stop = tokio::select! {
            end = watched.ended_while(drained.as_mut()) => Stop::Ended(end),
            () = sleep_until(limit.into()) => Stop::Late(which),
            () = cancelled => Stop::Cancelled,
        };
        let grace = match &stop {
            Stop::Ended(_) => None,
            // Beyond the deadline nobody would hear what was found.
            Stop::Late(Limit::Timeout(_)) => Some(deadline.map_or(job.grace, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                job.grace.min(left.max(HASTY))
            })),
            Stop::Late(Limit::Deadline) | Stop::Cancelled => Some(job.grace.min(HASTY)),
        };
        if let Some(grace) = grace {
            watched.children.signal(Signal::SIGTERM);
            let _ = timeout(grace, watched.ended_while(drained.as_mut())).await;
        }
        if grace.is_none() {
            rest_of(drained.as_mut()).await;
        }
        watched.end().await;
        // What was written before the end is in the pipes still.
        rest_of(drained).await;
        match stop {
            Stop::Ended(End::Code(code)) => Outcome::Exited(code),
            Stop::Ended(End::Signal(signal)) => Outcome::Killed(signal.as_str().to_owned()),
            Stop::Late(limit) => Outcome::TimedOut(limit),
            Stop::Cancelled => return None,
        }
    };
    Some(outcome.with(output))
}

/// The processes of a command, and word of every change among them.
struct Watched {
    children: Children,
    watch: SignalStream,
}

impl Watched {
    /// Waits for the leader to end, while its output is drained so that it is not held up by a full pipe.
    async fn ended_while(&mut self, mut drained: Pin<&mut Fuse<impl Future<Output = ()>>>) -> End {
        loop {
            if let Some(end) = self.children.ended() {
                return end;
            }
            tokio::select! {
                _ = self.watch.recv() => {}
                () = drained.as_mut(), if !drained.is_terminated() => {}
            }
        }
    }

    /// Kills all processes of the command that are left.
    async fn end(&mut self) {
        let killed = async {
            while !self.children.end() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(KILLED, killed).await;
    }
}

/// Waits for the end of the output, but not for long.
async fn rest_of(drained: Pin<&mut Fuse<impl Future<Output = ()>>>) {
    if !drained.is_terminated() {
        let _ = timeout(LAST_OUTPUT, drained).await;
    }
}

/// The reading ends of both outputs, each until it ends.
struct Pipes {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Pipes {
    fn of(child: &mut Child) -> io::Result<Pipes> {
        Ok(Pipes {
            stdout: child.stdout.take().map(ChildStdout::from_std).transpose()?,
            stderr: child.stderr.take().map(ChildStderr::from_std).transpose()?,
        })
    }

    /// Reads both until the last process that holds them has closed them.
    async fn drain(mut self, output: &mut Output<'_>) {
        let (mut out, mut err) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            tokio::select! {
                read = read(&mut self.stdout, &mut out), if self.stdout.is_some() => output.push(Stream::Stdout, &out[..read]),
                read = read(&mut self.stderr, &mut err), if self.stderr.is_some() => output.push(Stream::Stderr, &err[..read]),
                else => return,
            }
        }
    }
}

/// The next bytes of a pipe; none, and the pipe closed, at its end.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, piece: &mut [u8]) -> usize {
    let read = match pipe {
        Some(open) => open.read(piece).await.unwrap_or(0),
        None => 0,
    };
    if read == 0 {
        *pipe = None;
    }
    read
}
