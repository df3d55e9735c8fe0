use super::*;

const GOOD_V2: &str = "
apiVersion: comcast.github.io/v1
kind: KuberhealthyCheck
metadata: {name: web, namespace: kuberhealthy}
spec:
  runInterval: 5m
  timeout: 1m
  podSpec:
    containers:
      - name: main
        image: kuberhealthy/http-check:v1.5.1
        env:
          - {name: CHECK_URL, value: 'http://127.0.0.1/'}
";

const GOOD_V3: &str = "
apiVersion: kuberhealthy.github.io/v2
kind: HealthCheck
metadata: {name: web}
spec:
  podSpec:
    spec:
      containers: [{name: main, image: busybox, command: [sh, -c, exit 0]}]
      restartPolicy: Never
";

fn read_one(text: &str) -> (Manifest, Vec<String>) {
    let (mut manifest, mut problems) = (Manifest::default(), Vec::new());
    read("web.yaml", text.as_bytes(), &mut manifest, &mut problems);
    judge_barren(&mut manifest, &mut problems);
    (manifest, problems.iter().map(Problem::to_string).collect())
}

#[test]
fn both_lines_and_what_stands_beside_them() {
    let text = format!(
        "{GOOD_V2}---\n{GOOD_V3}---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: sa}}\n"
    );
    let (manifest, problems) = read_one(&text);
    assert_eq!(problems, Vec::<String>::new());
    let found: Vec<_> = manifest
        .checks
        .iter()
        .map(|c| (c.line, c.namespace.as_str(), c.name.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (Line::V2, "kuberhealthy", "web"),
            (Line::V3, "default", "web")
        ]
    );
    assert_eq!(manifest.others["ServiceAccount"], 1);
    for check in &manifest.checks {
        assert!(check.object.pointer(check.line.pod_pointer()).is_some());
    }
}

#[test]
fn a_list_stands_for_its_items() {
    let items: String = GOOD_V3
        .trim()
        .lines()
        .enumerate()
        .map(|(nth, line)| format!("{}{line}\n", if nth == 0 { "- " } else { "  " }))
        .collect();
    let (manifest, problems) = read_one(&format!("apiVersion: v1\nkind: List\nitems:\n{items}"));
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(manifest.checks.len(), 1);
}

#[test]
fn only_v3_restarts_containers_unless_told_not_to() {
    for (manifest, restarts) in [
        (GOOD_V2.to_owned(), None),
        (GOOD_V3.to_owned(), None),
        (GOOD_V3.replace("Never", "OnFailure"), Some("OnFailure")),
        (
            GOOD_V3.replace("restartPolicy: Never", "x: y"),
            Some("Always"),
        ),
    ] {
        let (read, problems) = read_one(&manifest);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(read.checks[0].restarts(), restarts, "{manifest}");
    }
}

#[test]
fn what_cannot_be_used_says_where_and_why() {
    let v2 = |from: &str, to: &str| {
        assert!(GOOD_V2.contains(from), "{from}");
        GOOD_V2.replace(from, to)
    };
    let v3 = |from: &str, to: &str| {
        assert!(GOOD_V3.contains(from), "{from}");
        GOOD_V3.replace(from, to)
    };
    let cases = [
        (
            String::new(),
            "web.yaml: expected at least one KuberhealthyCheck or HealthCheck, found an empty file",
        ),
        (
            "# only a comment\n".into(),
            "web.yaml: expected at least one KuberhealthyCheck or HealthCheck, found an empty file",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: []\n".into(),
            "web.yaml: expected at least one KuberhealthyCheck or HealthCheck, found a List without items",
        ),
        (
            "apiVersion: v1\nkind: Service\n".into(),
            "web.yaml: expected at least one KuberhealthyCheck or HealthCheck, found Service",
        ),
        (
            "just text".into(),
            "web.yaml:1:1: document 1: expected a Kubernetes resource: a mapping with apiVersion and kind, found \"just text\"",
        ),
        (
            "kind: HealthCheck\n".into(),
            "web.yaml:1:1: document 1: apiVersion: expected the resource's API version, found none, in a mapping with kind",
        ),
        (
            v3("kind: HealthCheck", "kind: Check"),
            "web.yaml:3:7: document 1: kind: expected HealthCheck (the kind that is run here), found \"Check\"",
        ),
        (
            v2("kind: KuberhealthyCheck", "kind: KuberhealthyJob"),
            "web.yaml:3:7: document 1: kind: expected KuberhealthyCheck (the kind that is run here), found \"KuberhealthyJob\"",
        ),
        (
            v3("kuberhealthy.github.io/v2", "kuberhealthy.github.io/v1"),
            "web.yaml:2:13: document 1: apiVersion: expected kuberhealthy.github.io/v2, found \"kuberhealthy.github.io/v1\"",
        ),
        (
            v2("{name: web, ", "{"),
            "web.yaml:4:11: document 1: metadata.name: expected the check's name, found none, in a mapping with namespace",
        ),
        (
            v2("name: web", "name: Web"),
            "web.yaml:4:18: document 1: metadata.name: expected a name of lower-case letters, digits, '-' and '.', found \"Web\"",
        ),
        (
            v2("podSpec:", "podspec:"),
            "web.yaml:6:3: document 1: spec.podSpec: expected the checker pod's spec, found none, in a mapping with runInterval, timeout, podspec",
        ),
        (
            v2("timeout: 1m", "timeout: 10 minutes"),
            "web.yaml:7:12: document 1: spec.timeout: expected a duration such as 30s, 5m or 1m30s, found \"10 minutes\"",
        ),
        (
            v2("runInterval: 5m", "runInterval: 300"),
            "web.yaml:6:16: document 1: spec.runInterval: expected a duration such as 30s, 5m or 1m30s, found the number 300",
        ),
        (
            v2("value: 'http://127.0.0.1/'", "value: 3"),
            "web.yaml:13:38: document 1: spec.podSpec.containers[0].env[0].value: expected a text (put it in quotes), found a number",
        ),
        (
            v3("command: [sh, -c, exit 0]", "command: sh"),
            "web.yaml:8:58: document 1: spec.podSpec.spec.containers[0].command: expected a list of texts, found \"sh\"",
        ),
        (
            v3(
                "[{name: main, image: busybox, command: [sh, -c, exit 0]}]",
                "[]",
            ),
            "web.yaml:8:19: document 1: spec.podSpec.spec.containers: expected a list of at least one container, found an empty list",
        ),
        (
            v3("image: busybox, ", ""),
            "web.yaml:8:20: document 1: spec.podSpec.spec.containers[0].image: expected the container's image, found none, in a mapping with name, command",
        ),
        (
            v3("restartPolicy: Never", "restartPolicy: Once"),
            "web.yaml:9:22: document 1: spec.podSpec.spec.restartPolicy: expected Always, OnFailure or Never, found \"Once\"",
        ),
        (
            v3("    spec:\n  ", "  "),
            "web.yaml:7:7: document 1: spec.podSpec: expected metadata and spec, with containers under spec, found containers, as in a KuberhealthyCheck",
        ),
        (
            format!("{GOOD_V3}---\n{GOOD_V3}"),
            "web.yaml:14:18: document 2: metadata.name: expected a HealthCheck that is not given yet, found default/web, which web.yaml has already",
        ),
    ];
    for (text, expected) in cases {
        let (_, problems) = read_one(&text);
        assert_eq!(problems, [expected], "{text}");
    }
}

