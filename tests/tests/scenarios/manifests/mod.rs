//! The manifests in `manifests/`: taken by the API server as they are, and enough for what they are for.

mod chart;
mod cluster;
pub(crate) mod commands;
mod docs;
mod dry_run;
mod files;
mod installed;
mod policies;
mod remediator;
mod restricted;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use checks::CHECKS;
use sandbox::apiserver::Request;
use serde_json::Value;

use crate::line::{Line, Verdict};
use cluster::Cluster;
use files::{checks, documents, files, folder, items, kind, name, pod_spec, text};

/// The node of the sandbox serves no `pods/exec`, so that this check cannot pass here; what it may do can be seen.
const NO_EXEC: &str = "exec-check";

/// There are no logs to ask for.
const NO_LOGS: &str = "log-check";

#[test]
fn each_check_has_an_example_for_both_lines() {
    for line in Line::ALL {
        let images: BTreeSet<String> = checks(line).iter().map(cluster::binary).collect();
        let expected: BTreeSet<String> = CHECKS.iter().map(|check| check.name.to_owned()).collect();
        assert_eq!(images, expected, "{line:?}");
    }
}

#[test]
fn an_example_uses_options_that_exist_and_runs_with_no_more_rights_than_it_needs() {
    for line in Line::ALL {
        for check in checks(line) {
            let at = format!("{line:?} {}", name(&check));
            let pod = pod_spec(&check);
            assert_eq!(pod["restartPolicy"], "Never", "{at}");
            runs_without_rights(pod, &at);
            for container in items(&pod["containers"]) {
                let image = text(&container["image"]);
                let tag = image.rsplit_once(':').map(|(_, tag)| tag);
                assert_eq!(tag, Some(env!("CARGO_PKG_VERSION")), "{at}: {image}");
                let binary = cluster::binary(&check);
                let known = CHECKS.iter().find(|check| check.name == binary).unwrap();
                let options = known.options();
                for variable in items(&container["env"]) {
                    let variable = text(&variable["name"]);
                    assert!(
                        options.iter().any(|option| option.env == variable),
                        "{at}: {binary} has no option {variable}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_remediator_runs_without_rights_in_the_version_of_its_program() {
    let deployment = |object: &Value| kind(object) == "Deployment";
    let objects = documents(&folder().join("remediator/deployment.yaml"));
    let deployment = objects.into_iter().find(deployment).unwrap();
    runs_without_rights(&deployment["spec"]["template"]["spec"], "remediator");
    let kustomization = documents(&folder().join("remediator/kustomization.yaml"));
    assert_eq!(
        kustomization[0]["images"][0]["newTag"],
        env!("CARGO_PKG_VERSION")
    );
    let chart = documents(&folder().join("helm/Chart.yaml"));
    assert_eq!(chart[0]["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// They are right: what it does not get to is a cluster.
#[test]
fn the_remediator_takes_the_options_that_the_chart_has_as_an_example() {
    let values = fs::read_to_string(folder().join("helm/values.yaml")).unwrap();
    let (_, example) = values.split_once("\n#   options:\n").unwrap();
    let lines = example
        .lines()
        .map_while(|line| line.strip_prefix("#     "));
    let example = lines.collect::<Vec<&str>>().join("\n");
    let options: BTreeMap<String, Value> = serde_saphyr::from_str(&example).unwrap();
    assert!(!options.is_empty());
    let known = ::remediator::run::reference();
    let mut program = Command::new(crate::program("remediator"));
    program.args(["--listen", "127.0.0.1:0", "--kubeconfig", "/nowhere"]);
    for (name, value) in options {
        let mut variable = "KUBERHEALER_".to_owned();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                variable.push('_');
            }
            variable.push(letter.to_ascii_uppercase());
        }
        assert!(
            known.iter().any(|option| option.variable == variable),
            "{name}"
        );
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        program.env(variable, value);
    }
    let ran = program.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("the kubeconfig cannot be used"), "{said}");
}

/// The pod security standard `restricted`, a read-only root file system, and a bound for its memory.
fn runs_without_rights(pod: &Value, at: &str) {
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{at}");
    assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{at}");
    let seccomp = &pod["securityContext"]["seccompProfile"]["type"];
    assert_eq!(seccomp, "RuntimeDefault", "{at}");
    for container in items(&pod["containers"]) {
        let rights = &container["securityContext"];
        assert_eq!(rights["allowPrivilegeEscalation"], false, "{at}");
        assert_eq!(rights["readOnlyRootFilesystem"], true, "{at}");
        assert_eq!(rights["capabilities"]["drop"][0], "ALL", "{at}");
        let memory = &container["resources"]["limits"]["memory"];
        assert!(memory.is_string(), "{at}");
    }
}

#[tokio::test]
async fn a_check_of_v2_needs_the_permissions_of_its_manifest_and_no_others() {
    run_with_roles(Line::V2).await;
}

#[tokio::test]
async fn a_check_of_v3_needs_the_permissions_of_its_manifest_and_no_others() {
    run_with_roles(Line::V3).await;
}

/// Runs each example once where roles decide, and compares what was asked with what is allowed.
async fn run_with_roles(line: Line) {
    let files = files(line.folder());
    let cluster = Cluster::start(&files).await;
    for file in &files {
        for object in documents(file) {
            cluster.create(object).await;
        }
    }
    for check in checks(line) {
        let verdict = line.wait_for(&cluster.api, name(&check), |_| true).await;
        match verdict {
            Verdict::Failed(errors) if cluster::binary(&check) == NO_LOGS => assert!(
                errors
                    .iter()
                    .all(|error| error.starts_with("log backend: ")),
                "{line:?}: {errors:?}"
            ),
            Verdict::Failed(errors) if cluster::binary(&check) == NO_EXEC => assert!(
                !errors.iter().any(|error| error.contains("not allowed")),
                "{line:?} {}: {errors:?}",
                name(&check)
            ),
            verdict => assert_eq!(verdict, Verdict::Passed, "{line:?} {}", name(&check)),
        }
    }
    let requests = cluster.requests();
    let refused: Vec<&Request> = requests
        .iter()
        .filter(|request| matches!(request.code, Some(401 | 403)))
        .collect();
    assert!(refused.is_empty(), "{line:?}: refused: {refused:#?}");

    let objects: Vec<Value> = files.iter().flat_map(|file| documents(file)).collect();
    let roles = |object: &&Value| kind(object).ends_with("Role");
    for role in objects.iter().filter(roles) {
        let user = user_of(&objects, role);
        let unused: Vec<String> = allowed(role)
            .into_iter()
            .filter(|permission| {
                !requests
                    .iter()
                    .any(|request| request.user == user && permission.is(request))
            })
            // The API server asks for it beside `get`, from Kubernetes 1.35 on: its log shows one of the two.
            .filter(|permission| {
                (permission.verb.as_str(), permission.resource.as_str()) != ("create", "pods/exec")
            })
            .map(|permission| format!("{permission:?}"))
            .collect();
        assert!(
            unused.is_empty(),
            "{line:?} {}: unused: {unused:#?}",
            name(role)
        );
    }
}

/// The service account that a role is bound to: in these files it is the one.
fn user_of(objects: &[Value], role: &Value) -> String {
    let binding = objects
        .iter()
        .find(|object| object["roleRef"]["name"] == role["metadata"]["name"])
        .unwrap_or_else(|| panic!("{}: nobody is bound to it", name(role)));
    let subjects = items(&binding["subjects"]);
    assert_eq!(subjects.len(), 1, "{}", name(binding));
    format!(
        "system:serviceaccount:{}:{}",
        text(&subjects[0]["namespace"]),
        text(&subjects[0]["name"])
    )
}

/// One thing that a role allows.
#[derive(Debug, PartialEq)]
struct Permission {
    verb: String,
    group: String,
    resource: String,
    /// `None`: any.
    name: Option<String>,
    /// `None`: all.
    namespace: Option<String>,
}

impl Permission {
    fn is(&self, request: &Request) -> bool {
        let group = match request.path.strip_prefix("/apis/") {
            Some(path) => path.split('/').next().unwrap_or_default(),
            None => "",
        };
        self.verb == request.verb
            && self.resource == request.resource
            && self.group == group
            && self.name.as_ref().is_none_or(|name| *name == request.name)
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == request.namespace)
    }
}

/// Everything that a role allows, each by itself.
fn allowed(role: &Value) -> Vec<Permission> {
    let texts = |list: &Value| -> Vec<String> {
        items(list)
            .iter()
            .map(|value| text(value).to_owned())
            .collect()
    };
    let mut permissions = Vec::new();
    for rule in items(&role["rules"]) {
        let mut names: Vec<Option<String>> = texts(&rule["resourceNames"])
            .into_iter()
            .map(Some)
            .collect();
        if names.is_empty() {
            names.push(None);
        }
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    permissions.extend(names.iter().map(|name| Permission {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        namespace: role["metadata"]["namespace"].as_str().map(str::to_owned),
                    }));
                }
            }
        }
    }
    permissions
}
