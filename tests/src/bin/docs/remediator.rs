//! What the remediator knows best: its flags, its metrics, the order of its guards, the fields of a policy.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use ::remediator::core::guards::Guard;
use ::remediator::crd::definitions;
use ::remediator::metrics::METRICS;
use ::remediator::run::reference;
use anyhow::Context;
use serde_json::Value;

use super::cell;

/// File, name and text of every block.
pub(super) fn blocks() -> anyhow::Result<Vec<(PathBuf, String, String)>> {
    let blocks = [
        ("docs/operations.md", "flags", flags()),
        ("docs/operations.md", "metrics", metrics()),
        ("docs/remediation.md", "guards", guards()),
        ("docs/remediation.md", "fields", fields()?),
    ];
    Ok(blocks
        .map(|(file, name, text)| (PathBuf::from(file), name.to_owned(), text))
        .into())
}

/// A table of flags for each group, in the order of `--help`.
fn flags() -> String {
    let mut text = String::new();
    let mut group = String::new();
    for option in reference() {
        if option.group != group {
            group.clone_from(&option.group);
            let _ = write!(
                text,
                "\n### {group}\n\n| flag | default | meaning |\n|---|---|---|\n"
            );
        }
        let default = option.default.filter(|default| !default.is_empty());
        let default = default.map_or_else(String::new, |default| format!("`{}`", cell(&default)));
        let more = option.more.filter(|more| !more.is_empty());
        let more = more.map_or_else(String::new, |more| format!(". {}", cell(&more)));
        let _ = writeln!(
            text,
            "| `{} {}` | {default} | {}{more} |",
            option.flag,
            cell(&option.value),
            cell(&option.help)
        );
    }
    text.trim_start().to_owned()
}

fn metrics() -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            cell(metric.help)
        );
    }
    text
}

/// The guards in the order in which they are asked.
fn guards() -> String {
    let mut text = String::from("| | what holds it back | reason |\n|---|---|---|\n");
    for (number, guard) in (1..).zip(Guard::ALL) {
        let reasons: Vec<String> = guard
            .reasons()
            .iter()
            .map(|reason| format!("`{reason}`"))
            .collect();
        let sentence = guard.sentence().trim_end_matches('.');
        let _ = writeln!(text, "| {number} | {sentence} | {} |", reasons.join(", "));
    }
    text
}

/// Every field of a policy's spec, in the order of its definition.
fn fields() -> anyhow::Result<String> {
    let definitions = definitions()?;
    let spec = definitions
        .iter()
        .find(|definition| definition.value["spec"]["names"]["kind"] == "RemediationPolicy")
        .and_then(|definition| {
            let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
            definition.value.pointer(schema)
        })
        .context("expected a definition of RemediationPolicy with a schema of its spec")?;
    let mut text = String::from("| field of `spec` | default | meaning |\n|---|---|---|\n");
    below(spec, "", &mut text);
    Ok(text)
}

/// A row for each field of an object, and then those below it.
fn below(object: &Value, path: &str, text: &mut String) {
    let none = Vec::new();
    let required: BTreeSet<&str> = object["required"]
        .as_array()
        .unwrap_or(&none)
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let Some(properties) = object["properties"].as_object() else {
        return;
    };
    for (name, field) in properties {
        let path = format!("{path}{name}");
        let default = &field["default"];
        let group = field["properties"].is_object()
            && (required.contains(name.as_str()) || default.is_object());
        if !group {
            let default = match default {
                _ if required.contains(name.as_str()) => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(default) => format!("`{default}`"),
                default => format!("`{default}`"),
            };
            let description = field["description"].as_str().unwrap_or_default();
            let meaning = first_sentence(description);
            let words = field["enum"].as_array().unwrap_or(&none).iter();
            let words: Vec<String> = words
                .filter_map(Value::as_str)
                .filter(|word| !meaning.contains(word))
                .map(|word| format!("`{word}`"))
                .collect();
            let words = match words.as_slice() {
                [] => String::new(),
                words => format!(": {}", words.join(", ")),
            };
            let _ = writeln!(text, "| `{path}` | {default} | {}{words} |", cell(meaning));
        }
        below(field, &format!("{path}."), text);
        below(&field["items"], &format!("{path}[]."), text);
    }
}

/// Without its full stop.
fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").or_else(|| text.find(".\n"));
    let first = end.and_then(|end| text.get(..end)).unwrap_or(text);
    first.trim_end().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_row_or_rows_below_it() {
        let text = fields().unwrap();
        for path in [
            "mode",
            "trigger.check.name",
            "trigger.alert.matchLabels",
            "steps[].scale.maxReplicas",
            "windows[].timeZone",
        ] {
            assert!(text.contains(&format!("| `{path}` |")), "{path}");
        }
        assert!(text.contains("| `trigger.successThreshold` | `1` | "));
        assert!(text.contains("| `target.name` | required | "));
        for line in text.lines() {
            assert_eq!(line.matches('|').count(), 4, "{line}");
            assert!(
                !line.contains("|  |\n") && !line.ends_with("|  |"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_sentence_ends_where_the_next_begins() {
        for (text, first) in [
            ("One. Two.", "One"),
            ("One.\nTwo.", "One"),
            ("Only one.", "Only one"),
            ("", ""),
        ] {
            assert_eq!(first_sentence(text), first);
        }
    }

    #[test]
    fn every_flag_and_metric_is_listed() {
        let text = flags();
        for option in reference() {
            assert!(text.contains(&format!("| `{} ", option.flag)));
        }
        let text = metrics();
        for metric in METRICS {
            assert!(text.contains(&format!("| `{}` |", metric.name)));
        }
        assert_eq!(guards().lines().count(), Guard::ALL.len() + 2);
    }
}
