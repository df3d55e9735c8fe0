//! Manifests: which checks they hold, and where and why one cannot be used.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::fields::{Fault, Field};
use super::known;
use super::pod;
use super::values::Values;
use super::yaml::{self, Broken, Node};

/// A line of Kuberhealthy: each has its own kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// `KuberhealthyCheck`, comcast.github.io/v1.
    V2,
    /// `HealthCheck`, kuberhealthy.github.io/v2.
    V3,
}

impl Line {
    /// The kind of the resource.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Line::V2 => "KuberhealthyCheck",
            Line::V3 => "HealthCheck",
        }
    }

    /// Where the pod's spec stands in the resource.
    pub(crate) fn pod_pointer(self) -> &'static str {
        match self {
            Line::V2 => "/spec/podSpec",
            Line::V3 => "/spec/podSpec/spec",
        }
    }

    /// How long a run may take if the resource says nothing.
    fn default_timeout(self) -> Duration {
        match self {
            Line::V2 => Duration::from_secs(300),
            Line::V3 => Duration::from_secs(30),
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Line::V2 => "comcast.github.io/v1",
            Line::V3 => "kuberhealthy.github.io/v2",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Line::V2 => "v2",
            Line::V3 => "v3",
        })
    }
}

/// One check as it stands in a file.
#[derive(Clone, Debug)]
pub(crate) struct CheckDocument {
    /// The file it came from, as given on the command line.
    pub(crate) file: String,
    /// Which line of Kuberhealthy runs it.
    pub(crate) line: Line,
    /// Its namespace; `default` if the document names none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// How long one run may take: what the document says, or the line's default.
    pub(crate) timeout: Duration,
    /// The resource as its author wrote it, without what a cluster has added.
    pub(crate) object: Value,
}

impl CheckDocument {
    /// The policy under which a container that has ended is started again; `None` if none is. v2 sets `Never` itself,
    /// v3 passes on what the document says, where nothing means `Always`.
    pub(crate) fn restarts(&self) -> Option<&str> {
        let policy = self.object.pointer(self.line.pod_pointer())?["restartPolicy"]
            .as_str()
            .unwrap_or("Always");
        (self.line == Line::V3 && policy != "Never").then_some(policy)
    }
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// The checks, in the order of the files.
    pub(crate) checks: Vec<CheckDocument>,
    /// What the ConfigMaps and Secrets beside them hold.
    pub(crate) values: Values,
    /// Documents beside checks that are none: kind and how many, for a note.
    pub(crate) others: BTreeMap<String, usize>,
    /// Files in which there is nothing of use, and what there is instead.
    barren: Vec<(String, String)>,
    /// What is as well to know and stops nothing, each with its place.
    pub(crate) notes: Vec<String>,
}

/// Kinds that grant permissions, or hold them.
const RBAC: &[&str] = &[
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ServiceAccount",
];

/// A place in a file that cannot be used. Displayed as `FILE:LINE:COLUMN: document N: FIELD: expected ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    file: String,
    /// Counted from 1; documents that are empty do not count.
    document: Option<usize>,
    fault: Result<Fault, Broken>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        let at = match &self.fault {
            Ok(fault) => Some(fault.at).filter(|at| at.line > 0),
            Err(broken) => broken.at,
        };
        if let Some(at) = at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        if let Some(document) = self.document {
            write!(f, ": document {document}")?;
        }
        match &self.fault {
            Ok(fault) => write!(f, ": {fault}"),
            Err(broken) => write!(f, ": expected YAML, found: {}", broken.why),
        }
    }
}

/// Reads `text`, adding to `manifest` what is usable and to `problems` what is not.
pub(crate) fn read(file: &str, text: &[u8], manifest: &mut Manifest, problems: &mut Vec<Problem>) {
    let problem = |document, fault| Problem {
        file: file.to_owned(),
        document,
        fault,
    };
    let documents = match yaml::documents(text) {
        Ok(documents) => documents,
        Err((before, broken)) => {
            problems.push(problem(Some(before + 1), Err(broken)));
            return;
        }
    };
    let (found, failed) = (manifest.checks.len(), problems.len());
    let (mut kinds, mut others): (Vec<String>, Vec<String>) = Default::default();
    for (nth, document) in documents.iter().enumerate() {
        let mut queue = Vec::new();
        if let Err(fault) = unpack(Field::root(document, ""), &mut queue) {
            problems.push(problem(Some(nth + 1), Ok(fault)));
        }
        for root in queue {
            match one(file, &root, manifest) {
                Ok((kind, line)) => {
                    if line.is_none() && !Values::takes(&kind) {
                        others.push(kind.clone());
                    }
                    let unknown = line.map(|line| known::unknown(line, &root));
                    for (at, path) in unknown.into_iter().flatten() {
                        manifest.notes.push(format!(
                            "{file}:{}:{}: document {}: {path}: no such field in a {kind}, it changes nothing",
                            at.line,
                            at.column,
                            nth + 1
                        ));
                    }
                    kinds.push(kind);
                }
                Err(fault) => problems.push(problem(Some(nth + 1), Ok(fault))),
            }
        }
    }
    if manifest.checks.len() > found {
        for kind in others {
            *manifest.others.entry(kind).or_default() += 1;
        }
        return;
    }
    // A file of values alone is given for their sake.
    if problems.len() > failed || (others.is_empty() && !kinds.is_empty()) {
        return;
    }
    kinds.sort();
    kinds.dedup();
    if !kinds.is_empty() && kinds.iter().all(|kind| RBAC.contains(&kind.as_str())) {
        manifest.notes.push(format!(
            "{file}: no checks in it, only permissions ({}), which nothing needs here",
            kinds.join(", ")
        ));
        return;
    }
    let found = match (kinds.is_empty(), documents.is_empty()) {
        (true, true) => "an empty file".to_owned(),
        (true, false) => "a List without items".to_owned(),
        (false, _) => kinds.join(", "),
    };
    manifest.barren.push((file.to_owned(), found));
}

