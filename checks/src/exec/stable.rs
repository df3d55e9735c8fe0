//! Text of a program, made the same from run to run.
//!
//! A finding becomes the label of a metric, and a program's last words often hold what differs each time: times,
//! durations, addresses, process and request ids, names of temporary files and of pods, counters. Those are replaced by
//! `<time>`, `<address>`, `<id>` and `<n>`. Kept is what tells one trouble from another and stays: status and exit codes,
//! ports and line numbers after a colon, and short numbers within a word (`web-0`, `v1.2`, `utf8`, `sha256`).

use std::net::{IpAddr, SocketAddr};

/// Words after which a number of up to three digits is kept.
const KEPT_AFTER: &[&str] = &[
    "code", "curl", "errno", "error", "exit", "http", "line", "port", "rc", "signal", "status",
    "wget",
];

/// `text` on one line, with what varies replaced.
pub(crate) fn stable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = String::new();
    let text = without_escapes(text);
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        if separates(first) {
            let end = rest.find(|c: char| !separates(c)).unwrap_or(rest.len());
            for c in rest[..end].chars() {
                match c.is_whitespace() || c.is_control() {
                    true if out.ends_with(' ') => {}
                    true => out.push(' '),
                    false => out.push(c),
                }
            }
            rest = &rest[end..];
            continue;
        }
        let (word, tail) = rest.split_at(rest.find(separates).unwrap_or(rest.len()));
        let core = word.trim_end_matches(['.', ':', '!', '?']);
        out.push_str(&stable_word(core, &before));
        out.push_str(&word[core.len()..]);
        before = core.to_ascii_lowercase();
        rest = tail;
    }
    out.truncate(out.trim_end().len());
    out
}

/// `text` without the sequences that colour a terminal (ECMA-48 CSI).
pub(crate) fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        out.push_str(&rest[..start]);
        let sequence = &rest[start + 2..];
        let end = sequence.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    out + rest
}

