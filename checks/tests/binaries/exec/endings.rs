//! How commands end, and what is said of it.

use std::time::Duration;

use super::*;

#[test]
fn commands_that_do_as_expected_pass() {
    program(&["true"]).run().passed();
    exec(&[("EXEC_COMMAND", r#"["sh","-c","exit 0"]"#)])
        .run()
        .passed();
    shell("test -d / && exit 0").run().passed();
    shell("first=1\n[ \"$first\" = 1 ]")
        .line(Line::V2)
        .run()
        .passed();
    // Arguments take the place of the variable, and are the command's even where they look like options.
    exec(&[
        ("EXEC_COMMAND", "false"),
        ("EXPECTED_STDOUT", "^--exec-command=x --retries$"),
    ])
    .args(&["--", "echo", "--exec-command=x", "--retries"])
    .run()
    .passed();
}

#[test]
fn each_ending_has_its_words() {
    let rows: &[(&str, &str)] = &[
        ("exit 3", "shell command: expected exit code 0, got 3"),
        ("exit 255", "shell command: expected exit code 0, got 255"),
        (
            "exit 143",
            "shell command: expected exit code 0, got 143 (128 + SIGTERM)",
        ),
        (
            "kill -SEGV $$",
            "shell command: expected exit code 0, it was killed by SIGSEGV",
        ),
        (
            "kill -KILL $$",
            "shell command: expected exit code 0, it was killed by SIGKILL",
        ),
        (
            "echo out; echo err >&2; exit 1",
            r#"shell command: expected exit code 0, got 1; stderr ends with "err""#,
        ),
        (
            "echo out; echo >&2; exit 1",
            r#"shell command: expected exit code 0, got 1; stdout ends with "out""#,
        ),
        (
            "nosuch-command-x 2>/dev/null",
            "shell command: expected exit code 0, got 127",
        ),
    ];
    for (line, words) in rows {
        shell(line).run().failed(&[words]);
    }
}

#[test]
fn a_command_that_cannot_start_is_told_from_one_that_failed() {
    let folder = Folder::new();
    let path = |name: &str| folder.text(name);
    std::fs::write(folder.path("plain"), "x").unwrap();
    std::fs::create_dir(folder.path("folder")).unwrap();
    folder.script("bad-interpreter", "#!/nowhere/interpreter -x\n");
    folder.script("windows", "#!/bin/sh\r\nexit 0\r\n");
    folder.script("junk", "\u{1}\u{2}junk");
    std::os::unix::fs::symlink("loop", folder.path("loop")).unwrap();
    let rows = [
        (
            vec!["nosuch-command-x".to_owned()],
            "cannot start nosuch-command-x: not found in PATH".to_owned(),
        ),
        (
            vec![path("missing")],
            format!(
                "cannot start missing: {}: no such file or directory",
                path("missing")
            ),
        ),
        (
            vec![path("plain")],
            format!("cannot start plain: {}: not executable", path("plain")),
        ),
        (
            vec![path("folder")],
            format!("cannot start folder: {}: it is a directory", path("folder")),
        ),
        (
            vec![path("plain/x")],
            format!(
                "cannot start x: {}: a part of the path is not a directory",
                path("plain/x")
            ),
        ),
        (
            vec![path("bad-interpreter")],
            format!(
                "cannot start bad-interpreter: {}: its interpreter /nowhere/interpreter does not exist",
                path("bad-interpreter")
            ),
        ),
        (
            vec![path("windows")],
            format!(
                "cannot start windows: {}: its interpreter /bin/sh\\r does not exist",
                path("windows")
            ),
        ),
        (
            vec![path("junk")],
            format!(
                "cannot start junk: {}: not a program for this machine, nor a script that begins with #!",
                path("junk")
            ),
        ),
        (
            vec![path("loop")],
            format!(
                "cannot start loop: {}: too many symbolic links",
                path("loop")
            ),
        ),
    ];
    for (argv, words) in &rows {
        let argv = serde_json::to_string(argv).unwrap();
        exec(&[("EXEC_COMMAND", &argv)]).run().failed(&[words]);
    }
    for (dir, words) in [
        (path("missing"), "no such file or directory"),
        (path("plain"), "not a directory"),
    ] {
        program(&["true"])
            .var("EXEC_DIR", &dir)
            .run()
            .failed(&[&format!(
                "cannot start true: working directory {dir}: {words}"
            )]);
    }
}

#[test]
fn exit_codes_can_be_expected() {
    for (code, passes) in [
        (0, false),
        (3, true),
        (10, true),
        (15, true),
        (20, true),
        (21, false),
    ] {
        let verdict = shell(&format!("exit {code}"))
            .var("EXPECTED_EXIT_CODES", "3,10-20")
            .run();
        match passes {
            true => verdict.passed(),
            false => verdict.failed(&[&format!(
                "shell command: expected exit code 3,10-20, got {code}"
            )]),
        };
    }
}

#[test]
fn output_is_matched_line_by_line() {
    let line = "echo starting; echo 'status: ready'; echo 'WARN: disk' >&2";
    shell(line)
        .var("EXPECTED_STDOUT", "^status: ready$\nstart")
        .var("EXPECTED_STDERR", "WARN")
        .run()
        .passed();
    shell(line)
        .var("FORBIDDEN_STDOUT", "WARN")
        .var("FORBIDDEN_STDERR", "ready")
        .run()
        .passed();
    let verdict = shell(&format!("{line}; exit 1"))
        .var("EXPECTED_STDOUT", "^ready$\nstarting")
        .var("FORBIDDEN_STDOUT", "status.*ready")
        .var("EXPECTED_STDERR", "ERROR")
        .var("FORBIDDEN_STDERR", "(?i)warn")
        .run();
    verdict.failed(&[
        r#"shell command: expected exit code 0, got 1; stderr ends with "WARN: disk""#,
        "shell command: expected a line of stdout to match /^ready$/, none did",
        "shell command: expected no line of stdout to match /status.*ready/, one did",
        "shell command: expected a line of stderr to match /ERROR/, none did",
        "shell command: expected no line of stderr to match /(?i)warn/, one did",
    ]);
}

#[test]
fn findings_are_the_same_from_run_to_run() {
    let line = "echo \"$(date +%FT%T) $$ took ${RANDOM}123ms for /tmp/x.$$ on 10.0.0.$(($$ % 250)):4711, status 503\" >&2; exit 1";
    let first = shell(line).run();
    first.failed(&[r#"shell command: expected exit code 0, got 1; stderr ends with "<time> <n> took <time> for /tmp/x.<n> on <address>, status 503""#]);
    assert_eq!(shell(line).run().errors, first.errors);
}

#[test]
fn output_is_logged_when_asked_for_and_quoted_unless_told_not_to() {
    let line = "echo secret; exit 1";
    let failing = shell(line).run();
    assert!(failing.log.contains("  | secret\n"), "{}", failing.log);
    let silent = shell(line)
        .var("EXEC_LOG", "never")
        .arg("--exec-quote=false")
        .run();
    silent.failed(&["shell command: expected exit code 0, got 1"]);
    assert!(!silent.log.contains("secret"), "{}", silent.log);
    assert!(!shell("echo fine").run().log.contains("fine"));
    assert!(
        shell("echo fine")
            .var("EXEC_LOG", "always")
            .run()
            .log
            .contains("  | fine\n")
    );
}

#[test]
fn a_line_of_output_cannot_pass_for_the_checks_own() {
    let verdict = shell(
        r"printf 'khclient: reported\033[2J\rkhclient: reported http://u:geheim@h/\n'; exit 1",
    )
    .run();
    let lines = |start: &str| {
        verdict
            .log
            .lines()
            .filter(|line| line.starts_with(start))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        lines("  | "),
        ["  | khclient: reported khclient: reported http://***@h/"]
    );
    assert_eq!(lines("khclient: reported").len(), 1, "{}", verdict.log);
}

#[test]
fn a_failing_command_is_tried_again() {
    let folder = Folder::new();
    let line = format!(
        "echo x >> {0}; test $(wc -l < {0}) -ge 3",
        folder.text("tries")
    );
    let verdict = shell(&line)
        .var("RETRIES", "2")
        .var("RETRY_DELAY", "10ms")
        .run();
    verdict.passed();
    assert_eq!(
        verdict.log.matches("trying again").count(),
        2,
        "{}",
        verdict.log
    );
    let folder = Folder::new();
    let line = format!(
        "echo x >> {0}; echo try $(wc -l < {0}); exit 1",
        folder.text("tries")
    );
    shell(&line)
        .var("RETRIES", "1")
        .var("RETRY_DELAY", "0")
        .run()
        .failed(&[r#"shell command: expected exit code 0, got 1; stdout ends with "try <n>""#]);
    assert_eq!(folder.read("tries"), "x\nx\n");
}

#[test]
fn the_deadline_of_the_run_ends_a_command_too() {
    let folder = Folder::new();
    let line = format!(
        "echo begun >&2; sleep 600 & echo $! > {}; wait",
        folder.text("pid")
    );
    let verdict = shell(&line)
        .var("TIMEOUT_DURATION", "10m")
        .deadline(Duration::from_secs(9))
        .run();
    verdict.failed(&[
        r#"shell command: expected it to end before the deadline of the run, it was still running; stderr ends with "begun""#,
    ]);
    assert!(!runs(folder.pid("pid")));
    // A pause that reaches beyond the deadline is not begun.
    let verdict = shell("exit 1")
        .var("RETRIES", "9")
        .var("RETRY_DELAY", "1h")
        .run();
    verdict.failed(&["shell command: expected exit code 0, got 1"]);
    assert!(verdict.took < Duration::from_secs(10));
}

#[test]
fn a_terminal_gets_the_verdict_and_an_exit_code() {
    let run = |exec: Check| {
        let output = exec.alone();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(run(program(&["true"])), (Some(0), "PASSED\n".to_owned()));
    assert_eq!(
        run(shell("exit 3")),
        (
            Some(1),
            "FAILED\n  shell command: expected exit code 0, got 3\n".to_owned()
        )
    );
    let (code, words) = run(exec(&[]));
    assert_eq!(code, Some(2), "{words}");
}
