//! The command line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::demo::DemoArgs;
use crate::demo::web::WebArgs;
use crate::run::RunArgs;

const EXAMPLES: &str = "\
Examples:
  khctl demo                  watch checks fail and the remediator act
  khctl check --list          the built-in checks
  khctl check http --help     every option of one check
  khctl check http --check-url https://example.com
  khctl run web-check.yaml    a manifest's checks, once, without a cluster
  kubectl get healthchecks -A -o yaml | khctl run - -o junit > report.xml
";

const RUN_HELP: &str = "\
Images of built-in checks, under any registry and tag, and the official Kuberhealthy images they replace run the \
built-in check. Any other container runs its command as a process on this machine.

Exit code: 0 all passed, 1 at least one did not, 2 a manifest or an option cannot be used.

Examples:
  khctl run web-check.yaml
  khctl run checks/*.yaml -o junit > report.xml
  khctl run web-check.yaml --env API_TOKEN=\"$TOKEN\"
  kubectl get healthcheck web -o yaml | khctl run -
";

const CHECK_HELP: &str = "\
The check prints its verdict; with KH_REPORTING_URL set it reports to Kuberhealthy instead.

Exit code: 0 passed, 1 failed, 2 an option cannot be used.

Examples:
  khctl check http --check-url https://example.com --expected-status-code 200
  khctl check http --help
";

/// Run, try and watch Kuberhealthy checks from a terminal.
#[derive(Debug, Parser)]
#[command(name = "khctl", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line of this process, which ends here if it cannot be used.
    pub(crate) fn read() -> Cli {
        Cli::try_parse().unwrap_or_else(|mut error| {
            suggest_no_hidden(&mut error);
            error.exit()
        })
    }
}

/// clap suggests hidden subcommands too.
fn suggest_no_hidden(error: &mut clap::Error) {
    let Some(ContextValue::Strings(similar)) = error.get(ContextKind::SuggestedSubcommand) else {
        return;
    };
    let command = Cli::command();
    let is_shown = |name: &String| {
        command
            .find_subcommand(name)
            .is_none_or(|found| !found.is_hide_set())
    };
    let shown: Vec<String> = similar
        .iter()
        .filter(|name| is_shown(name))
        .cloned()
        .collect();
    if shown.is_empty() {
        // The second has nothing in it and would leave an empty line.
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::Suggested);
    } else {
        let shown = ContextValue::Strings(shown);
        error.insert(ContextKind::SuggestedSubcommand, shown);
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one built-in check now and print its verdict
    Check(CheckArgs),
    /// Run the checks of a manifest once on this machine, without a cluster
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Watch a web application go bad, checks find out and the remediator act, in a cluster made for the purpose
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// A pod of the demo's applications
    #[command(hide = true)]
    DemoWeb(WebArgs),
    /// The remediator of the demo, set up by its variables
    #[command(hide = true)]
    DemoRemediator,
}

/// `khctl check`.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    subcommand_value_name = "NAME",
    subcommand_help_heading = "Checks",
    after_help = CHECK_HELP,
    override_usage = "khctl check NAME [OPTIONS]\n       khctl check --list"
)]
pub(crate) struct CheckArgs {
    /// List the built-in checks
    #[arg(long)]
    pub(crate) list: bool,
    /// The check and its own options, which it reads itself
    #[command(subcommand)]
    pub(crate) check: Option<Named>,
}

/// Everything after `khctl check`, from the check's name on.
#[derive(Debug, Subcommand)]
pub(crate) enum Named {
    /// Name and options.
    #[command(external_subcommand)]
    Check(Vec<OsString>),
}

/// `khctl completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  khctl completions bash > ~/.local/share/bash-completion/completions/khctl
  khctl completions zsh > ~/.zfunc/_khctl
  khctl completions fish > ~/.config/fish/completions/khctl.fish
")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

impl CompletionsArgs {
    /// The script. The checks are put in as subcommands with their options, so that those complete too.
    pub(crate) fn script(&self, checks: impl Iterator<Item = clap::Command>) -> Vec<u8> {
        let full = Cli::command();
        // clap_complete offers hidden subcommands too.
        let shown = full.get_subcommands().filter(|sub| !sub.is_hide_set());
        let mut command = clap::Command::new("khctl")
            .version(env!("CARGO_PKG_VERSION"))
            .subcommands(shown.cloned())
            .mut_subcommand("check", |check| {
                check.allow_external_subcommands(false).subcommands(checks)
            });
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "khctl", &mut script);
        script
    }
}

/// One `NAME=VALUE`. The message does not repeat the value, which may be a secret.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_after_the_name_belongs_to_the_check() {
        let cli = Cli::try_parse_from(["khctl", "check", "http", "--help", "--list"]).unwrap();
        let Command::Check(CheckArgs {
            list: false,
            check: Some(Named::Check(words)),
        }) = cli.command
        else {
            panic!("{cli:?}");
        };
        assert_eq!(words, ["http", "--help", "--list"]);
        assert!(Cli::try_parse_from(["khctl", "check"]).is_ok());
        assert!(Cli::try_parse_from(["khctl", "check", "--help"]).is_err());
    }

    #[test]
    fn variables_are_name_and_value() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(variable("A=b=c"), pair("A", "b=c"));
        assert_eq!(variable("A="), pair("A", ""));
        assert!(variable("=b").is_err());
        assert!(variable("A").is_err());
    }
}
