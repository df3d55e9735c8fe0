//! How overrides of the name, the `Host` and the address change the way to a URL. Pure.

use std::net::IpAddr;

use reqwest::header::HeaderValue;
use url::{Host, Url};

use super::values::HostHeader;
use crate::dns::Place;

/// What is asked for instead of what the URL says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overrides<'a> {
    pub(super) host: Option<&'a HostHeader>,
    pub(super) server_name: Option<&'a str>,
    pub(super) resolve_to: Option<IpAddr>,
    /// Whether HTTP/2 is required.
    pub(super) http2: bool,
}

/// The way to a URL. The host that the client gets is the TLS name, because that is where it takes it from; the resolver
/// leads that name to the real place; a `Host` that is still another is sent as a header.
#[derive(Debug)]
pub(super) struct Route {
    /// What the client gets: without credentials, which it would send wherever a redirect leads.
    pub(super) url: Url,
    /// The `Host` to send, if it is not that of `url`.
    pub(super) host: Option<HeaderValue>,
    /// Where the host of `url` leads to.
    pub(super) instead: Option<(String, Place)>,
    /// Whether an override says where to connect to, which a proxy would not know.
    pub(super) overridden: bool,
}

impl Route {
    /// The way to `url` as it is.
    pub(super) fn plain(url: &Url) -> Route {
        let mut url = url.clone();
        // Both fail only for URLs that cannot have credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Route {
            url,
            host: None,
            instead: None,
            overridden: false,
        }
    }

    /// The way to `url` with `overrides`.
    pub(super) fn overridden(url: &Url, overrides: Overrides<'_>) -> Route {
        let mut route = Route::plain(url);
        let real = url.host_str().unwrap_or_default();
        let asked = overrides.host.and_then(|host| host.name.as_deref());
        let name = match url.scheme() {
            "https" => overrides.server_name.or(asked),
            // Over plain http nobody sees the name of the connection, except as :authority in HTTP/2.
            _ => asked.filter(|_| overrides.http2),
        };
        let name = name.unwrap_or(real);
        let place = match (overrides.resolve_to, url.host()) {
            (Some(ip), _) => Some(Place::Ip(ip)),
            (None, _) if name == real => None,
            (None, Some(Host::Ipv4(ip))) => Some(Place::Ip(ip.into())),
            (None, Some(Host::Ipv6(ip))) => Some(Place::Ip(ip.into())),
            (None, _) => Some(Place::Host(real.to_owned())),
        };
        let _ = route.url.set_host(Some(name));
        route.overridden = place.is_some();
        // Addresses are connected to without asking the resolver.
        let is_name = matches!(route.url.host(), Some(Host::Domain(_)));
        route.instead = place
            .filter(|_| is_name)
            .map(|place| (name.to_ascii_lowercase(), place));
        let wanted = match overrides.host {
            Some(host) => host.text.clone(),
            None => authority(url),
        };
        let default_port = if url.scheme() == "https" { 443 } else { 80 };
        let same = match overrides.host {
            Some(host) => {
                host.name.as_deref() == Some(name)
                    && host.port.unwrap_or(default_port) == url.port().unwrap_or(default_port)
            }
            None => wanted == authority(&route.url),
        };
        route.host = HeaderValue::from_str(&wanted).ok().filter(|_| !same);
        route
    }
}

/// Host and port, as in `Host`.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (URL, HOST_HEADER, TLS_SERVER_NAME, RESOLVE_TO, HTTP/2) and (host of the client's URL, `Host` header, place).
    #[test]
    fn overrides_change_the_way() {
        let rows = [
            (("http://a:8080/", "", "", "", false), ("a", "", "")),
            (("http://a:8080/", "b", "", "", false), ("a", "b", "")),
            (("http://a:8080/", "b:8080", "", "", true), ("b", "", "a")),
            (("http://a:8080/", "b", "", "", true), ("b", "b", "a")),
            (
                ("http://a/", "", "", "10.0.0.1", false),
                ("a", "", "10.0.0.1"),
            ),
            (
                ("http://10.0.0.2/", "", "", "10.0.0.1", false),
                ("10.0.0.2", "", ""),
            ),
            (("https://a/", "", "b", "", false), ("b", "a", "a")),
            (("https://a/", "b", "", "", false), ("b", "", "a")),
            (("https://a/", "b:443", "", "", false), ("b", "", "a")),
            (("https://a:8443/", "b", "", "", false), ("b", "b", "a")),
            (("https://a/", "c", "b", "", false), ("b", "c", "a")),
            (
                ("https://10.0.0.2/", "", "b", "", false),
                ("b", "10.0.0.2", "10.0.0.2"),
            ),
            (
                ("https://[fd00::2]/", "b", "", "", false),
                ("b", "", "fd00::2"),
            ),
            (
                ("https://a/", "", "b", "10.0.0.1", false),
                ("b", "a", "10.0.0.1"),
            ),
            (
                ("https://a/", "10.0.0.9", "", "", false),
                ("a", "10.0.0.9", ""),
            ),
            (("https://user:pw@a/", "", "", "", false), ("a", "", "")),
        ];
        for ((url, host, name, resolve, http2), (client, header, place)) in rows {
            let host: Option<HostHeader> = (!host.is_empty()).then(|| host.parse().unwrap());
            let overrides = Overrides {
                host: host.as_ref(),
                server_name: (!name.is_empty()).then_some(name),
                resolve_to: resolve.parse().ok(),
                http2,
            };
            let route = Route::overridden(&Url::parse(url).unwrap(), overrides);
            let sent = route
                .host
                .map_or(String::new(), |value| value.to_str().unwrap().to_owned());
            let to = match route.instead {
                Some((from, Place::Ip(ip))) if from == client => ip.to_string(),
                Some((from, Place::Host(host))) if from == client => host,
                None => String::new(),
                other => panic!("{url}: {other:?}"),
            };
            assert_eq!(
                (route.url.host_str().unwrap(), sent.as_str(), to.as_str()),
                (client, header, place),
                "{url}"
            );
            assert!(route.url.username().is_empty() && route.url.password().is_none());
        }
    }
}
