//! `khctl run`: the checks of a manifest, once, on this machine.
//!
//! ```text
//! files ──► yaml ──► manifest ──► prepare ──► engine (sandbox) ──► verdict ──► output
//!          positions   problems    images, env     progress
//! ```

mod bench;
mod engine;
mod fields;
mod image;
mod known;
mod manifest;
mod output;
mod pod;
mod prepare;
mod progress;
mod values;
mod verdict;
mod yaml;

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;

use crate::args::variable;
use crate::signals::{INTERRUPTED, Signals};
use crate::style::{Style, complain, is_unread, print, stdout_width};
use engine::Engine;
use image::Known;
use manifest::Manifest;
use output::Format;
use prepare::Surroundings;

/// As much of a file as is read: enough to see that it is too large.
const MAX_READ: u64 = yaml::MAX_BYTES as u64 + 1;

/// `khctl run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Files with KuberhealthyCheck and HealthCheck resources, and ConfigMaps and Secrets they read; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Form of the verdicts
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Set a variable in every container, over what the manifest says; may be given several times
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Repeat what the containers wrote, on standard error
    #[arg(short, long)]
    logs: bool,
}

/// Runs the command.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let Some(manifest) = read_files(&args.files) else {
        return Ok(ExitCode::from(2));
    };
    for (kind, count) in &manifest.others {
        complain(&format!(
            "khctl run: note: {count} {kind} left out: only checks are run"
        ));
    }
    for check in &manifest.checks {
        if let Some(policy) = check.restarts() {
            complain(&format!(
                "khctl run: note: {}: restartPolicy is {policy}, so what ends without a report is started again until \
                 the time-out; Never shows at once why it ended",
                check.id()
            ));
        }
    }
    let known: Vec<Known> = checks::CHECKS
        .iter()
        .map(|check| Known {
            check: check.name,
            replaces: check.replaces,
        })
        .collect();
    let overrides = args.env.into_iter().collect();
    let around = Surroundings {
        known: &known,
        values: &manifest.values,
        overrides: &overrides,
    };
    let mut signals = Signals::listen()?;
    let engine = Engine::new(&manifest.checks);
    let Some(outcomes) = engine.run(&around, args.logs, &mut signals).await? else {
        complain("khctl run: interrupted");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let text = output::render(&outcomes, args.output, stdout_width(), Style::stdout());
    match print(&text) {
        // Whoever reads only the start still wants the exit code.
        Err(error) if !is_unread(&error) => return Err(error).context("cannot write the verdicts"),
        _ => {}
    }
    Ok(ExitCode::from(u8::from(
        !outcomes.iter().all(verdict::Outcome::passed),
    )))
}

/// Reads every file, telling every problem; `None` if there was one.
fn read_files(files: &[String]) -> Option<Manifest> {
    let mut manifest = Manifest::default();
    let mut problems = Vec::new();
    let mut readable = true;
    for file in files {
        match read_file(file) {
            Ok((name, text)) => manifest::read(name, &text, &mut manifest, &mut problems),
            Err(error) => {
                readable = false;
                complain(&format!(
                    "khctl run: {file}: expected a file that can be read, found: {error}"
                ));
            }
        }
    }
    manifest::judge_barren(&mut manifest, &mut problems);
    for note in &manifest.notes {
        complain(&format!("khctl run: note: {note}"));
    }
    for problem in &problems {
        complain(&format!("khctl run: {problem}"));
    }
    if readable && problems.is_empty() && manifest.checks.is_empty() {
        complain(
            "khctl run: expected at least one KuberhealthyCheck or HealthCheck in the files given, found none",
        );
        return None;
    }
    (readable && problems.is_empty()).then_some(manifest)
}

fn read_file(file: &str) -> std::io::Result<(&str, Vec<u8>)> {
    let mut text = Vec::new();
    if file == "-" {
        std::io::stdin()
            .lock()
            .take(MAX_READ)
            .read_to_end(&mut text)?;
        return Ok(("standard input", text));
    }
    std::fs::File::open(file)?
        .take(MAX_READ)
        .read_to_end(&mut text)?;
    Ok((file, text))
}
