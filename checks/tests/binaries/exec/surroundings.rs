//! What a command finds around it: variables, working directory, input.

use super::*;

fn env_of(vars: &[(&str, &str)]) -> Vec<String> {
    let folder = Folder::new();
    let argv = format!("[\"sh\",\"-c\",\"env > {}\"]", folder.text("env"));
    exec(vars).var("EXEC_COMMAND", &argv).run().passed();
    folder.read("env").lines().map(str::to_owned).collect()
}

fn has(env: &[String], name: &str) -> bool {
    env.iter().any(|line| line.split('=').next() == Some(name))
}

#[test]
fn variables_of_the_check_are_kept_back() {
    let vars = [
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("KUBERNETES_PORT", "tcp://10.0.0.1:443"),
        ("WEB_URL", "http://web"),
        ("KHAKI", "1"),
    ];
    let env = env_of(&vars);
    for name in [
        "KH_RUN_UUID",
        "KH_REPORTING_URL",
        "KH_POD_NAMESPACE",
        "KH_CHECK_RUN_DEADLINE",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_PORT",
    ] {
        assert!(!has(&env, name), "{name}");
    }
    assert!(has(&env, "PATH") && has(&env, "WEB_URL") && has(&env, "KHAKI"));
}

#[test]
fn variables_are_passed_when_asked_for() {
    let vars = [
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("EXEC_PASS_ENV", "KH_POD_NAMESPACE, KUBERNETES_*"),
    ];
    let env = env_of(&vars);
    assert!(env.contains(&"KH_POD_NAMESPACE=shop".to_owned()));
    assert!(env.contains(&"KUBERNETES_SERVICE_HOST=10.0.0.1".to_owned()));
    assert!(!has(&env, "KH_RUN_UUID"));
}

#[test]
fn variables_can_be_set_and_all_others_kept_back() {
    let env = env_of(&[
        ("WEB_URL", "http://web"),
        ("EXEC_ENV", "A=1\nB=x = y\nWEB_URL=http://other"),
    ]);
    assert!(env.contains(&"A=1".to_owned()) && env.contains(&"B=x = y".to_owned()));
    assert!(env.contains(&"WEB_URL=http://other".to_owned()));
    let env = env_of(&[
        ("WEB_URL", "http://web"),
        ("EXEC_CLEAR_ENV", "true"),
        ("EXEC_PASS_ENV", "PATH"),
        ("EXEC_ENV", "A=1"),
    ]);
    assert!(has(&env, "A") && has(&env, "PATH") && !has(&env, "WEB_URL") && !has(&env, "EXEC_ENV"));
}

#[test]
fn programs_are_looked_for_in_the_path_of_the_command() {
    let folder = Folder::new();
    folder.script("my-check", "#!/bin/sh\necho \"$0 $1\"");
    let path = format!("PATH={}", folder.text(""));
    let here = |name: &str| {
        exec(&[("EXEC_ENV", &path), ("EXPECTED_STDOUT", "my-check a$")]).args(&["--", name, "a"])
    };
    here("my-check").run().passed();
    here("sh")
        .run()
        .failed(&["cannot start sh: not found in PATH"]);
    let dir = folder.text("");
    here("./my-check").var("EXEC_DIR", &dir).run().passed();
}

#[test]
fn the_working_directory_is_the_one_given() {
    let folder = Folder::new();
    let dir = std::fs::canonicalize(folder.path("")).unwrap();
    let dir = dir.to_str().unwrap();
    program(&["pwd"])
        .var("EXEC_DIR", dir)
        .var("EXPECTED_STDOUT", &format!("^{dir}$"))
        .run()
        .passed();
}

#[test]
fn there_is_no_input() {
    shell("cat; echo done")
        .var("EXPECTED_STDOUT", "^done$")
        .run()
        .passed();
}

#[test]
fn the_shell_is_the_one_given() {
    let folder = Folder::new();
    let my_shell = folder.script("my-shell", "#!/bin/sh\necho \"mine: $1 $2\"");
    shell("the line")
        .var("EXEC_SHELL", &my_shell)
        .var("EXPECTED_STDOUT", "^mine: -c the line$")
        .run()
        .passed();
    // A name without a slash is looked for like any program.
    shell("exit 0").var("EXEC_SHELL", "sh").run().passed();
    shell("exit 0")
        .var("EXEC_SHELL", "nosuch-shell-x")
        .run()
        .failed(&["cannot start shell command: not found in PATH"]);
}
