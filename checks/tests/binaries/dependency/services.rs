//! Services and their EndpointSlices.

use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::*;

#[test]
fn a_service_with_a_ready_endpoint_is_available() {
    let cluster = Cluster::new();
    cluster.service("db", json!({"selector": {"app": "db"}}));
    cluster.slice("db-1", "db", &[("db-0", ready()), ("db-1", not_ready())]);
    for list in [
        "service:shop/db",
        "shop/db",
        "svc:shop/db:http",
        "service:shop/db:80",
        "service:shop/db>=50%",
    ] {
        cluster.dependencies(list).run().passed();
    }
}

#[test]
fn bare_names_are_services_in_the_namespace_of_the_pod() {
    let cluster = Cluster::new();
    cluster.dependencies("database,redis").run().failed(&[
        "service checks/database: expected a service of this name, seen none",
        "service checks/redis: expected a service of this name, seen none",
    ]);
    cluster.service("redis", json!({}));
    cluster.slice("redis-1", "redis", &[("redis-0", ready())]);
    cluster
        .dependencies("redis")
        .var("KH_POD_NAMESPACE", "shop")
        .run()
        .passed();
}

#[test]
fn what_is_missing_and_what_is_not_ready_are_told_apart() {
    let cluster = Cluster::new();
    for (name, endpoints) in [
        ("empty", vec![]),
        ("starting", vec![("a", not_ready())]),
        ("leaving", vec![("a", terminating())]),
        (
            "some",
            vec![("a", ready()), ("b", not_ready()), ("c", terminating())],
        ),
    ] {
        cluster.service(name, json!({"selector": {"app": name}}));
        cluster.slice(&format!("{name}-1"), name, &endpoints);
    }
    cluster.service("sliceless", json!({"selector": {"app": "x"}}));
    cluster
        .dependencies("shop/gone,shop/sliceless,shop/empty,shop/starting,shop/leaving,shop/some>=2,shop/some>=51%,service:shop/some:metrics,service:shop/some:grpc,shop/some")
        .run()
        .failed(&[
            "service shop/gone: expected a service of this name, seen none",
            "service shop/sliceless: expected at least 1 ready endpoint, seen no endpoints",
            "service shop/empty: expected at least 1 ready endpoint, seen no endpoints",
            "service shop/starting: expected at least 1 ready endpoint, seen none that is ready",
            "service shop/leaving: expected at least 1 ready endpoint, seen only endpoints that terminate",
            "service shop/some: expected at least 2 ready endpoints, seen fewer",
            "service shop/some: expected at least 51% of its endpoints ready, seen fewer",
            "service shop/some: expected at least 1 ready endpoint on port \"metrics\", seen ready endpoints that do not \
             have the port",
            "service shop/some: expected port \"grpc\", seen a service without that port",
        ]);
}

#[test]
fn endpoints_are_counted_over_all_slices_once() {
    let cluster = Cluster::new();
    cluster.service("web", json!({"selector": {"app": "web"}}));
    for at in 0..25 {
        let pods = [format!("web-{at}"), "web-0".to_owned()];
        cluster.slice(
            &format!("web-{at}"),
            "web",
            &[(&pods[0], ready()), (&pods[1], ready())],
        );
    }
    cluster.slice("other-1", "other", &[("other-0", ready())]);
    cluster
        .dependencies("shop/web>=25,shop/web>=26")
        .run()
        .failed(&["service shop/web: expected at least 26 ready endpoints, seen fewer"]);
}

