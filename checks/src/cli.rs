//! Options: each is an environment variable and a flag of the same name (`CHECK_URL`, `--check-url`).
//!
//! The clap definitions are the one table: variables are turned into flags placed before the real arguments, so that
//! both go through the same parsers, and `--help` and [`crate::Check::options`] are read from the same definitions.

use std::ffi::OsString;
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::describe::shorten;

/// Names that the definitions themselves cannot hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    /// Variables that the official Kuberhealthy checks read too.
    pub(crate) official: &'static [&'static str],
    /// Variables whose value is never shown.
    pub(crate) secret: &'static [&'static str],
}

/// One option, for documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionDoc {
    /// The environment variable, such as `CHECK_URL`.
    pub env: String,
    /// The flag, such as `--check-url`.
    pub flag: String,
    /// What the value stands for, such as `URL`; empty for a switch.
    pub value: String,
    /// The value if the option is not given.
    pub default: Option<String>,
    /// What it does.
    pub help: String,
    /// The group it is listed under.
    pub group: String,
    /// Whether the official check reads the same variable.
    pub official: bool,
    /// Whether several values can be given: one a line in the variable, or the flag several times.
    pub repeatable: bool,
}

/// A wrong configuration: the variable, the value as it may be shown, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    option: Option<String>,
    value: Option<String>,
    message: String,
}

impl ConfigError {
    /// The option `env` has no value, or one that must not be shown.
    pub fn of(env: &str, message: impl Into<String>) -> ConfigError {
        ConfigError {
            option: Some(env.to_owned()),
            value: None,
            message: message.into(),
        }
    }

    /// The option `env` has `value`; credentials in it are redacted.
    pub fn value(env: &str, value: &str, message: impl Into<String>) -> ConfigError {
        ConfigError {
            value: Some(shorten(&khclient::redact_value(value), 80)),
            ..ConfigError::of(env, message)
        }
    }

