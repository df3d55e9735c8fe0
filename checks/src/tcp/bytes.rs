//! Bytes as options write them and as findings show them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

use crate::describe::shorten;
use crate::values::BadValue;

/// More than any question a probe asks.
const LARGEST: usize = 64 << 10;

/// Bytes to send or to find: text with escapes (`PING\r\n`, `\x00`), or hex after `hex:` (`hex: 00 00 00 08`).
///
/// Its `Debug` form does not show them: they may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Payload(pub Vec<u8>);

impl FromStr for Payload {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Payload, BadValue> {
        let bytes = match text.trim_start().strip_prefix("hex:") {
            Some(digits) => hex(digits)?,
            None => unescape(text)?,
        };
        match bytes.len() {
            0 => Err(BadValue::expected("at least one byte")),
            n if n > LARGEST => Err(BadValue::expected("at most 64KiB")),
            _ => Ok(Payload(bytes)),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

fn hex(text: &str) -> Result<Vec<u8>, BadValue> {
    let wrong =
        || BadValue::expected("pairs of hex digits after hex:, such as hex:00ff or hex: 00 ff");
    let mut bytes = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c == ':') {
        // Whole bytes between the spaces: `0 ff` is a slip, not 0x0f 0xf.
        if !word.bytes().all(|b| b.is_ascii_hexdigit()) || word.len() % 2 == 1 {
            return Err(wrong());
        }
        for at in (0..word.len()).step_by(2) {
            bytes.push(u8::from_str_radix(&word[at..at + 2], 16).map_err(|_| wrong())?);
        }
    }
    if bytes.is_empty() {
        Err(wrong())
    } else {
        Ok(bytes)
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, BadValue> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match rest.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let mut digit = || rest.next().and_then(|c| c.to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err(BadValue::expected(r"two hex digits after \x")),
                }
            }
            _ => {
                return Err(BadValue::expected(
                    r"\r, \n, \t, \0, \\ or \xHH after a backslash",
                ));
            }
        });
    }
    Ok(bytes)
}

/// What an answer must be: a regular expression somewhere in it (`^` and `$` are the ends of lines, `.` is any byte but
/// a line end), or after `prefix:` the bytes it must begin with, written as for [`Payload`].
#[derive(Clone)]
pub(super) enum Expected {
    /// A regular expression over bytes.
    Match(Regex),
    /// The first bytes, and how the option wrote them.
    Prefix(Payload, String),
}

impl FromStr for Expected {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Expected, BadValue> {
        if let Some(prefix) = text.strip_prefix("prefix:") {
            // A space after the colon reads better and is not meant; one that is can be written `\x20`.
            let prefix = prefix.trim_start();
            return Ok(Expected::Prefix(prefix.parse()?, prefix.to_owned()));
        }
        let built = RegexBuilder::new(text)
            .unicode(false)
            .multi_line(true)
            .crlf(true)
            .size_limit(1 << 20)
            .build();
        let regex = built.map_err(|error| {
            // The last line says what is wrong; those before it draw an arrow under the pattern.
            let text = error.to_string();
            let last = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            BadValue(format!(
                "expected a regular expression, or prefix: and bytes: {last}"
            ))
        })?;
        if regex.is_match(b"") {
            return Err(BadValue::expected(
                "a regular expression that does not match an empty answer",
            ));
        }
        Ok(Expected::Match(regex))
    }
}

/// What a look at the bytes that have come so far says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is there; so many bytes are used up.
    Found(usize),
    /// It may still come.
    NotYet,
    /// Whatever comes, it will not match.
    Never,
}

impl Expected {
    /// Looks at what has come.
    pub(super) fn look(&self, bytes: &[u8]) -> Look {
        match self {
            Expected::Match(regex) => regex
                .find(bytes)
                .map_or(Look::NotYet, |found| Look::Found(found.end())),
            Expected::Prefix(Payload(prefix), _) if bytes.starts_with(prefix) => {
                Look::Found(prefix.len())
            }
            Expected::Prefix(Payload(prefix), _) if prefix.starts_with(bytes) => Look::NotYet,
            Expected::Prefix(..) => Look::Never,
        }
    }
}