#[test]
fn headless_selectorless_and_external_services() {
    let cluster = Cluster::new();
    cluster.service(
        "headless",
        json!({"clusterIP": "None", "selector": {"app": "x"}}),
    );
    cluster.slice("headless-1", "headless", &[("x-0", ready())]);
    cluster.service("manual", json!({}));
    let slice = |name: &str, family: &str, addresses: [&str; 2]| {
        json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": family,
               "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "manual"}},
               "ports": [{"name": "http", "port": 80}],
               "endpoints": addresses.map(|address| json!({"addresses": [address]}))})
    };
    let slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    cluster.add(
        slices,
        slice("manual-4", "IPv4", ["192.0.2.1", "192.0.2.2"]),
    );
    cluster.add(
        slices,
        slice("manual-6", "IPv6", ["2001:db8::1", "2001:db8::2"]),
    );
    let external = |name: &str, to: &str| {
        json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": name},
               "spec": {"type": "ExternalName", "externalName": to}})
    };
    cluster.add(
        "/api/v1/namespaces/shop/services",
        external("near", "localhost"),
    );
    cluster.add(
        "/api/v1/namespaces/shop/services",
        external("far", "nowhere.invalid"),
    );
    cluster
        .dependencies("shop/headless,shop/manual>=2,shop/near")
        .run()
        .passed();
    let verdict = cluster
        .dependencies("shop/manual>=3,service:shop/near:80,shop/far")
        .run();
    assert_eq!(
        verdict.errors[..2],
        [
            "service shop/manual: expected at least 3 ready endpoints, seen fewer",
            "service shop/near: expected port 80, seen a service of type ExternalName, which has no ports; use \
             tcp:HOST:PORT",
        ]
    );
    // Which of the two depends on whether this machine has a name server.
    let far =
        "service shop/far: expected its external name nowhere.invalid to have an address, seen no ";
    assert!(
        verdict.errors.len() == 3 && verdict.errors[2].starts_with(far),
        "{verdict:#?}"
    );
}

#[test]
fn forbidden_names_verb_and_resource() {
    let cluster = Cluster::new();
    cluster.service("db", json!({}));
    cluster.slice("db-1", "db", &[("db-0", ready())]);
    cluster
        .faults()
        .add(Rule::refuse(403).verb("list").resource("endpointslices"));
    cluster.dependencies("shop/db").run().failed(&[
        "service shop/db: Kubernetes API: not allowed to list endpointslices in namespace shop: the service account \
         needs a role with verb list on endpointslices.discovery.k8s.io",
    ]);
    cluster
        .faults()
        .add(Rule::refuse(403).verb("get").resource("services"));
    cluster.dependencies("shop/db").run().failed(&[
        "service shop/db: Kubernetes API: not allowed to get services shop/db: the service account needs a role with \
         verb get on services",
    ]);
}

/// Slices as a real API server wrote them.
#[test]
fn recorded_slices() {
    for (name, list, errors) in [
        ("endpointslices-during-rollout", "shop/web>=3", vec![]),
        (
            "endpointslices-after-rollout",
            "service:shop/web:http>=100%",
            vec![],
        ),
        (
            "endpointslices-while-terminating",
            "shop/web>=2,shop/web>=100%",
            vec![],
        ),
        (
            "endpointslices-while-terminating",
            "shop/web>=3",
            vec!["service shop/web: expected at least 3 ready endpoints, seen fewer"],
        ),
        (
            "endpointslices-after-rollout",
            "shop/nothing",
            vec!["service shop/nothing: expected at least 1 ready endpoint, seen no endpoints"],
        ),
    ] {
        let cluster = Cluster::new();
        cluster.service("web", json!({"selector": {"app": "web"}}));
        cluster.service("nothing", json!({"selector": {"app": "nothing"}}));
        let path = format!(
            "{}/tests/fixtures/kubernetes/answers/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for item in recorded["items"].as_array().unwrap() {
            let mut item = item.clone();
            let meta = item["metadata"].as_object_mut().unwrap();
            meta.retain(|field, _| ["name", "labels"].contains(&field.as_str()));
            item["kind"] = json!("EndpointSlice");
            item["apiVersion"] = json!("discovery.k8s.io/v1");
            cluster.add(
                "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
                item,
            );
        }
        let verdict = cluster.dependencies(list).run();
        assert_eq!(verdict.errors, errors, "{name} {list}");
    }
}
