//! The list of dependencies: from text to [`Dependency`], with errors that name the variable, the item and its position.

use khclient::Subject;
use url::{Host, Url};

use super::item::{Dependency, Minimum, Place, Port, Target, Workload};
use crate::cli::ConfigError;
use crate::values::{BadValue, split_outside_parentheses};

/// Reads one list of dependencies from the values of `variable`.
///
/// Items are separated by commas or line ends; parentheses protect the commas of a selector. Empty items count for
/// nothing, so that a list may end in a comma.
///
/// # Errors
/// One for each item that cannot be understood.
pub(crate) fn list(variable: &str, values: &[String]) -> Result<Vec<Dependency>, Vec<ConfigError>> {
    each(variable, values, item)
}

/// Reads a list as kubernetes-entrypoint has it, `NAME` or `NAMESPACE:NAME` with commas between.
///
/// # Errors
/// One for each item that cannot be understood.
pub(crate) fn names(
    variable: &str,
    values: &[String],
    target: impl Fn(Place) -> Target,
) -> Result<Vec<Dependency>, Vec<ConfigError>> {
    each(variable, values, |text| {
        let (namespace, name) = match text.split_once(':') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        let place = checked(namespace, name, "NAME or NAMESPACE:NAME")?;
        Ok(Dependency {
            target: target(place),
            optional: false,
        })
    })
}

fn each(
    variable: &str,
    values: &[String],
    read: impl Fn(&str) -> Result<Dependency, BadValue>,
) -> Result<Vec<Dependency>, Vec<ConfigError>> {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let mut position = 0;
    for value in values {
        let Some(items) = split_outside_parentheses(value) else {
            wrong.push(ConfigError::value(
                variable,
                value,
                "expected as many closing as opening parentheses",
            ));
            continue;
        };
        for text in items
            .into_iter()
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            position += 1;
            match read(text) {
                Ok(dependency) if found.contains(&dependency) => {}
                Ok(dependency) => found.push(dependency),
                Err(BadValue(reason)) => wrong.push(ConfigError::value(
                    variable,
                    text,
                    format!("item {position}: {reason}"),
                )),
            }
        }
    }
    if wrong.is_empty() {
        Ok(found)
    } else {
        Err(wrong)
    }
}

fn item(text: &str) -> Result<Dependency, BadValue> {
    let (optional, text) = match text.strip_prefix("optional:") {
        Some(rest) => (true, rest.trim()),
        None => (false, text),
    };
    Ok(Dependency {
        target: target(text)?,
        optional,
    })
}

fn target(text: &str) -> Result<Target, BadValue> {
    let scheme = |scheme: &str| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if scheme("http://") || scheme("https://") {
        return url(text);
    }
    let Some((kind, rest)) = text.split_once(':') else {
        return service(text);
    };
    let (kind, rest) = (kind.trim(), rest.trim());
    if kind.contains('/') {
        return condition(kind, rest);
    }
    match kind.to_ascii_lowercase().as_str() {
        "service" | "svc" => service(rest),
        "deployment" | "deploy" => workload(Workload::Deployment, rest),
        "statefulset" | "sts" => workload(Workload::StatefulSet, rest),
        "daemonset" | "ds" => workload(Workload::DaemonSet, rest),
        "job" => place(rest, "job:[NAMESPACE/]NAME").map(Target::Job),
        "pvc" | "persistentvolumeclaim" => place(rest, "pvc:[NAMESPACE/]NAME").map(Target::Claim),
        "pod" | "pods" | "po" => pods(rest),
        "dns" => dns(rest),
        "tcp" => tcp(rest.strip_prefix("//").unwrap_or(rest)),
        _ if rest.parse::<u16>().is_ok() => Err(BadValue(format!(
            "expected a kind before \":\"; for a port of a service write service:{kind}:{rest}"
        ))),
        _ => Err(BadValue::expected(
            "the name of a service, or service:, deployment:, statefulset:, daemonset:, job:, pod:, pvc:, dns:, tcp:, \
             http://, https:// or GROUP/VERSION/KIND:",
        )),
    }
}

fn url(text: &str) -> Result<Target, BadValue> {
    match Url::parse(text) {
        Ok(url) if url.host_str().is_some() => Ok(Target::Http(url)),
        Ok(_) => Err(BadValue::expected("a URL with a host")),
        Err(error) => Err(BadValue(format!(
            "expected a URL, such as http://web/healthz: {error}"
        ))),
    }
}

fn service(text: &str) -> Result<Target, BadValue> {
    const FORM: &str = "service:[NAMESPACE/]NAME[:PORT][>=MINIMUM]";
    let (text, minimum) = split_minimum(text)?;
    let (text, port) = match text.split_once(':') {
        Some((text, port)) => (text.trim_end(), Some(self::port(port.trim())?)),
        None => (text, None),
    };
    Ok(Target::Service {
        place: place(text, FORM)?,
        port,
        minimum,
    })
}

fn port(text: &str) -> Result<Port, BadValue> {
    match text.parse::<u16>() {
        Ok(number) if number > 0 => Ok(Port::Number(number)),
        _ if is_label(text) && !text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Port::Name(text.to_owned()))
        }
        _ => Err(BadValue::expected(
            "the service's port as a number from 1 to 65535 or by its name",
        )),
    }
}

fn workload(kind: Workload, text: &str) -> Result<Target, BadValue> {
    let (text, minimum) = split_minimum(text)?;
    let place = place(
        text,
        &format!("{}:[NAMESPACE/]NAME[>=MINIMUM]", kind.kind()),
    )?;
    Ok(Target::Workload {
        kind,
        place,
        minimum,
    })
}

