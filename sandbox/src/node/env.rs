//! The environment of a container.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::expand::expand;
use crate::api::Api;

/// Variables in the order they were first set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Env {
    names: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Env {
    /// Sets a variable; the last one set counts.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        if self.values.insert(name.clone(), value.into()).is_none() {
            self.names.push(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names
            .iter()
            .filter_map(|name| Some((name.as_str(), self.get(name)?)))
    }
}

/// Resolves the environment of one container of a pod.
pub(crate) struct Resolver<'a> {
    pub(crate) api: &'a Api,
    /// The pod, with its node name.
    pub(crate) pod: &'a Value,
    pub(crate) pod_ip: &'a str,
    pub(crate) host_ip: &'a str,
}

/// The two kinds of object that variables can come from.
#[derive(Clone, Copy)]
enum Source {
    ConfigMap,
    Secret,
}

impl Source {
    fn resource(self) -> &'static str {
        match self {
            Source::ConfigMap => "configmaps",
            Source::Secret => "secrets",
        }
    }

    /// As the kubelet names it when a key is missing.
    fn kind(self) -> &'static str {
        match self {
            Source::ConfigMap => "ConfigMap",
            Source::Secret => "Secret",
        }
    }

    fn value(self, value: &Value) -> Option<String> {
        let text = value.as_str()?;
        match self {
            Source::ConfigMap => Some(text.to_owned()),
            Source::Secret => {
                Some(String::from_utf8_lossy(&STANDARD.decode(text).ok()?).into_owned())
            }
        }
    }
}

impl Resolver<'_> {
    /// Adds what the container asks for to `env`. The error is the kubelet's, for `CreateContainerConfigError`.
    pub(crate) async fn add(&self, env: &mut Env, container: &Value) -> Result<(), String> {
        for from in container["envFrom"].as_array().into_iter().flatten() {
            let prefix = from["prefix"].as_str().unwrap_or_default();
            for (key, source) in [
                ("configMapRef", Source::ConfigMap),
                ("secretRef", Source::Secret),
            ] {
                let Some(data) = self.data(source, &from[key]).await? else {
                    continue;
                };
                for (name, value) in data.as_object().into_iter().flatten() {
                    if let Some(value) = source.value(value) {
                        env.set(format!("{prefix}{name}"), value);
                    }
                }
            }
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default();
            let value = match &variable["valueFrom"] {
                Value::Object(_) => self.value_from(&variable["valueFrom"]).await?,
                _ => Some(expand(
                    variable["value"].as_str().unwrap_or_default(),
                    |name| env.get(name),
                )),
            };
            if let Some(value) = value {
                env.set(name, value);
            }
        }
        Ok(())
    }

    async fn value_from(&self, from: &Value) -> Result<Option<String>, String> {
        if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            return self.field(path).map(Some);
        }
        for (key, source) in [
            ("configMapKeyRef", Source::ConfigMap),
            ("secretKeyRef", Source::Secret),
        ] {
            let reference = &from[key];
            if !reference.is_object() {
                continue;
            }
            let Some(data) = self.data(source, reference).await? else {
                return Ok(None);
            };
            let wanted = reference["key"].as_str().unwrap_or_default();
            let value = data.get(wanted).and_then(|value| source.value(value));
            if value.is_none() && !is_optional(reference) {
                let (kind, name) = (
                    source.kind(),
                    reference["name"].as_str().unwrap_or_default(),
                );
                let namespace = self.metadata("namespace");
                return Err(format!(
                    "couldn't find key {wanted} in {kind} {namespace}/{name}"
                ));
            }
            return Ok(value);
        }
        Err(format!("valueFrom {from} is not supported by this node"))
    }

    fn metadata(&self, key: &str) -> &str {
        self.pod["metadata"][key].as_str().unwrap_or_default()
    }

    /// The `data` of an object; `None` if nothing is referred to, or it is missing and may be.
    async fn data(&self, source: Source, reference: &Value) -> Result<Option<Value>, String> {
        let Some(name) = reference["name"].as_str() else {
            return Ok(None);
        };
        let path = format!(
            "/api/v1/namespaces/{}/{}/{name}",
            self.metadata("namespace"),
            source.resource()
        );
        match self.api.get(&path).await {
            Ok(mut object) => Ok(Some(object["data"].take())),
            Err(error) if error.is_not_found() && is_optional(reference) => Ok(None),
            Err(error) => Err(error
                .status()
                .map_or_else(|| error.to_string(), |status| status.message.clone())),
        }
    }

    /// What the downward API gives for a path.
    fn field(&self, path: &str) -> Result<String, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let keyed = |map: &str| {
            path.strip_prefix(map)?
                .strip_prefix("['")?
                .strip_suffix("']")
        };
        if let Some(key) = keyed("metadata.labels") {
            return Ok(text(&self.pod["metadata"]["labels"][key]));
        }
        if let Some(key) = keyed("metadata.annotations") {
            return Ok(text(&self.pod["metadata"]["annotations"][key]));
        }
        match path {
            "metadata.name" => Ok(self.metadata("name").to_owned()),
            "metadata.namespace" => Ok(self.metadata("namespace").to_owned()),
            "metadata.uid" => Ok(self.metadata("uid").to_owned()),
            "spec.nodeName" => Ok(text(&self.pod["spec"]["nodeName"])),
            "spec.serviceAccountName" => Ok(text(&self.pod["spec"]["serviceAccountName"])),
            "status.podIP" | "status.podIPs" => Ok(self.pod_ip.to_owned()),
            "status.hostIP" | "status.hostIPs" => Ok(self.host_ip.to_owned()),
            other => Err(format!("unsupported fieldPath: {other}")),
        }
    }
}

fn is_optional(reference: &Value) -> bool {
    reference["optional"] == true
}
