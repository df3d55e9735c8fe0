//! Bad input: one clear finding that names the variable and the value, reported, promptly.

use super::*;

#[test]
fn wrong_values_are_named() {
    let rows: &[(&str, &str, &str)] = &[
        (
            "EXEC_COMMAND",
            "",
            "EXEC_COMMAND: expected a command: a JSON array such as [\"/check.sh\"], or a line for the shell",
        ),
        ("EXEC_COMMAND", "  ", "EXEC_COMMAND: expected a command"),
        (
            "EXEC_COMMAND",
            "[]",
            "EXEC_COMMAND: expected a program first",
        ),
        (
            "EXEC_COMMAND",
            "[\"\"]",
            "EXEC_COMMAND: expected a program first",
        ),
        (
            "EXEC_COMMAND",
            "[\"login\", \"geheim\"",
            "EXEC_COMMAND: expected a JSON array of strings",
        ),
        (
            "EXEC_COMMAND",
            "[\"a\\u0000\"]",
            "EXEC_COMMAND: expected a command without NUL characters",
        ),
        (
            "EXEC_SHELL",
            "/nowhere/sh",
            "EXEC_SHELL=\"/nowhere/sh\": expected a shell for the line in EXEC_COMMAND, there is no such file",
        ),
        ("EXEC_ENV", "geheim", "EXEC_ENV: expected NAME=value"),
        (
            "EXEC_PASS_ENV",
            "A=b",
            "EXEC_PASS_ENV=\"A=b\": expected names of variables",
        ),
        (
            "EXEC_CLEAR_ENV",
            "maybe",
            "EXEC_CLEAR_ENV=\"maybe\": expected true or false",
        ),
        (
            "EXPECTED_EXIT_CODES",
            "256",
            "EXPECTED_EXIT_CODES=\"256\": expected exit codes from 0 to 255",
        ),
        (
            "EXPECTED_EXIT_CODES",
            "ok",
            "EXPECTED_EXIT_CODES=\"ok\": expected exit codes",
        ),
        (
            "EXPECTED_STDOUT",
            "(",
            "EXPECTED_STDOUT=\"(\": expected a regular expression: unclosed group",
        ),
        (
            "FORBIDDEN_STDERR",
            "a{",
            "FORBIDDEN_STDERR=\"a{\": expected a regular expression",
        ),
        (
            "TIMEOUT_DURATION",
            "0",
            "TIMEOUT_DURATION=\"0\": expected a duration above zero",
        ),
        (
            "TIMEOUT_DURATION",
            "soon",
            "TIMEOUT_DURATION=\"soon\": expected a duration",
        ),
        (
            "EXEC_KILL_AFTER",
            "-1s",
            "EXEC_KILL_AFTER=\"-1s\": expected a duration that is not negative",
        ),
        ("RETRIES", "-1", "RETRIES=\"-1\": expected a whole number"),
        ("RETRY_DELAY", "x", "RETRY_DELAY=\"x\": expected a duration"),
        (
            "CONCURRENCY",
            "0",
            "CONCURRENCY=\"0\": expected a whole number from 1",
        ),
        (
            "EXEC_LOG",
            "sometimes",
            "EXEC_LOG=\"sometimes\": expected failure, always or never",
        ),
        (
            "EXEC_QUOTE",
            "x",
            "EXEC_QUOTE=\"x\": expected true or false",
        ),
        (
            "POD_CONTAINER",
            "web",
            "POD_SELECTOR: expected a label selector",
        ),
        (
            "POD_SELECTOR_NAMESPACE",
            "Shop",
            "POD_SELECTOR_NAMESPACE=\"Shop\": expected names of namespaces",
        ),
        (
            "POD_SELECTOR",
            "app=web,",
            "POD_SELECTOR=\"app=web,\": expected label requirements",
        ),
        (
            "KUBE_API_URL",
            "unix://x",
            "KUBE_API_URL=\"unix://x\": expected a URL",
        ),
    ];
    for (name, value, words) in rows {
        let verdict = shell("exit 0").var(name, value).run();
        verdict.failed_with(&["configuration: ", words]);
        assert!(!verdict.log.contains("geheim"), "{}", verdict.log);
    }
}

#[test]
fn what_means_nothing_in_pods_is_refused() {
    let in_pods = exec(&[("EXEC_COMMAND", "exit 0"), ("POD_SELECTOR", "app=web")]);
    let verdict = in_pods
        .var("EXEC_DIR", "/")
        .var("EXEC_ENV", "A=1")
        .var("EXEC_PASS_ENV", "A")
        .var("EXEC_CLEAR_ENV", "true")
        .run();
    verdict.failed(&[
        "configuration: EXEC_DIR: cannot be set in pods: write `cd DIR && ...` in the command",
        "configuration: EXEC_ENV: cannot be set in pods: write `env NAME=value ...` in the command",
        "configuration: EXEC_PASS_ENV: has no meaning in pods, which have variables of their own",
        "configuration: EXEC_CLEAR_ENV: has no meaning in pods, which have variables of their own",
    ]);
}

#[test]
fn wrong_arguments_are_told() {
    let run = |args: &[&str]| exec(&[]).args(args).run();
    run(&["--exec-comand=x"]).failed_with(&[
        "configuration: unexpected argument --exec-comand, did you mean --exec-command",
    ]);
    run(&["--", ""]).failed_with(&["configuration: EXEC_COMMAND: expected a program first"]);
    run(&["true"]).failed_with(&["configuration: unexpected argument"]);
}

#[test]
fn help_lists_every_option() {
    let output = exec(&[]).arg("--help").alone();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for option in checks::find("exec").unwrap().options() {
        assert!(
            help.contains(&option.flag) && help.contains(&option.env),
            "{}",
            option.env
        );
    }
}
