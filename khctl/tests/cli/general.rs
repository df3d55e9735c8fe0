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
fn a_port_that_is_taken_is_said_once_and_what_to_do() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = ran(&["demo", "--port", &port]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stderr.matches("in use").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("choose another port"), "{}", ran.stderr);
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