#[test]
fn v3_nesting_in_a_v2_check_is_named() {
    let text = GOOD_V3
        .replace("kuberhealthy.github.io/v2", "comcast.github.io/v1")
        .replace("HealthCheck", "KuberhealthyCheck");
    let (_, problems) = read_one(&text);
    assert!(
        problems[0].ends_with(
            "spec.podSpec.spec: expected containers right under podSpec, found spec, as in a HealthCheck"
        ),
        "{problems:?}"
    );
}

#[test]
fn broken_yaml_says_which_document_and_line() {
    let (_, problems) = read_one(&format!("{GOOD_V3}---\nkind: [\n"));
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("web.yaml:1")
            && problems[0].contains(": document 2: expected YAML, found: "),
        "{problems:?}"
    );
}

#[test]
fn every_document_tells_its_own_problem() {
    let broken = GOOD_V2.replace("timeout: 1m", "timeout: soon");
    let (manifest, problems) = read_one(&format!("{broken}---\n{GOOD_V3}---\nkind: X\n"));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(manifest.checks.len(), 1);
}

#[test]
fn fields_that_nobody_reads_are_noted() {
    let text = GOOD_V2
        .replace("timeout: 1m", "timeOut: 1m")
        .replace(
            "image: kuber",
            "imagePullPolcy: Never\n        image: kuber",
        )
        .replace("{name: CHECK_URL,", "{name: CHECK_URL, vale: x,");
    let (manifest, problems) = read_one(&text);
    assert_eq!(problems, Vec::<String>::new());
    let left = "no such field in a KuberhealthyCheck, it changes nothing";
    assert_eq!(
        manifest.notes,
        [
            format!("web.yaml:7:12: document 1: spec.timeOut: {left}"),
            format!(
                "web.yaml:11:25: document 1: spec.podSpec.containers[0].imagePullPolcy: {left}"
            ),
            format!("web.yaml:14:37: document 1: spec.podSpec.containers[0].env[0].vale: {left}"),
        ]
    );
    let text = GOOD_V3
        .replace("    spec:\n", "    sepc: {}\n    spec:\n")
        .replace("restartPolicy", "restartpolicy")
        .replace("kind: HealthCheck", "kind: HealthCheck\nmetdata: {}");
    let (manifest, problems) = read_one(&text);
    assert_eq!(problems, Vec::<String>::new());
    let paths = [
        "metdata",
        "spec.podSpec.sepc",
        "spec.podSpec.spec.restartpolicy",
    ];
    assert_eq!(manifest.notes.len(), paths.len());
    for (note, path) in manifest.notes.iter().zip(paths) {
        assert!(
            note.contains(&format!(": {path}: no such field in a HealthCheck")),
            "{note}"
        );
    }
    // However many there are.
    let many: String = (0..50).map(|nth| format!("  x{nth}: 1\n")).collect();
    let (manifest, _) =
        read_one(&GOOD_V2.replace("  runInterval", &format!("{many}  runInterval")));
    assert_eq!(manifest.notes.len(), 10);
    for good in [GOOD_V2, GOOD_V3] {
        assert_eq!(read_one(good).0.notes, Vec::<String>::new());
    }
}

#[test]
fn permissions_alone_are_no_mistake() {
    let (manifest, problems) = read_one(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n",
    );
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(
        manifest.notes,
        [
            "web.yaml: no checks in it, only permissions (ClusterRole, ServiceAccount), which nothing needs here"
        ]
    );
    let (_, problems) =
        read_one("apiVersion: v1\nkind: ServiceAccount\n---\napiVersion: v1\nkind: Service\n");
    assert_eq!(
        problems,
        [
            "web.yaml: expected at least one KuberhealthyCheck or HealthCheck, found Service, ServiceAccount"
        ]
    );
}
