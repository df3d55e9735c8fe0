//! What an answer to a report means, for both lines of Kuberhealthy. Pure: the reporter brings the facts.
//!
//! The rules follow the report handlers of Kuberhealthy 2.8 (`externalCheckReportHandler`) and 3.0
//! (`checkReportHandler`):
//!
//! | answer | line 2 | line 3 |
//! |---|---|---|
//! | 200, empty | stored | stored, and the run id is spent |
//! | 200 with a page | any path but the right one answers with the status page | the web interface, or a proxy's login page |
//! | 400, empty | the pod or its run id was not found, or the API could not be asked | no run id, or a body it cannot accept |
//! | 400 with a text | not Kuberhealthy's | `... is invalid or expired`: spent or never given; `failed to lookup ...`: the API could not be asked |
//! | 410 | never | the run is over; also for a moment while Kuberhealthy starts |
//! | 500 | storing failed, perhaps after it was written | same |

use crate::env::Line;
use crate::text;

/// What is known when an answer arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Whose rules apply.
    pub(crate) line: Line,
    /// An earlier attempt reached the server and its outcome is unknown, so this report may already be stored.
    pub(crate) ambiguous_before: bool,
    /// The deadline has not passed.
    pub(crate) in_time: bool,
    /// The request carried a run id.
    pub(crate) has_run_uuid: bool,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The report was accepted now.
    Accepted,
    /// The report was accepted earlier, by an attempt whose answer was lost.
    ProbablyAccepted,
    /// It was not accepted, and may be later.
    Retry {
        /// For the log.
        why: String,
        /// This attempt may have been stored in spite of its answer.
        ambiguous: bool,
    },
    /// It will never be accepted.
    Refused(String),
}

/// The meaning of an answer with this status, and with `body` as far as it was read.
pub(crate) fn classify(status: u16, body: &[u8], now: Situation) -> Meaning {
    let body = text::clean(&String::from_utf8_lossy(body));
    let why = describe(status, &body);
    let later = |ambiguous| Meaning::Retry {
        why: why.clone(),
        ambiguous,
    };
    match status {
        200..=299 if is_page(&body) => Meaning::Refused(format!(
            "a page was answered instead of an empty acceptance: the URL does not lead to the report endpoint ({})",
            excerpt(&body)
        )),
        200..=299 => Meaning::Accepted,
        400 => bad_request(&body, now, why.clone(), later(false)),
        410 if now.in_time => later(false),
        410 => Meaning::Refused(format!("{why}: the run is over")),
        408 | 425 | 429 => later(false),
        500..=599 => later(true),
        _ => Meaning::Refused(why),
    }
}

fn bad_request(body: &str, now: Situation, why: String, later: Meaning) -> Meaning {
    match now.line {
        // The handler never writes a body, so the reasons cannot be told apart; those that a valid report can meet pass.
        Line::V2 if body.is_empty() => later,
        Line::V3 if body.contains("failed to lookup") => later,
        Line::V3 if body.contains("invalid or expired") && now.ambiguous_before => {
            Meaning::ProbablyAccepted
        }
        Line::V3 if body.is_empty() && !now.has_run_uuid => Meaning::Refused(format!(
            "{why}: KH_RUN_UUID is not set, expected the id of this run"
        )),
        _ => Meaning::Refused(why),
    }
}

/// Kuberhealthy accepts with an empty body. A web page, or the JSON of version 2's status page, is somebody else. That
/// begins with `OK` and all errors there are, so what tells it apart must not stand behind them.
fn is_page(body: &str) -> bool {
    body.starts_with('<') || (body.starts_with('{') && body.contains("\"OK\""))
}

fn describe(status: u16, body: &str) -> String {
    if body.is_empty() {
        format!("answered {status}")
    } else {
        format!("answered {status}: {}", excerpt(body))
    }
}

