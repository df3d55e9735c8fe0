//! A process, and what the kernel says it uses.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// The longest until a process is ready.
const LIMIT: Duration = Duration::from_secs(60);

/// Clock ticks a second in which Linux counts CPU time, whatever the kernel's own.
const TICKS: f64 = 100.0;

/// The core of the API server, and that of the programs that are measured. Where both are on one, as the kernel likes to
/// have it with two processes that talk to each other, each waits until the other has nothing to do.
pub(crate) const SERVER: usize = 0;
const MEASURED: usize = 1;

/// Has this thread run on a core, and what it starts from now on; anywhere, if there is no such core.
pub(crate) fn on_core(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    match sched_setaffinity(Pid::from_raw(0), &cores) {
        Ok(()) | Err(Errno::EINVAL) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not run on core {core}")),
    }
}

/// A process that is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    started: Instant,
}

impl Process {
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> anyhow::Result<Process> {
        // A child runs where its parent did when it was started.
        on_core(MEASURED)?;
        let started = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("could not start {}", program.display()));
        on_core(SERVER)?;
        let child = child?;
        Ok(Process { child, started })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/readyz` on `address` answers 200; returns how long that took from the start.
    pub(crate) async fn until_ready(&self, address: &str) -> anyhow::Result<Duration> {
        khclient::install_crypto_provider();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()?;
        let url = format!("http://{address}/readyz");
        while self.started.elapsed() < LIMIT {
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(self.started.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{url} does not answer 200 after {} s", LIMIT.as_secs())
    }

    /// The largest resident set so far.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        let kib: f64 = kib.context("expected VmHWM in /proc/PID/status")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The share of one CPU that it uses over `time`, in which `every_second` is done every second.
    pub(crate) async fn cpu_share(
        &self,
        time: Duration,
        mut every_second: impl AsyncFnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        let before = self.cpu_seconds()?;
        let began = Instant::now();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while began.elapsed() < time {
            second.tick().await;
            every_second().await?;
        }
        Ok((self.cpu_seconds()? - before) / began.elapsed().as_secs_f64())
    }

    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // After the name in parentheses, user and system time are fields 14 and 15 of proc(5).
        let (_, rest) = stat
            .rsplit_once(')')
            .context("expected a name in /proc/PID/stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| -> anyhow::Result<f64> {
            Ok(fields
                .get(index)
                .context("expected 15 fields in /proc/PID/stat")?
                .parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both can only fail when the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that is free at this moment.
pub(crate) fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .to_string())
}