    fn general(message: impl Into<String>) -> ConfigError {
        ConfigError {
            option: None,
            value: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("configuration: ")?;
        match (&self.option, &self.value) {
            (Some(option), Some(value)) => write!(f, "{option}=\"{value}\": ")?,
            (Some(option), None) => write!(f, "{option}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.message)
    }
}

impl From<ConfigError> for khclient::Finding {
    fn from(error: ConfigError) -> khclient::Finding {
        khclient::Finding::new(error.to_string())
    }
}

/// Why parsing ended without options.
#[derive(Debug)]
pub(crate) enum Stop {
    /// `--help` was asked for.
    Help,
    /// Something else to print, such as the version.
    Print(String),
    /// Something is wrong.
    Wrong(Vec<ConfigError>),
}

/// The name of the variable of an option.
fn env_name(arg: &Arg) -> String {
    arg.get_id().as_str().to_ascii_uppercase()
}

/// The options of `command`, without what clap adds itself.
fn own_args(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| is_own(arg))
}

fn is_own(arg: &Arg) -> bool {
    arg.get_long().is_some() && arg.get_id() != "help" && arg.get_id() != "version"
}

fn is_switch(arg: &Arg) -> bool {
    arg.get_num_args()
        .is_some_and(|range| range.min_values() == 0)
}

/// Parses `args` (without a program name) and the variables that `lookup` knows.
///
/// An empty variable counts as unset. A flag replaces its variable, also where several values are allowed.
pub(crate) fn parse(
    command: Command,
    names: Names,
    args: &[OsString],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<ArgMatches, Stop> {
    let command = command.no_binary_name(true).args_override_self(true);
    let mut all = env_flags(&command, args, lookup);
    all.extend(args.iter().cloned());
    let wrong = match command.clone().try_get_matches_from(all) {
        Ok(matches) => return Ok(matches),
        Err(error) => error,
    };
    // A variable that is wrong must not stand before the help that says how to set it.
    let asked = command.try_get_matches_from(args).err();
    let error = asked.filter(|error| !error.use_stderr()).unwrap_or(wrong);
    Err(match error.kind() {
        ErrorKind::DisplayHelp => Stop::Help,
        ErrorKind::DisplayVersion => Stop::Print(error.to_string()),
        _ => Stop::Wrong(vec![config_error(&error, names)]),
    })
}

fn env_flags(
    command: &Command,
    args: &[OsString],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Vec<OsString> {
    let given = |flag: &str| {
        args.iter()
            .take_while(|arg| *arg != "--")
            .filter_map(|arg| arg.to_str())
            .any(|arg| arg.split('=').next() == Some(flag))
    };
    let mut flags = Vec::new();
    for arg in own_args(command) {
        let flag = format!("--{}", arg.get_long().unwrap_or_default());
        let Some(value) = lookup(&env_name(arg)).filter(|value| !value.is_empty()) else {
            continue;
        };
        if given(&flag) {
            continue;
        }
        if matches!(arg.get_action(), ArgAction::Append) {
            let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
            flags.extend(lines.map(|line| format!("{flag}={line}").into()));
        } else {
            flags.push(format!("{flag}={value}").into());
        }
    }
    flags
}

/// One sentence that names the variable and the value, whatever clap found wrong.
fn config_error(error: &clap::Error, names: Names) -> ConfigError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let shown = text(ContextKind::InvalidArg).unwrap_or_default();
    let flag = shown.split(['=', ' ', '[', '<']).next().unwrap_or_default();
    let env = flag
        .trim_start_matches('-')
        .replace('-', "_")
        .to_ascii_uppercase();
    let reason = std::error::Error::source(error).map(ToString::to_string);
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let reason = reason.unwrap_or_else(|| "expected a value".to_owned());
            let value = text(ContextKind::InvalidValue).unwrap_or_default();
            match value.is_empty() || names.secret.contains(&env.as_str()) {
                true => ConfigError::of(&env, reason),
                false => ConfigError::value(&env, &value, reason),
            }
        }
        ErrorKind::UnknownArgument => {
            let near = text(ContextKind::SuggestedArg).map(|arg| format!(", did you mean {arg}"));
            // Only the flag itself: what follows the equals sign may be a secret.
            ConfigError::general(format!(
                "unexpected argument {}{}",
                shorten(flag, 60),
                near.unwrap_or_default()
            ))
        }
        ErrorKind::TooManyValues => ConfigError::of(&env, "expected no value"),
        ErrorKind::TooFewValues | ErrorKind::NoEquals | ErrorKind::WrongNumberOfValues => {
            ConfigError::of(&env, "expected a value")
        }
        ErrorKind::InvalidUtf8 => ConfigError::general("expected arguments in UTF-8"),
        kind => ConfigError::of(&env, format!("not understood ({kind:?})")),
    }
}

/// The command with the variable of each option in its help text.
pub(crate) fn with_help(command: Command) -> Command {
    command.mut_args(|arg| {
        if !is_own(&arg) {
            return arg;
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let env = env_name(&arg);
        arg.help(format!("{help} [env: {env}]"))
    })
}

/// `--help`: the options, then how to set them, examples, and what holds for every check. `called` is how the check was
/// started, such as `http-check` or `khctl check http`.
///
/// Not as clap's `after_help`, which breaks long lines: examples are there to be pasted.
pub(crate) fn help(command: Command, examples: &str, called: &str) -> String {
    let name = command.get_name().to_owned();
    let options = with_help(command).bin_name(called).render_help();
    let example = |line: &str| {
        let words = line.split(' ');
        let words = words.map(|word| if word == name { called } else { word });
        match line.starts_with('#') {
            true => line.to_owned(),
            false => words.collect::<Vec<_>>().join(" "),
        }
    };
    let examples = examples.lines().map(example);
    let examples: String = examples.map(|line| format!("  {line}\n")).collect();
    format!(
        "{options}
Every option is a flag and a variable of the same name. The flag wins, and an
empty variable counts as unset. Where several values are allowed, repeat the
flag, or put one on each line of the variable.

Examples:
{examples}
The verdict goes to KH_REPORTING_URL, before KH_CHECK_RUN_DEADLINE, as the run
KH_RUN_UUID; Kuberhealthy sets them. KH_CA_FILE names the CA certificates (PEM)
for an https reporting URL. Exit code: 0 delivered, whatever the verdict; 1 not.
Without KH_REPORTING_URL the verdict is printed: 0 passed, 1 failed, 2 wrong
options.
"
    )
}

/// Every option of `command`, in the order of `--help`.
pub(crate) fn options(command: &Command, names: Names) -> Vec<OptionDoc> {
    own_args(command)
        .map(|arg| {
            let env = env_name(arg);
            let value = arg.get_value_names().and_then(|names| names.first());
            OptionDoc {
                flag: format!("--{}", arg.get_long().unwrap_or_default()),
                value: value
                    .filter(|_| !is_switch(arg))
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                default: arg
                    .get_default_values()
                    .first()
                    .map(|v| v.to_string_lossy().into_owned()),
                help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
                group: arg.get_help_heading().unwrap_or("Options").to_owned(),
                official: names.official.contains(&env.as_str()),
                repeatable: matches!(arg.get_action(), ArgAction::Append),
                env,
            }
        })
        .collect()
}
