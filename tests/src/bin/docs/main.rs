//! Writes into the documents what the programs know best: the checks and every option of each, and the remediator's flags,
//! metrics, guards and fields.
//!
//! `cargo run -p scenarios --bin docs` rewrites the blocks between `<!-- generated: NAME -->` and
//! `<!-- end -->`; with `--check` it changes nothing and fails if a block is not what it should be. The source is the
//! definitions that `--help` and `kubectl explain` are made of.

mod remediator;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use checks::cli::OptionDoc;
use checks::{CHECKS, Check};

const END: &str = "<!-- end -->";

fn main() -> anyhow::Result<ExitCode> {
    let check_only = match env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => bail!("unexpected argument {other}: expected nothing or --check"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut stale = Vec::new();
    for (file, name, text) in blocks()? {
        let path = root.join(&file);
        let old = fs::read_to_string(&path).with_context(|| {
            format!(
                "{}: expected a document with a block {name}",
                file.display()
            )
        })?;
        let new = replace(&old, &name, &text).with_context(|| file.display().to_string())?;
        if new == old {
            continue;
        }
        if check_only {
            stale.push(format!("{} ({name})", file.display()));
        } else {
            fs::write(&path, new)?;
            println!("{}: {name} written", file.display());
        }
    }
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "these documents differ from the programs: {}\nrun: cargo run -p scenarios --bin docs",
        stale.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// File, name and text of every block.
fn blocks() -> anyhow::Result<Vec<(PathBuf, String, String)>> {
    let mut blocks = vec![(PathBuf::from("README.md"), "checks".to_owned(), overview())];
    for check in CHECKS {
        let file = PathBuf::from(format!("docs/checks/{}.md", check.name));
        blocks.push((file, "options".to_owned(), options(check)));
    }
    blocks.extend(remediator::blocks()?);
    Ok(blocks)
}

/// The table of checks.
fn overview() -> String {
    let mut text = String::from("| check | drop-in for | what it does |\n|---|---|---|\n");
    for check in CHECKS {
        let replaces: Vec<String> = check
            .replaces
            .iter()
            .map(|image| format!("`{image}`"))
            .collect();
        let _ = writeln!(
            text,
            "| [`{name}`](docs/checks/{name}.md) | {} | {} |",
            replaces.join(", "),
            cell(check.about),
            name = check.name,
        );
    }
    text
}

/// A table of options for each group, in the order of `--help`.
fn options(check: &Check) -> String {
    let options = check.options();
    let mut groups: Vec<&str> = Vec::new();
    for option in &options {
        if !groups.contains(&option.group.as_str()) {
            groups.push(&option.group);
        }
    }
    let mut text = String::new();
    for group in groups {
        let _ = write!(
            text,
            "### {group}\n\n| variable | default | meaning |\n|---|---|---|\n"
        );
        for option in options.iter().filter(|option| option.group == group) {
            let _ = writeln!(text, "{}", row(option));
        }
        text.push('\n');
    }
    text
}

fn row(option: &OptionDoc) -> String {
    let official = if option.official { " ●" } else { "" };
    let default = match option.default.as_deref() {
        Some(default) if !default.is_empty() => format!("`{}`", cell(default)),
        _ => String::new(),
    };
    let several = if option.repeatable {
        " (one a line; the flag may be repeated)"
    } else {
        ""
    };
    format!(
        "| `{}`{official} | {default} | {}{several} |",
        option.env,
        cell(&option.help)
    )
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('\n', " ")
}

/// `document` with the text of block `name` replaced.
fn replace(document: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- generated: {name} -->");
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("expected a line {begin}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("expected {END} after {begin}"))?;
    Ok(format!(
        "{before}{begin}\n{}\n{END}{after}",
        text.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_block_changes() {
        let document = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n";
        let new = replace(document, "x", "new\n\n").unwrap();
        assert_eq!(new, "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n");
        assert_eq!(replace(&new, "x", "new").unwrap(), new);
        assert!(replace(document, "y", "new").is_err());
        assert!(replace("<!-- generated: x -->", "x", "new").is_err());
    }

    #[test]
    fn every_option_is_listed_under_its_variable() {
        for check in CHECKS {
            let text = options(check);
            for option in check.options() {
                assert!(
                    text.contains(&format!("| `{}`", option.env)),
                    "{}",
                    option.env
                );
            }
        }
    }
}
