//! `remediator`: see [`remediator`] for what it is made of.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use remediator::crd::{Definition, definitions};

/// Acts on failed Kuberhealthy checks, safely, exactly once, and keeps the record.
#[derive(Parser)]
#[command(name = "remediator", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Crds(Crds),
}

/// Print the definitions of RemediationPolicy and Remediation
///
/// They are printed as one YAML stream, which is to be applied before policies are written. Each field is described in
/// it, so that afterwards kubectl itself is the manual.
#[derive(Args)]
#[command(after_help = "\
Examples:
  Install them:         remediator crds | kubectl apply --server-side -f -
  Look a field up:      kubectl explain remediationpolicy.spec.steps
  Verify a folder:      remediator crds --check manifests/crds
  Write the folder:     remediator crds --write manifests/crds

Exit status:
  0  all went well
  1  --check found a difference, or a file could not be read or written
  2  wrong usage")]
struct Crds {
    /// Print nothing, and fail if a definition in this folder differs from what would be printed
    ///
    /// The files are remediationpolicies.yaml and remediations.yaml.
    #[arg(long, value_name = "DIR", conflicts_with = "write")]
    check: Option<PathBuf>,

    /// Print nothing, and write the definitions to this folder, one file each
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Command::Crds(crds) = Cli::parse().command;
    match crds.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody is left to be told if standard error is closed.
            let _ = writeln!(io::stderr(), "remediator: {why}");
            ExitCode::FAILURE
        }
    }
}

impl Crds {
    fn run(self) -> Result<(), String> {
        let definitions = definitions().map_err(|error| error.to_string())?;
        let texts = definitions
            .iter()
            .map(|definition| Ok((definition, definition.yaml()?)))
            .collect::<Result<Vec<_>, remediator::crd::Error>>()
            .map_err(|error| error.to_string())?;
        match self {
            Crds {
                check: Some(folder),
                ..
            } => check(&folder, &texts),
            Crds {
                write: Some(folder),
                ..
            } => texts.iter().try_for_each(|(definition, text)| {
                let path = folder.join(definition.file);
                std::fs::write(&path, text)
                    .map_err(|error| format!("cannot write {}: {error}", path.display()))
            }),
            Crds { .. } => print(&texts),
        }
    }
}

fn check(folder: &Path, texts: &[(&Definition, String)]) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (definition, expected) in texts {
        let path = folder.join(definition.file);
        match std::fs::read_to_string(&path) {
            Ok(found) if found == *expected => {}
            Ok(found) => {
                let line = 1 + expected
                    .lines()
                    .zip(found.lines())
                    .take_while(|(expected, found)| expected == found)
                    .count();
                wrong.push(format!("{} differs from line {line} on", path.display()));
            }
            Err(error) => wrong.push(format!("cannot read {}: {error}", path.display())),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}; write them anew with: remediator crds --write {}",
        wrong.join("; "),
        folder.display()
    ))
}

fn print(texts: &[(&Definition, String)]) -> Result<(), String> {
    let documents: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    match io::stdout().write_all(documents.join("---\n").as_bytes()) {
        // `remediator crds | head` is no mistake.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write the definitions: {error}"))
        }
        _ => Ok(()),
    }
}
