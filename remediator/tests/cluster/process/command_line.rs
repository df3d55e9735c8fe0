//! Help, completions and wrong usage.

use super::replica::remediator;

fn output(words: &[&str], variable: Option<(&str, &str)>) -> (Option<i32>, String) {
    let output = remediator().args(words).envs(variable).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn help_shows_each_option_with_its_variable_and_default() {
    let (code, help) = output(&["--help"], Some(("KUBERHEALER_MAX_PER_HOUR", "many")));
    assert_eq!(code, Some(0), "{help}");
    for (name, default) in [
        ("kubeconfig", ""),
        ("context", ""),
        ("namespaces", ""),
        ("check-namespaces", ""),
        ("pause", "false"),
        ("max-in-flight", "1"),
        ("max-per-hour", "10"),
        ("storm-percent", "49"),
        ("storm-minimum", "4"),
        ("storm-cooldown-seconds", "300"),
        ("lease-namespace", ""),
        ("lease-name", "kuberhealer-remediator"),
        ("lease-seconds", "15"),
        ("identity", ""),
        ("listen", "0.0.0.0:8080"),
        ("log-format", "text"),
        ("log-level", "info"),
        ("shutdown-seconds", "15"),
    ] {
        let variable = name.replace('-', "_").to_ascii_uppercase();
        let start = [" <", "[="]
            .into_iter()
            .find_map(|end| help.split_once(&format!("      --{name}{end}")));
        let (_, own) = start.unwrap_or_else(|| panic!("{name}: {help}"));
        let own = own.split("\n      --").next().unwrap();
        assert!(
            own.contains(&format!("[env: KUBERHEALER_{variable}]")),
            "{name}: {own}"
        );
        assert_eq!(
            own.contains("[default: "),
            !default.is_empty(),
            "{name}: {own}"
        );
        assert!(own.contains(default), "{name}: {own}");
    }
    for part in [
        "Exit status:",
        "Examples:",
        "/readyz",
        "crds",
        "completions",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn wrong_usage_ends_at_once_and_names_what_is_wrong() {
    for (words, variable, expected) in [
        (
            &["--max-per-hour", "0"][..],
            None,
            "'--max-per-hour <NUMBER>': expected a whole number from 1 to 10000",
        ),
        (
            &[],
            Some(("KUBERHEALER_PAUSE", "maybe")),
            "KUBERHEALER_PAUSE: invalid value 'maybe'",
        ),
        (
            &["--max-per-day", "3"],
            None,
            "unexpected argument '--max-per-day'",
        ),
        (&["crd"], None, "unrecognized subcommand 'crd'"),
    ] {
        let (code, said) = output(words, variable);
        assert_eq!(code, Some(2), "{words:?}: {said}");
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}

#[test]
fn completions_know_every_option() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = output(&["completions", shell], None);
        assert_eq!(code, Some(0), "{script}");
        for word in ["storm-cooldown-seconds", "crds", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
