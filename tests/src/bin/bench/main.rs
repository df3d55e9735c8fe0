//! Measures the check binaries: size, wall time, CPU time and peak memory of a run.
//!
//! `cargo run -p scenarios --bin bench [RUNS]` builds the binaries in the `dist` profile, serves a web page and a
//! Kuberhealthy on loopback, and runs each program RUNS times (200 unless told), one after the other. Each is shown
//! beside a bare program that does the same work, so that the ratio holds on any machine.

mod build;
mod measure;
mod pods;
mod serve;

use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::Context;

use measure::Usage;

const DEFAULT_RUNS: u32 = 200;
/// The program that the others are compared with.
const BARE: &str = "bare";

/// What is measured: a binary, and what it is told by its environment.
struct Subject {
    label: &'static str,
    binary: &'static str,
    environment: Vec<(String, String)>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--serve") => serve::run()?,
        Some("--serve-pods") => pods::run()?,
        Some("--measure") => measure::run(&arguments[1..])?,
        Some("--nothing") => {}
        Some("--help" | "-h") => println!(
            "Usage: bench [RUNS]\n\nMeasures the check binaries in the dist profile over RUNS runs each (default {DEFAULT_RUNS})."
        ),
        Some(runs) => {
            let runs = runs
                .parse()
                .ok()
                .filter(|runs| *runs > 0)
                .with_context(|| {
                    format!(
                        "RUNS={runs}: expected a whole number from 1 to {}",
                        u32::MAX
                    )
                })?;
            compare(runs)?;
        }
        None => compare(DEFAULT_RUNS)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(runs: u32) -> anyhow::Result<()> {
    let folder = build::dist(&[("checks", "http-check"), ("scenarios", BARE)])?;
    let (server, addresses) = serve::start()?;
    let reporting = [
        (
            "KH_REPORTING_URL",
            format!("http://{}/check", addresses.kuberhealthy),
        ),
        (
            "KH_RUN_UUID",
            "0f0c6f1e-9a55-4a3c-8f39-6f4c6f6f0001".to_owned(),
        ),
        ("CHECK_URL", format!("http://{}/", addresses.web)),
    ];
    let environment: Vec<_> = reporting
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let subjects = [
        Subject {
            label: "http-check, plain http",
            binary: "http-check",
            environment: environment.clone(),
        },
        Subject {
            label: "bare reqwest and tokio",
            binary: BARE,
            environment,
        },
    ];

    eprintln!("{runs} runs of each ...");
    let floor = measure::start(&env::current_exe()?, &["--nothing"], &[], runs)?;
    println!(
        "{:<26} {:>9} {:>12} {:>12} {:>10} {:>12}",
        "", "size", "wall median", "wall p99", "CPU mean", "peak memory"
    );
    let mut measured = Vec::new();
    for subject in &subjects {
        let path = folder.join(subject.binary);
        let usage = measure::start(&path, &[] as &[&OsStr], &subject.environment, runs)?;
        let size = path.metadata()?.len();
        print_row(subject.label, Some(size), &usage);
        measured.push((size, usage));
    }
    print_row("(an empty program)", None, &floor);
    if let [(size, check), (bare_size, bare)] = measured.as_slice() {
        println!(
            "http-check / bare          {:>8.2}x {:>11.2}x {:>11.2}x {:>9.2}x {:>11.2}x",
            *size as f64 / *bare_size as f64,
            check.wall_median_ms / bare.wall_median_ms,
            check.wall_p99_ms / bare.wall_p99_ms,
            check.cpu_ms / bare.cpu_ms,
            check.peak_kib as f64 / bare.peak_kib as f64,
        );
    }
    drop(server);
    Ok(())
}

fn print_row(label: &str, size: Option<u64>, usage: &Usage) {
    let size = size.map_or_else(String::new, |bytes| format!("{:.2} MB", bytes as f64 / 1e6));
    println!(
        "{label:<26} {size:>9} {:>9.2} ms {:>9.2} ms {:>7.2} ms {:>8.2} MiB",
        usage.wall_median_ms,
        usage.wall_p99_ms,
        usage.cpu_ms,
        usage.peak_kib as f64 / 1024.0,
    );
}
