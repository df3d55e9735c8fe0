//! Errors in fixed, short words.
//!
//! Kuberhealthy puts an error text into a Prometheus label, so the same trouble must read the same in every run: the
//! words here are ours and hold no address, port or counter that an operating system or a library might add.

use std::error::Error;
use std::io;

use khclient::redact_urls;
use rustls::{AlertDescription, CertificateError};
use url::Url;

use crate::dns::DnsError;
use crate::tls;

/// The cause of `error` in a few words, such as `connection refused`.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut unknown = error.to_string();
    let mut reset = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(known) = known(error) {
            return known;
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            // What lies under it, if anything does, says more.
            reset = hyper_words(hyper).or(reset);
        }
        unknown = error.to_string();
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    match (reset, library_words(&unknown)) {
        (_, Some(words)) | (Some(words), None) => words.to_owned(),
        (None, None) => shorten(&redact_urls(&unknown), 120),
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<DnsError>() {
        return Some(error.to_string());
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_words(error));
    }
    io_words(error.downcast_ref::<io::Error>()?)
}

fn io_words(error: &io::Error) -> Option<String> {
    use io::ErrorKind::*;
    // An error that wraps another is told by the inner one.
    let words = match error.kind() {
        _ if error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>() || inner.is::<hyper::Error>()) =>
        {
            return None;
        }
        ConnectionRefused => "connection refused",
        ConnectionReset => "connection reset",
        ConnectionAborted | BrokenPipe | NotConnected => "connection closed by the server",
        UnexpectedEof => "connection closed before the response was complete",
        HostUnreachable => "host unreachable",
        NetworkUnreachable => "network unreachable",
        AddrNotAvailable => "address not available",
        TimedOut => "connection timed out",
        PermissionDenied => "not permitted to connect",
        _ => return None,
    };
    Some(words.to_owned())
}

fn hyper_words(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse_too_large() {
        Some("response head is too large")
    } else if error.is_parse() {
        Some("the server does not speak HTTP")
    } else if error.is_incomplete_message() {
        Some("connection closed before the response was complete")
    } else if error.is_canceled() || error.is_closed() {
        Some("connection closed by the server")
    } else {
        None
    }
}

/// Errors of h2 and of hyper-util's proxy tunnels, whose types are not public, by their texts.
fn library_words(text: &str) -> Option<&'static str> {
    const WORDS: &[(&str, &str)] = &[
        (
            "frame with invalid size",
            "the server does not speak HTTP/2",
        ),
        (
            "tunnel error: proxy authorization required",
            "the proxy requires credentials",
        ),
        (
            "tunnel error: unsuccessful",
            "the proxy refused the connection",
        ),
        ("tunnel error", "the proxy did not connect"),
    ];
    let known = WORDS.iter().find(|(part, _)| text.contains(part));
    known.map(|(_, words)| *words)
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::Error::*;
    match error {
        InvalidCertificate(error) => certificate_words(error),
        AlertReceived(AlertDescription::CertificateRequired) => {
            "TLS: the server requires a client certificate".to_owned()
        }
        AlertReceived(AlertDescription::ProtocolVersion) => {
            "TLS: the server refuses the TLS versions offered".to_owned()
        }
        AlertReceived(AlertDescription::UnrecognisedName) => {
            "TLS: the server does not know this name".to_owned()
        }
        AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::AccessDenied,
        ) => "TLS: the server refuses the client certificate".to_owned(),
        AlertReceived(alert) => format!("TLS: the server refused the handshake ({alert:?})"),
        InvalidMessage(_) | InappropriateMessage { .. } | InappropriateHandshakeMessage { .. } => {
            "TLS: the server does not speak TLS on this port".to_owned()
        }
        PeerIncompatible(_) => {
            "TLS: the server offers no TLS version or cipher that is accepted".to_owned()
        }
        NoApplicationProtocol => {
            "TLS: the server offers no HTTP version that is accepted".to_owned()
        }
        other => format!("TLS: {}", shorten(&other.to_string(), 100)),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "certificate expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired on {}", tls::date(not_after.as_secs()))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "certificate is signed by an unknown CA".to_owned(),
        CertificateError::NotValidForName => "certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = presented
                .iter()
                .take(3)
                .map(|name| bare_name(name))
                .collect::<Vec<_>>()
                .join(", ");
            let names = if names.is_empty() {
                "no name".to_owned()
            } else {
                names
            };
            format!(
                "certificate is not for {} but for {}",
                expected.to_str(),
                shorten(&names, 120)
            )
        }
        CertificateError::Revoked => "certificate is revoked".to_owned(),
        CertificateError::BadSignature => "certificate has a bad signature".to_owned(),
        CertificateError::BadEncoding => "certificate is malformed".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate is not meant for servers".to_owned()
        }
        // rustls has no kind of its own for this one, which openssl makes of every self-signed certificate.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "certificate is that of a CA, not one for servers (self-signed?)".to_owned()
        }
        other => format!(
            "certificate is not accepted: {}",
            shorten(&other.to_string(), 80)
        ),
    }
}

/// `DnsName("a.example")` as rustls-webpki shows it, without the wrapping.
fn bare_name(shown: &str) -> &str {
    shown.split('"').nth(1).unwrap_or(shown)
}

/// `text` without control characters, at most `limit` characters long.
pub fn shorten(text: &str, limit: usize) -> String {
    let mut clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.by_ref().take(limit).collect();
    if clean.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// A message holds 300 characters, and what is wrong with a URL matters more than its end.
const LONGEST_URL: usize = 150;

/// A URL as findings show it: without credentials, without values of query parameters that look like secrets.
pub fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shorten(&redact_urls(shown.as_str()), LONGEST_URL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        for (url, shown) in [
            ("http://a", "http://a/"),
            (
                "http://user:pw@a:8080/b?q=1&api_token=x#frag",
                "http://a:8080/b?q=1&api_token=***",
            ),
        ] {
            assert_eq!(shown_url(&Url::parse(url).unwrap()), shown);
        }
    }

    #[test]
    fn the_innermost_known_cause_is_told() {
        let refused = io::Error::new(
            io::ErrorKind::ConnectionRefused,
            "tcp connect error 1.2.3.4:80",
        );
        assert_eq!(describe(&refused), "connection refused");
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, expired);
        assert_eq!(describe(&io::Error::other(wrapped)), "certificate expired");
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(
            describe(&alert),
            "TLS: the server requires a client certificate"
        );
        assert_eq!(
            describe(&io::Error::other("http://u:p@h broke")),
            "http://***@h broke"
        );
    }

    #[test]
    fn texts_are_shortened_by_characters() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(shorten("a\nb", 10), "a b");
    }
}
