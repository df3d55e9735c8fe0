//! Measures the remediator on a large cluster: 10,000 checks, 1,000 of them with a policy and a workload.
//!
//! `cargo run -p scenarios --bin scale` builds itself and the remediator in the profile of its image, serves the cluster
//! from the sandbox's API server and prints: time from start to ready, peak memory, CPU time while nothing happens and
//! while checks pass, and the time from the write of a failing result to the request that acts on it, beside that of a
//! bare program that watches and patches and does nothing else.

mod bare;
mod cluster;
mod figures;
mod process;

use std::env;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;

use cluster::{CHECKS, Cluster, POLICIES};
use figures::Latencies;
use process::Process;

/// Failing checks whose way to an action is timed.
const FAILURES: usize = 500;

/// Ticks between two runs of a check.
const APART: usize = 25;

/// Failing runs in a row that a policy waits for if it does not say.
const THRESHOLD: u32 = 3;

/// How long CPU time is watched.
const WATCHED: Duration = Duration::from_secs(20);

/// Runs that end each second in a cluster of 10,000 checks with an interval of ten minutes.
const RUNS_PER_SECOND: u32 = 17;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => build_and_run(),
        ["--measure", folder] => runtime.block_on(measure(Path::new(folder))),
        ["--bare", url] => runtime.block_on(bare::run(url)),
        _ => {
            println!(
                "Usage: scale\n\nMeasures the remediator with {CHECKS} checks and {POLICIES} policies."
            );
            Ok(())
        }
    }
}

/// The server is measured against as well, so it has to be as fast as what it serves.
fn build_and_run() -> anyhow::Result<()> {
    let folder = scenarios::build::dist(
        "dist-fast",
        &[("remediator", "remediator"), ("scenarios", "scale")],
    )?;
    let status = std::process::Command::new(folder.join("scale"))
        .arg("--measure")
        .arg(&folder)
        .status()?;
    anyhow::ensure!(status.success(), "measuring ended with {status}");
    Ok(())
}

async fn measure(folder: &Path) -> anyhow::Result<()> {
    eprintln!("{CHECKS} checks, {POLICIES} policies ...");
    let mut cluster = Cluster::start().await?;

    let own = env::current_exe()?;
    let url = cluster.url();
    let bare = Process::start(&own, &["--bare", &url], &[])?;
    cluster.until_watched(bare::AGENT).await?;
    let bare_latencies = time_failures(&mut cluster, bare::AGENT, 0, 0).await?;
    drop(bare);
    // What the remediator finds when it starts is a cluster in which all is well.
    cluster.pass_runs(0, CHECKS).await?;

    let kubeconfig = cluster.kubeconfig()?;
    let listen = process::free_address()?;
    let more = [
        "--listen",
        &listen,
        "--lease-namespace",
        "default",
        "--max-in-flight",
        "1000",
        "--max-per-hour",
        "1000",
        "--storm-minimum",
        "1000",
        "--log-level",
        "warn",
    ];
    let binary = folder.join("remediator");
    let remediator = Process::start(
        &binary,
        &more,
        &[("KUBECONFIG", kubeconfig.path().as_os_str())],
    )?;
    let ready = remediator.until_ready(&listen).await?;
    cluster.until_settled().await?;
    let peak_at_start = remediator.peak_mib()?;
    let quiet = remediator.cpu_share(WATCHED, async || Ok(())).await?;
    let mut passed = 0;
    let passing = remediator
        .cpu_share(WATCHED, async || {
            passed += RUNS_PER_SECOND as usize;
            cluster.pass_runs(passed, RUNS_PER_SECOND as usize).await
        })
        .await?;
    let latencies = time_failures(&mut cluster, "remediator", FAILURES, THRESHOLD - 1).await?;

    println!("{:<52} {:>10}", "binary", figures::megabytes(&binary)?);
    println!("{:<52} {:>8.2} s", "start to ready", ready.as_secs_f64());
    println!(
        "{:<52} {:>6.1} MiB",
        "peak memory once all was read", peak_at_start
    );
    println!(
        "{:<52} {:>6.1} MiB",
        "peak memory at the end",
        remediator.peak_mib()?
    );
    println!(
        "{:<52} {:>8.2} %",
        "CPU while nothing happens",
        quiet * 100.0
    );
    let label = format!("CPU while {RUNS_PER_SECOND} runs a second pass");
    println!("{label:<52} {:>8.2} %", passing * 100.0);
    latencies.print("from a failing result to the action's request");
    bare_latencies.print("  bare program that watches and patches");
    latencies.print_ratio(&bare_latencies);
    Ok(())
}

/// Lets checks fail one after the other, as fast as runs end; `first` is the number of the first. Of each so many runs
/// fail before the one that is timed.
async fn time_failures(
    cluster: &mut Cluster,
    agent: &str,
    first: usize,
    before: u32,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / RUNS_PER_SECOND);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let numbers = first..first + FAILURES;
    // Check by check, each run one tick: what is timed comes first, and the rest while nothing is waited for.
    for at in first..numbers.end + APART * before as usize {
        pace.tick().await;
        let nth_run = |run: u32| {
            let began = at.checked_sub(APART * run as usize);
            began.filter(|number| numbers.contains(number))
        };
        if let Some(number) = nth_run(before) {
            let took = cluster.fail_and_wait(number, agent, before + 1).await;
            latencies.add(took.with_context(|| format!("check {number}"))?);
        }
        for run in 0..before {
            if let Some(number) = nth_run(run) {
                cluster.fail(number, run + 1, before - run).await?;
            }
        }
        if let Some(number) = nth_run(before + 2) {
            cluster.pass(number, 2).await?;
        }
    }
    Ok(latencies)
}
