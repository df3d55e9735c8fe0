use serde_json::{Value, json};

use super::super::tests::{object, recorded, text};
use super::*;
use crate::dependency::objects::Service;

/// A service of two named ports.
fn spec() -> Value {
    json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]}})
}

/// `ready`, `serving` and `terminating` of one endpoint as `rst`, with `-` for what is not set.
fn endpoint(uid: &str, address: &str, flags: &str) -> Value {
    let mut flags = flags.chars();
    let mut flag = |name: char| match flags.next() {
        Some('-') => Value::Null,
        seen => json!(seen == Some(name)),
    };
    let conditions = json!({"ready": flag('r'), "serving": flag('s'), "terminating": flag('t')});
    let mut endpoint = json!({"addresses": [address], "conditions": conditions});
    if !uid.is_empty() {
        endpoint["targetRef"] =
            json!({"kind": "Pod", "namespace": "shop", "name": uid, "uid": uid});
    }
    endpoint
}

fn slice(family: &str, ports: &[&str], endpoints: &[Value]) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|name| json!({"name": name, "port": 8080}))
        .collect();
    json!({"addressType": family, "ports": ports, "endpoints": endpoints})
}

fn judge(service_spec: &Value, slices: &[Value], port: Option<&str>, minimum: Minimum) -> String {
    let port = port.map(|port| match port.parse() {
        Ok(number) => Port::Number(number),
        Err(_) => Port::Name(port.to_owned()),
    });
    let spec = object::<Service>(service_spec.clone()).spec;
    match backing(&spec, port.as_ref(), minimum) {
        Err(wrong) => wrong.to_string(),
        Ok(Backing::Name(name)) => format!("name {name}"),
        Ok(Backing::Endpoints(wanted)) => {
            let mut tally = Tally::default();
            for slice in slices {
                tally.add(object::<EndpointSlice>(slice.clone()), &wanted);
            }
            text(service(&tally, port.as_ref(), minimum))
        }
    }
}

#[test]
fn services_need_endpoints_that_are_ready_and_stay() {
    let (r, t) = (
        endpoint("a", "10.0.0.1", "rs-"),
        endpoint("b", "10.0.0.2", "-st"),
    );
    let n = endpoint("c", "10.0.0.3", "---");
    let published = endpoint("d", "10.0.0.4", "r..");
    let down = endpoint("e", "10.0.0.5", "...");
    for (endpoints, expected) in [
        (vec![r.clone()], "ok"),
        (vec![n], "ok"),
        (vec![r, t.clone()], "ok"),
        (
            vec![t.clone()],
            "expected at least 1 ready endpoint, seen only endpoints that terminate",
        ),
        (
            vec![down.clone(), t],
            "expected at least 1 ready endpoint, seen none that is ready",
        ),
        (
            vec![published],
            "expected at least 1 ready endpoint, seen none that is ready",
        ),
        (
            vec![],
            "expected at least 1 ready endpoint, seen no endpoints",
        ),
    ] {
        let slices = [slice("IPv4", &["http"], &endpoints)];
        assert_eq!(
            judge(&spec(), &slices, None, Minimum::ONE),
            expected,
            "{endpoints:?}"
        );
    }
    let null = json!({"addressType": "IPv4", "endpoints": null, "ports": null});
    assert_eq!(
        judge(&spec(), &[null], None, Minimum::ONE),
        "expected at least 1 ready endpoint, seen no endpoints"
    );
}

#[test]
fn the_port_asked_for_must_be_served() {
    let r = [endpoint("a", "10.0.0.1", "rs-")];
    let http = [slice("IPv4", &["http"], &r)];
    for (slices, port, expected) in [
        (&http, Some("http"), "ok"),
        (&http, Some("80"), "ok"),
        (&[slice("IPv4", &["dns-tcp"], &r)], Some("53"), "ok"),
        (
            &http,
            Some("53"),
            "expected at least 1 ready endpoint on port 53, seen ready endpoints that do not have the port",
        ),
        (
            &http,
            Some("dns"),
            "expected at least 1 ready endpoint on port \"dns\", seen ready endpoints that do not have the port",
        ),
        (
            &http,
            Some("8080"),
            "expected port 8080, seen a service without that port",
        ),
        (
            &http,
            Some("grpc"),
            "expected port \"grpc\", seen a service without that port",
        ),
        (
            &[slice("IPv4", &[], &r)],
            None,
            "expected at least 1 ready endpoint, seen ready endpoints that do not have the port",
        ),
    ] {
        assert_eq!(
            judge(&spec(), slices, port, Minimum::ONE),
            expected,
            "{port:?}"
        );
    }
    let nameless = json!({"spec": {"ports": [{"port": 80}]}});
    let slices =
        [json!({"addressType": "IPv4", "ports": [{"name": "", "port": 80}], "endpoints": r})];
    assert_eq!(judge(&nameless, &slices, None, Minimum::ONE), "ok");
    assert_eq!(judge(&nameless, &slices, Some("80"), Minimum::ONE), "ok");
}

