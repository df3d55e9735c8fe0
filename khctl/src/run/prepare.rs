//! From a check's document to what this machine can run: images become built-in checks or local programs, and
//! variables get their values. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::image::{self, Known};
use super::manifest::CheckDocument;
use super::values::{Kind, Values};

/// What the preparation knows of its surroundings.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// Built-in checks.
    pub(crate) known: &'a [Known],
    /// ConfigMaps and Secrets of the given files.
    pub(crate) values: &'a Values,
    /// `--env`: variables set in every container, over whatever the manifest says.
    pub(crate) overrides: &'a BTreeMap<String, String>,
}

/// The name under which the node knows a built-in check.
pub(crate) fn image_of(check: &str) -> String {
    format!("kuberhealer/{check}")
}

/// The resource as it is given to the sandbox, or why it cannot run here.
pub(crate) fn prepare(check: &CheckDocument, around: &Surroundings<'_>) -> Result<Value, String> {
    let mut object = check.object.clone();
    // Once is enough: the next run would start within this, if anyone waited so long.
    object["spec"]["runInterval"] = json!("24h");
    let pod = object
        .pointer_mut(check.line.pod_pointer())
        .and_then(Value::as_object_mut)
        .ok_or("no pod spec")?;
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                program(container, around.known)?;
                variables(container, &check.namespace, around)?;
            }
        }
    }
    Ok(object)
}

/// Decides what to run for one container.
fn program(container: &mut Map<String, Value>, known: &[Known]) -> Result<(), String> {
    let name = text(container.get("name")).to_owned();
    let image = text(container.get("image")).to_owned();
    let command: Vec<&str> = match container.get("command") {
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match image::built_in(&image, known) {
        Some(found) if image::starts(&command, &image, found) => {
            container.remove("command");
            container.insert("image".to_owned(), image_of(found.check).into());
            Ok(())
        }
        _ if command.is_empty() => Err(format!(
            "container {name}: image {image} cannot run on this machine: it is none of the built-in checks \
             (`khctl check --list`), and without a command there is no program to start"
        )),
        _ => Ok(()),
    }
}

/// Gives every variable of a container its value. `fieldRef` is left to the node, which knows the pod.
fn variables(
    container: &mut Map<String, Value>,
    namespace: &str,
    around: &Surroundings<'_>,
) -> Result<(), String> {
    let name = text(container.get("name")).to_owned();
    let of = |entry: &Value| text(entry.get("name")).to_owned();
    let mut env: Vec<Value> = Vec::new();
    for source in list(container.remove("envFrom")) {
        for (key, value) in whole_object(&source, namespace, around.values)
            .map_err(|why| format!("container {name}: envFrom: {why}"))?
        {
            env.push(literal(&key, &value));
        }
    }
    let named = list(container.remove("env"));
    let replaced: BTreeSet<String> = named
        .iter()
        .map(of)
        .chain(around.overrides.keys().cloned())
        .collect();
    env.retain(|entry| !replaced.contains(&of(entry)));
    for entry in named {
        let variable = of(&entry);
        if around.overrides.contains_key(&variable) {
            continue;
        }
        match entry.get("valueFrom") {
            Some(from) if from.get("fieldRef").is_none() => {
                let found = one_key(from, namespace, around.values).map_err(|why| {
                    format!(
                        "container {name}: variable {variable}: {why}; give --env {variable}=VALUE"
                    )
                })?;
                env.extend(found.map(|value| literal(&variable, &value)));
            }
            _ => env.push(entry),
        }
    }
    for (key, value) in around.overrides {
        env.push(literal(key, value));
    }
    container.insert("env".to_owned(), Value::Array(env));
    Ok(())
}

/// A variable with exactly this value. Kubernetes replaces `$(NAME)` in what a manifest says, not in what comes
/// from elsewhere; `$$` stands for one `$`.
fn literal(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value.replace('$', "$$")})
}

/// One key of a ConfigMap or Secret; `None` if it is optional and not there.
fn one_key(from: &Value, namespace: &str, values: &Values) -> Result<Option<String>, String> {
    let sources = [
        ("configMapKeyRef", Kind::ConfigMap),
        ("secretKeyRef", Kind::Secret),
    ];
    let Some((reference, kind)) = sources
        .into_iter()
        .find_map(|(field, kind)| Some((from.get(field)?, kind)))
    else {
        return Err(
            "its value comes from the container's resources, which a process has none of"
                .to_owned(),
        );
    };
    let (object, key) = (text(reference.get("name")), text(reference.get("key")));
    let noun = kind.noun();
    let data = values.object(kind, namespace, object);
    match data.and_then(|data| data.get(key)) {
        Some(value) => Ok(Some(value.clone())),
        None if is_optional(reference) => Ok(None),
        None if data.is_some() => Err(format!("{noun} {namespace}/{object} has no key {key}")),
        None => Err(format!(
            "{noun} {namespace}/{object} is in none of the given files"
        )),
    }
}

