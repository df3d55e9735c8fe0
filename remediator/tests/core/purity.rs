//! The core decides, and does nothing else: a module has no crate's boundary, so this test draws it.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn core_names_neither_kube_nor_tokio() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            let words: Vec<&str> = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .collect();
            for name in [
                "kube",
                "k8s_openapi",
                "tokio",
                "schemars",
                "tracing",
                "reqwest",
                "crd",
                "actions",
                "controller",
            ] {
                let path = format!("{name}::");
                let named = line.contains(&path) && words.contains(&name);
                assert!(
                    !named,
                    "{}:{}: core must not use {name}",
                    file.display(),
                    number + 1
                );
            }
            for clock in ["Timestamp::now", "Zoned::now", "SystemTime", "Instant"] {
                assert!(
                    !line.contains(clock),
                    "{}:{}: core must not read a clock",
                    file.display(),
                    number + 1
                );
            }
        }
    }
}
