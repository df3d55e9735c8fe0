//! Wrong options are a verdict that names them, and nothing is asked of the API server.

use super::*;

#[test]
fn wrong_values_are_named() {
    let cluster = Cluster::new();
    for (name, value, expected) in [
        (
            "MAX_FAILURES_ALLOWED",
            "-1",
            "configuration: MAX_FAILURES_ALLOWED=\"-1\": expected a whole number from 0 to 2147483647",
        ),
        (
            "MAX_FAILURES_ALLOWED",
            "2147483648",
            "configuration: MAX_FAILURES_ALLOWED=\"2147483648\": expected a whole number from 0 to 2147483647",
        ),
        (
            "MAX_FAILURES_ALLOWED",
            "ten",
            "configuration: MAX_FAILURES_ALLOWED=\"ten\": expected a whole number from 0 to 2147483647",
        ),
        (
            "RESTART_WINDOW",
            "1 hour",
            "configuration: RESTART_WINDOW=\"1 hour\": expected a duration, such as 10s, 500ms or 1m30s",
        ),
        (
            "RESTART_WINDOW",
            "-1h",
            "configuration: RESTART_WINDOW=\"-1h\": expected a duration that is not negative, such as 10s or 1m30s",
        ),
        (
            "POD_NAMESPACE",
            "Shop",
            "configuration: POD_NAMESPACE=\"Shop\": expected names of namespaces, separated by commas, or `*`",
        ),
        (
            "POD_NAMESPACE",
            "shop,,bank",
            "configuration: POD_NAMESPACE=\"shop,,bank\": expected names of namespaces, separated by commas, or `*`",
        ),
        (
            "EXCLUDE_NAMESPACES",
            "^kube-.+$",
            "configuration: EXCLUDE_NAMESPACES=\"^kube-.+$\": expected names of namespaces, separated by commas, such as \
             kube-*,monitoring",
        ),
        (
            "EXCLUDE_PODS",
            "a/b/c",
            "configuration: EXCLUDE_PODS=\"a/b/c\": expected names of pods, separated by commas, such as \
             import-*,shop/web-?",
        ),
        (
            "POD_SELECTOR",
            "app in (a",
            "configuration: POD_SELECTOR=\"app in (a\": expected a label selector with its parentheses closed",
        ),
        (
            "POD_NAMESPACE_SELECTOR",
            "team a",
            "configuration: POD_NAMESPACE_SELECTOR=\"team a\": expected label requirements, such as app=web, tier in \
             (front,back) or !canary, seen \"team a\"",
        ),
        (
            "POD_ALLOW_NONE",
            "maybe",
            "configuration: POD_ALLOW_NONE=\"maybe\": expected true or false",
        ),
    ] {
        cluster.restarts(&[(name, value)]).run().failed(&[expected]);
    }
    assert_eq!(cluster.requests(), []);
    check(&[("KUBE_API_URL", "ftp://api")])
        .run()
        .failed(&["configuration: KUBE_API_URL=\"ftp://api\": expected a URL that begins with http:// or https://"]);
}

#[test]
fn options_that_exclude_each_other_are_told() {
    let cluster = Cluster::new();
    cluster
        .restarts(&[("POD_NAMESPACE", "*"), ("POD_NAMESPACE_SELECTOR", "team=a")])
        .run()
        .failed(&[
            "configuration: POD_NAMESPACE_SELECTOR=\"team=a\": expected none, because POD_NAMESPACE asks for all namespaces",
        ]);
    cluster
        .restarts(&[("POD_NAMESPACE", "kube-system,kube-public"), ("EXCLUDE_NAMESPACES", "kube-*")])
        .run()
        .failed(&[
            "configuration: EXCLUDE_NAMESPACES: expected to leave out fewer than all namespaces of POD_NAMESPACE",
        ]);
    cluster
        .restarts(&[])
        .arg("--no-such-option")
        .run()
        .failed(&["configuration: unexpected argument --no-such-option"]);
    assert_eq!(cluster.requests(), []);
    let output = cluster.restarts(&[("MAX_FAILURES_ALLOWED", "x")]).alone();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn flags_are_variables_too() {
    let cluster = Cluster::new();
    cluster.pods("shop", [failing("web-1"), failing("web-2")]);
    cluster.pods("bank", [failing("web-3")]);
    cluster
        .restarts(&[("POD_NAMESPACE", "bank")])
        .arg("--pod-namespace=shop")
        .arg("--exclude-pods=web-2")
        .run()
        .failed(&[&finding("shop/web-1")]);
    // Nothing is all namespaces, as in the variable.
    cluster
        .restarts(&[])
        .arg("--pod-namespace=")
        .arg("--exclude-pods=web-1,web-2")
        .run()
        .failed(&[&finding("bank/web-3")]);
}

#[test]
fn help_lists_every_option() {
    let output = check(&[]).arg("--help").alone();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for name in [
        "POD_NAMESPACE",
        "MAX_FAILURES_ALLOWED",
        "RESTART_WINDOW",
        "POD_NAMESPACE_SELECTOR",
        "POD_SELECTOR",
        "EXCLUDE_NAMESPACES",
        "EXCLUDE_PODS",
        "POD_ALLOW_NONE",
        "KUBE_API_URL",
    ] {
        assert!(
            text.contains(&format!("[env: {name}]")),
            "{name} is not in {text}"
        );
    }
}
