//! The options of exec-check.

use std::path::PathBuf;

use super::codes::ExitCodes;
use super::command::CommandLine;
use super::env::{NamePatterns, Variable};
use super::log::When;
use crate::cli::Names;
use crate::pods::PodArgs;
use crate::values::{AtLeastOne, Pattern, PositiveSpan, Span, Switch, UpTo};

pub(super) const NAMES: Names = Names {
    official: &[],
    secret: &["EXEC_COMMAND", "EXEC_ENV"],
};

/// Every option of exec-check.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Command")]
pub(super) struct ExecArgs {
    /// Command: a JSON array such as ["/check.sh","--fast"] is run as it is, anything else is a line for EXEC_SHELL;
    /// arguments after -- take its place
    #[arg(long, value_name = "COMMAND")]
    pub(super) exec_command: Option<CommandLine>,
    /// Shell for a command line, which it gets after -c
    #[arg(long, value_name = "PATH", default_value = "/bin/sh")]
    pub(super) exec_shell: String,
    /// The command, instead of EXEC_COMMAND
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) program: Vec<String>,

    #[command(flatten)]
    pub(super) child: ChildArgs,
    #[command(flatten)]
    pub(super) pods: PodArgs,
    /// Container of each pod to run the command in; unset: the one kubectl would choose (the annotation
    /// kubectl.kubernetes.io/default-container, else the first)
    #[arg(long, value_name = "NAME", help_heading = "Pods")]
    pub(super) pod_container: Option<String>,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(super) expected: ExpectedArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// What a command finds around it. Only for one that runs in the check's own container.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Surroundings (without POD_SELECTOR)")]
pub(super) struct ChildArgs {
    /// Working directory; unset: the check's
    #[arg(long, value_name = "DIR")]
    pub(super) exec_dir: Option<PathBuf>,
    /// Variable for the command, as NAME=value
    #[arg(long, value_name = "VARIABLE", action = clap::ArgAction::Append)]
    pub(super) exec_env: Vec<Variable>,
    /// Variables of the check that the command gets although they are kept back, such as KH_POD_NAMESPACE or KUBERNETES_*
    #[arg(long, value_name = "NAMES")]
    pub(super) exec_pass_env: Option<NamePatterns>,
    /// Keep all variables of the check back, not only KH_* and KUBERNETES_*
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) exec_clear_env: Switch,
}

/// How often and how long to try.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub(super) struct ScheduleArgs {
    /// Time for one run of the command; here its whole process group is then killed, in a pod it is left behind
    #[arg(long, value_name = "DURATION", default_value = "20s")]
    pub(super) timeout_duration: PositiveSpan,
    /// Time between SIGTERM and SIGKILL for a command that takes too long (without POD_SELECTOR)
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub(super) exec_kill_after: Span,
    /// Times to run a failing command again before it counts as failed
    #[arg(long, value_name = "N", default_value = "0")]
    pub(super) retries: UpTo<1000>,
    /// Pause before running it again
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(super) retry_delay: Span,
    /// Pods in which the command runs at the same time
    #[arg(long, value_name = "N", default_value = "10")]
    pub(super) concurrency: AtLeastOne,
}

/// What the command must do.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Expected result")]
pub(super) struct ExpectedArgs {
    /// Exit codes that pass, such as 0,3,10-20
    #[arg(long, value_name = "CODES", default_value = "0")]
    pub(super) expected_exit_codes: ExitCodes,
    /// Regular expression that a line of standard output must match
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    pub(super) expected_stdout: Vec<Pattern>,
    /// Regular expression that no line of standard output may match
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    pub(super) forbidden_stdout: Vec<Pattern>,
    /// Regular expression that a line of standard error must match
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    pub(super) expected_stderr: Vec<Pattern>,
    /// Regular expression that no line of standard error may match
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    pub(super) forbidden_stderr: Vec<Pattern>,
}

/// What is told of the output.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct LogArgs {
    /// When to write the output, at most 10 KiB of it, to the log: failure, always or never
    #[arg(long, value_name = "WHEN", default_value = "failure")]
    pub(super) exec_log: When,
    /// Quote the last line of the output in findings, with <time>, <n>, <id> and <address> for what changes each time
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) exec_quote: Switch,
}
