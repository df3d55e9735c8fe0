//! What the chart takes: Helm refuses nothing by itself, misspelt names included.

use std::collections::BTreeSet;
use std::fs;

use ::remediator::run::reference;
use serde_json::Value;

use super::files::folder;

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
    assert!(known.remove("/global") && known.remove("/enabled"));
    assert_eq!(known, found);
}

#[test]
fn the_chart_knows_each_option_of_the_remediator() {
    let file = folder().join("helm/templates/_helpers.tpl");
    let helpers = fs::read_to_string(file).unwrap();
    let (_, known) = helpers
        .split_once("{{- define \"kuberhealer.options\" -}}\n")
        .unwrap();
    let known: BTreeSet<&str> = known.lines().next().unwrap().split(' ').collect();
    let options = reference();
    let options: BTreeSet<&str> = options
        .iter()
        .filter_map(|option| option.variable.strip_prefix("KUBERHEALER_"))
        // In a pod there is no kubeconfig.
        .filter(|name| !matches!(*name, "CONTEXT" | "KUBECONFIG"))
        .collect();
    assert_eq!(known, options);
}
