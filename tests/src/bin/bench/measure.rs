//! Runs a program many times and adds up what the kernel says it used.
//!
//! The kernel counts the memory of a process that has forked, but not yet started the program, as the program's own.
//! So the measuring is done by a process that does nothing else and stays small, started anew for each program.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// What one run of a program took.
#[derive(Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Time from start to end, the median of all runs.
    pub(crate) wall_median_ms: f64,
    /// Time from start to end, exceeded by one run in a hundred.
    pub(crate) wall_p99_ms: f64,
    /// User and system time, the mean of all runs.
    pub(crate) cpu_ms: f64,
    /// The largest resident set of any run.
    pub(crate) peak_kib: i64,
}

/// Measures `program` in a process of its own.
pub(crate) fn start(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    environment: &[(&str, String)],
    runs: u32,
) -> anyhow::Result<Usage> {
    let output = Command::new(env::current_exe()?)
        .args(["--measure", &runs.to_string()])
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("measuring {} failed: {}", program.display(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("unexpected answer of the measuring process")
}

/// The measuring process: `RUNS PROGRAM [ARGUMENT ...]`, its own environment passed on.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [runs, program, arguments @ ..] = arguments else {
        bail!("expected RUNS PROGRAM [ARGUMENT ...]");
    };
    let runs: u32 = runs.parse()?;
    let mut walls = Vec::with_capacity(runs as usize);
    for _ in 0..runs {
        let start = Instant::now();
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("could not start {program}"))?;
        walls.push(start.elapsed().as_secs_f64() * 1e3);
        if !output.status.success() {
            bail!(
                "{program} ended with {}:\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    walls.sort_by(f64::total_cmp);
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = [used.user_time(), used.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3)
        .sum::<f64>();
    let usage = Usage {
        wall_median_ms: walls[walls.len() / 2],
        wall_p99_ms: walls[walls.len() * 99 / 100],
        cpu_ms: cpu / f64::from(runs),
        peak_kib: used.max_rss(),
    };
    println!("{}", serde_json::to_string(&usage)?);
    Ok(())
}
