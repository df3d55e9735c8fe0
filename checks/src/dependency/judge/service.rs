//! Services, judged by their EndpointSlices.

use std::collections::HashMap;

use super::{NotReady, at_least};
use crate::dependency::item::{Minimum, Port};
use crate::dependency::objects::{Endpoint, EndpointSlice, ServiceSpec, SlicePort};

/// What stands behind a service.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dependency) enum Backing {
    /// Another name.
    Name(String),
    /// Endpoints.
    Endpoints(Wanted),
}

/// Which ports make an endpoint count.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dependency) enum Wanted {
    /// None in particular: what resolves a headless service may not even use its ports.
    Anything,
    /// At least one of these, by their names in the service; the name of a nameless one is empty.
    OneOf(Vec<String>),
}

impl Wanted {
    /// Slices carry the names of the service's ports. A slice lacks one if its pods do not have it, as happens with a
    /// target port that is a name.
    fn is_in(&self, ports: &[SlicePort]) -> bool {
        match self {
            Wanted::Anything => true,
            Wanted::OneOf(names) => ports.iter().any(|port| {
                names
                    .iter()
                    .any(|name| name == port.name.as_deref().unwrap_or_default())
            }),
        }
    }
}

/// What must be looked at to judge a service, if it has the port at all.
pub(in crate::dependency) fn backing(
    spec: &ServiceSpec,
    port: Option<&Port>,
    minimum: Minimum,
) -> Result<Backing, NotReady> {
    let ports = spec.ports.as_deref().unwrap_or_default();
    if spec.r#type.as_deref() == Some("ExternalName") {
        // To pass over what was asked for would be to say that it is there.
        if let Some(port) = port {
            return Err(NotReady::new(
                port.to_string(),
                "a service of type ExternalName, which has no ports; use tcp:HOST:PORT",
            ));
        }
        if matches!(minimum, Minimum::Count(2..)) {
            return Err(NotReady::new(
                at_least(minimum, "ready", "endpoint"),
                "a service of type ExternalName, which has no endpoints",
            ));
        }
        return Ok(Backing::Name(
            spec.external_name.clone().unwrap_or_default(),
        ));
    }
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let Some(port) = port else {
        let headless = spec.cluster_ip.as_deref() == Some("None");
        return Ok(Backing::Endpoints(match headless || ports.is_empty() {
            true => Wanted::Anything,
            false => Wanted::OneOf(ports.iter().map(|port| name(&port.name)).collect()),
        }));
    };
    // A number can be there twice: over TCP and over UDP.
    let names: Vec<String> = ports
        .iter()
        .filter(|known| match port {
            Port::Name(wanted) => known.name.as_ref() == Some(wanted),
            Port::Number(number) => known.port == *number,
        })
        .map(|known| name(&known.name))
        .collect();
    if names.is_empty() {
        return Err(NotReady::new(
            port.to_string(),
            "a service without that port",
        ));
    }
    Ok(Backing::Endpoints(Wanted::OneOf(names)))
}

/// How far an endpoint is; of several entries for the same one, the best counts, as slices change one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Terminating,
    NotReady,
    WithoutPort,
    Ready,
}

/// What tells endpoints apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// The pod or other object behind it, the same in the slices of every port and address family.
    Object(String),
    /// Its address, if no object is named: a service without a selector.
    Address { family: String, address: String },
}

/// The endpoints of a service, each once, however many slices it is in.
#[derive(Debug, Default)]
pub(in crate::dependency) struct Tally {
    endpoints: HashMap<Key, State>,
}

impl Tally {
    /// Adds the endpoints of one slice.
    pub(in crate::dependency) fn add(&mut self, slice: EndpointSlice, wanted: &Wanted) {
        let served = wanted.is_in(slice.ports.as_deref().unwrap_or_default());
        for endpoint in slice.endpoints.into_iter().flatten() {
            let state = state(&endpoint, served);
            let key = key(endpoint, &slice.address_type);
            let known = self.endpoints.entry(key).or_insert(state);
            *known = state.max(*known);
        }
    }

    /// How many endpoints there are for which `counts` holds. Addresses of another family may be those of the same
    /// machine, so the family that has more decides.
    fn count(&self, counts: impl Fn(State) -> bool) -> usize {
        let mut objects = 0;
        let mut families: HashMap<&str, usize> = HashMap::new();
        for (key, _) in self.endpoints.iter().filter(|(_, state)| counts(**state)) {
            match key {
                Key::Object(_) => objects += 1,
                Key::Address { family, .. } => *families.entry(family).or_default() += 1,
            }
        }
        objects + families.into_values().max().unwrap_or(0)
    }
}

/// `ready` alone is not enough: services that publish addresses of pods which are not ready set it for all of them, and
/// only `serving` then tells.
fn state(endpoint: &Endpoint, served: bool) -> State {
    let conditions = &endpoint.conditions;
    if conditions.terminating == Some(true) {
        State::Terminating
    } else if conditions.ready == Some(false) || conditions.serving == Some(false) {
        State::NotReady
    } else if !served {
        State::WithoutPort
    } else {
        State::Ready
    }
}

fn key(endpoint: Endpoint, family: &str) -> Key {
    if let Some(target) = endpoint.target_ref {
        if let Some(uid) = target.uid {
            return Key::Object(uid);
        }
        if let Some(name) = target.name {
            let (kind, namespace) = (
                target.kind.unwrap_or_default(),
                target.namespace.unwrap_or_default(),
            );
            return Key::Object(format!("{kind} {namespace}/{name}"));
        }
    }
    // The addresses of one endpoint are alternatives of which clients use the first.
    let address = endpoint
        .addresses
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_default();
    Key::Address {
        family: family.to_owned(),
        address,
    }
}

/// Enough endpoints: ready, not terminating, with the port. A share is one of those that are not terminating.
pub(in crate::dependency) fn service(
    tally: &Tally,
    port: Option<&Port>,
    minimum: Minimum,
) -> Result<(), NotReady> {
    let all = tally.count(|state| state != State::Terminating);
    let ready = tally.count(|state| state == State::Ready);
    if ready >= minimum.of(all) {
        return Ok(());
    }
    let mut expected = at_least(minimum, "ready", "endpoint");
    if let Some(port) = port {
        expected = format!("{expected} on {port}");
    }
    let seen = if ready > 0 {
        "fewer"
    } else if tally.count(|state| state == State::WithoutPort) > 0 {
        "ready endpoints that do not have the port"
    } else if all > 0 {
        "none that is ready"
    } else if !tally.endpoints.is_empty() {
        "only endpoints that terminate"
    } else {
        "no endpoints"
    };
    Err(NotReady::new(expected, seen))
}

#[cfg(test)]
mod tests;
