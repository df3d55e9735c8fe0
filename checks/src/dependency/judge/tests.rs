use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::dependency::item::Port;
use crate::dependency::objects::{EndpointSlice, Pod, Service};

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn text<T>(result: Result<T, NotReady>) -> String {
    result.map_or_else(|wrong| wrong.to_string(), |_| "ok".to_owned())
}

#[test]
fn workloads_need_available_replicas() {
    use Workload::*;
    let one = Minimum::ONE;
    let cases = [
        (
            Deployment,
            json!({"spec": {"replicas": 2}, "status": {"availableReplicas": 1}}),
            one,
            "ok",
        ),
        (
            Deployment,
            json!({}),
            one,
            "expected at least 1 available replica, seen none",
        ),
        (
            Deployment,
            json!({"spec": {"replicas": 0}, "status": {}}),
            one,
            "expected at least 1 available replica, seen a deployment scaled to 0",
        ),
        (
            Deployment,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 2, "readyReplicas": 3}}),
            Minimum::Percent(100),
            "expected at least 100% of its replicas available, seen fewer",
        ),
        (
            StatefulSet,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 1}}),
            Minimum::Count(2),
            "expected at least 2 available replicas, seen fewer",
        ),
        (
            StatefulSet,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 2}}),
            Minimum::Percent(50),
            "ok",
        ),
        (
            DaemonSet,
            json!({"spec": {}, "status": {"desiredNumberScheduled": 4, "numberAvailable": 3}}),
            Minimum::Percent(80),
            "expected at least 80% of its replicas available, seen fewer",
        ),
        (
            DaemonSet,
            json!({"status": {"desiredNumberScheduled": 4, "numberAvailable": 3}}),
            Minimum::Percent(75),
            "ok",
        ),
        (
            DaemonSet,
            json!({"status": {"desiredNumberScheduled": 0}}),
            one,
            "expected at least 1 available replica, seen no node it is to run on",
        ),
    ];
    for (kind, value, minimum, expected) in cases {
        assert_eq!(
            text(workload(kind, &object(value.clone()), minimum)),
            expected,
            "{value}"
        );
    }
}

#[test]
fn jobs_need_to_have_completed() {
    let with = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status, "reason": "BackoffLimitExceeded"}]}});
    for (value, expected) in [
        (with("Complete", "True"), "ok"),
        (
            with("Complete", "False"),
            "expected a completed job, seen one that has not finished",
        ),
        (
            with("SuccessCriteriaMet", "True"),
            "expected a completed job, seen one that has not finished",
        ),
        (
            with("Failed", "True"),
            "expected a completed job, seen a failed job (BackoffLimitExceeded)",
        ),
        (
            json!({"spec": {"suspend": true}}),
            "expected a completed job, seen a suspended job",
        ),
        (
            json!({"status": {"conditions": null}}),
            "expected a completed job, seen one that has not finished",
        ),
    ] {
        assert_eq!(text(job(&object(value.clone()))), expected, "{value}");
    }
}

#[test]
fn claims_need_to_be_bound() {
    for (value, expected) in [
        (json!({"status": {"phase": "Bound"}}), "ok"),
        (
            json!({"status": {"phase": "Pending"}}),
            "expected phase Bound, seen Pending",
        ),
        (
            json!({"status": {"phase": "Lost"}}),
            "expected phase Bound, seen Lost",
        ),
        (json!({}), "expected phase Bound, seen none"),
    ] {
        assert_eq!(text(claim(&object(value.clone()))), expected, "{value}");
    }
}

#[test]
fn conditions_need_their_status_for_this_generation() {
    let stale =
        "expected condition Ready to be True, seen it only for an older generation of the object";
    for (value, status, expected) in [
        (
            json!({"conditions": [{"type": "Ready", "status": "True"}]}),
            "True",
            "ok",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "False"}]}),
            "False",
            "ok",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Issuing"}]}),
            "True",
            "expected condition Ready to be True, seen False (Issuing)",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "at 10:15, twice"}]}),
            "True",
            "expected condition Ready to be True, seen Unknown",
        ),
        (
            json!({"conditions": [{"type": "Other", "status": "True"}]}),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!({"conditions": [{"type": "Ready"}]}),
            "True",
            "expected condition Ready to be True, seen no status",
        ),
        (
            json!({"conditions": "none"}),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!("a word"),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!(null),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}),
            "True",
            stale,
        ),
        (
            json!({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}),
            "True",
            stale,
        ),
        (
            json!({"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "True"}]}),
            "True",
            "ok",
        ),
        (
            json!({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3}]}),
            "True",
            "ok",
        ),
    ] {
        let any = object(json!({"metadata": {"generation": 3}, "status": value}));
        assert_eq!(text(condition(&any, "Ready", status)), expected, "{value}");
    }
}

