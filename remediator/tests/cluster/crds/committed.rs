//! The committed files, and the descriptions in them.

use std::process::{Command, Output};

use serde_json::Value;

use super::support::schema;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/crds");

fn remediator(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_remediator"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn generated_crds_are_committed() {
    let output = remediator(&["crds", "--check", FOLDER]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_changed_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let told = |expected: &str| {
        let output = remediator(&["crds", "--check", path]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    };
    told("cannot read");
    assert!(remediator(&["crds", "--write", path]).status.success());
    assert!(remediator(&["crds", "--check", path]).status.success());
    let file = folder.path().join("remediations.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("scope: Namespaced", "scope: Cluster")).unwrap();
    told("remediations.yaml differs from line ");
    told("remediator crds --write");
}

#[test]
fn what_is_printed_is_what_is_committed() {
    let printed = String::from_utf8(remediator(&["crds"]).stdout).unwrap();
    let files = ["remediationpolicies.yaml", "remediations.yaml"];
    let kept = files.map(|file| std::fs::read_to_string(format!("{FOLDER}/{file}")).unwrap());
    assert_eq!(printed, kept.join("---\n"));
    for text in kept {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(value["kind"], "CustomResourceDefinition");
    }
}

/// Paths of the schema's fields, with their schemas.
fn fields<'a>(schema: &'a Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        fields(field, &at, found);
        found.push((at, field));
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            fields(&schema[key], &format!("{at}[]"), found);
        }
    }
}

#[test]
fn every_field_is_described_and_bounded() {
    for file in ["remediationpolicies.yaml", "remediations.yaml"] {
        let schema = schema(file);
        let mut found = Vec::new();
        fields(schema, "", &mut found);
        assert!(found.len() > 60, "{file}");
        for (at, field) in found {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(
                described.len() > 10 && described.ends_with('.') && !described.contains('\n'),
                "{file}: {at}: {described:?}"
            );
            let bounded = match field["type"].as_str().unwrap() {
                "string" => ["enum", "maxLength", "format", "pattern"]
                    .iter()
                    .any(|key| !field[key].is_null()),
                "array" => {
                    !field["maxItems"].is_null() && !field["x-kubernetes-list-type"].is_null()
                }
                "integer" => matches!(field["format"].as_str(), Some("int32" | "int64")),
                _ => true,
            };
            assert!(bounded, "{file}: {at} has no bounds: {field}");
        }
    }
}
