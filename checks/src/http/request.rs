//! From options to requests: what is sent to whom, and through which client.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use khclient::{Finding, Subject};
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap,
    PROXY_AUTHORIZATION,
};
use reqwest::{Client, Method, Request, Url};

use super::args::HttpArgs;
use super::connector::Connected;
use super::credentials::{secret_headers, url_auth};
use super::proxy::Proxies;
use super::route::{Overrides, Route};
use super::values::{HostHeader, HttpVersion};
use crate::cli::ConfigError;
use crate::describe::{describe, shown_url};
use crate::dns::Resolver;
use crate::tls::{ChainLog, Purpose, Tls};
use crate::values::IpFamily;

/// One thing to probe.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where.
    pub(crate) url: Url,
    /// What findings are about; the URL if nothing.
    pub(crate) subject: Option<Subject>,
    /// Whether it is never asked through a proxy: proxies cannot reach pods.
    pub(crate) direct: bool,
}

impl Target {
    /// A finding about it.
    pub(super) fn finding(&self, message: &str) -> Finding {
        match &self.subject {
            Some(subject) => Finding::about(subject.clone(), message),
            None => Finding::new(format!("{self}: {message}")),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.subject {
            Some(subject) => subject.fmt(f),
            None => f.write_str(&shown_url(&self.url)),
        }
    }
}

/// What is sent to every target, and how.
#[derive(Debug)]
pub(crate) struct Sender {
    method: Method,
    body: Option<Vec<u8>>,
    headers: HeaderMap,
    /// Those with secrets, which only the target itself gets.
    secrets: HeaderMap,
    host: Option<HostHeader>,
    /// Redirects to follow.
    pub(super) max_redirects: u32,
    version: HttpVersion,
    /// Addresses to use.
    pub(super) family: IpFamily,
    resolve_to: Option<IpAddr>,
    proxies: Proxies,
    tls: Tls,
}

/// One request of a chain of redirects.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    /// Where to.
    pub(super) url: Url,
    /// Whether it still goes to the target's own scheme, host and port.
    pub(super) own: bool,
    method: Method,
    with_body: bool,
}

impl Sender {
    /// From the options; `lookup` knows the variables for proxies.
    ///
    /// # Errors
    ///
    /// Every [`ConfigError`] found.
    pub(super) fn new(
        args: &HttpArgs,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Sender, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut keep = |error: ConfigError| errors.push(error);
        let request = &args.request;
        let connection = &args.connection;
        let secrets = secret_headers(request)
            .map_err(&mut keep)
            .unwrap_or_default();
        let proxies = Proxies::new(&connection.proxy_url, lookup)
            .map_err(&mut keep)
            .unwrap_or_default();
        let tls = Tls::new(args.tls.clone()).map_err(&mut keep).ok();
        let mut headers = HeaderMap::new();
        for header in &request.request_headers {
            headers.append(header.name.clone(), header.value.clone());
        }
        if headers.contains_key(HOST) {
            keep(ConfigError::of(
                "REQUEST_HEADERS",
                "expected no Host header: set HOST_HEADER instead",
            ));
        }
        let bodyless = [Method::GET, Method::HEAD, Method::TRACE].contains(&request.request_type.0);
        let body = match &request.request_body_file {
            Some(file) => file.0.clone(),
            None => request.request_body.clone(),
        };
        match tls {
            Some(tls) if errors.is_empty() => Ok(Sender {
                method: request.request_type.0.clone(),
                body: (!bodyless).then(|| body.into_bytes()),
                headers,
                secrets,
                host: request.host_header.clone(),
                max_redirects: request.max_redirects.0,
                version: connection.http_version,
                family: connection.ip_family,
                resolve_to: connection.resolve_to.map(|address| address.0),
                proxies,
                tls,
            }),
            _ => Err(errors),
        }
    }

    /// For a check that asks an API: GET without a body, no redirects, any version of HTTP, any address.
    pub(crate) fn for_api(
        headers: HeaderMap,
        secrets: HeaderMap,
        proxies: Proxies,
        tls: Tls,
    ) -> Sender {
        Sender {
            method: Method::GET,
            body: None,
            headers,
            secrets,
            host: None,
            max_redirects: 0,
            version: HttpVersion::Any,
            family: IpFamily::Any,
            resolve_to: None,
            proxies,
            tls,
        }
    }

    /// Whether `target` can be probed with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for overrides that have nothing to override, or contradict each other.
    pub(crate) fn accepts(&self, target: &Target) -> Result<(), ConfigError> {
        let route = self.route(target, &self.first(target));
        if let Some(ip) = self.resolve_to.filter(|_| route.instead.is_none()) {
            let message =
                format!("needs a host name in the URL, or TLS_SERVER_NAME with https: {target}");
            return Err(ConfigError::value("RESOLVE_TO", &ip.to_string(), message));
        }
        if self.proxies.given() && route.overridden {
            let message = format!(
                "cannot be combined with RESOLVE_TO, TLS_SERVER_NAME or a HOST_HEADER for https, \
                 because the proxy looks up the host: {target}"
            );
            return Err(ConfigError::of("PROXY_URL", message));
        }
        if self.version == HttpVersion::Http2 && route.host.is_some() {
            let message = format!(
                "cannot be combined with a Host that is not the name and port of the connection: {target}"
            );
            return Err(ConfigError::value("HTTP_VERSION", "2", message));
        }
        Ok(())
    }

