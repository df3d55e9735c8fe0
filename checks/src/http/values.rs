//! Values of http-check's options.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

use crate::values::BadValue;
pub(super) use crate::values::Pattern;

/// One or more URLs, separated by white space, or by a comma before the next `http://` or `https://`: a comma
/// elsewhere belongs to the URL, as it does for the official check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UrlList(pub(super) Vec<Url>);

impl FromStr for UrlList {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<UrlList, BadValue> {
        let separated = text
            .replace(",http://", " http://")
            .replace(",https://", " https://");
        let words = separated
            .split_whitespace()
            .map(|word| word.trim_end_matches(','));
        let urls = words
            .filter(|word| !word.is_empty())
            .map(http_url)
            .collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(BadValue::expected("at least one URL"));
        }
        Ok(UrlList(urls))
    }
}

pub(crate) fn http_url(text: &str) -> Result<Url, BadValue> {
    let wrong = || BadValue::expected("URLs that begin with http:// or https://");
    let lower = text.to_ascii_lowercase();
    // `Url` would repair `http:/x` and `http:x`, which say that something else was meant.
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Err(wrong());
    }
    let url = Url::parse(text).map_err(|error| BadValue(format!("expected a URL: {error}")))?;
    if url.host_str().is_none_or(str::is_empty) {
        Err(wrong())
    } else {
        Ok(url)
    }
}

/// A method. Lower case is accepted for the usual ones; others are sent as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method(pub(super) reqwest::Method);

impl FromStr for Method {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Method, BadValue> {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let usual = [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
        ];
        let name = if usual.contains(&upper.as_str()) {
            upper.as_str()
        } else {
            text
        };
        let custom = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c == '-' || c == '_');
        match reqwest::Method::from_bytes(name.as_bytes()) {
            // CONNECT asks for a tunnel, which is nothing to probe.
            Ok(method) if custom && method != reqwest::Method::CONNECT => Ok(Method(method)),
            _ => Err(BadValue::expected(
                "a method, such as GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
            )),
        }
    }
}

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpVersion {
    /// What the server and we agree on: HTTP/2 if it is offered over TLS, else HTTP/1.1.
    Any,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, over plain http with prior knowledge.
    Http2,
}

impl FromStr for HttpVersion {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<HttpVersion, BadValue> {
        match text.trim().to_ascii_lowercase().trim_start_matches("http/") {
            "any" => Ok(HttpVersion::Any),
            "1.1" | "1" => Ok(HttpVersion::Http1),
            "2" | "2.0" => Ok(HttpVersion::Http2),
            _ => Err(BadValue::expected("any, 1.1 or 2")),
        }
    }
}

impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpVersion::Any => "any HTTP version",
            HttpVersion::Http1 => "HTTP/1.1",
            HttpVersion::Http2 => "HTTP/2",
        })
    }
}

/// Which proxy requests go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProxyChoice {
    /// What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say, as for the official check.
    Environment,
    /// None.
    Direct,
    /// This one, except for hosts in `NO_PROXY`.
    Url(Url),
}

impl FromStr for ProxyChoice {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<ProxyChoice, BadValue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "env" | "environment" => Ok(ProxyChoice::Environment),
            "direct" | "none" => Ok(ProxyChoice::Direct),
            _ => http_url(text.trim()).map(ProxyChoice::Url).map_err(|_| {
                BadValue::expected(
                    "the URL of an HTTP proxy (http:// or https://), `direct` or `env`",
                )
            }),
        }
    }
}

/// The scheme pods are asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl FromStr for Scheme {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Scheme, BadValue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "http" => Ok(Scheme::Http),
            "https" => Ok(Scheme::Https),
            _ => Err(BadValue::expected("http or https")),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        })
    }
}

/// A `Host` to ask for: a host name or address, with a port or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostHeader {
    /// As it is sent: in ASCII, without white space.
    pub(super) text: String,
    /// The host alone, if it is a name.
    pub(super) name: Option<String>,
    /// The port, if there is one.
    pub(super) port: Option<u16>,
}