fn excerpt(body: &str) -> String {
    const MOST: usize = 160;
    match body.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &body[..end]),
        None => body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Situation = Situation {
        line: Line::V3,
        ambiguous_before: false,
        in_time: true,
        has_run_uuid: true,
    };
    const V2: Situation = Situation {
        line: Line::V2,
        ..FRESH
    };
    const AFTER_AMBIGUITY: Situation = Situation {
        ambiguous_before: true,
        ..FRESH
    };
    const V2_AFTER_AMBIGUITY: Situation = Situation {
        ambiguous_before: true,
        ..V2
    };
    const LATE: Situation = Situation {
        in_time: false,
        ..FRESH
    };
    const ANONYMOUS: Situation = Situation {
        has_run_uuid: false,
        ..FRESH
    };

    const EXPIRED: &str = "run uuid 1a2b is invalid or expired";
    const LOOKUP: &str = "failed to lookup healthcheck for uuid 1a2b: context canceled";

    #[derive(Debug, PartialEq)]
    enum Kind {
        Accepted,
        Probably,
        Retry,
        Ambiguous,
        Refused,
    }
    use Kind::*;

    fn kind(status: u16, body: &str, now: Situation) -> Kind {
        match classify(status, body.as_bytes(), now) {
            Meaning::Accepted => Accepted,
            Meaning::ProbablyAccepted => Probably,
            Meaning::Retry {
                ambiguous: false, ..
            } => Retry,
            Meaning::Retry {
                ambiguous: true, ..
            } => Ambiguous,
            Meaning::Refused(_) => Refused,
        }
    }

    #[test]
    fn answers_mean_what_the_handlers_mean_by_them() {
        let status_page = format!(
            "{{\n  \"OK\": false,\n  \"Errors\": [\"{}\"],\n  \"CheckDetails\": {{}}}}",
            "x".repeat(2000)
        );
        let cases = [
            (200, "", FRESH, Accepted),
            (200, "", V2, Accepted),
            (200, "", AFTER_AMBIGUITY, Accepted),
            (202, "queued", FRESH, Accepted),
            (200, "<!doctype html><title>Sign in</title>", FRESH, Refused),
            (200, r#"{"OK":true,"CheckDetails":{}}"#, V2, Refused),
            (200, &status_page, V2, Refused),
            (200, &status_page, FRESH, Refused),
            (400, "", FRESH, Refused),
            (400, "", ANONYMOUS, Refused),
            (400, "", AFTER_AMBIGUITY, Refused),
            (400, "", V2, Retry),
            (400, "", V2_AFTER_AMBIGUITY, Retry),
            (400, "Bad Request", V2, Refused),
            (400, EXPIRED, FRESH, Refused),
            (400, EXPIRED, AFTER_AMBIGUITY, Probably),
            (400, EXPIRED, V2_AFTER_AMBIGUITY, Refused),
            (400, LOOKUP, FRESH, Retry),
            (400, LOOKUP, AFTER_AMBIGUITY, Retry),
            (410, "", FRESH, Retry),
            (410, "", LATE, Refused),
            (408, "", FRESH, Retry),
            (425, "", FRESH, Retry),
            (429, "slow down", V2, Retry),
            (500, "", FRESH, Ambiguous),
            (500, "", V2, Ambiguous),
            (503, "no healthy upstream", V2, Ambiguous),
            (504, "", FRESH, Ambiguous),
            (401, "", FRESH, Refused),
            (403, "RBAC: access denied", FRESH, Refused),
            (404, "", V2, Refused),
            (405, "", FRESH, Refused),
            (415, "", FRESH, Refused),
            (304, "", FRESH, Refused),
        ];
        for (status, body, now, expected) in cases {
            assert_eq!(
                kind(status, body, now),
                expected,
                "{status} {body:?} {now:?}"
            );
        }
    }

    #[test]
    fn a_reason_holds_what_was_answered_and_no_more() {
        let body = "x".repeat(5000);
        let Meaning::Refused(why) = classify(403, body.as_bytes(), FRESH) else {
            panic!("403 is final");
        };
        assert!(why.starts_with("answered 403: xxx"), "{why}");
        assert!(why.len() < 200, "{why}");
        let Meaning::Refused(why) = classify(400, b"", ANONYMOUS) else {
            panic!("400 is final");
        };
        assert!(why.contains("KH_RUN_UUID"), "{why}");
    }
}