    /// The first request to a target.
    pub(crate) fn first(&self, target: &Target) -> Hop {
        Hop {
            url: target.url.clone(),
            own: true,
            method: self.method.clone(),
            with_body: self.body.is_some(),
        }
    }

    /// The request that follows a redirect with `status` from `hop` to `location`. As browsers and Go do, 301, 302 and
    /// 303 turn it into GET without a body, except for HEAD; 307 and 308 repeat it.
    ///
    /// # Errors
    ///
    /// A message if `location` leads nowhere.
    pub(super) fn follow(
        &self,
        target: &Target,
        hop: &Hop,
        status: u16,
        location: &[u8],
    ) -> Result<Hop, String> {
        let wrong = || "redirect to something that is no http or https URL".to_owned();
        let location = std::str::from_utf8(location).map_err(|_| wrong())?;
        let mut url = hop.url.join(location.trim()).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong());
        }
        if url.fragment().is_none() {
            url.set_fragment(hop.url.fragment());
        }
        let own = hop.own && url.origin() == target.url.origin();
        let repeat = matches!(status, 307 | 308);
        let method = match &hop.method {
            method if repeat || *method == Method::HEAD => method.clone(),
            _ => Method::GET,
        };
        Ok(Hop {
            url,
            own,
            method,
            with_body: hop.with_body && repeat,
        })
    }

    /// The request for `hop`.
    pub(crate) fn request(&self, target: &Target, hop: &Hop) -> Request {
        let route = self.route(target, hop);
        let mut request = Request::new(hop.method.clone(), route.url);
        let mut headers = self.headers.clone();
        if hop.own {
            headers.extend(self.secrets.clone());
            if !headers.contains_key(AUTHORIZATION)
                && let Some(value) = url_auth(&target.url)
            {
                headers.insert(AUTHORIZATION, value);
            }
            if let Some(host) = route.host {
                headers.insert(HOST, host);
            }
        } else {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                headers.remove(name);
            }
        }
        match &self.body {
            Some(body) if hop.with_body => *request.body_mut() = Some(body.clone().into()),
            None => {}
            // A redirect left the body behind, and what was said of it no longer holds.
            Some(_) => {
                for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
                    headers.remove(name);
                }
            }
        }
        *request.headers_mut() = headers;
        request
    }

    /// A client for hops like `hop`. Every request makes a connection of its own: a probe is to see what a new client sees.
    ///
    /// # Errors
    ///
    /// A message for a finding: no CA certificates, for example.
    pub(crate) fn client(
        &self,
        target: &Target,
        hop: &Hop,
        log: &ChainLog,
        connected: &Arc<AtomicBool>,
    ) -> Result<Client, String> {
        khclient::install_crypto_provider();
        let route = self.route(target, hop);
        let tls = hop.url.scheme() == "https";
        // The host of the connection is not that of the request: only HTTP/1.1 can say both.
        let only_1 = self.version == HttpVersion::Http1 || route.host.is_some();
        let mut builder = Client::builder()
            .user_agent(crate::USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .connector_layer(Connected(Arc::clone(connected)))
            .dns_resolver(Resolver {
                family: self.family,
                instead: route.instead,
            })
            .no_proxy();
        if self.may_use_proxy(target, hop)
            && let Some(proxy) = self.proxies.proxy(tls).map_err(|error| describe(&error))?
        {
            builder = builder.proxy(proxy);
        }
        builder = match (only_1, self.version, tls) {
            (true, _, _) => builder.http1_only(),
            (false, HttpVersion::Http2, false) => builder.http2_prior_knowledge(),
            _ => builder,
        };
        builder = match tls {
            true => {
                let alpn: &[&[u8]] = if only_1 {
                    &[b"http/1.1"]
                } else {
                    &[b"h2", b"http/1.1"]
                };
                let alpn = alpn.iter().map(|name| name.to_vec()).collect();
                let purpose = Purpose {
                    alpn,
                    own: hop.own,
                    log: log.clone(),
                };
                let config = self
                    .tls
                    .client_config(purpose)
                    .map_err(|error| error.to_string())?;
                builder.tls_backend_preconfigured(config)
            }
            // Without this, CA certificates would be loaded that nobody needs.
            false => builder.tls_certs_only([]),
        };
        builder.build().map_err(|error| describe(&error))
    }

    /// Whether requests of this kind may go through a proxy.
    pub(crate) fn may_use_proxy(&self, target: &Target, hop: &Hop) -> bool {
        !target.direct
            && !self.route(target, hop).overridden
            && !self.proxies.none_for(hop.url.scheme() == "https")
    }

    /// Overrides are for the target itself; a pod is always asked at its own address.
    fn route(&self, target: &Target, hop: &Hop) -> Route {
        if !hop.own {
            return Route::plain(&hop.url);
        }
        let overrides = Overrides {
            host: self.host.as_ref(),
            server_name: self.tls.server_name(),
            resolve_to: self.resolve_to.filter(|_| !target.direct),
            http2: self.version == HttpVersion::Http2,
        };
        Route::overridden(&hop.url, overrides)
    }
}
