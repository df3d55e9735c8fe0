//! Which failures are the same: an incident's errors without what differs from one run to the next.

use std::net::Ipv6Addr;

use khclient::Finding;
use serde::{Deserialize, Serialize};

use super::incident::fnv;

/// Characters of a pattern's text at most.
pub const PATTERN_LENGTH: usize = 120;
/// So many distinct errors tell a failure.
const ERRORS: usize = 4;
/// So many errors are looked at; an incident and its records keep as many.
const LOOKED_AT: usize = 10;
/// Characters of an error that are looked at. Records keep a few more, so that both give the same pattern.
const LENGTH: usize = 256;
/// What stands for a number, an address or an id.
const VARIES: char = '#';
/// What random parts of pods' names are made of: no vowels, no digits or letters that are easily confused.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";

/// What failures with the same cause have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// 10 hexadecimal digits, the same in every version and on every machine.
    pub id: String,
    /// What it was made from, for people; at most [`PATTERN_LENGTH`] characters.
    pub text: String,
}

/// The pattern of a failure. The order of its errors does not matter, nor does how often one occurs.
///
/// A pod counts by its kind only, as its name changes with each replacement; other objects by their names. In a text,
/// `#` stands for numbers, addresses, times, ids and random parts of names, and `""` for what is quoted. A number after
/// `code` is kept, as is the class of an HTTP status, `5xx`: these tell causes apart.
pub fn pattern(errors: &[String]) -> Pattern {
    let looked_at = errors.iter().take(LOOKED_AT);
    let mut texts: Vec<String> = looked_at.map(|error| plain(error)).collect();
    texts.sort();
    texts.dedup();
    texts.truncate(ERRORS);
    let hash = fnv(texts.iter().flat_map(|text| text.bytes().chain([0])));
    let mut id = format!("{hash:016x}");
    id.truncate(10);
    Pattern {
        id,
        text: texts.join("; ").chars().take(PATTERN_LENGTH).collect(),
    }
}

/// One error without what varies.
fn plain(error: &str) -> String {
    let error: String = error.chars().take(LENGTH).collect();
    let Ok(finding) = error.parse::<Finding>();
    let subject = finding.subject().map(|subject| match subject.kind() {
        "pod" => "pod".to_owned(),
        _ => message(&subject.to_string()),
    });
    let said = message(finding.message());
    let text = match subject {
        Some(subject) => format!("{subject}: {said}"),
        None => said,
    };
    text.chars().take(PATTERN_LENGTH).collect()
}

fn message(text: &str) -> String {
    let text = unquoted(&text.to_lowercase());
    let http = text.contains("status") || text.contains("http");
    let mut plain = String::new();
    let mut rest = text.as_str();
    let mut before = "";
    while let Some(c) = rest.chars().next() {
        let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        if word.is_empty() {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            if c.is_whitespace() || c.is_control() {
                push(&mut plain, " ");
            } else {
                plain.push(c);
            }
            continue;
        }
        // What ends a sentence or begins an address is no part of the word.
        let bare = word.trim_end_matches(['.', ':', '-', '_']);
        let end = word.get(bare.len()..).unwrap_or_default();
        push(&mut plain, &shape(word, bare, before, http));
        if word.parse::<Ipv6Addr>().is_err() {
            push(&mut plain, end);
        }
        before = bare;
        rest = after;
    }
    plain.trim().to_owned()
}

/// Appends, but no second space in a row.
fn push(text: &mut String, more: &str) {
    if more == " " && (text.is_empty() || text.ends_with(' ')) {
        return;
    }
    text.push_str(more);
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

/// Without what stands in quotes. A quote after a letter is an apostrophe.
fn unquoted(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if matches!(c, '"' | '\'' | '`')
            && !before.is_alphanumeric()
            && let Some((_, after)) = rest.split_once(c)
        {
            plain.push_str("\"\"");
            rest = after;
            before = '"';
            continue;
        }
        plain.push(c);
        before = c;
    }
    plain
}

/// A word without what varies in it.
fn shape(word: &str, bare: &str, before: &str, http: bool) -> String {
    if word.parse::<Ipv6Addr>().is_ok() || bare.parse::<Ipv6Addr>().is_ok() || uuid(bare) {
        return VARIES.to_string();
    }
    let number = bare.len() <= 3 && bare.bytes().all(|byte| byte.is_ascii_digit());
    if number && before == "code" {
        return bare.to_owned();
    }
    if http && number && bare.len() == 3 && bare.starts_with(['1', '2', '3', '4', '5']) {
        return bare.chars().take(1).chain("xx".chars()).collect();
    }
    let mut plain = String::new();
    let mut joint = None;
    for part in bare.split_inclusive(['-', '_', '.', ':']) {
        let (part, next) = match part.chars().last() {
            Some(c) if !c.is_alphanumeric() => {
                (part.get(..part.len() - 1).unwrap_or_default(), Some(c))
            }
            _ => (part, None),
        };
        let part = segment(part, joint);
        let merges = part == "#" && plain.ends_with(VARIES);
        if !merges {
            plain.extend(joint);
            plain.push_str(&part);
        }
        joint = next;
    }
    plain
}

