//! The schema of the chart's values: Helm takes what the schema does not forbid, misspelt names included.

use std::collections::BTreeSet;
use std::fs;

use ::remediator::run::reference;
use serde_json::Value;

use super::files::{folder, items, text};

fn schema() -> Value {
    let file = folder().join("helm/values.schema.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Paths of the values in an object, as far as the schema says which there are.
fn paths(schema: &Value, values: &Value, at: &str, found: &mut BTreeSet<String>) {
    let Some(known) = schema["properties"].as_object() else {
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{at}");
    for (name, value) in values.as_object().unwrap() {
        let path = format!("{at}/{name}");
        let of = known
            .get(name)
            .unwrap_or_else(|| panic!("{path}: not in values.schema.json"));
        found.insert(path.clone());
        paths(of, value, &path, found);
    }
}

fn all(schema: &Value, at: &str, known: &mut BTreeSet<String>) {
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}/{name}");
        all(of, &path, known);
        known.insert(path);
    }
}

#[test]
fn the_schema_of_values_knows_those_of_the_chart_and_no_others() {
    let schema = schema();
    let file = folder().join("helm/values.yaml");
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let (mut found, mut known) = (BTreeSet::new(), BTreeSet::new());
    paths(&schema, &values, "", &mut found);
    all(&schema, "", &mut known);
    // Helm's own, where the chart is part of another.
    assert!(known.remove("/global"));
    assert_eq!(known, found);
}

#[test]
fn the_schema_of_values_knows_each_option_of_the_remediator() {
    let schema = schema();
    let known = items(&schema["properties"]["options"]["propertyNames"]["enum"]);
    let known: BTreeSet<&str> = known.iter().map(text).collect();
    let options: BTreeSet<String> = reference()
        .iter()
        .map(|option| camel_case(option.flag.trim_start_matches('-')))
        // In a pod there is no kubeconfig.
        .filter(|name| !matches!(name.as_str(), "kubeconfig" | "context"))
        .collect();
    assert_eq!(known, options.iter().map(String::as_str).collect());
}

fn camel_case(flag: &str) -> String {
    let mut words = flag.split('-');
    let mut name = words.next().unwrap().to_owned();
    for word in words {
        name.push_str(&word[..1].to_uppercase());
        name.push_str(&word[1..]);
    }
    name
}
