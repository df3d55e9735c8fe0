//! `khctl check`: a built-in check, run by the same code as its own binary.

use std::ffi::OsString;
use std::process::ExitCode;

use checks::{CHECKS, Check};

use crate::args::{CheckArgs, Named};
use crate::style::{Style, complain, is_unread, print, stdout_width};
use crate::table::Table;

/// Runs a check, or lists them all.
pub(crate) fn check(args: CheckArgs) -> ExitCode {
    match args.check {
        Some(Named::Check(words)) if !args.list => run(words),
        _ => match print(&list(CHECKS, stdout_width(), Style::stdout())) {
            Err(error) if !is_unread(&error) => {
                complain(&format!("khctl check: cannot write the list: {error}"));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
    }
}

fn run(words: Vec<OsString>) -> ExitCode {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    match name.to_str().and_then(checks::find) {
        Some(check) => {
            let called = format!("khctl check {}", name.to_string_lossy());
            let variable = |name: &str| std::env::var(name).ok();
            check.run(&called, words.collect(), &variable)
        }
        None => {
            let known: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
            complain(&format!(
                "khctl check: expected the name of a built-in check ({}), found {name:?}",
                known.join(", ")
            ));
            ExitCode::from(2)
        }
    }
}

/// The built-in checks as a table.
fn list(checks: &[&Check], width: Option<usize>, style: Style) -> String {
    let mut table = Table::new(["CHECK", "ABOUT"]);
    for check in checks {
        let about = match check.replaces {
            [] => check.about.to_owned(),
            images => format!("{}; replaces {}", check.about, images.join(", ")),
        };
        table.push([check.name.into(), about.into()]);
    }
    table.render(width, style)
}

/// Each check as a subcommand under the names `khctl check` knows it by, for completion scripts.
pub(crate) fn commands() -> impl Iterator<Item = clap::Command> {
    CHECKS.iter().map(|check| {
        let command = check.command().name(check.name).about(check.about);
        match check.name.strip_suffix("-check") {
            Some(short) => command.visible_alias(short),
            None => command,
        }
    })
}
