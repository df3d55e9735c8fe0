//! Starting a program, and saying why one cannot be started.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;

use crate::describe::shorten;

/// Where programs are looked for if the command has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts `argv` in a process group of its own, with both outputs piped and no input.
///
/// # Errors
///
/// Why it cannot be started, in fixed words.
pub(super) fn start(
    argv: &[String],
    dir: Option<&Path>,
    env: &[(OsString, OsString)],
) -> Result<Child, String> {
    let (name, args) = argv.split_first().ok_or("there is no program")?;
    if let Some(dir) = dir {
        check_dir(dir)?;
    }
    let path = env
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.as_os_str());
    let program = find(name, dir, path.unwrap_or(OsStr::new(DEFAULT_PATH)))?;
    let mut command = Command::new(&program);
    command
        .arg0(name)
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)));
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command.spawn().map_err(|error| explain(&error, &program))
}

fn check_dir(dir: &Path) -> Result<(), String> {
    let reason = match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => "not a directory".to_owned(),
        Err(error) => io_words(&error),
    };
    Err(format!("working directory {}: {reason}", shown(dir)))
}

/// The file of the program: as it is if the name has a slash, else the first that may be run in a directory of `path`.
fn find(name: &str, dir: Option<&Path>, path: &OsStr) -> Result<PathBuf, String> {
    if name.contains('/') {
        // Relative to the working directory of the command, as a shell would have it.
        let program = dir.map_or_else(|| PathBuf::from(name), |dir| dir.join(name));
        return check_file(&program).map(|()| program);
    }
    let mut unfit = None;
    for folder in std::env::split_paths(path).filter(|folder| !folder.as_os_str().is_empty()) {
        // A relative entry too means the directory the command runs in.
        let folder = dir.map_or_else(|| folder.clone(), |dir| dir.join(&folder));
        let program = folder.join(name);
        if !program.exists() {
            continue;
        }
        match check_file(&program) {
            Ok(()) => return Ok(program),
            Err(reason) => unfit = unfit.or(Some(reason)),
        }
    }
    Err(unfit.unwrap_or_else(|| "not found in PATH".to_owned()))
}

fn check_file(program: &Path) -> Result<(), String> {
    let meta = std::fs::metadata(program)
        .map_err(|error| format!("{}: {}", shown(program), io_words(&error)))?;
    if meta.is_dir() {
        Err(format!("{}: it is a directory", shown(program)))
    } else if meta.permissions().mode() & 0o111 == 0 {
        Err(format!("{}: not executable", shown(program)))
    } else {
        Ok(())
    }
}

/// Why the system refused to run `program`, which is there and may be run.
fn explain(error: &io::Error, program: &Path) -> String {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let reason = match errno {
        Some(Errno::ENOENT) => match interpreter(program) {
            Some(interpreter) => format!(
                "its interpreter {} does not exist",
                shorten(&interpreter, 80)
            ),
            None => "its dynamic loader does not exist, it was built for another system".to_owned(),
        },
        Some(Errno::ENOEXEC) => {
            "not a program for this machine, nor a script that begins with #!".to_owned()
        }
        Some(Errno::EACCES) => match interpreter(program) {
            Some(interpreter) => format!(
                "permission denied, for it or its interpreter {}",
                shorten(&interpreter, 80)
            ),
            None => "permission denied".to_owned(),
        },
        Some(Errno::EPERM) => "not permitted".to_owned(),
        Some(Errno::E2BIG) => "its arguments and environment are too long".to_owned(),
        Some(Errno::ETXTBSY) => "it is being written to".to_owned(),
        Some(Errno::EAGAIN) => "too many processes".to_owned(),
        Some(Errno::ENOMEM) => "not enough memory".to_owned(),
        Some(Errno::EMFILE | Errno::ENFILE) => "too many open files".to_owned(),
        Some(errno) => errno.desc().to_ascii_lowercase(),
        None => shorten(&error.to_string(), 80),
    };
    format!("{}: {reason}", shown(program))
}

/// What the first line of a script names.
fn interpreter(program: &Path) -> Option<String> {
    let mut head = [0; 256];
    let read = std::fs::File::open(program).ok()?.read(&mut head).ok()?;
    let line = head[..read]
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let text = String::from_utf8_lossy(line);
    // A carriage return is part of the name, and the most common reason why it does not exist.
    let name = text
        .trim_start_matches([' ', '\t'])
        .split([' ', '\t'])
        .next()?;
    Some(name.replace('\r', "\\r"))
}

fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            "too many symbolic links".to_owned()
        }
        io::ErrorKind::NotADirectory => "a part of the path is not a directory".to_owned(),
        _ => error
            .raw_os_error()
            .map_or("cannot be used", |code| Errno::from_raw(code).desc())
            .to_ascii_lowercase(),
    }
}

fn shown(path: &Path) -> String {
    shorten(&path.to_string_lossy(), 100)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        fs::create_dir_all(a.join("folder")).unwrap();
        fs::create_dir(&b).unwrap();
        file(&a, "tool", "", 0o644);
        file(&b, "tool", "", 0o755);
        file(&a, "plain", "", 0o644);
        let path =
            std::env::join_paths([root.path().join("nowhere"), a.clone(), b.clone()]).unwrap();
        let find = |name: &str| find(name, None, &path);
        assert_eq!(find("tool"), Ok(b.join("tool")));
        assert_eq!(find("missing"), Err("not found in PATH".to_owned()));
        assert!(
            find("plain")
                .unwrap_err()
                .ends_with("plain: not executable")
        );
        assert!(
            find("folder")
                .unwrap_err()
                .ends_with("folder: it is a directory")
        );
        assert!(
            find("/no/where")
                .unwrap_err()
                .ends_with("/no/where: no such file or directory")
        );
        assert_eq!(super::find("./tool", Some(&b), &path), Ok(b.join("./tool")));
    }

    #[test]
    fn interpreters_are_read_from_the_first_line() {
        let root = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("#!/bin/bash -e\nx", Some("/bin/bash")),
            ("#! /usr/bin/env python3\n", Some("/usr/bin/env")),
            ("#!/bin/sh\r\n", Some("/bin/sh\\r")),
            ("\x7fELF", None),
            ("", None),
        ] {
            let path = file(root.path(), "script", text, 0o755);
            assert_eq!(interpreter(&path).as_deref(), expected, "{text}");
        }
    }
}