impl FromStr for HostHeader {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<HostHeader, BadValue> {
        let text = text.trim();
        let wrong =
            || BadValue::expected("a host name, such as web.example.com or web.example.com:8443");
        // `Url` leaves out tabs and line ends, but they would be sent, or not fit into a header at all.
        let clean = !text.contains(|c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#' | '\\')
        });
        // A scheme without a default port, so that `:80` is not dropped.
        let url = Url::parse(&format!("tcp://{text}"))
            .ok()
            .filter(|_| clean)
            .ok_or_else(wrong)?;
        let host = url::Host::parse(url.host_str().unwrap_or_default()).map_err(|_| wrong())?;
        let name = match host {
            url::Host::Domain(name) => Some(name),
            url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
        };
        // A name in other letters is sent in its ASCII form (xn--), as it is in a URL.
        let text = match (&name, url.port()) {
            _ if text.is_ascii() => text.to_owned(),
            (Some(name), Some(port)) => format!("{name}:{port}"),
            (Some(name), None) => name.clone(),
            (None, _) => return Err(wrong()),
        };
        Ok(HostHeader {
            text,
            name,
            port: url.port(),
        })
    }
}

/// An address to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(pub(super) IpAddr);

impl FromStr for Address {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Address, BadValue> {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        bare.parse()
            .map(Address)
            .map_err(|_| BadValue::expected("an IP address, such as 10.0.0.5 or fd00::5"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_urls_are_one_value() {
        let list = |text: &str| {
            text.parse::<UrlList>()
                .map(|l| l.0.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(list("http://a").unwrap(), ["http://a/"]);
        assert_eq!(
            list("http://a http://b,https://c, http://d\nhttp://e")
                .unwrap()
                .len(),
            5
        );
        assert_eq!(list("http://a/x,y?z=1,2").unwrap(), ["http://a/x,y?z=1,2"]);
        for text in [
            "",
            " ",
            ",",
            "ftp://a",
            "http:/a",
            "http:a",
            "http://",
            "a",
            "http://a b",
            "http://a:99999/",
            "httpx://a",
        ] {
            assert!(list(text).is_err(), "{text}");
        }
    }

    #[test]
    fn methods_are_tokens() {
        for (text, method) in [
            ("get", "GET"),
            ("PATCH", "PATCH"),
            (" HEAD ", "HEAD"),
            ("PROPFIND", "PROPFIND"),
        ] {
            assert_eq!(text.parse::<Method>().unwrap().0.as_str(), method);
        }
        for text in ["", "GET POST", "CONNECT", "connect", "Gte", "purge"] {
            assert!(text.parse::<Method>().is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_may_have_ports() {
        let host: HostHeader = "Web.example.com:80".parse().unwrap();
        assert_eq!(
            (host.name.as_deref(), host.port),
            (Some("web.example.com"), Some(80))
        );
        assert_eq!("[::1]:8080".parse::<HostHeader>().unwrap().name, None);
        assert_eq!("10.0.0.1".parse::<HostHeader>().unwrap().name, None);
        // What cannot be sent as a header would silently be left out.
        let other: HostHeader = "bücher.example:80".parse().unwrap();
        assert_eq!(other.text, "xn--bcher-kva.example:80");
        for text in ["", "http://a", "a/b", "user@a", "a b", "a\tb", "a\nb"] {
            assert!(text.parse::<HostHeader>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_other_words_are_checked() {
        assert_eq!("HTTP/2".parse(), Ok(HttpVersion::Http2));
        assert!("3".parse::<HttpVersion>().is_err());
        assert_eq!("direct".parse(), Ok(ProxyChoice::Direct));
        assert!("socks5://p".parse::<ProxyChoice>().is_err());
        assert!("[::1]".parse::<Address>().is_ok());
        assert!("web".parse::<Address>().is_err());
        assert!(
            "(".parse::<Pattern>()
                .unwrap_err()
                .0
                .contains("unclosed group")
        );
    }
}
