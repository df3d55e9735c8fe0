//! Reads manifests.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::line::Line;

/// The project's `manifests`.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// The manifests in a folder of `manifests`, without its kustomization.
pub(super) fn files(below: &str) -> Vec<PathBuf> {
    let folder = folder().join(below);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| !path.ends_with("kustomization.yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}: no manifests", folder.display());
    files
}

/// The objects of a file.
pub(super) fn documents(file: &Path) -> Vec<Value> {
    objects(&fs::read_to_string(file).unwrap(), file)
}

/// The objects that a document in `docs` has its reader paste into kubectl.
pub(super) fn pasted(document: &str) -> Vec<Value> {
    let file = folder().join("../docs").join(document);
    let text = fs::read_to_string(&file).unwrap();
    let commands = text.split("<<'EOF'\n").skip(1);
    let pasted: Vec<Value> = commands
        .flat_map(|command| objects(command.split_once("\nEOF\n").unwrap().0, &file))
        .collect();
    assert!(!pasted.is_empty(), "{document}: nothing to paste");
    pasted
}

fn objects(text: &str, file: &Path) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
}

/// The checks of the examples.
pub(super) fn checks(line: Line) -> Vec<Value> {
    let objects = files(line.folder())
        .into_iter()
        .flat_map(|file| documents(&file));
    objects
        .filter(|object| matches!(kind(object), "KuberhealthyCheck" | "HealthCheck"))
        .collect()
}

/// The pod that a check asks for.
pub(super) fn pod_spec(check: &Value) -> &Value {
    match kind(check) {
        "HealthCheck" => &check["spec"]["podSpec"]["spec"],
        _ => &check["spec"]["podSpec"],
    }
}

pub(super) fn kind(object: &Value) -> &str {
    text(&object["kind"])
}

pub(super) fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// A text; empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list; none if it is none.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