#[test]
fn kinds_are_found_without_their_subresources() {
    let list: ResourceList = object(json!({"resources": [
        {"name": "nodes/status", "kind": "Node", "namespaced": false, "singularName": ""},
        {"name": "nodes", "kind": "Node", "namespaced": false, "singularName": "node"},
    ]}));
    assert_eq!(resource(&list, "v1", "node").unwrap().name, "nodes");
    assert_eq!(
        text(resource(&list, "v1", "Nod")),
        "expected the API server to serve kind Nod of v1, seen no such kind"
    );
}

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

fn pod(name: &str, status: Value) -> Pod {
    object(json!({"metadata": {"name": name}, "status": status}))
}

fn conditions(ready: &str) -> Value {
    json!({"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]})
}

#[test]
fn pods_need_to_be_ready() {
    let tally = |pods: Vec<Pod>| {
        let mut tally = PodTally::default();
        pods.into_iter().for_each(|pod| tally.add(pod));
        tally
    };
    let ready = || pod("a", conditions("True"));
    let waiting = || pod("b", conditions("False"));
    let terminating = || {
        object(
            json!({"metadata": {"name": "c", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": conditions("True")}),
        )
    };
    let done = || pod("d", json!({"phase": "Succeeded"}));

    assert_eq!(pods(tally(vec![ready()]), Minimum::ONE), Ok(()));
    assert_eq!(
        pods(tally(vec![ready(), waiting()]), Minimum::Percent(50)),
        Ok(())
    );
    assert_eq!(
        pods(
            tally(vec![ready(), terminating(), done()]),
            Minimum::Percent(100)
        ),
        Ok(())
    );

    let wrong = pods(tally(vec![terminating(), done()]), Minimum::ONE).unwrap_err();
    assert!(wrong.pods.is_empty());
    assert_eq!(
        wrong.too_few.unwrap().to_string(),
        "expected at least 1 ready pod, seen no such pod"
    );

    let wrong = pods(tally(vec![waiting(), ready()]), Minimum::Count(2)).unwrap_err();
    assert_eq!(wrong.too_few, None);
    assert_eq!(wrong.pods[0].0, "b");
    assert_eq!(
        wrong.pods[0].1.to_string(),
        "expected it to be ready, seen not ready"
    );

    let wrong = pods(tally(vec![ready()]), Minimum::Count(2)).unwrap_err();
    assert!(wrong.pods.is_empty());
    assert_eq!(
        wrong.too_few.unwrap().to_string(),
        "expected at least 2 ready pods, seen fewer pods"
    );
}

#[test]
fn why_a_pod_is_not_ready_reads_the_same_each_time() {
    let waiting = |reason: &str| {
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
               "containerStatuses": [{"state": {"waiting": {"reason": reason}}}]})
    };
    let unscheduled = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]});
    for (status, expected) in [
        (waiting("ErrImagePull"), "its image not pulled"),
        (waiting("ImagePullBackOff"), "its image not pulled"),
        (waiting("CrashLoopBackOff"), "not ready"),
        (unscheduled, "it not scheduled"),
        (json!({}), "not ready"),
    ] {
        let mut tally = PodTally::default();
        tally.add(pod("a", status.clone()));
        let wrong = pods(tally, Minimum::ONE).unwrap_err();
        assert_eq!(wrong.pods[0].1.seen, expected, "{status}");
    }
}

#[test]
fn recorded_answers_decode_and_are_judged() {
    let read = |name: &str| -> Value {
        let path = format!(
            "{}/tests/fixtures/kubernetes/answers/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    for (name, minimum, expected) in [
        ("deployment-during-rollout", Minimum::Percent(100), "ok"),
        ("deployment-after-rollout", Minimum::Count(3), "ok"),
        (
            "deployment-after-rollout",
            Minimum::Count(4),
            "expected at least 4 available replicas, seen fewer",
        ),
    ] {
        let deployment = object(read(name));
        assert_eq!(
            text(workload(Workload::Deployment, &deployment, minimum)),
            expected,
            "{name}"
        );
    }
    let of = |name: &str, service: &str| -> Vec<Value> {
        let list = read(name);
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
