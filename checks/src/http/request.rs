//! From options to requests: what is sent to whom, and through which client.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use khclient::{Finding, Subject};
use percent_encoding::percent_decode_str;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap,
    HeaderValue, PROXY_AUTHORIZATION,
};
use reqwest::{Client, Method, Request, Url};

use super::args::{HttpArgs, RequestArgs};
use super::connector::Connected;
use super::proxy::Proxies;
use super::values::{HostHeader, HttpVersion, ProxyChoice};
use crate::cli::ConfigError;
use crate::describe::{describe, shown_url};
use crate::dns::{Place, Resolver};
use crate::tls::{ChainLog, Purpose, Tls};
use crate::values::IpFamily;

/// One thing to probe.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Where.
    pub(super) url: Url,
    /// What findings are about; the URL if nothing.
    pub(super) subject: Option<Subject>,
    /// Whether it is never asked through a proxy: proxies cannot reach pods.
    pub(super) direct: bool,
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
pub(super) struct Sender {
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
pub(super) struct Hop {
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
        let overridden = [
            ("RESOLVE_TO", connection.resolve_to.is_some()),
            ("TLS_SERVER_NAME", args.tls.tls_server_name.is_some()),
        ];
        if let (ProxyChoice::Url(_), Some((name, _))) =
            (&connection.proxy_url, overridden.iter().find(|o| o.1))
        {
            keep(ConfigError::of(
                "PROXY_URL",
                format!("cannot be combined with {name}: the proxy looks up the host"),
            ));
        }
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

    /// Whether `url` can be probed with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for overrides that have nothing to override.
    pub(super) fn accepts(&self, url: &Url) -> Result<(), ConfigError> {
        let shown = shown_url(url);
        let route = self.route(url, true);
        if let Some(ip) = self.resolve_to.filter(|_| route.instead.is_none()) {
            let message =
                format!("needs a host name in the URL, or TLS_SERVER_NAME with https: {shown}");
            return Err(ConfigError::value("RESOLVE_TO", &ip.to_string(), message));
        }
        if self.version == HttpVersion::Http2 && route.host.is_some() {
            let message = format!(
                "cannot be combined with a Host that is not the name and port of the connection: {shown}"
            );
            return Err(ConfigError::value("HTTP_VERSION", "2", message));
        }
        Ok(())
    }

    /// The first request to a target.
    pub(super) fn first(&self, target: &Target) -> Hop {
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
    pub(super) fn request(&self, target: &Target, hop: &Hop) -> Request {
        let route = self.route(&hop.url, hop.own);
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
            _ => {
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
    pub(super) fn client(
        &self,
        target: &Target,
        hop: &Hop,
        log: &ChainLog,
        connected: &Arc<AtomicBool>,
    ) -> Result<Client, String> {
        khclient::install_crypto_provider();
        let route = self.route(&hop.url, hop.own);
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
    pub(super) fn may_use_proxy(&self, target: &Target, hop: &Hop) -> bool {
        !target.direct
            && !self.route(&hop.url, hop.own).direct
            && !self.proxies.none_for(hop.url.scheme() == "https")
    }

    /// How overrides change the way to `url`. The host of the URL that the client gets is the TLS name; the resolver
    /// leads it to the real place; a `Host` that differs is sent as a header.
    fn route(&self, url: &Url, own: bool) -> Route {
        let mut route = Route {
            url: url.clone(),
            host: None,
            instead: None,
            direct: false,
        };
        // Otherwise reqwest would send them to whatever host a redirect names.
        let _ = route.url.set_username("");
        let _ = route.url.set_password(None);
        if !own {
            return route;
        }
        let https = url.scheme() == "https";
        let real = url.host_str().unwrap_or_default();
        let asked = self.host.as_ref().and_then(|host| host.name.as_deref());
        let name = match https {
            true => self.tls.server_name().or(asked),
            // Over plain http the name of the connection is seen by nobody, except as :authority in HTTP/2.
            false => asked.filter(|_| self.version == HttpVersion::Http2),
        }
        .unwrap_or(real);
        let place = match (self.resolve_to, url.host()) {
            (Some(ip), _) => Some(Place::Ip(ip)),
            (None, _) if name == real => None,
            (None, Some(url::Host::Ipv4(ip))) => Some(Place::Ip(ip.into())),
            (None, Some(url::Host::Ipv6(ip))) => Some(Place::Ip(ip.into())),
            (None, _) => Some(Place::Host(real.to_owned())),
        };
        let is_name = name.parse::<IpAddr>().is_err() && !name.starts_with('[');
        route.direct = place.is_some();
        route.instead = place
            .filter(|_| is_name)
            .map(|place| (name.to_ascii_lowercase(), place));
        let wanted = self
            .host
            .as_ref()
            .map_or_else(|| authority(url), |host| host.text.clone());
        let _ = route.url.set_host(Some(name));
        let default_port = if https { 443 } else { 80 };
        let same = match &self.host {
            Some(host) => {
                host.name.as_deref() == Some(name)
                    && host.port.unwrap_or(default_port)
                        == url.port_or_known_default().unwrap_or(default_port)
            }
            None => wanted == authority(&route.url),
        };
        route.host = HeaderValue::from_str(&wanted).ok().filter(|_| !same);
        route
    }
}

struct Route {
    url: Url,
    /// The `Host` to send, if it is not that of `url`.
    host: Option<HeaderValue>,
    instead: Option<(String, Place)>,
    /// Overrides say where to connect to, so no proxy from the environment is asked.
    direct: bool,
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Headers with credentials.
fn secret_headers(args: &RequestArgs) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for header in &args.request_header_files {
        headers.append(header.0.name.clone(), header.0.value.clone());
    }
    let pick = |file: &Option<crate::values::FileText>, text: &Option<String>| {
        file.as_ref()
            .map(|file| file.trimmed().to_owned())
            .or_else(|| text.clone())
    };
    let user = pick(&args.basic_auth_user_file, &args.basic_auth_user);
    let password = pick(&args.basic_auth_password_file, &args.basic_auth_password);
    let token = pick(&args.bearer_token_file, &args.bearer_token);
    let (option, text) = match (user, password, token) {
        (Some(_), _, Some(_)) => {
            return Err(ConfigError::of(
                "BEARER_TOKEN",
                "cannot be combined with BASIC_AUTH_USER",
            ));
        }
        (None, Some(_), _) => {
            return Err(ConfigError::of(
                "BASIC_AUTH_USER",
                "expected a user for the password given",
            ));
        }
        (Some(user), _, _) if user.contains(':') => {
            return Err(ConfigError::of(
                "BASIC_AUTH_USER",
                "expected a name without a colon",
            ));
        }
        (Some(user), password, None) => (
            "BASIC_AUTH_USER",
            basic(&user, &password.unwrap_or_default()),
        ),
        (None, None, Some(token)) => ("BEARER_TOKEN", format!("Bearer {}", token.trim())),
        (None, None, None) => return Ok(headers),
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| ConfigError::of(option, "expected text that can be sent in a header"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// `user:password@` in a URL, as curl and Go send it.
fn url_auth(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    let credentials = basic(
        &decode(url.username()),
        &decode(url.password().unwrap_or_default()),
    );
    let mut value = HeaderValue::from_str(&credentials).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Basic` credentials (RFC 7617).
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
