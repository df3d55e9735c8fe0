//! Templates, their hashes and their numbers.

use serde_json::{Value, json};

use super::values::text;

/// The label that tells the pods of one template from those of others.
pub(super) const HASH: &str = "pod-template-hash";
/// The annotation that numbers a template, on ReplicaSets and Deployments.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The numbers a template had before it was rolled back to.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotations that ReplicaSets do not take over from their Deployment.
const OWN: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
];

/// A short name for a template: FNV-1a of its JSON in the alphabet of generated names. The values are not those of Go,
/// which hashes its own structures.
pub(super) fn hash(template: &Value) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = template
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    let digits = hash.to_string().into_bytes().into_iter();
    digits
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

/// Whether a ReplicaSet was made of this template.
pub(super) fn is_of(set: &Value, template: &Value) -> bool {
    let mut own = set["spec"]["template"].clone();
    if let Some(labels) = own
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.remove(HASH);
    }
    own == *template
}

/// The number of a ReplicaSet's template; 0 if it has none.
pub(super) fn revision(set: &Value) -> i64 {
    text(&set["metadata"]["annotations"], REVISION)
        .parse()
        .unwrap_or(0)
}

/// Gives a ReplicaSet the annotations it has under its Deployment: the Deployment's own ones and, of a template that is
/// rolled out anew, a new number.
pub(super) fn annotate(set: &mut Value, deployment: &Value, number: i64) {
    let before = revision(set);
    let annotations = &mut set["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    let given = deployment["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten();
    for (name, value) in given.filter(|(name, _)| !OWN.contains(&name.as_str())) {
        annotations[name] = value.clone();
    }
    if before < number {
        if before > 0 {
            let history = match text(annotations, HISTORY) {
                "" => before.to_string(),
                earlier => format!("{earlier},{before}"),
            };
            annotations[HISTORY] = Value::from(history);
        }
        annotations[REVISION] = Value::from(number.to_string());
    }
}

/// Notes on a ReplicaSet for how many replicas its Deployment was meant to have.
pub(super) fn annotate_size(set: &mut Value, replicas: i64, max: i64) {
    let annotations = &mut set["metadata"]["annotations"];
    annotations["deployment.kubernetes.io/desired-replicas"] = Value::from(replicas.to_string());
    annotations["deployment.kubernetes.io/max-replicas"] = Value::from(max.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_rolled_out_anew_remembers_its_numbers() {
        let deployment = json!({"metadata": {"annotations": {"kubernetes.io/change-cause": "why", REVISION: "9"}}});
        let mut set = json!({"metadata": {}});
        for (number, expected) in [
            (
                1,
                json!({REVISION: "1", "kubernetes.io/change-cause": "why"}),
            ),
            (
                1,
                json!({REVISION: "1", "kubernetes.io/change-cause": "why"}),
            ),
            (
                3,
                json!({REVISION: "3", HISTORY: "1", "kubernetes.io/change-cause": "why"}),
            ),
            (
                5,
                json!({REVISION: "5", HISTORY: "1,3", "kubernetes.io/change-cause": "why"}),
            ),
        ] {
            annotate(&mut set, &deployment, number);
            assert_eq!(set["metadata"]["annotations"], expected);
        }
    }

    #[test]
    fn a_hash_is_a_name_and_differs_with_the_template() {
        let (one, two) = (hash(&json!({"a": 1})), hash(&json!({"a": 2})));
        assert_ne!(one, two);
        assert!(one.len() <= 10 && one.chars().all(|c| c.is_ascii_alphanumeric()));
    }
}
