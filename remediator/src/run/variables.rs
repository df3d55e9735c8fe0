//! Every option can be set by a variable too: `--max-per-hour` by `KUBERHEALER_MAX_PER_HOUR`.
//!
//! The clap definitions are the one table. Variables are turned into flags, so that both go through the same parsers.
//! A flag wins over its variable; an empty variable is as good as none.

use std::ffi::OsString;

use clap::error::ContextKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args as _, Command, CommandFactory, FromArgMatches};

use super::options::Options;

pub(super) const PREFIX: &str = "KUBERHEALER_";

/// Parses a command line, of which the first word is the program's name, and the variables that `lookup` knows.
///
/// Variables are the options of the command itself; of a subcommand there are none.
///
/// # Errors
/// What clap says, of a variable with its name; also if help or the version was asked for.
pub fn parse<C: CommandFactory + FromArgMatches>(
    words: impl IntoIterator<Item = OsString>,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<C, clap::Error> {
    let command = with_help(C::command());
    let words: Vec<OsString> = words.into_iter().collect();
    let given = command.clone().try_get_matches_from(&words)?;
    if given.subcommand_name().is_some() {
        return C::from_arg_matches(&given);
    }
    let mut all: Vec<OsString> = words.first().cloned().into_iter().collect();
    all.extend(flags(&command, &given, lookup));
    all.extend(words.into_iter().skip(1));
    // The words alone were right, so it is a variable that is not.
    let matches = command
        .try_get_matches_from(all)
        .map_err(|error| named(&error))?;
    C::from_arg_matches(&matches)
}

/// The command, with the variable of each option in its help.
pub fn with_help(command: Command) -> Command {
    command.mut_args(|arg| {
        let Some(name) = variable(&arg) else {
            return arg;
        };
        let short = arg.get_help().map(ToString::to_string);
        let long = arg.get_long_help().map(ToString::to_string);
        let short = short.unwrap_or_default();
        let long = long.unwrap_or_else(|| short.clone());
        arg.help(format!("{short} [env: {name}]"))
            .long_help(format!("{long}\n\n[env: {name}]"))
    })
}

/// One option, for documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDoc {
    /// The flag, such as `--max-per-hour`.
    pub flag: String,
    /// The variable, such as `KUBERHEALER_MAX_PER_HOUR`.
    pub variable: String,
    /// What the value stands for, such as `NUMBER`.
    pub value: String,
    /// The value if the option is not given.
    pub default: Option<String>,
    /// What it does, in one sentence.
    pub help: String,
    /// What else there is to know of it.
    pub more: Option<String>,
    /// The group it is listed under.
    pub group: String,
}

/// Every option, in the order of `--help`.
pub fn reference() -> Vec<OptionDoc> {
    let command = Options::augment_args(Command::new("remediator"));
    let docs = command.get_arguments().filter_map(|arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let long = arg.get_long_help().map(ToString::to_string);
        let value = arg.get_value_names().and_then(|names| names.first());
        let default = arg.get_default_values().first();
        Some(OptionDoc {
            flag: format!("--{}", arg.get_long()?),
            variable: variable(arg)?,
            value: value.map(ToString::to_string).unwrap_or_default(),
            default: default.map(|value| value.to_string_lossy().into_owned()),
            more: long.and_then(|long| Some(long.strip_prefix(&help)?.trim().to_owned())),
            group: arg.get_help_heading().unwrap_or("Options").to_owned(),
            help,
        })
    });
    docs.collect()
}

/// The variable of an option; none of what clap adds itself.
fn variable(arg: &Arg) -> Option<String> {
    let long = arg.get_long()?;
    let own = !matches!(long, "help" | "version");
    own.then(|| name_of(long))
}

pub(super) fn name_of(long: &str) -> String {
    format!("{PREFIX}{}", long.replace('-', "_").to_ascii_uppercase())
}

fn flags(
    command: &Command,
    given: &ArgMatches,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Vec<OsString> {
    let mut flags = Vec::new();
    for arg in command.get_arguments() {
        let (Some(name), Some(long)) = (variable(arg), arg.get_long()) else {
            continue;
        };
        if given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
            continue;
        }
        if let Some(value) = lookup(&name).filter(|value| !value.is_empty()) {
            let mut flag = OsString::from(format!("--{long}="));
            flag.push(value);
            flags.push(flag);
        }
    }
    flags
}

