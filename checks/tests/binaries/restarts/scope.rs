//! Which pods are looked at.

use super::*;

fn cluster() -> Cluster {
    let cluster = Cluster::new();
    for namespace in ["shop", "bank", "test"] {
        cluster.pods(
            namespace,
            [failing("web-1"), failing("job-1"), healthy("db-1")],
        );
    }
    cluster
}

#[track_caller]
fn finds(cluster: &Cluster, vars: &[(&str, &str)], pods: &[&str]) {
    let expected: Vec<String> = pods.iter().map(|pod| finding(pod)).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    cluster.restarts(vars).run().failed(&expected);
}

#[test]
fn namespaces_are_a_list_or_selected() {
    let cluster = cluster();
    let two = ["bank/job-1", "bank/web-1", "shop/job-1", "shop/web-1"];
    finds(&cluster, &[("POD_NAMESPACE", "shop, bank,shop")], &two);
    finds(&cluster, &[("POD_NAMESPACE_SELECTOR", "team=a")], &two);
    finds(
        &cluster,
        &[
            ("POD_NAMESPACE", ""),
            ("POD_NAMESPACE_SELECTOR", "team in (a)"),
        ],
        &two,
    );
    finds(
        &cluster,
        &[
            ("POD_NAMESPACE", "test,shop"),
            ("POD_NAMESPACE_SELECTOR", "team=b"),
        ],
        &["shop/job-1", "shop/web-1", "test/job-1", "test/web-1"],
    );
    let all = [&two[..], &["test/job-1", "test/web-1"]].concat();
    finds(&cluster, &[("POD_NAMESPACE", "*")], &all);
    let seen = cluster.requests();
    let namespaces: Vec<&str> = seen
        .iter()
        .take(2)
        .map(|seen| seen.namespace.as_str())
        .collect();
    assert_eq!(namespaces, ["bank", "shop"]);
}

#[test]
fn pods_are_selected_by_label() {
    let cluster = cluster();
    finds(
        &cluster,
        &[("POD_SELECTOR", "app=web")],
        &["bank/web-1", "shop/web-1", "test/web-1"],
    );
    finds(
        &cluster,
        &[
            ("POD_SELECTOR", "app notin (web)"),
            ("POD_NAMESPACE", "shop"),
        ],
        &["shop/job-1"],
    );
    cluster
        .restarts(&[("POD_SELECTOR", "app=db")])
        .run()
        .passed();
}

#[test]
fn namespaces_and_pods_can_be_left_out() {
    let cluster = cluster();
    finds(
        &cluster,
        &[("EXCLUDE_NAMESPACES", "te*,ba?k")],
        &["shop/job-1", "shop/web-1"],
    );
    finds(
        &cluster,
        &[
            ("POD_NAMESPACE_SELECTOR", "team"),
            ("EXCLUDE_NAMESPACES", "bank"),
        ],
        &["shop/job-1", "shop/web-1", "test/job-1", "test/web-1"],
    );
    finds(
        &cluster,
        &[("EXCLUDE_PODS", "job-*, test/web-?,nothing")],
        &["bank/web-1", "shop/web-1"],
    );
    cluster.restarts(&[("EXCLUDE_PODS", "*")]).run().passed();
    // A namespace that is left out is not even asked for.
    let before = cluster.requests().len();
    cluster
        .restarts(&[
            ("POD_NAMESPACE", "bank,shop"),
            ("EXCLUDE_NAMESPACES", "bank"),
            ("EXCLUDE_PODS", "*"),
        ])
        .run()
        .passed();
    let asked: Vec<String> = cluster
        .requests()
        .drain(before..)
        .map(|seen| seen.path)
        .collect();
    assert_eq!(asked[0], "/api/v1/namespaces/shop/pods?limit=500");
    assert!(asked.iter().all(|path| !path.contains("bank")), "{asked:?}");
}

#[test]
fn what_matches_nothing_is_a_failure_unless_allowed() {
    let cluster = cluster();
    for (vars, expected) in [
        (
            vec![("POD_SELECTOR", "app=wbe")],
            "no pod matches app=wbe in any namespace",
        ),
        (
            vec![("POD_SELECTOR", "app=wbe"), ("POD_NAMESPACE", "shop,bank")],
            "no pod matches app=wbe in namespace bank, shop",
        ),
        (
            vec![
                ("POD_SELECTOR", "app=wbe"),
                ("POD_NAMESPACE", "shop"),
                ("POD_NAMESPACE_SELECTOR", "team=b"),
            ],
            "no pod matches app=wbe in namespace shop and namespaces with team=b",
        ),
        (
            vec![("POD_NAMESPACE_SELECTOR", "team=x")],
            "no namespace matches team=x",
        ),
    ] {
        cluster.restarts(&vars).run().failed(&[expected]);
        cluster
            .restarts(&vars)
            .var("POD_ALLOW_NONE", "true")
            .run()
            .passed();
    }
}

/// The API server lists a namespace that does not exist as one without pods.
#[test]
fn a_namespace_that_does_not_exist_is_a_failure() {
    let cluster = cluster();
    cluster
        .restarts(&[("POD_NAMESPACE", "default")])
        .run()
        .passed();
    cluster
        .restarts(&[("POD_NAMESPACE", "shpo,shop"), ("POD_SELECTOR", "app=web")])
        .run()
        .failed(&[
            "namespace shpo: expected to exist, not found",
            &finding("shop/web-1"),
        ]);
}

#[test]
fn pods_that_end_or_have_ended_are_left_out() {
    let cluster = Cluster::new();
    let with = |name: &str, phase: &str, reason: Option<&str>| {
        let statuses = json!([restarted("main", 11, 60)]);
        pod(
            name,
            &json!({"phase": phase, "reason": reason, "containerStatuses": statuses}),
        )
    };
    let mut leaving = failing("leaving");
    leaving["metadata"]["finalizers"] = json!(["example.com/wait"]);
    cluster.pods(
        "shop",
        vec![
            leaving,
            with("completed", "Succeeded", None),
            with("evicted", "Failed", Some("Evicted")),
            with("failed", "Failed", None),
            with("starting", "Pending", None),
            failing("web-1"),
        ],
    );
    cluster.delete("/api/v1/namespaces/shop/pods/leaving");
    finds(&cluster, &[], &["shop/starting", "shop/web-1"]);
    // They are there, though: the selector is right.
    cluster
        .restarts(&[("POD_SELECTOR", "app in (leaving,completed)")])
        .run()
        .passed();
}