#[test]
fn an_endpoint_counts_once_over_slices_ports_and_families() {
    let pod = |uid: &str, address: &str| endpoint(uid, address, "rs-");
    let slices = [
        slice(
            "IPv4",
            &["http"],
            &[pod("a", "10.0.0.1"), pod("b", "10.0.0.2")],
        ),
        slice("IPv4", &["dns"], &[pod("a", "10.0.0.1")]),
        slice(
            "IPv6",
            &["http"],
            &[pod("a", "fd00::1"), pod("b", "fd00::2")],
        ),
    ];
    assert_eq!(judge(&spec(), &slices, None, Minimum::Count(2)), "ok");
    assert_eq!(
        judge(&spec(), &slices, None, Minimum::Count(3)),
        "expected at least 3 ready endpoints, seen fewer"
    );
    // Without a selector there are no pods to tell them apart by.
    let slices = [
        slice(
            "IPv4",
            &["http"],
            &[
                pod("", "10.0.0.1"),
                pod("", "10.0.0.2"),
                pod("", "10.0.0.1"),
            ],
        ),
        slice("IPv6", &["http"], &[pod("", "fd00::1")]),
    ];
    assert_eq!(judge(&spec(), &slices, None, Minimum::Count(2)), "ok");
    assert_eq!(
        judge(&spec(), &slices, None, Minimum::Count(3)),
        "expected at least 3 ready endpoints, seen fewer"
    );
    // While slices change one by one, an old entry does not undo a new one.
    let slices = [
        slice("IPv4", &["http"], &[pod("a", "10.0.0.1")]),
        slice("IPv4", &["http"], &[endpoint("a", "10.0.0.1", "...")]),
    ];
    assert_eq!(judge(&spec(), &slices, None, Minimum::Percent(100)), "ok");
}

#[test]
fn shares_are_of_the_endpoints_that_are_not_terminating() {
    let (r, n) = ("rs-", "..-");
    for (flags, percent, ok) in [
        (vec![r, n], 50, true),
        (vec![r, n], 51, false),
        (vec![r, n, n], 50, false),
        (vec![r, "-st", "-st"], 100, true),
        (vec![r, r, n], 66, true),
        (vec![r, r, n], 67, false),
        (vec![n], 1, false),
        (vec![], 1, false),
    ] {
        let endpoints: Vec<Value> = flags
            .iter()
            .enumerate()
            .map(|(at, flags)| endpoint(&format!("pod-{at}"), &format!("10.0.0.{at}"), flags))
            .collect();
        let seen = judge(
            &spec(),
            &[slice("IPv4", &["http"], &endpoints)],
            None,
            Minimum::Percent(percent),
        );
        assert_eq!(seen == "ok", ok, "{flags:?} {percent}%: {seen}");
    }
}

#[test]
fn headless_and_external_services() {
    let headless = json!({"spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}});
    let slices = [
        json!({"addressType": "IPv4", "ports": null, "endpoints": [endpoint("a", "10.0.0.1", "rs-")]}),
    ];
    assert_eq!(judge(&headless, &slices, None, Minimum::ONE), "ok");
    let bare = json!({"spec": {"clusterIP": "None"}});
    assert_eq!(judge(&bare, &slices, None, Minimum::ONE), "ok");
    let external = json!({"spec": {"type": "ExternalName", "externalName": "db.example.com"}});
    assert_eq!(
        judge(&external, &[], None, Minimum::ONE),
        "name db.example.com"
    );
    assert_eq!(
        judge(&external, &[], Some("5432"), Minimum::ONE),
        "expected port 5432, seen a service of type ExternalName, which has no ports; use tcp:HOST:PORT"
    );
    assert_eq!(
        judge(&external, &[], None, Minimum::Count(2)),
        "expected at least 2 ready endpoints, seen a service of type ExternalName, which has no endpoints"
    );
}

#[test]
fn recorded_slices() {
    let of = |name: &str, service: &str| -> Vec<Value> {
        let list = recorded(name);
        let items = list["items"].as_array().unwrap().iter();
        items
            .filter(|item| item["metadata"]["labels"]["kubernetes.io/service-name"] == service)
            .cloned()
            .collect()
    };
    for (name, service, minimum, expected) in [
        (
            "endpointslices-during-rollout",
            "web",
            Minimum::Count(3),
            "ok",
        ),
        (
            "endpointslices-after-rollout",
            "web",
            Minimum::Percent(100),
            "ok",
        ),
        (
            "endpointslices-while-terminating",
            "web",
            Minimum::Percent(100),
            "ok",
        ),
        (
            "endpointslices-while-terminating",
            "web",
            Minimum::Count(3),
            "expected at least 3 ready endpoints, seen fewer",
        ),
        (
            "endpointslices-after-rollout",
            "nothing",
            Minimum::ONE,
            "expected at least 1 ready endpoint, seen no endpoints",
        ),
    ] {
        assert_eq!(
            judge(&spec(), &of(name, service), None, minimum),
            expected,
            "{name}"
        );
    }
}
