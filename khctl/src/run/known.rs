//! Fields that nobody reads, most often because they are misspelt. The API server prunes them without a word.

use super::fields::Field;
use super::manifest::Line;
use super::yaml::Position;

/// Of a document told at most.
const MOST_TOLD: usize = 10;

const RESOURCE: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
/// The specs of the published definitions of both lines.
const V2_SPEC: &[&str] = &[
    "runInterval",
    "timeout",
    "podSpec",
    "extraAnnotations",
    "extraLabels",
];
const V3_SPEC: &[&str] = &[
    "singleRunOnly",
    "runInterval",
    "timeout",
    "podSpec",
    "extraAnnotations",
    "extraLabels",
];
const V3_POD: &[&str] = &["metadata", "spec"];
/// `PodSpec` of core/v1 in Kubernetes 1.37.
const POD_SPEC: &[&str] = &[
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "evictionResponders",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "schedulingGroup",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];
/// `Container` of the same.
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];
const VARIABLE: &[&str] = &["name", "value", "valueFrom"];
const VARIABLES: &[&str] = &["prefix", "configMapRef", "secretRef"];

/// Fields of a check that its kind does not have: where their values stand, and the way to them. What `run` has no use
/// for, such as volumes and probes, is not looked into.
pub(super) fn unknown(line: Line, root: &Field<'_>) -> Vec<(Position, String)> {
    let mut found = Vec::new();
    closed(Some(root), RESOURCE, &mut found);
    let spec = root.optional("spec");
    closed(
        spec.as_ref(),
        if line == Line::V2 { V2_SPEC } else { V3_SPEC },
        &mut found,
    );
    let outer = spec.and_then(|spec| spec.optional("podSpec"));
    let pod = match line {
        Line::V2 => outer,
        Line::V3 => {
            closed(outer.as_ref(), V3_POD, &mut found);
            outer.and_then(|outer| outer.optional("spec"))
        }
    };
    closed(pod.as_ref(), POD_SPEC, &mut found);
    for container in each(pod.as_ref(), "initContainers").chain(each(pod.as_ref(), "containers")) {
        closed(Some(&container), CONTAINER, &mut found);
        for variable in each(Some(&container), "env") {
            closed(Some(&variable), VARIABLE, &mut found);
        }
        for source in each(Some(&container), "envFrom") {
            closed(Some(&source), VARIABLES, &mut found);
        }
    }
    found.truncate(MOST_TOLD);
    found
}

fn closed(field: Option<&Field<'_>>, known: &[&str], found: &mut Vec<(Position, String)>) {
    let members = field.into_iter().flat_map(Field::members);
    let others = members.filter(|(name, _)| !known.contains(name));
    found.extend(others.map(|(_, member)| (member.node().at, member.path().to_owned())));
}

fn each<'a>(of: Option<&Field<'a>>, list: &str) -> impl Iterator<Item = Field<'a>> + use<'a> {
    let list = of.and_then(|of| of.optional(list));
    list.and_then(|list| list.items("a list").ok())
        .into_iter()
        .flatten()
}