impl fmt::Display for Expected {
    /// As in "expected an answer that matches ...".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Match(regex) => {
                write!(f, "an answer that matches {}", shorten(regex.as_str(), 80))
            }
            Expected::Prefix(_, text) => {
                write!(f, "an answer that begins with {}", shorten(text, 80))
            }
        }
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expected({self})")
    }
}

/// Words of an answer that a finding shows, and their characters together.
const WORDS: usize = 4;
const CHARS: usize = 48;

/// An answer in a few words that are the same in the next run: the first words of its first line. A word that looks
/// like a clock, a counter or a salt becomes `…`, one that was `sent` becomes `***`, since it may be a password.
pub(super) fn excerpt(bytes: &[u8], sent: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    if !sent.is_empty() && bytes.starts_with(sent) {
        return "what was sent, unchanged".to_owned();
    }
    let end = bytes
        .iter()
        .position(|b| !(b.is_ascii_graphic() || *b == b' '))
        .unwrap_or(bytes.len());
    // Binary: the first bytes are a type or a length; what follows is as good as random.
    if end < 3 && !matches!(bytes.get(end), None | Some(b'\r' | b'\n')) {
        let first = bytes
            .iter()
            .take(4)
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>();
        return format!("bytes {}", first.join(" "));
    }
    let line = String::from_utf8_lossy(&bytes[..end]);
    let sent = String::from_utf8_lossy(sent);
    // Protocols put a NUL between words too, and servers repeat words without the quotes around them.
    let secret = |word: &str| {
        sent.split(|c: char| c.is_whitespace() || c.is_control())
            .flat_map(|sent| [sent, sent.trim_matches(['"', '\''])])
            .any(|sent| sent.len() >= 4 && word.contains(sent))
    };
    let mut words = line.split_whitespace();
    let shown = words.by_ref().take(WORDS).map(|word| match word {
        word if secret(word) => "***",
        word if varies(word) => "…",
        word => word,
    });
    let mut shown = shown.collect::<Vec<_>>().join(" ");
    if words.next().is_some() {
        shown.push_str(" …");
    }
    if shown.is_empty() {
        "an empty line".to_owned()
    } else {
        format!("{:?}", shorten(&shown, CHARS))
    }
}