/// All keys of a ConfigMap or Secret.
fn whole_object(
    source: &Value,
    namespace: &str,
    values: &Values,
) -> Result<Vec<(String, String)>, String> {
    let prefix = text(source.get("prefix"));
    for (field, kind) in [
        ("configMapRef", Kind::ConfigMap),
        ("secretRef", Kind::Secret),
    ] {
        let Some(reference) = source.get(field) else {
            continue;
        };
        let object = text(reference.get("name"));
        return match values.object(kind, namespace, object) {
            Some(data) => Ok(data
                .iter()
                .map(|(key, value)| (format!("{prefix}{key}"), value.clone()))
                .collect()),
            None if is_optional(reference) => Ok(Vec::new()),
            None => Err(format!(
                "{} {namespace}/{object} is in none of the given files; add its manifest",
                kind.noun()
            )),
        };
    }
    Err("expected configMapRef or secretRef".to_owned())
}

fn is_optional(reference: &Value) -> bool {
    reference.get("optional") == Some(&Value::Bool(true))
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{Manifest, read};
    use super::*;

    const KNOWN: &[Known] = &[Known {
        check: "http-check",
        replaces: &["kuberhealthy/http-check"],
    }];

    fn prepared(container: &str, overrides: &[(&str, &str)]) -> Result<Value, String> {
        let text = format!(
            "apiVersion: kuberhealthy.github.io/v2\nkind: HealthCheck\nmetadata: {{name: web, namespace: shop}}\n\
             spec: {{podSpec: {{spec: {{containers: [{container}]}}}}}}\n\
             ---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: urls, namespace: shop}}, data: {{web: 'http://web', db: 'tcp://db'}}}}\n\
             ---\n{{apiVersion: v1, kind: Secret, metadata: {{name: keys, namespace: shop}}, data: {{token: czNjcjN0}}, stringData: {{plain: 'a$(B)'}}}}\n"
        );
        let (mut manifest, mut problems) = (Manifest::default(), Vec::new());
        read("x.yaml", text.as_bytes(), &mut manifest, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let overrides = overrides
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let around = Surroundings {
            known: KNOWN,
            values: &manifest.values,
            overrides: &overrides,
        };
        let object = prepare(&manifest.checks[0], &around)?;
        Ok(object["spec"]["podSpec"]["spec"]["containers"][0].clone())
    }

    #[test]
    fn built_in_images_are_replaced_and_others_keep_their_command() {
        let ours = prepared(
            "{name: m, image: 'kuberhealthy/http-check:v1', args: [-v]}",
            &[],
        );
        let ours = ours.unwrap();
        assert_eq!(ours["image"], "kuberhealer/http-check");
        assert_eq!(ours["args"], json!(["-v"]));
        let other = prepared("{name: m, image: busybox, command: [sh, -c, exit 1]}", &[]).unwrap();
        assert_eq!(other["image"], "busybox");
        assert_eq!(other["command"], json!(["sh", "-c", "exit 1"]));
    }

    #[test]
    fn an_image_without_a_program_is_refused() {
        let why = prepared("{name: m, image: 'ghcr.io/x/y:1'}", &[]).unwrap_err();
        assert!(
            why.starts_with("container m: image ghcr.io/x/y:1 cannot run on this machine"),
            "{why}"
        );
    }

    #[test]
    fn variables_get_their_values() {
        let container = "{name: m, image: http-check, \
            envFrom: [{configMapRef: {name: urls}, prefix: URL_}, {secretRef: {name: gone, optional: true}}], \
            env: [{name: URL_web, value: 'own'}, \
                  {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}, \
                  {name: PLAIN, valueFrom: {secretKeyRef: {name: keys, key: plain}}}, \
                  {name: GONE, valueFrom: {secretKeyRef: {name: keys, key: x, optional: true}}}, \
                  {name: NS, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}, \
                  {name: OVER, valueFrom: {secretKeyRef: {name: nowhere, key: x}}}]}";
        let env =
            prepared(container, &[("OVER", "ridden"), ("NEW", "one")]).unwrap()["env"].clone();
        assert_eq!(
            env,
            json!([
                {"name": "URL_db", "value": "tcp://db"},
                {"name": "URL_web", "value": "own"},
                {"name": "TOKEN", "value": "s3cr3t"},
                {"name": "PLAIN", "value": "a$$(B)"},
                {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "NEW", "value": "one"},
                {"name": "OVER", "value": "ridden"},
            ])
        );
    }

    #[test]
    fn what_cannot_be_resolved_is_said() {
        let from = |source: &str| {
            prepared(
                &format!("{{name: m, image: http-check, env: [{{name: T, valueFrom: {source}}}]}}"),
                &[],
            )
            .unwrap_err()
        };
        assert_eq!(
            from("{secretKeyRef: {name: nowhere, key: x}}"),
            "container m: variable T: Secret shop/nowhere is in none of the given files; give --env T=VALUE"
        );
        assert_eq!(
            from("{configMapKeyRef: {name: urls, key: x}}"),
            "container m: variable T: ConfigMap shop/urls has no key x; give --env T=VALUE"
        );
        assert!(from("{resourceFieldRef: {resource: limits.cpu}}").contains("resources"));
    }
}
