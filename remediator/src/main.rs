//! `remediator`: see [`remediator`] for what it is made of.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use remediator::crd::{Definition, definitions};
use remediator::notify::{Config, Receiver, sample};
use remediator::run::{Options, parse, run, with_help};

/// With this one the way from a failing result to the action is a little shorter than with glibc's (docs/benchmarks.md), and it
/// is the same in images, which are built with musl.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Each option is a flag and a variable of the same name. The flag wins, and an
empty variable counts as unset. Lists are separated by commas. Of a variable
KUBERHEALER_... that is no option's the log warns at the start.

It needs the definitions of its kinds, and waits until they are installed:
  remediator crds | kubectl apply --server-side -f -
What it may not do, for want of a role, it names: in its log, and in the
condition Permitted of the policy.

Served at --listen: /metrics for Prometheus, /healthz, and /readyz, which is
200 once everything that is watched was listed, whether or not it leads.

Examples:
  As a pod does it:           remediator --log-format json
  From a terminal, in turn
  with the one in there:      remediator --context staging --lease-namespace kuberhealer
  More at once, later calm:   remediator --max-in-flight 3 --max-per-hour 30

Exit status:
  0    ended by SIGTERM or SIGINT, with no write left half done
  1    it could not run, as when a file or a credential that it needs cannot
       be used, or writes were under way longer than --shutdown-seconds; the
       last line of the log says what
  2    wrong usage: an option that there is not, or a value of the wrong form
  101  a defect: please report the last line of the log
  130  or 143: a second signal cut the end short";

/// Acts on failed Kuberhealthy checks, safely, exactly once, and keeps the record
///
/// Without a subcommand it runs the controller: it watches Kuberhealthy's checks, follows the RemediationPolicies, and
/// writes a Remediation for each thing it does or would do.
#[derive(Parser)]
#[command(
    name = "remediator",
    version,
    after_help = HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 110
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Crds(Crds),
    NotifyTest(NotifyTest),
    Completions(Completions),
}

/// Send a sample to one receiver of notifications, and print what it answers
///
/// It is sent once, as an incident of the policy sample/notify-test, from where this is run: with the same way out and
/// the same files as the remediator only in its pod.
#[derive(Args)]
#[command(after_help = "\
Examples:
  remediator notify-test --notify-config notify.yaml oncall

Exit status:
  0  the receiver has taken it
  1  it has not
  2  wrong usage: the file cannot be used, or has no such receiver")]
struct NotifyTest {
    /// The file with the receivers; unset: that of KUBERHEALER_NOTIFY_CONFIG
    #[arg(long, value_name = "FILE")]
    notify_config: Option<PathBuf>,

    /// The name of the receiver
    receiver: String,
}

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  remediator completions bash > ~/.local/share/bash-completion/completions/remediator
  remediator completions zsh > ~/.zfunc/_remediator
  remediator completions fish > ~/.config/fish/completions/remediator.fish")]
struct Completions {
    /// The shell
    shell: clap_complete::Shell,
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

/// Huge pages would double what a replica holds. The allocator asks for none, but on a node whose
/// `/sys/kernel/mm/transparent_hugepage/enabled` says `always` they come unasked.
#[cfg(target_os = "linux")]
fn without_huge_pages() {
    // Where a kernel does not know this, it costs memory and nothing else.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

#[cfg(not(target_os = "linux"))]
fn without_huge_pages() {}

fn main() -> ExitCode {
    without_huge_pages();
    let cli: Cli = match parse(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let ended = match cli.command {
        None => return run(&cli.options),
        Some(Command::Crds(crds)) => crds.run(),
        Some(Command::NotifyTest(test)) => return test.run(),
        Some(Command::Completions(completions)) => completions.run(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody is left to be told if standard error is closed.
            let _ = writeln!(io::stderr(), "remediator: {why}");
            ExitCode::FAILURE
        }
    }
}

impl NotifyTest {
    fn run(&self) -> ExitCode {
        let wrong = |why: String| {
            // Nobody is left to be told if standard error is closed.
            let _ = writeln!(io::stderr(), "remediator: {why}");
            ExitCode::from(2)
        };
        let named =
            || std::env::var_os("KUBERHEALER_NOTIFY_CONFIG").filter(|file| !file.is_empty());
        let Some(file) = self
            .notify_config
            .clone()
            .or_else(|| named().map(PathBuf::from))
        else {
            return wrong(
                "expected the file with the receivers: --notify-config FILE or KUBERHEALER_NOTIFY_CONFIG"
                    .to_owned(),
            );
        };
        let config = match Config::read(&file) {
            Ok(config) => config,
            Err(error) => return wrong(error.to_string()),
        };
        let names: Vec<&str> = config
            .receivers
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let wanted = |receiver: &&Receiver| receiver.name == self.receiver;
        let Some(receiver) = config.receivers.iter().find(wanted) else {
            let (names, found) = (names.join(", "), &self.receiver);
            return wrong(format!(
                "RECEIVER: expected one of the file's receivers ({names}), found {found:?}"
            ));
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return wrong(format!("the runtime cannot be started: {error}")),
        };
        let (place, answer) = runtime.block_on(sample(&config, receiver));
        let (line, code) = match answer {
            Ok(answer) => {
                let code = if answer.is_taken() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                };
                (format!("{} {}", answer.code, answer.text), code)
            }
            Err(error) => (error.to_string(), ExitCode::FAILURE),
        };
        let line = format!("{}: {place}: {}\n", receiver.name, line.trim_end());
        if let Err(why) = print(line.as_bytes()) {
            return wrong(why);
        }
        code
    }
}

impl Completions {
    fn run(&self) -> Result<(), String> {
        let mut script = Vec::new();
        let mut command = with_help(Cli::command());
        clap_complete::generate(self.shell, &mut command, "remediator", &mut script);
        print(&script)
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
            Crds { .. } => {
                let documents: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
                print(documents.join("---\n").as_bytes())
            }
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

fn print(text: &[u8]) -> Result<(), String> {
    match io::stdout().write_all(text) {
        // `remediator crds | head` is no mistake.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}