fn separates(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`()[]{}<>,;=|@#".contains(c)
}

/// As `date` and logs begin a day (`Sat Nov 21`). May is left out, which begins many a sentence.
const DAYS: &[&str] = &["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn stable_word(word: &str, before: &str) -> String {
    if DAYS.contains(&word) || MONTHS.contains(&word) {
        return "<time>".to_owned();
    }
    if !word.contains(|c: char| c.is_ascii_digit()) && !word.contains("tmp.") && !word.contains('-')
    {
        return word.to_owned();
    }
    if is_time(word) {
        return "<time>".to_owned();
    }
    if let Some(shown) = number(word) {
        let kept = word.len() <= 3
            && word.bytes().all(|b| b.is_ascii_digit())
            && (KEPT_AFTER.contains(&before) || before.starts_with("http/"));
        return if kept { word.to_owned() } else { shown };
    }
    let segments = word.split('/').map(|segment| {
        let trimmed = segment.trim_end_matches(':');
        if trimmed.parse::<IpAddr>().is_ok() || trimmed.parse::<SocketAddr>().is_ok() {
            return format!("<address>{}", &segment[trimmed.len()..]);
        }
        if is_uuid(segment) {
            return "<id>".to_owned();
        }
        stable_segment(segment)
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A date, with or without what follows it, or a time of day.
fn is_time(word: &str) -> bool {
    let shape: String = word
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let date = ["0000-00-00", "0000/00/00"]
        .iter()
        .any(|date| shape.starts_with(date));
    let time = shape.trim_end_matches('Z');
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    date || ["00:00", "0:00:00", "00:00:00"].contains(&time)
}

/// What stands for a word that is a number, maybe with a unit: `<time>`, `<n>`, `<n>MiB`.
fn number(word: &str) -> Option<String> {
    let unsigned = word.trim_start_matches(['-', '+', '~']);
    let unit_at = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (digits, unit) = unsigned.split_at(unit_at);
    let is_number = digits.bytes().any(|b| b.is_ascii_digit()) && digits.matches('.').count() <= 1;
    if !is_number || hexadecimal(unsigned) || unit == "xx" {
        return None;
    }
    let is_go_duration = unit
        .chars()
        .all(|c| c.is_ascii_digit() || "nuµmsh.".contains(c));
    match unit {
        "sec" | "secs" | "seconds" | "min" | "mins" | "minutes" => Some("<time>".to_owned()),
        "" => Some("<n>".to_owned()),
        _ if is_go_duration => Some("<time>".to_owned()),
        _ if unit.chars().all(|c| c.is_alphabetic() || c == '%') => Some(format!("<n>{unit}")),
        _ => None,
    }
}

/// Long enough in hexadecimal digits to be an id, with a decimal one among them.
fn hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let long = digits.len() >= 8 || (digits.len() < text.len() && digits.len() >= 4);
    long && digits.bytes().all(|b| b.is_ascii_hexdigit())
        && digits.bytes().any(|b| b.is_ascii_digit())
        && (digits.len() < text.len() || digits.bytes().any(|b| b.is_ascii_alphabetic()))
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Replaces what varies among the letters and digits between the punctuation of a path segment.
fn stable_segment(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    let mut previous = "";
    let mut rest = segment;
    while !rest.is_empty() {
        let start = rest
            .find(|c: char| c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (punctuation, tail) = rest.split_at(start);
        out.push_str(punctuation);
        let (run, tail) = tail.split_at(
            tail.find(|c: char| !c.is_alphanumeric())
                .unwrap_or(tail.len()),
        );
        let after_name = !previous.is_empty() && punctuation == ":";
        out.push_str(&stable_run(run, previous, punctuation, after_name));
        if !run.is_empty() {
            previous = run;
        }
        rest = tail;
    }
    out
}

fn stable_run(run: &str, previous: &str, punctuation: &str, after_name: bool) -> String {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if hexadecimal(run) || is_random(run, previous, punctuation) {
        return "<id>".to_owned();
    }
    let kept = match () {
        () if digits == 0 => true,
        () if digits == run.len() => digits <= if after_name { 5 } else { 2 },
        () => digits <= 3,
    };
    if kept {
        return run.to_owned();
    }
    // Each row of digits in what is left, such as order48213.
    let mut out = String::new();
    for c in run.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with("<n>") => {}
            true => out.push_str("<n>"),
            false => out.push(c),
        }
    }
    out
}

/// The letters and digits that Kubernetes makes suffixes of, which spell no words.
const SUFFIX: &str = "bcdfghjklmnpqrstvwxz2456789";

/// A suffix as Kubernetes gives pods, or the part of a name that mktemp makes up.
fn is_random(run: &str, previous: &str, punctuation: &str) -> bool {
    let suffix = punctuation == "-"
        && run.len() == 5
        && run != "https"
        && run.chars().all(|c| SUFFIX.contains(c));
    let mixed = run.len() >= 6
        && run.contains(|c: char| c.is_ascii_lowercase())
        && run.contains(|c: char| c.is_ascii_uppercase())
        && run.contains(|c: char| c.is_ascii_digit());
    suffix || mixed || (punctuation == "." && previous == "tmp" && run.len() >= 6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_varies_is_replaced() {
        for (text, expected) in [
            (
                "2026-03-21T10:11:12.123Z ERROR no answer",
                "<time> ERROR no answer",
            ),
            ("10:11:12,123 no answer", "<time>,<n> no answer"),
            (
                "[2026/03/21 10:11:12] no answer",
                "[<time> <time>] no answer",
            ),
            (
                "Sat Nov 21 04:54:58 UTC 2026: no answer",
                "<time> <time> <n> <time> UTC <n>: no answer",
            ),
            ("gave up after 1m30.5s", "gave up after <time>"),
            ("took 1234ms, limit 500 ms", "took <time>, limit <n> ms"),
            (
                "connect to 10.1.2.3:45678 failed",
                "connect to <address> failed",
            ),
            (
                "connect to [fd00::1]:80 failed",
                "connect to [<address>]:80 failed",
            ),
            (
                "GET http://10.0.0.5:8080/orders/48213: 57 rows",
                "GET http://<address>/orders/<n>: <n> rows",
            ),
            (
                "request 3f2a9c81-1d2e-4c3a-9f4e-0e7a52f6b3ad lost",
                "request <id> lost",
            ),
            (
                "commit 3f2a9c8 id=3f2a9c81d at 0x7ffd12",
                "commit <n>f<n>a<n>c<n> id=<id> at <id>",
            ),
            ("pid[4711]: worker 12 died", "pid[<n>]: worker <n> died"),
            (
                "/tmp/tmp.kqZbXaRcPo: no space, /tmp/a1B2c3D4",
                "/tmp/tmp.<id>: no space, /tmp/<id>",
            ),
            (
                "pod web-67564988db-d528l is gone",
                "pod web-<id>-<id> is gone",
            ),
            (
                "used 97% of 10MiB, order48213",
                "used <n>% of <n>MiB, order<n>",
            ),
            ("  \u{1b}[1;31ma\u{1b}[0m\t\nb\u{7} ", "a b"),
        ] {
            assert_eq!(stable(text), expected);
        }
    }

    #[test]
    fn what_tells_one_trouble_from_another_is_kept() {
        for text in [
            "curl: (22) The requested URL returned error: 503",
            "HTTP/1.1 503 Service Unavailable",
            "check.sh: line 42: exit status 3",
            "dial tcp db:5432: connection refused",
            "main.py:421: utf8 sha256 md5sum log4j web-0 v1.2.3 x86_64 port-https 5xx",
            "signal 15, port 80, no digits at all",
            "sh: no-such-command: not found",
            "",
        ] {
            assert_eq!(stable(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_long_number_is_left(text in "([ -~]|[0-9]{1,8}|µ|-|:|/|tmp\\.|web|\u{1b}\\[){0,60}") {
            let shown = stable(&text);
            let longest = shown.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            prop_assert!(longest.unwrap_or(0) <= 5, "{}", shown);
            prop_assert!(!shown.contains(char::is_control));
        }

        #[test]
        fn a_counter_does_not_show(a in 1000u64..u64::MAX, b in 1000u64..u64::MAX, shape in "[a-z]{1,5} (#|no\\. |\\(|=|/x/)?") {
            prop_assert_eq!(stable(&format!("{shape}{a}")), stable(&format!("{shape}{b}")));
        }
    }
}
