//! Options: what is wrong is the verdict, and says which variable, item and position.

use std::net::TcpListener;

use super::*;

#[test]
fn wrong_input_is_told() {
    for (variable, value, expected) in [
        (
            "DEPENDENCIES",
            "",
            "configuration: DEPENDENCIES: expected at least one dependency that is not optional, such as service:shop/db",
        ),
        (
            "DEPENDENCIES",
            " ,\n",
            "configuration: DEPENDENCIES: expected at least one dependency that is not optional, such as service:shop/db",
        ),
        (
            "DEPENDENCIES",
            "optional:db",
            "configuration: DEPENDENCIES: expected at least one dependency that is not optional, such as service:shop/db",
        ),
        (
            "DEPENDENCIES",
            "db,Redis",
            "configuration: DEPENDENCIES=\"Redis\": item 2: expected service:[NAMESPACE/]NAME[:PORT][>=MINIMUM], in lower-case letters, digits and hyphens",
        ),
        (
            "DEPENDENCIES",
            "db\ndb2,service:db3:x>=0",
            "configuration: DEPENDENCIES=\"service:db3:x>=0\": item 3: expected a number from 1, or a percentage from 1% to 100%, after \">=\"",
        ),
        (
            "DEPENDENCIES",
            "db,tcp:cache",
            "configuration: DEPENDENCIES=\"tcp:cache\": item 2: expected tcp:HOST:PORT, with an IPv6 address in brackets",
        ),
        (
            "DEPENDENCIES",
            "dns:127.0.0.1",
            "configuration: DEPENDENCIES=\"dns:127.0.0.1\": item 1: expected a name to resolve; an address needs none",
        ),
        (
            "DEPENDENCIES",
            "pod:tier in (a",
            "configuration: DEPENDENCIES=\"pod:tier in (a\": expected as many closing as opening parentheses",
        ),
        (
            "DEPENDENCIES",
            "pod:shop/",
            "configuration: DEPENDENCIES=\"pod:shop/\": item 1: expected a label selector, such as app=web",
        ),
        (
            "DEPENDENCY_SERVICE",
            "a:b:c",
            "configuration: DEPENDENCY_SERVICE=\"a:b:c\": item 1: expected NAME or NAMESPACE:NAME, in lower-case letters, digits and hyphens",
        ),
        (
            "DEPENDENCY_JOBS",
            "a,B",
            "configuration: DEPENDENCY_JOBS=\"B\": item 2: expected NAME or NAMESPACE:NAME, in lower-case letters, digits and hyphens",
        ),
        (
            "WAIT_SECONDS",
            "soon",
            "configuration: WAIT_SECONDS=\"soon\": expected a duration, such as 10s, 500ms or 1m30s",
        ),
        (
            "WAIT_SECONDS",
            "-1",
            "configuration: WAIT_SECONDS=\"-1\": expected a duration that is not negative, such as 10s or 1m30s",
        ),
        (
            "TIMEOUT_DURATION",
            "0",
            "configuration: TIMEOUT_DURATION=\"0\": expected a duration above zero, such as 10s",
        ),
        (
            "CONCURRENCY",
            "0",
            "configuration: CONCURRENCY=\"0\": expected a whole number from 1",
        ),
        (
            "EXPECTED_STATUS_CODE",
            "ok",
            "configuration: EXPECTED_STATUS_CODE=\"ok\": expected status codes from 100 to 599, such as 200,204,300-399 or 2xx",
        ),
        (
            "KUBE_API_URL",
            "api",
            "configuration: KUBE_API_URL=\"api\": expected a URL that begins with http:// or https://",
        ),
    ] {
        let verdict = check("dns:localhost").var(variable, value).run();
        assert_eq!(verdict.errors, [expected], "{variable}={value}");
    }
}

#[test]
fn every_wrong_item_of_every_list_is_told() {
    let verdict = check("a b,ok,servce:x").var("DEPENDENCY_JOBS", "X").run();
    let found: Vec<&str> = verdict
        .errors
        .iter()
        .map(|error| &error[..error.find(": expected").unwrap()])
        .collect();
    assert_eq!(
        found,
        [
            "configuration: DEPENDENCIES=\"a b\": item 1",
            "configuration: DEPENDENCIES=\"servce:x\": item 3",
            "configuration: DEPENDENCY_JOBS=\"X\": item 1",
        ]
    );
}

#[test]
fn without_the_namespace_of_the_pod_it_must_be_given() {
    check("dns:localhost,redis").var("KH_POD_NAMESPACE", "").run().failed(&[
        "configuration: DEPENDENCIES: expected the namespace of \"redis\": the one of the check's pod is not known",
    ]);
}

#[test]
fn names_of_kubernetes_entrypoint_are_understood() {
    let cluster = Cluster::new();
    let aliases = cluster
        .dependencies("")
        .var("DEPENDENCY_SERVICE", "shop:mariadb,keystone-api");
    aliases.var("DEPENDENCY_JOBS", "shop:init").run().failed(&[
        "service shop/mariadb: expected a service of this name, seen none",
        "service checks/keystone-api: expected a service of this name, seen none",
        "job shop/init: expected a job of this name, seen none",
    ]);
}

#[test]
fn on_a_terminal_the_verdict_is_printed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = format!("tcp:{}", listener.local_addr().unwrap());
    let bad = format!("tcp:127.0.0.1:{}", closed_port());
    for (list, code, text) in [
        (good.as_str(), 0, ""),
        (bad.as_str(), 1, "connection refused"),
        ("tcp:", 2, "DEPENDENCIES=\"tcp:\": item 1"),
    ] {
        let output = check(list).alone();
        let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(shown.contains(text), "{shown}");
    }
}
