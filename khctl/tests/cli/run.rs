use std::process::Stdio;
use std::time::Instant;

use super::support::{LIMIT, finish, khctl, ran, ran_with_input, web, write};

/// A KuberhealthyCheck that asks `url`, as it would stand in a cluster.
fn v2(name: &str, url: &str) -> String {
    format!(
        "apiVersion: comcast.github.io/v1
kind: KuberhealthyCheck
metadata:
  name: {name}
  namespace: kuberhealthy
spec:
  runInterval: 5m
  timeout: 30s
  podSpec:
    containers:
      - name: main
        image: kuberhealthy/http-check:v1.5.1
        env:
          - name: CHECK_URL
            value: \"{url}\"
          - name: COUNT
            value: \"2\"
---
"
    )
}

/// A HealthCheck that asks `url`.
fn v3(name: &str, url: &str) -> String {
    format!(
        "apiVersion: kuberhealthy.github.io/v2
kind: HealthCheck
metadata: {{name: {name}, namespace: shop}}
spec:
  timeout: 30s
  podSpec:
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: mirror.local:5000/kuberhealer/http-check@sha256:0123
          env:
            - name: CHECK_URL
              valueFrom: {{configMapKeyRef: {{name: urls, key: web}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: urls, namespace: shop}}
data: {{web: \"{url}\"}}
---
"
    )
}

/// A HealthCheck whose container runs a command of this machine.
fn script(name: &str, command: &str) -> String {
    format!(
        "apiVersion: kuberhealthy.github.io/v2
kind: HealthCheck
metadata: {{name: {name}}}
spec:
  timeout: 30s
  podSpec:
    spec:
      restartPolicy: Never
      containers:
        - {{name: main, image: busybox, command: [sh, -c, '{command}']}}
---
"
    )
}

#[test]
fn both_lines_pass() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", web("200 OK"));
    let file = write(
        &directory,
        "good.yaml",
        &(v2("web", &url) + &v3("web", &url)),
    );
    let ran = ran(&["run", &file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("kuberhealthy/web  v2    passed"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("shop/web          v3    passed"),
        "{ran:?}"
    );
    assert!(ran.stdout.ends_with("2 passed, 0 failed\n"), "{ran:?}");
    for line in ["running  kuberhealthy/web (v2)", "passed   shop/web (v3)"] {
        assert!(ran.stderr.contains(line), "{line} in {ran:?}");
    }
    assert!(
        !format!("{ran:?}").contains("\\u{1b}"),
        "plain elsewhere than on a terminal: {ran:?}"
    );
}

/// A check as `kubectl get` prints it in a List: with all that the cluster has added.
fn printed(line: &str, url: &str) -> String {
    let (version, kind, status, [before, after]) = match line {
        "v2" => (
            "comcast.github.io/v1",
            "KuberhealthyCheck",
            "{}",
            ["{", "}"],
        ),
        _ => (
            "kuberhealthy.github.io/v2",
            "HealthCheck",
            "{ok: false, errors: [old], failureCount: 7, currentUUID: 5e0f, lastRunUnix: 1700000000}",
            [
                "{metadata: {creationTimestamp: null}, spec: {restartPolicy: Never, ",
                "}}",
            ],
        ),
    };
    format!(
        "- apiVersion: {version}
  kind: {kind}
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {{\"apiVersion\":\"{version}\",\"kind\":\"{kind}\"}}
    creationTimestamp: \"2026-01-02T03:04:05Z\"
    finalizers: [example.org/hold]
    generation: 3
    labels: {{team: shop}}
    managedFields:
    - {{apiVersion: {version}, fieldsType: FieldsV1, fieldsV1: {{f:spec: {{}}}}, manager: kubectl, operation: Update}}
    name: web
    namespace: shop
    ownerReferences:
    - {{apiVersion: v1, kind: ConfigMap, name: parent, uid: 11111111-2222-3333-4444-555555555555}}
    resourceVersion: \"8123\"
    selfLink: /apis/{version}/namespaces/shop/x/web
    uid: 01234567-89ab-cdef-0123-456789abcdef
  spec:
    runInterval: 5m0s
    timeout: 30s
    podSpec: {before}containers: [{{name: main, image: http-check, resources: {{}}, env: [{{name: CHECK_URL, value: '{url}'}}]}}]{after}
  status: {status}
"
    )
}

#[test]
fn what_kubectl_prints_of_a_cluster_runs() {
    let url = format!("http://{}/", web("200 OK"));
    let list = format!(
        "apiVersion: v1\nitems:\n{}{}kind: List\nmetadata:\n  resourceVersion: \"\"\n",
        printed("v2", &url),
        printed("v3", &url)
    );
    let ran = ran_with_input(&["run", "-"], &list);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.ends_with("2 passed, 0 failed\n"), "{ran:?}");
    assert!(!ran.stderr.contains("note"), "{ran:?}");
}

#[test]
fn failures_are_told_as_json_and_junit() {
    let directory = tempfile::tempdir().unwrap();
    let bad = format!("http://{}/", web("503 Service Unavailable"));
    let files = [
        write(&directory, "v2.yaml", &v2("web", &bad)),
        write(
            &directory,
            "v3.yaml",
            &(v3("web", &bad) + &script("silent", "echo no such table; exit 3")),
        ),
    ];
    let json = ran(&["run", &files[0], &files[1], "-o", "json"]);
    assert_eq!(json.code, Some(1), "{json:?}");
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&value["passed"], &value["failed"]),
        (&0.into(), &3.into()),
        "{value:#}"
    );
    for (nth, (namespace, finding)) in [
        ("kuberhealthy", "503"),
        ("shop", "503"),
        (
            "default",
            "exited with code 3 and Kuberhealthy has no report",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let check = &value["checks"][nth];
        assert_eq!(check["namespace"], namespace, "{value:#}");
        assert_eq!(check["verdict"], "failed", "{value:#}");
        assert!(
            check["errors"][0].as_str().unwrap().contains(finding),
            "{value:#}"
        );
    }

    let silent = value["checks"][2]["errors"][0].as_str().unwrap();
    assert!(
        silent.ends_with("its last output: no such table"),
        "{silent}"
    );

    let junit = ran(&["run", &files[0], "--output", "junit", "--logs"]);
    assert!(
        junit.stderr.contains("kuberhealthy/web (v2) main: "),
        "{junit:?}"
    );
    assert_eq!(junit.code, Some(1), "{junit:?}");
    let document = roxmltree::Document::parse(&junit.stdout).unwrap();
    let case = document
        .descendants()
        .find(|node| node.has_tag_name("testcase"))
        .unwrap();
    assert_eq!(case.attribute("name"), Some("web"));
    let failure = case.first_element_child().unwrap();
    assert!(
        failure.attribute("message").unwrap().contains("503"),
        "{}",
        junit.stdout
    );
}

#[test]
fn what_cannot_run_here_is_said_and_the_rest_runs() {
    let url = format!("http://{}/", web("200 OK"));
    let foreign =
        v2("foreign", &url).replace("kuberhealthy/http-check:v1.5.1", "example.org/own:1");
    let secret = v3("secret", &url).replace("configMapKeyRef", "secretKeyRef");
    let ran = ran_with_input(
        &["run", "-", "-o", "json"],
        &(foreign + &secret + &v2("web", &url)),
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let told = |nth: usize| {
        value["checks"][nth]["errors"][0]
            .as_str()
            .unwrap_or_default()
    };
    assert!(
        told(0).contains("image example.org/own:1 cannot run on this machine"),
        "{value:#}"
    );
    assert!(
        told(1).contains("CHECK_URL") && told(1).contains("Secret shop/urls"),
        "{value:#}"
    );
    assert_eq!(value["checks"][0]["verdict"], "not run");
    assert_eq!(value["checks"][2]["verdict"], "passed", "{value:#}");
}

#[test]
fn variables_can_be_given() {
    let url = format!("http://{}/", web("200 OK"));
    let secret = v3("secret", "http://127.0.0.1:9/").replace("configMapKeyRef", "secretKeyRef");
    let ran = ran_with_input(&["run", "-", "--env", &format!("CHECK_URL={url}")], &secret);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn unusable_manifests_say_where_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let good = v2("web", "http://127.0.0.1/");
    let cases = [
        (
            "unknown-kind.yaml",
            good.replace("KuberhealthyCheck", "KuberhealthyThing"),
            ":2:7: document 1: kind: expected KuberhealthyCheck",
        ),
        (
            "no-pod-spec.yaml",
            good.replace("podSpec", "pod"),
            ": spec.podSpec: expected the checker pod's spec, found none, in a mapping with runInterval, timeout, pod",
        ),
        (
            "duration.yaml",
            good.replace("30s", "30"),
            ":8:12: document 1: spec.timeout: expected a duration such as 30s, 5m or 1m30s, found the number 30",
        ),
        (
            "no-containers.yaml",
            good.replace(
                "containers:\n      - name: main\n",
                "containers: []\n    x:\n      - name: main\n",
            ),
            ": spec.podSpec.containers: expected a list of at least one container, found an empty list",
        ),
        (
            "broken.yaml",
            good.replace("metadata:", "metadata: ["),
            ": document 1: expected YAML, found: ",
        ),
        (
            "empty.yaml",
            String::new(),
            ": expected at least one KuberhealthyCheck or HealthCheck, found an empty file",
        ),
    ];
    for (name, text, told) in cases {
        let file = write(&directory, name, &text);
        let ran = ran(&["run", &file]);
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(
            ran.stderr.starts_with(&format!("khctl run: {file}")),
            "{name}: {ran:?}"
        );
        assert!(
            ran.stderr.contains(told),
            "{name}: expected {told:?} in {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{name}");
    }
    let missing = ran(&["run", "/nowhere/x.yaml"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(
        missing
            .stderr
            .contains("/nowhere/x.yaml: expected a file that can be read"),
        "{missing:?}"
    );
}

#[test]
fn what_changes_nothing_is_noted_and_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let misspelt = script("web", "exit 0").replace("  timeout:", "  runIntervall: 5m\n  timeout:");
    let permissions = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n";
    let checks = write(&directory, "checks.yaml", &misspelt);
    let rbac = write(&directory, "rbac.yaml", permissions);
    let both = ran(&["run", &checks, &rbac]);
    for line in [
        format!(
            "khctl run: note: {checks}:5:17: document 1: spec.runIntervall: no such field in a HealthCheck"
        ),
        format!("khctl run: note: {rbac}: no checks in it, only permissions (ServiceAccount)"),
    ] {
        assert!(both.stderr.contains(&line), "{line} in {both:?}");
    }
    // The script reports nothing: it ran.
    assert_eq!(both.code, Some(1), "{both:?}");
    assert!(both.stdout.contains("default/web"), "{both:?}");
    let alone = ran(&["run", &rbac]);
    assert_eq!(alone.code, Some(2), "{alone:?}");
    assert!(alone.stderr.contains("no checks in it"), "{alone:?}");
    assert!(alone.stderr.contains("expected at least one"), "{alone:?}");
}

#[test]
fn a_pattern_may_take_in_files_without_checks() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", web("200 OK"));
    let checks = write(&directory, "checks.yaml", &v2("web", &url));
    let kustomization = write(
        &directory,
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [checks.yaml]\n",
    );
    let empty = write(&directory, "later.yaml", "# nothing yet\n");
    let together = ran(&["run", &checks, &empty, &kustomization]);
    assert_eq!(together.code, Some(0), "{together:?}");
    let notes = format!(
        "khctl run: note: {empty}: no checks in it, found an empty file\n\
         khctl run: note: {kustomization}: no checks in it, found Kustomization\n"
    );
    assert!(together.stderr.starts_with(&notes), "{together:?}");
    assert_eq!(together.stderr.matches("Kustomization").count(), 1);
    let alone = ran(&["run", &kustomization, &empty]);
    assert_eq!(alone.code, Some(2), "{alone:?}");
    assert!(
        alone.stderr.contains(
            "expected at least one KuberhealthyCheck or HealthCheck, found Kustomization"
        ),
        "{alone:?}"
    );
}

#[test]
fn verdicts_that_cannot_be_written_are_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", web("200 OK"));
    let file = write(&directory, "good.yaml", &v2("web", &url));
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = khctl(&["run", &file, "-o", "junit"])
        .stdout(full)
        .spawn()
        .unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("cannot write the verdicts"), "{ran:?}");
}

#[test]
fn readers_that_went_away_change_no_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", web("200 OK"));
    let file = write(&directory, "good.yaml", &v2("web", &url));
    let mut child = khctl(&["run", "--logs", &file]).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(finish(child).code, Some(0));
    let mut child = khctl(&["run", "/nowhere/x.yaml"]).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(finish(child).code, Some(2));
}

#[test]
fn ctrl_c_stops_every_process() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let command = format!("echo $$ > {}; exec sleep 600", pid_file.display());
    let file = write(&directory, "slow.yaml", &script("slow", &command));
    let child = khctl(&["run", &file])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + LIMIT;
    let pid = loop {
        match std::fs::read_to_string(&pid_file) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => assert!(Instant::now() < until, "the container never started"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let ran = finish(child);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < until, "process {pid} outlived khctl");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
