//! The documents about operating it: complete, and of things that are there.

use std::collections::BTreeSet;
use std::fs;

use remediator::core::Reason;

use super::files::folder;

fn document(name: &str) -> String {
    let path = folder().join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[test]
fn each_reason_is_explained_once() {
    let text = document("operations.md");
    let (_, reasons) = text.split_once("## Reasons").unwrap();
    let (reasons, _) = reasons.split_once("## Alerts").unwrap();
    let mut explained: Vec<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut expected: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    explained.sort_unstable();
    expected.sort_unstable();
    assert_eq!(explained, expected);
}

/// These are no reasons of the core, which knows only what speaks against something.
#[test]
fn each_condition_is_explained_with_its_reason() {
    let text = document("operations.md");
    let (_, conditions) = text.split_once("## Conditions").unwrap();
    let (conditions, _) = conditions.split_once("## Reasons").unwrap();
    for word in [
        "Accepted",
        "CheckHealthy",
        "RemediationAllowed",
        "Allowed",
        "Remediating",
        "EscalationExhausted",
        "NotExhausted",
        "Permitted",
        "Complete",
    ] {
        assert!(conditions.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn what_the_documents_name_is_there() {
    let mut seen = BTreeSet::new();
    for name in [
        "install.md",
        "operations.md",
        "remediation.md",
        "security.md",
        "write-a-check.md",
    ] {
        let text = document(name);
        let words = text.split(|c: char| c.is_whitespace() || "()[]`,;\"'".contains(c));
        for word in words {
            let path = word.trim_start_matches("../").trim_end_matches(['.', ':']);
            if path.starts_with("manifests/") || path.starts_with("scripts/") {
                assert!(folder().join("..").join(path).exists(), "{name}: {path}");
                seen.insert(path.to_owned());
            }
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}