/// Whether a word holds a time, five digits or more in a row, an id in hexadecimal digits, or an address, which may be
/// that of the check's own pod.
fn varies(word: &str) -> bool {
    let bytes = word.as_bytes();
    let clock = bytes.windows(4).any(|w| {
        w[0].is_ascii_digit() && w[1] == b':' && w[2].is_ascii_digit() && w[3].is_ascii_digit()
    });
    let row = bytes.windows(5).any(|w| w.iter().all(u8::is_ascii_digit));
    let address = word
        .split(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != ':')
        .map(|part| part.trim_end_matches(['.', ':']))
        .any(|part| {
            let host = part.rsplit_once(':').map_or(part, |(host, _)| host);
            part.parse::<IpAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok()
        });
    let id = word.split(|c: char| !c.is_ascii_hexdigit()).any(|part| {
        part.len() >= 8
            && part.contains(|c: char| c.is_ascii_digit())
            && part.contains(|c: char| c.is_ascii_alphabetic())
    });
    clock || row || address || id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_escapes_and_hex_has_pairs() {
        for (text, bytes) in [
            ("PING\\r\\n", &b"PING\r\n"[..]),
            ("a\\\\n\\t\\0\\x1F", b"a\\n\t\0\x1f"),
            ("é", "é".as_bytes()),
            (" a ", b" a "),
            ("hex:00ff", b"\0\xff"),
            ("hex: 00 FF\n10:11", b"\0\xff\x10\x11"),
        ] {
            assert_eq!(
                text.parse::<Payload>().map(|payload| payload.0),
                Ok(bytes.to_vec()),
                "{text}"
            );
        }
        for (text, words) in [
            ("", "at least one byte"),
            ("hex:", "pairs of hex digits"),
            ("hex:0", "pairs of hex digits"),
            ("hex:0 ff", "pairs of hex digits"),
            ("hex:zz", "pairs of hex digits"),
            ("hex:é0", "pairs of hex digits"),
            ("\\", "after a backslash"),
            ("\\q", "after a backslash"),
            ("\\x1", "two hex digits"),
            ("\\xgg", "two hex digits"),
        ] {
            assert!(
                text.parse::<Payload>().unwrap_err().0.contains(words),
                "{text}"
            );
        }
        assert!("x".repeat(LARGEST + 1).parse::<Payload>().is_err());
        assert_eq!(
            format!("{:?}", "secret".parse::<Payload>().unwrap()),
            "Payload(6 bytes)"
        );
    }

    #[test]
    fn expectations_are_met_missed_or_open() {
        for (expected, bytes, look) in [
            ("^\\+PONG$", &b"+PONG\r\n"[..], Look::Found(5)),
            ("^\\+PONG\\r\\n", b"+PO", Look::NotYet),
            ("^250 ", b"250-a\r\n250 b", Look::Found(11)),
            ("\\xff.", b"\0\xff\x80", Look::Found(3)),
            ("a.b", b"a\nb", Look::NotYet),
            ("prefix:SSH-", b"SSH-2.0", Look::Found(4)),
            ("prefix: SSH-", b"SS", Look::NotYet),
            ("prefix:SSH-", b"HTTP", Look::Never),
            ("prefix:hex:00 01", b"\0\x01\x02", Look::Found(2)),
            ("prefix:a\\r\\n", b"a\n", Look::Never),
        ] {
            assert_eq!(
                expected.parse::<Expected>().unwrap().look(bytes),
                look,
                "{expected}"
            );
        }
        for (text, words) in [
            ("(", "regular expression"),
            ("a*", "empty answer"),
            ("", "empty answer"),
            ("prefix:", "one byte"),
        ] {
            assert!(
                text.parse::<Expected>().unwrap_err().0.contains(words),
                "{text}"
            );
        }
    }

    #[test]
    fn excerpts_are_short_stable_and_without_secrets() {
        for (bytes, sent, shown) in [
            (&b""[..], "", "nothing"),
            (b"\r\n", "", "an empty line"),
            (
                b"-ERR unknown command\r\nmore",
                "",
                "\"-ERR unknown command\"",
            ),
            (
                b"220 mail ESMTP Postfix ready now",
                "",
                "\"220 mail ESMTP Postfix …\"",
            ),
            (b"220 mail 03:49:15 12345", "", "\"220 mail … …\""),
            // The address of the check's pod, another one in each run.
            (
                b"554 5.7.1 <unknown[10.1.2.3]>: Client host rejected",
                "",
                "\"554 5.7.1 … Client …\"",
            ),
            (b"421 10.1.2.3:4711 fd00::1. x::y", "", "\"421 … … x::y\""),
            (b"220 b9-20a01f3c dead:", "", "\"220 … dead:\""),
            (
                b"-ERR no 's3cret' for hunter2",
                "AUTH \"s3cret\"\0hunter2\0",
                "\"-ERR no *** for …\"",
            ),
            (b"+OK <1896.697170952@db>", "", "\"+OK …\""),
            (b"J\0\0\0\x0a8.0.36\0", "", "bytes 4a 00 00 00"),
            (b"N", "", "\"N\""),
            (
                b"-ERR with 's3cret'",
                "AUTH s3cret\r\n",
                "\"-ERR with ***\"",
            ),
            (
                b"AUTH s3cret\r\n",
                "AUTH s3cret\r\n",
                "what was sent, unchanged",
            ),
            (
                b"HTTP/1.1 400 Bad Request\r\n",
                "GET / HTTP/1.0\r\n\r\n",
                "\"HTTP/1.1 400 Bad Request\"",
            ),
        ] {
            assert_eq!(excerpt(bytes, sent.as_bytes()), shown);
        }
        assert!(excerpt(&[b'x'; 5000], b"").chars().count() <= CHARS + 2);
    }
}
