//! Measures the check binaries: size, wall time, CPU time and peak memory of a run.
//!
//! `cargo run -p scenarios --bin bench [RUNS]` builds the binaries in the `dist` profile, serves a web page and a
//! Kuberhealthy on loopback, and runs each program RUNS times (200 unless told), one after the other. Each is shown
//! beside a bare program that does the same work, so that the ratio holds on any machine.

mod measure;
mod pods;
mod serve;

use std::env;
use std::process::ExitCode;

use anyhow::Context;

use measure::Usage;
use scenarios::build;
use serve::Addresses;

const DEFAULT_RUNS: u32 = 200;
/// The program that the others are compared with.
const BARE: &str = "bare";

/// What is measured: a binary, and what it is told.
struct Subject {
    label: &'static str,
    binary: &'static str,
    arguments: &'static [&'static str],
    environment: Vec<(&'static str, String)>,
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

/// The bare program first: the others are compared with it.
fn subjects(addresses: &Addresses) -> Vec<Subject> {
    let url = format!("http://{}/", addresses.web);
    vec![
        Subject {
            label: "bare reqwest and tokio",
            binary: BARE,
            arguments: &[],
            environment: vec![("CHECK_URL", url.clone())],
        },
        Subject {
            label: "http-check",
            binary: "http-check",
            arguments: &[],
            environment: vec![("CHECK_URL", url.clone())],
        },
        Subject {
            label: "tcp-check",
            binary: "tcp-check",
            arguments: &[],
            environment: vec![("CONNECTION_TARGET", addresses.web.to_string())],
        },
        Subject {
            label: "exec-check",
            binary: "exec-check",
            arguments: &["--", "true"],
            environment: vec![("PATH", "/usr/bin:/bin".to_owned())],
        },
        Subject {
            label: "dependency-check",
            binary: "dependency-check",
            arguments: &[],
            environment: vec![
                ("KUBE_API_URL", url),
                (
                    "DEPENDENCIES",
                    format!(
                        "service:shop/web:http>=2,deployment:shop/web>=50%,tcp:{}",
                        addresses.web
                    ),
                ),
            ],
        },
    ]
}

fn compare(runs: u32) -> anyhow::Result<()> {
    let folder = build::dist(
        "dist",
        &[
            ("scenarios", BARE),
            ("checks", "http-check"),
            ("checks", "tcp-check"),
            ("checks", "exec-check"),
            ("checks", "dependency-check"),
            ("checks", "pod-restarts-check"),
        ],
    )?;
    let (server, addresses) = serve::start()?;
    eprintln!("{runs} runs of each ...");
    println!(
        "{:<24} {:>9} {:>12} {:>12} {:>10} {:>12}",
        "", "size", "wall median", "wall p99", "CPU mean", "peak memory"
    );
    let nothing = measure::start(&env::current_exe()?, &["--nothing"], &[], runs)?;
    print_row("(an empty program)", None, &nothing);
    let mut bare = None;
    for subject in subjects(&addresses) {
        let path = folder.join(subject.binary);
        let mut environment = subject.environment;
        environment.extend(addresses.reporting());
        let usage = measure::start(&path, subject.arguments, &environment, runs)?;
        let size = path.metadata()?.len();
        print_row(subject.label, Some(size), &usage);
        match &bare {
            None => bare = Some((size, usage)),
            Some((bare_size, bare)) => println!(
                "{:<24} {:>8.2}x {:>11.2}x {:>11.2}x {:>9.2}x {:>11.2}x",
                "  / bare",
                size as f64 / *bare_size as f64,
                usage.wall_median_ms / bare.wall_median_ms,
                usage.wall_p99_ms / bare.wall_p99_ms,
                usage.cpu_ms / bare.cpu_ms,
                usage.peak_kib as f64 / bare.peak_kib as f64,
            ),
        }
    }
    drop(server);
    pods::compare(&folder, runs)
}

fn print_row(label: &str, size: Option<u64>, usage: &Usage) {
    let size = size.map_or_else(String::new, |bytes| format!("{:.2} MB", bytes as f64 / 1e6));
    println!(
        "{label:<24} {size:>9} {:>9.2} ms {:>9.2} ms {:>7.2} ms {:>8.2} MiB",
        usage.wall_median_ms,
        usage.wall_p99_ms,
        usage.cpu_ms,
        usage.peak_kib as f64 / 1024.0,
    );
}