/// Says what the files without checks are, once all are read: notes if another file has checks, as a pattern like
/// `*.yaml` takes in what stands beside them, else problems.
pub(crate) fn judge_barren(manifest: &mut Manifest, problems: &mut Vec<Problem>) {
    let alone = manifest.checks.is_empty() && problems.is_empty();
    for (file, found) in std::mem::take(&mut manifest.barren) {
        if alone {
            let fault = Fault {
                at: Default::default(),
                path: String::new(),
                expected: "at least one KuberhealthyCheck or HealthCheck".to_owned(),
                found,
            };
            problems.push(Problem {
                file,
                document: None,
                fault: Ok(fault),
            });
        } else {
            let note = format!("{file}: no checks in it, found {found}");
            manifest.notes.push(note);
        }
    }
}

/// A `List`, as `kubectl get -o yaml` prints it, stands for its items.
fn unpack<'a>(root: Field<'a>, into: &mut Vec<Field<'a>>) -> Result<(), Fault> {
    root.mapping("a Kubernetes resource: a mapping with apiVersion and kind")?;
    let is_list = root.node().get("kind").and_then(Node::text) == Some("List");
    match root.optional("items").filter(|_| is_list) {
        Some(items) => into.extend(items.items("a list of resources")?),
        None => into.push(root),
    }
    Ok(())
}

/// One resource. Returns its kind, and the line of Kuberhealthy if it is a check.
fn one(
    file: &str,
    root: &Field<'_>,
    manifest: &mut Manifest,
) -> Result<(String, Option<Line>), Fault> {
    root.mapping("a Kubernetes resource: a mapping with apiVersion and kind")?;
    let version_field = root.required("apiVersion", "the resource's API version")?;
    let version = version_field.text("the resource's API version")?;
    let kind_field = root.required("kind", "the resource's kind")?;
    let kind = kind_field.text("the resource's kind")?;

    let by_kind = [Line::V2, Line::V3].into_iter().find(|l| l.kind() == kind);
    let group = version.split('/').next().unwrap_or_default();
    let by_group = [Line::V2, Line::V3]
        .into_iter()
        .find(|line| line.api_version().split('/').next() == Some(group));
    let line = match (by_kind, by_group) {
        (Some(line), _) if line.api_version() == version => line,
        (Some(line), _) => return Err(version_field.fault(line.api_version())),
        (None, Some(line)) => {
            return Err(kind_field.fault(format!("{} (the kind that is run here)", line.kind())));
        }
        (None, None) => {
            manifest.values.add(kind, root)?;
            return Ok((kind.to_owned(), None));
        }
    };

    let metadata = root.required("metadata", "a mapping with the check's name")?;
    let name = metadata.required("name", "the check's name")?.name()?;
    let namespace = metadata
        .optional("namespace")
        .map(|field| field.label())
        .transpose()?
        .unwrap_or("default");
    let spec = root.required("spec", "the check's spec")?;
    pod::check(&pod_spec(line, &spec)?)?;
    let duration = |key: &str| spec.optional(key).map(|field| field.duration()).transpose();
    duration("runInterval")?;
    let timeout = duration("timeout")?.unwrap_or(line.default_timeout());

    let same = |c: &&CheckDocument| c.line == line && c.namespace == namespace && c.name == name;
    if let Some(first) = manifest.checks.iter().find(same) {
        let mut fault = metadata
            .required("name", "the check's name")?
            .fault(format!("a {kind} that is not given yet"));
        fault.found = format!("{namespace}/{name}, which {} has already", first.file);
        return Err(fault);
    }
    manifest.checks.push(CheckDocument {
        file: file.to_owned(),
        line,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        timeout,
        object: as_written(root, namespace),
    });
    Ok((kind.to_owned(), Some(line)))
}

/// The resource as its author wrote it: what `kubectl get` prints has more from the cluster, and the API server refuses
/// some of that in an object to be created.
fn as_written(root: &Field<'_>, namespace: &str) -> Value {
    let mut object = root.node().to_json();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| matches!(key.as_str(), "name" | "labels" | "annotations"));
    }
    object["metadata"]["namespace"] = namespace.into();
    object
}

/// The two lines nest the pod differently, which is what a manifest carried from one to the other gets wrong.
fn pod_spec<'a>(line: Line, spec: &Field<'a>) -> Result<Field<'a>, Fault> {
    let outer = spec.required("podSpec", "the checker pod's spec")?;
    outer.mapping("the checker pod's spec")?;
    match line {
        Line::V2 => match outer.optional("spec") {
            Some(inner) if outer.optional("containers").is_none() => Err(Fault {
                found: "spec, as in a HealthCheck".to_owned(),
                ..inner.fault("containers right under podSpec")
            }),
            _ => Ok(outer),
        },
        Line::V3 if outer.optional("spec").is_none() && outer.optional("containers").is_some() => {
            Err(Fault {
                found: "containers, as in a KuberhealthyCheck".to_owned(),
                ..outer.fault("metadata and spec, with containers under spec")
            })
        }
        Line::V3 => outer.required("spec", "the checker pod's spec"),
    }
}

#[cfg(test)]
mod tests;