fn uuid(word: &str) -> bool {
    let lengths = word.split('-').map(str::len);
    let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    lengths.eq([8, 4, 4, 4, 12]) && word.chars().all(hex)
}

/// A part of a word, after `joint`.
fn segment(part: &str, joint: Option<char>) -> String {
    let random = |part: &str| part.chars().all(|c| RANDOM.contains(c));
    let hex = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
    let digits = part.chars().any(|c| c.is_ascii_digit());
    let varies = if digits {
        part.starts_with(|c: char| c.is_ascii_digit())
            || part.len() >= 5 && (random(part) || hex(part))
            || part.len() >= 16
    } else {
        joint == Some('-') && (5..=10).contains(&part.len()) && random(part)
    };
    if varies {
        return VARIES.to_string();
    }
    let mut plain = String::new();
    for c in part.chars() {
        if !c.is_ascii_digit() {
            plain.push(c);
        } else if !plain.ends_with(VARIES) {
            plain.push(VARIES);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PATTERN_LENGTH, pattern};

    fn text(error: &str) -> String {
        pattern(&[error.to_owned()]).text
    }

    #[test]
    fn what_varies_is_left_out_and_what_tells_causes_apart_is_kept() {
        for (error, expected) in [
            (
                "pod shop/web-7d4b9c6f5-x2x8z: expected status 200, got 503",
                "pod: expected status 2xx, got 5xx",
            ),
            (
                "pod shop/web-0: expected status 200, got 404",
                "pod: expected status 2xx, got 4xx",
            ),
            (
                "service shop/db: no endpoints",
                "service shop/db: no endpoints",
            ),
            ("node worker-3: not ready", "node worker-#: not ready"),
            (
                "dial tcp 10.1.2.3:5432: connect: connection refused",
                "dial tcp #: connect: connection refused",
            ),
            (
                "dial tcp [fe80::1]:5432: refused",
                "dial tcp [#]:#: refused",
            ),
            ("no route to ::1", "no route to #"),
            (
                "lookup web-7d4b9c6f5-bcdfg.shop.svc failed",
                "lookup web-#.shop.svc failed",
            ),
            (
                "request 6f1c0b1e-aaaa-bbbb-cccc-0123456789ab at 2026-11-21T14:15:18.123Z failed",
                "request # at # failed",
            ),
            ("took 1.5s, more than 900ms", "took #, more than #"),
            (
                "expected \"ok\", found 'degraded (3)'",
                "expected \"\", found \"\"",
            ),
            (
                "the pod's memory doesn't suffice",
                "the pod's memory doesn't suffice",
            ),
            (
                "container app: exit code 137.",
                "container app: exit code 137.",
            ),
            ("container app: exit code 1", "container app: exit code 1"),
            ("image sha256:0a1b2c3d4e5f", "image sha#"),
            ("Out\tof\n  MEMORY", "out of memory"),
            (
                "queue#7 has 12345 entries (93% full)",
                "queue## has # entries (#% full)",
            ),
            ("TLS: certificate expired", "tls: certificate expired"),
            ("", ""),
        ] {
            assert_eq!(text(error), expected, "{error}");
        }
    }

    #[test]
    fn the_id_is_the_same_in_every_version() {
        let errors = ["b: 1".to_owned(), "a".to_owned()];
        let found = pattern(&errors);
        assert_eq!(
            (found.id.as_str(), found.text.as_str()),
            ("89fd3edd13", "a; b: #")
        );
    }

    proptest! {
        #[test]
        fn the_same_cause_gives_the_same_pattern(
            pods in proptest::collection::vec(("[bcdf2456]{9}", "[bcdf2456]{5}", 0..u32::MAX), 2),
            addresses in proptest::collection::vec((any::<[u8; 4]>(), 1..=u16::MAX), 2),
            ids in proptest::collection::vec("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", 2),
        ) {
            let errors = |n: usize| {
                let (hash, end, number) = &pods[n];
                let ([a, b, c, d], port) = addresses[n];
                let id = &ids[n];
                vec![
                    format!("pod shop/web-{hash}-{end}: {number} requests of {id} failed at {a}.{b}.{c}.{d}:{port}"),
                    format!("web-{hash}-{end} is not ready for {number}s"),
                ]
            };
            let (one, other) = (pattern(&errors(0)), pattern(&errors(1)));
            prop_assert_eq!(&one, &other);
            let mut turned = errors(0);
            turned.reverse();
            turned.push(turned[0].clone());
            prop_assert_eq!(one, pattern(&turned));
        }

        #[test]
        fn any_text_has_a_short_pattern_of_one_line(errors in proptest::collection::vec("\\PC{0,400}|[ -~\\n\\t]{0,400}", 0..12)) {
            let found = pattern(&errors);
            prop_assert!(found.text.chars().count() <= PATTERN_LENGTH);
            prop_assert!(!found.text.chars().any(char::is_control), "{:?}", found.text);
            prop_assert_eq!(found.id.len(), 10);
            prop_assert!(!found.text.chars().any(|c| matches!(c, '6'..='9')) || found.text.contains("code"), "{:?}", found.text);
            // A record keeps the first 300 characters of each.
            let kept: Vec<String> = errors.iter().map(|error| crate::core::reason::bounded(error, 300)).collect();
            prop_assert_eq!(found, pattern(&kept));
        }
    }
}
