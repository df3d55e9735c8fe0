//! Which proxy a request goes through.
//!
//! Unlike the report, probes obey the usual variables, as the official (Go) checks do, and by Go's rules: `HTTP_PROXY`
//! for http, `HTTPS_PROXY` for https, upper case before lower, `NO_PROXY` exempts, loopback addresses are always exempt.

use reqwest::{NoProxy, Proxy};
use url::Url;

use super::values::ProxyChoice;
use crate::cli::ConfigError;

/// Proxies by scheme, and who is exempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exempt: String,
    /// Whether PROXY_URL names it.
    given: bool,
}

const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

impl Proxies {
    /// What was chosen, with the variables that `lookup` knows.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a variable that names no HTTP proxy.
    pub(crate) fn new(
        choice: &ProxyChoice,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Proxies, ConfigError> {
        let set = |name: &str| {
            let value = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
            value(name).or_else(|| value(&name.to_ascii_lowercase()))
        };
        let exempt = set("NO_PROXY").unwrap_or_default();
        let from_env = |name: &str| set(name).map(|value| proxy_url(name, &value)).transpose();
        Ok(match choice {
            ProxyChoice::Direct => Proxies::default(),
            ProxyChoice::Url(url) => Proxies {
                http: Some(url.clone()),
                https: Some(url.clone()),
                exempt,
                given: true,
            },
            ProxyChoice::Environment => Proxies {
                http: from_env("HTTP_PROXY")?,
                https: from_env("HTTPS_PROXY")?,
                exempt: format!("{LOOPBACK},{exempt}"),
                given: false,
            },
        })
    }

    /// Whether PROXY_URL names one, which is then not to be passed by.
    pub(super) fn given(&self) -> bool {
        self.given
    }

    /// Whether there is none for URLs of this scheme.
    pub(super) fn none_for(&self, tls: bool) -> bool {
        if tls {
            self.https.is_none()
        } else {
            self.http.is_none()
        }
    }

    /// For a client that sends requests of one scheme.
    ///
    /// # Errors
    ///
    /// That of reqwest, for a URL it does not take.
    pub(super) fn proxy(&self, tls: bool) -> Result<Option<Proxy>, reqwest::Error> {
        let proxy = match tls {
            true => self.https.clone().map(Proxy::https),
            false => self.http.clone().map(Proxy::http),
        };
        let exempt = NoProxy::from_string(&self.exempt);
        Ok(proxy.transpose()?.map(|proxy| proxy.no_proxy(exempt)))
    }
}

/// As Go: without a scheme it is http.
fn proxy_url(name: &str, value: &str) -> Result<Url, ConfigError> {
    let value = value.trim();
    let full = if value.contains("://") {
        value.to_owned()
    } else {
        format!("http://{value}")
    };
    match Url::parse(&full) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(ConfigError::value(
            name,
            value,
            "expected an HTTP proxy; PROXY_URL=direct goes without",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(choice: &str, vars: &[(&str, &str)]) -> Result<Proxies, ConfigError> {
        Proxies::new(&choice.parse().unwrap(), &|name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_read_as_go_does() {
        let set = proxies(
            "env",
            &[
                ("http_proxy", "p:3128"),
                ("HTTPS_PROXY", "https://u:pw@q"),
                ("NO_PROXY", "a.b"),
            ],
        )
        .unwrap();
        assert_eq!(set.http.as_ref().unwrap().as_str(), "http://p:3128/");
        assert_eq!(set.https.as_ref().unwrap().as_str(), "https://u:pw@q/");
        assert_eq!(set.exempt, "localhost,127.0.0.0/8,::1,a.b");
        let none = proxies("direct", &[("HTTP_PROXY", "p")]).unwrap();
        assert!(none.none_for(true) && none.none_for(false));
        let given = proxies("http://p", &[("HTTP_PROXY", "q"), ("no_proxy", "c")]).unwrap();
        assert_eq!(
            (given.http.unwrap().as_str(), given.exempt.as_str()),
            ("http://p/", "c")
        );
        let error = proxies("env", &[("HTTP_PROXY", "socks5://u:pw@p")])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(
                "configuration: HTTP_PROXY=\"socks5://***@p\": expected an HTTP proxy"
            ),
            "{error}"
        );
    }
}
