//! Text that may leave the process: one line, no credentials, of bounded length.
//!
//! Kuberhealthy shows errors on its status page, writes them to its resources and puts them into a Prometheus label, so
//! every message goes through [`clean`]. It is idempotent, which [`crate::Finding`]'s round trip rests on.

use url::Url;

/// The most characters a message may have.
pub(crate) const MAX_CHARS: usize = 300;

/// The most of a text that is looked at, in bytes, and of a single word, in characters.
const MAX_READ: usize = 8192;

/// What stands in for a credential.
const HIDDEN: &str = "***";

/// Query parameters that carry a secret: names that contain one of these, or equal one of [`SECRET_NAMES`].
const SECRET_PARTS: [&str; 8] = [
    "token",
    "secret",
    "passw",
    "apikey",
    "api_key",
    "api-key",
    "signature",
    "credential",
];
const SECRET_NAMES: [&str; 4] = ["auth", "key", "pwd", "sig"];

/// `text` on one line, with credentials in URLs hidden, cut to [`MAX_CHARS`] characters.
pub(crate) fn clean(text: &str) -> String {
    cut(&redact_urls(&one_line(text)))
}

/// `text` with user names and passwords in URLs, and query parameters that look like secrets, replaced by `***`.
///
/// ```
/// assert_eq!(
///     khclient::redact_urls("GET https://admin:pw@shop/cart?token=abc&page=2: refused"),
///     "GET https://***@shop/cart?token=***&page=2: refused",
/// );
/// ```
pub fn redact_urls(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        // Hiding a value can move the end of what looks like a host name, so this goes on until nothing is left to hide.
        // It ends because each round that changes anything leaves fewer characters that are not asterisks.
        let redacted = redact_queries(&redact_userinfo(&text));
        if redacted == text {
            return redacted;
        }
        text = redacted;
    }
}

fn redact_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + "://".len());
        out.push_str(before);
        rest = match userinfo_end(after) {
            Some(end) => {
                out.push_str(HIDDEN);
                &after[end..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// The address for messages: no credentials, no query, no fragment.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs without a host, which have no credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    clean(shown.as_str())
}

/// Control and invisible characters become spaces, runs of white space one space. Stops at the end of a word once there
/// is far more than a message can hold, so that cleaning a huge text costs little.
fn one_line(text: &str) -> String {
    let mut out = String::new();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
    for word in words.filter(|word| !word.is_empty()) {
        if out.len() > MAX_READ {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().take(MAX_READ));
    }
    out
}

/// Characters that hide or reorder what follows: zero-width ones, direction marks, separators.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_CHARS - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Where the credentials at the start of `after` (what follows `://`) end: the index of their `@`.
fn userinfo_end(after: &str) -> Option<usize> {
    let url = &after[..after.find(ends_url).unwrap_or(after.len())];
    let authority = &url[..url.find(['/', '\\', '?', '#']).unwrap_or(url.len())];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    // A password with an unescaped slash is no valid URL, and is therefore just what an error message would quote.
    let port = authority.rsplit_once(':').map(|(_, port)| port)?;
    let is_port = port
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b']');
    if is_port || authority.starts_with('[') {
        return None;
    }
    url.rfind('@')
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

/// Hides the values of secret-looking query parameters in every piece of `text` that follows a `://`.
fn redact_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_url = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("://") {
            in_url = true;
        } else if ends_url(c) {
            in_url = false;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
        if !(in_url && matches!(c, '?' | '&')) {
            continue;
        }
        let end = rest
            .find(|c| c == '&' || c == '#' || ends_url(c))
            .unwrap_or(rest.len());
        let Some((name, value)) = rest[..end].split_once('=') else {
            continue;
        };
        // A value that was hidden and then cut stays as it is: cleaning twice must change nothing.
        if is_secret(name) && !value.chars().all(|c| c == '*' || c == '…') {
            out.push_str(name);
            out.push('=');
            out.push_str(HIDDEN);
            rest = &rest[end..];
        }
    }
    out
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_are_hidden_wherever_they_stand() {
        let cases = [
            ("http://u:p@h/x", "http://***@h/x"),
            ("http://u@h", "http://***@h"),
            ("http://u:p@w@h/x", "http://***@h/x"),
            (
                "a http://u:p@h b https://v:q@i",
                "a http://***@h b https://***@i",
            ),
            ("postgres://u:pa/ss@h/db", "postgres://***@h/db"),
            ("http://h/~@user", "http://h/~@user"),
            ("http://h:80/@user", "http://h:80/@user"),
            ("http://[::1]:80/@user", "http://[::1]:80/@user"),
            ("http://h/?to=http://u:p@i", "http://h/?to=http://***@i"),
            ("\"http://h\" for a@b", "\"http://h\" for a@b"),
            (
                "https://h/?a=1&access_token=xyz&b=2",
                "https://h/?a=1&access_token=***&b=2",
            ),
            ("https://h/?SIG=xyz#top", "https://h/?SIG=***#top"),
            ("https://h/?signal=green", "https://h/?signal=green"),
            ("what is token=1? no URL", "what is token=1? no URL"),
            (
                "http://h/?u=http://b&token=/&@x",
                "http://h/?u=http://***@x",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(redact_urls(text), expected);
        }
    }

    #[test]
    fn a_message_is_one_visible_line() {
        assert_eq!(clean(" a\r\n\tb\u{0}c\u{202e}d\u{200b} "), "a b c d");
    }

    #[test]
    fn a_long_message_is_cut_by_characters() {
        let cleaned = clean(&"é".repeat(MAX_CHARS + 1));
        assert_eq!(cleaned.chars().count(), MAX_CHARS);
        assert!(cleaned.ends_with('…'));
        assert_eq!(clean(&"é".repeat(MAX_CHARS)).chars().count(), MAX_CHARS);
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(
            text in "([ a-z@:/?&=#*…\\\\]|://|token=|\n|[\\PC]){0,400}"
        ) {
            let once = clean(&text);
            prop_assert_eq!(&clean(&once), &once);
            prop_assert!(once.chars().count() <= MAX_CHARS);
            prop_assert!(!once.chars().any(char::is_control));
        }

        #[test]
        fn a_password_never_survives(
            user in "[a-z]{1,8}", password in "[A-Z0-9!$&*+,;=:@%.~_-]{12,30}", before in "[ a-z]{0,20}", after in "[ a-z/?]{0,20}"
        ) {
            let text = format!("{before}https://{user}:{password}@example.com{after}");
            let redacted = redact_urls(&text);
            prop_assert!(!redacted.contains(&password), "{}", redacted);
        }
    }
}
