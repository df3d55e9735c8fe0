//! What is run: a program with its arguments, or a line for a shell.

use std::str::FromStr;

use crate::describe::shorten;
use crate::values::BadValue;

/// What a line for the shell is called in findings.
pub(super) const SHELL: &str = "shell command";

/// A command as it is configured.
///
/// As in a Dockerfile, a JSON array is run as it is and anything else is a line for the shell. Unlike there, a value
/// that begins like an array and is none is refused, where Docker hands it to the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommandLine {
    /// A program and its arguments; never empty.
    Program(Vec<String>),
    /// A line that a shell reads.
    Shell(String),
}

impl CommandLine {
    /// A program and its arguments, as given one by one.
    ///
    /// # Errors
    ///
    /// [`BadValue`] if there is no program, or a NUL character, which no argument can hold.
    pub(super) fn program(argv: Vec<String>) -> Result<CommandLine, BadValue> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(BadValue::expected(
                "a program first, such as [\"/check.sh\",\"--fast\"]",
            ));
        }
        if argv.iter().any(|arg| arg.contains('\0')) {
            return Err(BadValue::expected("a command without NUL characters"));
        }
        Ok(CommandLine::Program(argv))
    }

    /// The program and arguments to start, with `shell` for a line.
    pub(super) fn argv(&self, shell: &str) -> Vec<String> {
        match self {
            CommandLine::Program(argv) => argv.clone(),
            CommandLine::Shell(line) => vec![shell.to_owned(), "-c".to_owned(), line.clone()],
        }
    }

    /// What findings call it: the program's file name. Never its arguments, which may hold a secret.
    pub(super) fn name(&self) -> String {
        match self {
            CommandLine::Shell(_) => SHELL.to_owned(),
            CommandLine::Program(argv) => {
                let program = argv.first().map_or("", String::as_str);
                let name = program
                    .rsplit('/')
                    .find(|part| !part.is_empty())
                    .unwrap_or(program);
                shorten(name, 60)
            }
        }
    }
}

impl FromStr for CommandLine {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<CommandLine, BadValue> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadValue::expected("a command"));
        }
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.trim_start();
            if inside.starts_with(['"', ']']) {
                let argv = serde_json::from_str::<Vec<String>>(text).map_err(|_| {
                    BadValue::expected(
                        "a JSON array of strings, such as [\"/check.sh\",\"--fast\"] (in a shell line write test, not [)",
                    )
                })?;
                return CommandLine::program(argv);
            }
        }
        if text.contains('\0') {
            return Err(BadValue::expected("a command without NUL characters"));
        }
        Ok(CommandLine::Shell(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_programs_and_the_rest_is_for_the_shell() {
        let program = |argv: &[&str]| {
            Ok(CommandLine::Program(
                argv.iter().map(ToString::to_string).collect(),
            ))
        };
        let shell = |line: &str| Ok(CommandLine::Shell(line.to_owned()));
        for (text, expected) in [
            (r#"["/check.sh"]"#, program(&["/check.sh"])),
            (
                " [ \"a b\" , \"\\u0063\", \"\" ] ",
                program(&["a b", "c", ""]),
            ),
            (
                "check.sh --fast | grep ok",
                shell("check.sh --fast | grep ok"),
            ),
            ("[ -f /tmp/healthy ]", shell("[ -f /tmp/healthy ]")),
            ("[[ -f x ]]", shell("[[ -f x ]]")),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in [
            "",
            "  ",
            "[]",
            r#"[""]"#,
            r#"["a""#,
            r#"["a", 1]"#,
            r#"["a"] b"#,
            r#"[ "$x" = 1 ]"#,
            "[\"a\\u0000\"]",
            "a\0b",
        ] {
            assert!(text.parse::<CommandLine>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_hold_no_arguments() {
        for (text, name) in [
            (r#"["/opt/checks/login.sh","--password=x"]"#, "login.sh"),
            (r#"["curl","http://u:p@h"]"#, "curl"),
            (r#"["dir/"]"#, "dir"),
            (r#"["/"]"#, "/"),
            ("PASSWORD=x login", "shell command"),
        ] {
            assert_eq!(text.parse::<CommandLine>().unwrap().name(), name);
        }
    }

    #[test]
    fn a_line_is_given_to_the_shell_whole() {
        let line: CommandLine = "a && b".parse().unwrap();
        assert_eq!(line.argv("/bin/ash"), ["/bin/ash", "-c", "a && b"]);
    }
}