/// The same error, with the variable's name before it.
fn named(error: &clap::Error) -> clap::Error {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let shown = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    let flag = shown.as_deref().and_then(|shown| shown.strip_prefix("--"));
    let long = flag.and_then(|flag| flag.split(['=', ' ', '[', '<']).next());
    let message = match long {
        Some(long) => format!("{}: {text}", name_of(long)),
        None => format!("a variable {PREFIX}...: {text}"),
    };
    clap::Error::raw(error.kind(), message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use clap::{CommandFactory as _, Parser};

    use super::{OptionDoc, parse, reference, with_help};
    use crate::core::Limits;
    use crate::run::Options;

    #[derive(Debug, Parser)]
    #[command(name = "remediator", args_conflicts_with_subcommands = true)]
    struct Cli {
        #[command(flatten)]
        options: Options,
        #[command(subcommand)]
        command: Option<Other>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Other {
        Crds,
    }

    fn parsed(words: &[&str], variables: &[(&str, &str)]) -> Result<Cli, String> {
        let known: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let words = [&["remediator"], words].concat();
        let words = words.into_iter().map(OsString::from);
        parse(words, |name| known.get(name).map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        with_help(Cli::command()).debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_core() {
        assert_eq!(
            parsed(&[], &[]).unwrap().options.limits(),
            Limits::default()
        );
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_an_empty_variable_is_none() {
        let hourly = "KUBERHEALER_MAX_PER_HOUR";
        for (words, variables, expected) in [
            (&[][..], &[][..], 10),
            (&[], &[(hourly, "7")], 7),
            (&[], &[(hourly, "")], 10),
            (&["--max-per-hour", "3"], &[(hourly, "7")], 3),
            (&["--max-per-hour=3"], &[(hourly, "many")], 3),
        ] {
            let options = parsed(words, variables).unwrap().options;
            assert_eq!(options.max_per_hour, expected, "{words:?} {variables:?}");
        }
        let lists = parsed(
            &["--namespaces=a,b", "--namespaces", "c"],
            &[
                ("KUBERHEALER_NAMESPACES", "z"),
                ("KUBERHEALER_CHECK_NAMESPACES", "d, e"),
            ],
        );
        let options = lists.unwrap().options;
        assert_eq!(options.namespaces, ["a", "b", "c"]);
        assert_eq!(options.check_namespaces, ["d", "e"]);
    }

    #[test]
    fn a_switch_can_be_set_and_unset() {
        let pause = "KUBERHEALER_PAUSE";
        for (words, variables, expected) in [
            (&[][..], &[][..], false),
            (&["--pause"], &[], true),
            (&["--pause=false"], &[(pause, "true")], false),
            (&[], &[(pause, "true")], true),
            (&[], &[(pause, "false")], false),
        ] {
            let options = parsed(words, variables).unwrap().options;
            assert_eq!(options.pause, expected, "{words:?} {variables:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        for (words, variables, expected) in [
            (
                &["--max-per-hour=0"][..],
                &[][..],
                "error: invalid value '0' for '--max-per-hour <NUMBER>': expected a whole number from 1 to 10000",
            ),
            (
                &[],
                &[("KUBERHEALER_STORM_PERCENT", "most")],
                "error: KUBERHEALER_STORM_PERCENT: invalid value 'most' for '--storm-percent <PERCENT>': expected a whole number from 0 to 100",
            ),
            (
                &[],
                &[("KUBERHEALER_PAUSE", "yes")],
                "error: KUBERHEALER_PAUSE: invalid value 'yes' for '--pause[=<true|false>]'",
            ),
            (
                &["--namespaces", "Shop"],
                &[],
                "error: invalid value 'Shop' for '--namespaces <NAMES>': expected names of namespaces",
            ),
            (
                &["--listen", "8080"],
                &[],
                "error: invalid value '8080' for '--listen <ADDRESS:PORT>': expected an IP address and a port",
            ),
            (
                &[],
                &[("KUBERHEALER_LOG_LEVEL", "loud")],
                "error: KUBERHEALER_LOG_LEVEL: invalid value 'loud' for '--log-level <LEVEL>': expected off, error",
            ),
            (
                &["--lease-seconds", "14"],
                &[],
                "error: invalid value '14' for '--lease-seconds <SECONDS>': expected a whole number from 15 to 300",
            ),
            (&["--lease-name", "-a"], &[], "error: "),
            (
                &["--identity", "a b"],
                &[],
                "error: invalid value 'a b' for '--identity <NAME>': expected at most 90 letters",
            ),
        ] {
            let error = parsed(words, variables).unwrap_err();
            assert!(
                error.starts_with(expected),
                "{words:?} {variables:?}: {error}"
            );
        }
    }

    #[test]
    fn a_subcommand_minds_no_variable() {
        let cli = parsed(&["crds"], &[("KUBERHEALER_MAX_PER_HOUR", "many")]).unwrap();
        assert!(matches!(cli.command, Some(Other::Crds)));
        assert!(parsed(&["--pause", "crds"], &[]).is_err());
    }

    #[test]
    fn help_names_every_option_and_its_variable() {
        let mut command = with_help(Cli::command());
        let help = command.render_long_help().to_string();
        let options = reference();
        assert_eq!(options.len(), 22, "{options:#?}");
        for option in options {
            assert!(help.contains(&option.flag), "{option:?}: {help}");
            let variable = format!("[env: {}]", option.variable);
            assert!(help.contains(&variable), "{option:?}: {help}");
            assert!(
                !option.value.is_empty() && !option.help.ends_with('.'),
                "{option:?}"
            );
            assert_ne!(option.group, "Options", "{option:?}");
        }
    }

    #[test]
    fn documents_get_what_the_parser_does() {
        let options = reference();
        let hourly = options.iter().find(|one| one.flag == "--max-per-hour");
        let expected = OptionDoc {
            flag: "--max-per-hour".to_owned(),
            variable: "KUBERHEALER_MAX_PER_HOUR".to_owned(),
            value: "NUMBER".to_owned(),
            default: Some("10".to_owned()),
            help: "Most remediations begun in any hour".to_owned(),
            more: None,
            group: "Limits of the whole remediator".to_owned(),
        };
        assert_eq!(hourly, Some(&expected));
        let percent = options.iter().find(|one| one.flag == "--storm-percent");
        let more = percent.and_then(|one| one.more.as_deref());
        assert!(
            more.is_some_and(|more| more.starts_with("When so much fails")),
            "{more:?}"
        );
    }
}
