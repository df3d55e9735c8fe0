//! EndpointSlices: where the pods behind a Service are. One slice for each Service, for IPv4.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pods::{is_over, is_ready, ready};
use super::values::text;
use super::world::{Kind, World, is_terminating, owner_reference};
use crate::api::ApiError;
use crate::labels;

/// The annotation with the time of the change in a pod that led to this state of a slice.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

pub(super) async fn sync(world: &mut World, service: &Arc<Value>) -> Result<(), ApiError> {
    let selector = &service["spec"]["selector"];
    let has_selector = selector
        .as_object()
        .is_some_and(|labels| !labels.is_empty());
    if is_terminating(service) || !has_selector {
        return Ok(());
    }
    let slice = world.owned(Kind::EndpointSlice, service).into_iter().next();
    let mut pods = world.beside(Kind::Pod, service, |pod| {
        let selector = json!({"matchLabels": selector});
        labels::selects(&selector, &pod["metadata"]["labels"])
    });
    pods.retain(|pod| !is_over(pod) && pod["status"]["podIP"].is_string());
    // Those known stay in their places, new ones follow by age.
    let known = slice
        .as_ref()
        .map(|slice| slice["endpoints"].clone())
        .unwrap_or_default();
    let known = known.as_array().map_or(&[][..], Vec::as_slice);
    pods.sort_by_key(|pod| {
        let place = known
            .iter()
            .position(|endpoint| endpoint["targetRef"]["uid"] == pod["metadata"]["uid"]);
        let age = text(&pod["metadata"], "creationTimestamp").to_owned();
        (place.unwrap_or(usize::MAX), age)
    });
    let not_ready_too = service["spec"]["publishNotReadyAddresses"] == true;
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| endpoint(pod, not_ready_too))
        .collect();
    let ports = pods
        .first()
        .map(|pod| ports(service, pod))
        .unwrap_or_default();
    let (endpoints, ports) = match endpoints.is_empty() {
        true => (Value::Null, Value::Null),
        false => (Value::from(endpoints), Value::from(ports)),
    };
    let trigger = trigger(service, &pods, known);
    let name = text(&service["metadata"], "name");
    let Some(slice) = slice else {
        let slice = json!({
            "metadata": {
                "generateName": format!("{name}-"), "namespace": service["metadata"]["namespace"],
                "labels": {
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                    "kubernetes.io/service-name": name,
                },
                "annotations": {TRIGGER: trigger.unwrap_or_else(|| service["metadata"]["creationTimestamp"].clone())},
                "ownerReferences": [owner_reference(Kind::Service, service)],
            },
            "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
        });
        return world.create(Kind::EndpointSlice, slice).await.map(drop);
    };
    if slice["endpoints"] == endpoints && slice["ports"] == ports {
        return Ok(());
    }
    let mut changed = (*slice).clone();
    changed["endpoints"] = endpoints;
    changed["ports"] = ports;
    changed["metadata"]["annotations"] = match trigger {
        Some(time) => json!({TRIGGER: time}),
        None => json!({}),
    };
    world
        .replace(Kind::EndpointSlice, &slice, changed)
        .await
        .map(drop)
}

/// A pod that is being deleted serves still, but is not to be used.
fn endpoint(pod: &Value, not_ready_too: bool) -> Value {
    let (serving, terminating) = (is_ready(pod), is_terminating(pod));
    let mut endpoint = json!({
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": not_ready_too || serving && !terminating, "serving": serving, "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
        "nodeName": pod["spec"]["nodeName"],
    });
    if let Some(hostname) = pod["spec"]["hostname"].as_str() {
        endpoint["hostname"] = Value::from(hostname);
    }
    endpoint
}

fn ports(service: &Value, pod: &Value) -> Vec<Value> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports
        .filter_map(|port| {
            let number = match &port["targetPort"] {
                Value::Null => port["port"].clone(),
                Value::String(name) => container_port(pod, name)?,
                number => number.clone(),
            };
            Some(json!({"name": text(port, "name"), "protocol": port["protocol"], "port": number}))
        })
        .collect()
}

fn container_port(pod: &Value, name: &str) -> Option<Value> {
    let mut ports = pod["spec"]["containers"]
        .as_array()?
        .iter()
        .filter_map(|container| container["ports"].as_array())
        .flatten();
    let port = ports.find(|port| port["name"] == name)?;
    Some(port["containerPort"].clone())
}

/// When the newest of the pods that changed became ready or unready. A deletion has no such time.
fn trigger(service: &Value, pods: &[Arc<Value>], known: &[Value]) -> Option<Value> {
    let not_ready_too = service["spec"]["publishNotReadyAddresses"] == true;
    let changed = pods
        .iter()
        .filter(|pod| !is_terminating(pod) && !known.contains(&endpoint(pod, not_ready_too)));
    changed
        .filter_map(|pod| Some(ready(pod)?["lastTransitionTime"].clone()))
        .max_by(|a, b| a.as_str().cmp(&b.as_str()))
}
