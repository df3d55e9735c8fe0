use super::support::ran;

#[test]
fn help_teaches_by_examples() {
    let help = ran(&["--help"]);
    assert_eq!(help.code, Some(0));
    for text in [
        "Examples:",
        "khctl demo",
        "khctl check http --check-url",
        "khctl run web-check.yaml",
    ] {
        assert!(help.stdout.contains(text), "{text} in {}", help.stdout);
    }
    assert!(!help.stdout.contains("demo-web"), "{}", help.stdout);
    let help = ran(&["run", "--help"]);
    assert!(
        help.stdout.contains("Exit code: 0 all passed"),
        "{}",
        help.stdout
    );
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &["nonsense"][..],
        &["run"],
        &["run", "-o", "csv", "x.yaml"],
        &["run", "x.yaml", "--env", "A"],
        &["demo", "--port", "0"],
    ] {
        let ran = ran(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(!ran.stderr.is_empty());
    }
}

#[test]
fn hidden_commands_are_not_suggested() {
    for typed in ["dmeo", "demo-wbe", "demo-remediatro"] {
        let ran = ran(&[typed]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let tip = "tip: a similar subcommand exists: 'demo'\n";
        assert!(ran.stderr.contains(tip), "{ran:?}");
    }
    let ran = ran(&["remediator"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ran.stderr.contains("tip:"), "{ran:?}");
}

#[test]
fn completions_know_the_checks_and_their_options() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = ran(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{shell}");
        for word in ["khctl", "http-check", "check-url", "junit"] {
            assert!(
                ran.stdout.contains(word),
                "{word} in the script for {shell}"
            );
        }
        assert!(!ran.stdout.is_empty(), "{shell}");
    }
}
