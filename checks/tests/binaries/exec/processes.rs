//! What becomes of processes: nothing a command starts outlives its run.

use std::time::Duration;

use super::*;

/// A grandchild in the group, and one that left it as daemons do.
fn family(folder: &Folder, then: &str) -> String {
    format!(
        "sleep 600 & echo $! > {}; setsid sh -c 'echo $$ > {}; exec sleep 600' & {then}",
        folder.text("member"),
        folder.text("daemon"),
    )
}

fn wait_for(folder: &Folder) -> String {
    format!(
        "while ! test -s {}; do sleep 0.01; done",
        folder.text("daemon")
    )
}

#[track_caller]
fn assert_gone(folder: &Folder) {
    for name in ["member", "daemon"] {
        let pid = folder.pid(name);
        assert!(!runs(pid), "{name} {pid} still runs");
    }
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_it_started() {
    let folder = Folder::new();
    let line = family(&folder, "wait");
    let verdict = shell(&line).var("TIMEOUT_DURATION", "2s").run();
    verdict.failed(&["shell command: expected it to end within 2s, it was still running"]);
    assert_gone(&folder);
    assert!(verdict.took < Duration::from_secs(20));
}

#[test]
fn sigterm_comes_first() {
    let folder = Folder::new();
    let line = format!(
        "trap 'echo asked > {}; exit 0' TERM; sleep 600 & wait",
        folder.text("asked")
    );
    let words = "shell command: expected it to end within 500ms, it was still running";
    shell(&line)
        .var("TIMEOUT_DURATION", "500ms")
        .var("EXEC_KILL_AFTER", "1m")
        .run()
        .failed(&[words]);
    assert_eq!(folder.read("asked"), "asked\n");
}

#[test]
fn what_ignores_sigterm_is_killed() {
    let folder = Folder::new();
    let line = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done",
        folder.text("pid")
    );
    let verdict = shell(&line)
        .var("TIMEOUT_DURATION", "500ms")
        .var("EXEC_KILL_AFTER", "200ms")
        .run();
    verdict.failed_with(&["still running"]);
    assert!(!runs(folder.pid("pid")));
}

#[test]
fn what_a_command_leaves_behind_is_killed_whatever_its_verdict() {
    for (ending, passes) in [("exit 0", true), ("exit 1", false)] {
        let folder = Folder::new();
        let line = family(&folder, &format!("{}; {ending}", wait_for(&folder)));
        let verdict = shell(&line).run();
        assert_eq!(verdict.ok, passes, "{verdict:#?}");
        assert_gone(&folder);
        assert!(verdict.took < Duration::from_secs(20));
    }
}

#[test]
fn late_words_of_a_helper_are_still_read() {
    let line = "(sleep 0.1; echo late) & exit 0";
    shell(line).var("EXPECTED_STDOUT", "^late$").run().passed();
}

#[test]
fn the_grace_of_a_command_ends_with_the_run() {
    let folder = Folder::new();
    let line = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done",
        folder.text("shell")
    );
    shell(&line)
        .with(&[("TIMEOUT_DURATION", "1s"), ("EXEC_KILL_AFTER", "1m")])
        .deadline(Duration::from_secs(10))
        .run()
        .failed(&["shell command: expected it to end within 1s, it was still running"]);
    assert!(!runs(folder.pid("shell")));
}

#[test]
fn told_to_stop_the_check_takes_its_command_along() {
    for line in [Line::V2, Line::V3] {
        let folder = Folder::new();
        let command = family(
            &folder,
            &format!(
                "trap '' TERM; {}; echo $$ > {}; while :; do sleep 0.1; done",
                wait_for(&folder),
                folder.text("shell")
            ),
        );
        let running = shell(&command).line(line).start();
        let shell = folder.pid("shell");
        running.terminate();
        let (output, reports, _) = running.wait();
        assert!(!runs(shell));
        assert_gone(&folder);
        match line {
            Line::V2 => assert!(
                output.status.code() == Some(1) && reports.is_empty(),
                "{reports:?}"
            ),
            Line::V3 => {
                assert_eq!(output.status.code(), Some(0));
                assert!(
                    reports[0].body.contains("interrupted") && reports[0].body.contains("false"),
                    "{reports:?}"
                );
            }
        }
    }
}

#[test]
fn orphans_are_reaped_while_the_command_runs() {
    // Passes once no child of the check (the parent of this shell) is a zombie although many were orphaned.
    let line = r#"
        for n in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'exit 0' &); done
        for try in $(seq 200); do
            zombies=0
            for stat in /proc/[0-9]*/stat; do
                read -r line < $stat 2>/dev/null || continue
                set -- ${line##*) }
                if [ "$1" = Z ] && [ "$2" = $PPID ]; then zombies=$((zombies + 1)); fi
            done
            orphaned=$(cat /proc/$PPID/task/*/children 2>/dev/null | wc -w)
            if [ $zombies = 0 ] && [ $orphaned -le 1 ]; then exit 0; fi
            sleep 0.05
        done
        echo "$zombies zombies, $orphaned children" >&2
        exit 1"#;
    shell(line).run().passed();
}

#[test]
fn a_flood_is_drained_and_bounded() {
    let verdict = shell("yes flood | head -c 3000000; echo last >&2; exit 1")
        .var("EXPECTED_STDOUT", "^flood$")
        .var("FORBIDDEN_STDOUT", "needle")
        .run();
    verdict.failed(&[r#"shell command: expected exit code 0, got 1; stderr ends with "last""#]);
    assert!(verdict.log.contains("[... left out ...]"));
    assert!(verdict.log.len() < 40_000, "{}", verdict.log.len());
    // Without an end, without line ends, and more than a pipe holds.
    let verdict = shell("tr '\\0' x < /dev/zero")
        .var("TIMEOUT_DURATION", "1s")
        .run();
    verdict.failed_with(&[
        "expected it to end within 1s, it was still running; stdout ends with \"xxxxx",
    ]);
    shell("head -c 3000000 /dev/zero >&2; echo ok")
        .var("EXPECTED_STDOUT", "ok")
        .run()
        .passed();
}

#[test]
fn a_command_that_closes_its_output_is_waited_for() {
    let verdict = shell("exec >&- 2>&-; sleep 0.3; exit 7").run();
    verdict.failed(&["shell command: expected exit code 0, got 7"]);
    let verdict = shell("exec >&- 2>&-; sleep 600")
        .var("TIMEOUT_DURATION", "500ms")
        .run();
    verdict.failed_with(&["still running"]);
}

#[test]
fn the_check_itself_gets_no_signal_meant_for_its_command() {
    shell("kill -TERM 0; sleep 600")
        .run()
        .failed(&["shell command: expected exit code 0, it was killed by SIGTERM"]);
}
