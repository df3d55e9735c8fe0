use super::support::{ran, web};

#[test]
fn a_check_prints_its_verdict() {
    let good = format!("http://{}/", web("200 OK"));
    let bad = format!("http://{}/", web("503 Service Unavailable"));
    for name in ["http", "http-check"] {
        let passed = ran(&["check", name, "--check-url", &good, "--count", "1"]);
        assert_eq!(passed.code, Some(0), "{passed:?}");
        let failed = ran(&["check", name, "--check-url", &bad, "--count", "1"]);
        assert_eq!(failed.code, Some(1), "{failed:?}");
        let all = format!("{}{}", failed.stdout, failed.stderr);
        assert!(all.contains("503"), "{failed:?}");
        assert!(!all.contains('\x1b'), "no colours on a pipe: {failed:?}");
    }
    let misconfigured = ran(&["check", "http", "--check-url", "nonsense://x"]);
    assert_eq!(misconfigured.code, Some(2), "{misconfigured:?}");
}

#[test]
fn the_checks_are_listed() {
    for args in [&["check"][..], &["check", "--list"]] {
        let ran = ran(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.starts_with("CHECK"), "{ran:?}");
        assert!(ran.stdout.contains("http-check"), "{ran:?}");
        assert!(ran.stdout.contains("kuberhealthy/http-check"), "{ran:?}");
    }
}

#[test]
fn the_help_of_a_check_is_its_own() {
    let help = ran(&["check", "http", "--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    assert!(help.stdout.contains("--check-url"), "{help:?}");
    assert!(help.stdout.contains("CHECK_URL"), "{help:?}");
    assert!(
        help.stdout.contains("Usage: khctl check http ["),
        "{help:?}"
    );
    assert!(
        help.stdout.contains("\n  khctl check http --check-url"),
        "{help:?}"
    );
    assert!(!help.stdout.contains("  http-check"), "{help:?}");
}

#[test]
fn an_unknown_check_is_wrong_usage() {
    let ran = ran(&["check", "htpp"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("\"htpp\"") && ran.stderr.contains("http-check"),
        "{ran:?}"
    );
}