/// Namespaces have no dot and prefixes of labels always do, in practice: that tells `shop/app=web` from
/// `app.kubernetes.io/name=web`.
fn pods(text: &str) -> Result<Target, BadValue> {
    let (text, minimum) = split_minimum(text)?;
    let (namespace, text) = match text.split_once('/') {
        Some((namespace, rest)) if is_label(namespace.trim()) => {
            (Some(namespace.trim().to_owned()), rest.trim())
        }
        _ => (None, text),
    };
    let inner = text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'));
    let selector = inner.unwrap_or(text).parse()?;
    Ok(Target::Pods {
        namespace,
        selector,
        minimum,
    })
}

fn condition(kind: &str, rest: &str) -> Result<Target, BadValue> {
    let wrong = || {
        BadValue::expected(
            "GROUP/VERSION/KIND:[NAMESPACE/]NAME:CONDITION, such as apps/v1/Deployment:shop/web:Available or \
             v1/Node:worker-1:Ready; for a port of a service write service:NAMESPACE/NAME:PORT",
        )
    };
    let (api_version, kind) = kind.rsplit_once('/').ok_or_else(wrong)?;
    let (object, condition) = rest.split_once(':').ok_or_else(wrong)?;
    let (condition, status) = condition.split_once('=').unwrap_or((condition, "True"));
    let (condition, status) = (condition.trim(), status.trim());
    let version_fits = match api_version.split_once('/') {
        Some((group, version)) => is_subdomain(group) && is_version(version),
        None => is_version(api_version),
    };
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_type = |text: &str| {
        !text.is_empty()
            && text.len() <= 316
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    if !version_fits || !is_word(kind) || !is_type(condition) {
        return Err(wrong());
    }
    let status = ["True", "False", "Unknown"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(status))
        .ok_or_else(|| BadValue::expected("True, False or Unknown as the condition's status"))?;
    Ok(Target::Condition {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        place: place(
            object.trim(),
            "GROUP/VERSION/KIND:[NAMESPACE/]NAME:CONDITION",
        )?,
        condition: condition.to_owned(),
        status: status.to_owned(),
    })
}

fn dns(text: &str) -> Result<Target, BadValue> {
    match Host::parse(text) {
        Ok(Host::Domain(name)) => Ok(Target::Dns(name)),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err(BadValue::expected(
            "a name to resolve; an address needs none",
        )),
        Err(_) => Err(BadValue::expected("a host name, such as db.example.com")),
    }
}

fn tcp(text: &str) -> Result<Target, BadValue> {
    let wrong = || BadValue::expected("tcp:HOST:PORT, with an IPv6 address in brackets");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let (host, port) = (host.trim(), port.trim().parse::<u16>().ok());
    let port = port.filter(|port| *port > 0);
    let host = match Host::parse(host) {
        Ok(Host::Domain(name)) => name,
        // Browsers take 10.1 for 10.0.0.1, and 0x7f.1 for an address too: here it is a slip.
        Ok(Host::Ipv4(address)) if address.to_string() != host => return Err(wrong()),
        Ok(Host::Ipv4(address)) => address.to_string(),
        Ok(Host::Ipv6(address)) => address.to_string(),
        Err(_) => return Err(wrong()),
    };
    Ok(Target::Tcp {
        host,
        port: port.ok_or_else(|| BadValue::expected("a port from 1 to 65535 after tcp:HOST:"))?,
    })
}

/// What precedes `>=`, and the minimum after it.
fn split_minimum(text: &str) -> Result<(&str, Minimum), BadValue> {
    let Some((text, minimum)) = text.rsplit_once(">=") else {
        return Ok((text, Minimum::ONE));
    };
    let minimum = minimum.trim();
    let minimum = match minimum.strip_suffix('%') {
        Some(percent) => percent
            .trim_end()
            .parse::<u8>()
            .ok()
            .filter(|percent| (1..=100).contains(percent))
            .map(Minimum::Percent),
        None => minimum
            .parse::<u32>()
            .ok()
            .filter(|count| *count > 0)
            .map(Minimum::Count),
    };
    let minimum = minimum.ok_or_else(|| {
        BadValue::expected("a number from 1, or a percentage from 1% to 100%, after \">=\"")
    })?;
    Ok((text.trim_end(), minimum))
}

fn place(text: &str, form: &str) -> Result<Place, BadValue> {
    match text.split_once('/') {
        Some((namespace, name)) => checked(Some(namespace), name, form),
        None => checked(None, text, form),
    }
}

fn checked(namespace: Option<&str>, name: &str, form: &str) -> Result<Place, BadValue> {
    let (namespace, name) = (namespace.map(str::trim), name.trim());
    if name.contains(['<', '>', '=']) {
        return Err(BadValue(if form.contains(">=") {
            "expected a minimum as \">=\" and a number or percentage at the end".to_owned()
        } else {
            format!("expected {form}, without a minimum")
        }));
    }
    if !namespace.is_none_or(is_label) || !is_subdomain(name) {
        return Err(BadValue(format!(
            "expected {form}, in lower-case letters, digits and hyphens"
        )));
    }
    Ok(Place {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    })
}

fn is_label(text: &str) -> bool {
    Subject::namespaced("pod", text, "x").is_some()
}

fn is_subdomain(text: &str) -> bool {
    Subject::namespaced("pod", "x", text).is_some()
}

/// `v1`, `v1beta2` and the like.
fn is_version(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next() == Some(b'v')
        && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
