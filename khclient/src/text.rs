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

/// The value of an option or variable that was refused, for the message about it. As [`redact_urls`], and it also hides
/// `user:password@` where the scheme is missing or misspelt, which is just what a refused URL or proxy may look like.
/// Only the first 8192 characters are kept: a message shows less, and looking for credentials takes its time.
///
/// ```
/// assert_eq!(khclient::redact_value("user:pw@proxy:3128"), "***@proxy:3128");
/// assert_eq!(khclient::redact_value("http:/user:pw@shop"), "***@shop");
/// ```
pub fn redact_value(value: &str) -> String {
    let end = value.char_indices().nth(MAX_READ);
    let value = &value[..end.map_or(value.len(), |(end, _)| end)];
    let hide = |text: &str| {
        let (before, host) = text.rsplit_once('@')?;
        let (user, _) = before.split_once(':')?;
        // Not in `$.items[?@.a == 'b:c' && @.d]`.
        let is_user = !user.contains(['$', '[', ']', '(', ')']);
        is_user.then(|| format!("{HIDDEN}@{host}"))
    };
    if !value.contains("://") {
        return hide(value).unwrap_or_else(|| value.to_owned());
    }
    let words = redact_urls(value);
    let words = words.split(' ').map(|word| match word.contains("://") {
        true => word.to_owned(),
        false => hide(word).unwrap_or_else(|| word.to_owned()),
    });
    words.collect::<Vec<_>>().join(" ")
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
    fn credentials_of_a_refused_value_are_hidden_without_a_scheme_too() {
        let cases = [
            ("u:p@h:80", "***@h:80"),
            ("http:/u:p@h", "***@h"),
            ("u:p w@h", "***@h"),
            ("http://u:p@h/ v:q@i", "http://***@h/ ***@i"),
            ("http://h,u:p@i", "http://***@i"),
            ("someone@h", "someone@h"),
            ("$.a[?@.b == 'c:d' && @.e]", "$.a[?@.b == 'c:d' && @.e]"),
            ("10", "10"),
        ];
        for (value, expected) in cases {
            assert_eq!(redact_value(value), expected);
        }
    }

    #[test]
    fn a_huge_value_is_cut_before_it_is_looked_through() {
        let shown = redact_value(&format!("http://u:p@h/{}", "://é".repeat(100_000)));
        assert!(shown.starts_with("http://***@h/"));
        assert!(shown.chars().count() <= MAX_READ);
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
