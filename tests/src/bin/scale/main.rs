//! Measures the remediator on a large cluster: 10,000 checks, 1,000 of them with a policy and a workload.
//!
//! `cargo run -p scenarios --bin scale` builds itself and the remediator in the profile of its image, serves the cluster
//! from the sandbox's API server and prints: time from start to ready, peak memory, CPU time while nothing happens and
//! while checks pass, and the time from the write of a failing result to the request that acts on it, beside that of a
//! bare program that watches and patches and does nothing else.

mod awake;
mod bare;
mod cluster;
mod failures;
mod figures;
mod process;
mod realtime;

use std::env;
use std::path::Path;
use std::time::Duration;

use cluster::{CHECKS, Cluster, POLICIES};
use process::{Process, SERVER};
use realtime::Priority;

/// Failing checks whose way to an action is timed, of the remediator and of the bare program each.
const FAILURES: usize = 1_000;

/// How long CPU time is watched.
const WATCHED: Duration = Duration::from_secs(20);

/// Runs that end each second in a cluster of 10,000 checks with an interval of ten minutes.
const RUNS_PER_SECOND: u32 = 17;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // One thread serves, so that there is a core left for who is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
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
    let cores = std::thread::available_parallelism()?.get();
    process::on_core(SERVER)?;
    let cluster = Cluster::start().await?;

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
        "2000",
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
    println!("{:<52} {:>10}", "binary", figures::megabytes(&binary)?);
    println!("{:<52} {:>8.2} s", "start to ready", ready.as_secs_f64());
    println!(
        "{:<52} {:>6.1} MiB",
        "peak memory once all was read", peak_at_start
    );
    println!(
        "{:<52} {:>8.2} %",
        "CPU while nothing happens",
        quiet * 100.0
    );
    let label = format!("CPU while {RUNS_PER_SECOND} runs a second pass");
    println!("{label:<52} {:>8.2} %", passing * 100.0);
    let (own, url) = (env::current_exe()?, cluster.url());
    let bare = Process::start(&own, &["--bare", &url], &[])?;
    cluster.until_watched(bare::AGENT).await?;
    let awake = awake::Awake::try_keep();
    // The remediator watches all checks. What the bare program acts on wakes both, on one core, and the one must not wait for
    // the other. The server comes last: if the others could not be preferred, it is not either.
    let preferred = cores > 1
        && realtime::try_prefer(&[
            (bare.id(), Priority::First),
            (remediator.id(), Priority::RealTime),
            (std::process::id(), Priority::RealTime),
        ]);
    let (latencies, bare_latencies) = failures::time(&cluster, FAILURES).await?;
    drop(bare);
    println!(
        "{:<52} {:>6.1} MiB",
        "peak memory at the end",
        remediator.peak_mib()?
    );
    let conditions = [
        ("cores kept awake for what follows", awake.is_some()),
        ("programs ahead of others on the machine", preferred),
    ];
    for (label, is_so) in conditions {
        println!("{label:<52} {:>10}", if is_so { "yes" } else { "no" });
    }
    latencies.print("from a failing result to the action's request");
    bare_latencies.print("  bare program that watches and patches");
    latencies.print_ratio(&bare_latencies);
    Ok(())
}
