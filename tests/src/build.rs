//! Builds what is measured, the way images are built: in their profile and linked statically.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Builds binaries, each given by its package and its name, in `profile`, and says which folder holds them. Images of
/// checks are built in `dist`, the remediator's in `dist-fast`.
///
/// Images hold static binaries for musl. Where Rust's musl target is not installed, the host's C library is linked
/// statically, which costs about the same.
///
/// # Errors
/// cargo is not there, or fails.
pub fn dist(profile: &str, binaries: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let host = host()?;
    let musl = host.replace("-gnu", "-musl");
    let target = if musl != host && has_target(&musl) {
        musl
    } else {
        host
    };
    let mut command = Command::new(program("CARGO", "cargo"));
    command
        .args([
            "build",
            "--locked",
            "--profile",
            profile,
            "--target",
            &target,
        ])
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    for (package, binary) in binaries {
        command.args(["-p", package, "--bin", binary]);
    }
    eprintln!("building for {target} in the profile {profile} (a few minutes the first time) ...");
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("could not start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    // This program is in target/PROFILE/.
    let executable = env::current_exe()?;
    let folder = executable.ancestors().nth(2).with_context(|| {
        format!(
            "expected to be in a target folder, am {}",
            executable.display()
        )
    })?;
    Ok(folder.join(target).join(profile))
}

/// The target that rustc builds for by itself, such as `x86_64-unknown-linux-gnu`.
fn host() -> anyhow::Result<String> {
    let output = Command::new(program("RUSTC", "rustc"))
        .arg("-vV")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .with_context(|| format!("expected a line with the host from rustc -vV, got {text:?}"))
}

fn has_target(target: &str) -> bool {
    let output = Command::new(program("RUSTC", "rustc"))
        .args(["--print", "target-libdir", "--target", target])
        .output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists())
}

/// A program of the Rust toolchain, as cargo names it to what it runs.
fn program(variable: &str, otherwise: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| otherwise.into())
}
