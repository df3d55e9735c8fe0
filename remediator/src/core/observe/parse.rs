//! Reading Kuberhealthy's objects: total and bounded, whatever stands in them.

use serde_json::Value;

use super::super::reason::bounded;
use super::super::{Body, CheckKey, CheckKind, Snapshot, Time, Timing, V2, V3};

/// At most this many errors of a check are read,
const ERRORS: usize = 50;
/// and of each this many characters.
const ERROR_LENGTH: usize = 300;

/// An object that is no check result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct Malformed {
    /// Where.
    pub field: String,
    /// What should stand there.
    pub expected: &'static str,
}

/// Reads an object. `timing` is what is known from elsewhere (v2: the khcheck of the same name); for v3 it is overridden
/// by the object's own `spec`. Errors are cut to 50 of 300 characters, without control characters.
pub fn parse_snapshot(
    kind: CheckKind,
    object: &Value,
    timing: Option<Timing>,
) -> Result<Snapshot, Malformed> {
    let metadata = &object["metadata"];
    let key = CheckKey {
        kind,
        namespace: required(metadata, "metadata", "namespace")?.into(),
        name: required(metadata, "metadata", "name")?.into(),
    };
    let (body, timing) = match kind {
        // What was received of alerts is read from the policy itself.
        CheckKind::Alert => {
            return Err(Malformed {
                field: "kind".to_owned(),
                expected: "KuberhealthyState or HealthCheck",
            });
        }
        CheckKind::KuberhealthyState => (
            Body::V2(v2(Fields {
                object: &object["spec"],
                at: "spec",
            })?),
            timing.unwrap_or(Timing::UNKNOWN),
        ),
        CheckKind::HealthCheck => {
            let known = timing.unwrap_or(Timing {
                interval: 600,
                timeout: 30,
            });
            let spec = Fields {
                object: &object["spec"],
                at: "spec",
            };
            let timing = Timing {
                interval: spec.duration("runInterval")?.unwrap_or(known.interval),
                timeout: spec.duration("timeout")?.unwrap_or(known.timeout),
            };
            (
                Body::V3(v3(Fields {
                    object: &object["status"],
                    at: "status",
                })?),
                timing,
            )
        }
    };
    let uid = required(metadata, "metadata", "uid")?.to_owned();
    let resource_version = metadata["resourceVersion"].as_str().unwrap_or_default();
    let deleting = metadata
        .get("deletionTimestamp")
        .is_some_and(|time| !time.is_null());
    Ok(Snapshot {
        key,
        uid,
        resource_version: resource_version.to_owned(),
        deleting,
        timing,
        body,
    })
}

fn v2(spec: Fields<'_>) -> Result<V2, Malformed> {
    let last_run = match spec.text("LastRun")? {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| spec.malformed("LastRun", "an RFC 3339 time"))?,
        ),
    };
    Ok(V2 {
        ok: spec.flag("OK")?,
        errors: spec.errors("Errors")?,
        last_run,
        uuid: bounded(spec.text("uuid")?, 64),
        node: bounded(spec.text("Node")?, 253),
        has_duration: !spec.text("RunDuration")?.is_empty(),
    })
}

fn v3(status: Fields<'_>) -> Result<V3, Malformed> {
    Ok(V3 {
        ok: status.flag("ok")?,
        errors: status.errors("errors")?,
        uuid: bounded(status.text("currentUUID")?, 64),
        last_run: status.unix("lastRunUnix")?,
        last_ok: status.unix("lastOKUnix")?,
        last_failure: status.unix("lastFailureUnix")?,
        successes: status.count("successCount")?,
        failures: status.count("failureCount")?,
    })
}

fn required<'a>(object: &'a Value, at: &str, field: &str) -> Result<&'a str, Malformed> {
    object[field]
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Malformed {
            field: format!("{at}.{field}"),
            expected: "a text",
        })
}

/// Optional fields of an object: absent and null are zero values, as in Go.
#[derive(Clone, Copy)]
struct Fields<'a> {
    object: &'a Value,
    at: &'static str,
}

impl<'a> Fields<'a> {
    fn malformed(self, field: &str, expected: &'static str) -> Malformed {
        Malformed {
            field: format!("{}.{field}", self.at),
            expected,
        }
    }

    fn text(self, field: &str) -> Result<&'a str, Malformed> {
        match &self.object[field] {
            Value::Null => Ok(""),
            Value::String(text) => Ok(text),
            _ => Err(self.malformed(field, "a text")),
        }
    }

    fn flag(self, field: &str) -> Result<bool, Malformed> {
        match &self.object[field] {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.malformed(field, "true or false")),
        }
    }

    fn count(self, field: &str) -> Result<u64, Malformed> {
        match &self.object[field] {
            Value::Null => Ok(0),
            value => value
                .as_u64()
                .ok_or_else(|| self.malformed(field, "a number, not negative")),
        }
    }

    fn unix(self, field: &str) -> Result<Option<Time>, Malformed> {
        match &self.object[field] {
            Value::Null => Ok(None),
            value => match value.as_i64() {
                Some(0) => Ok(None),
                Some(seconds) => Ok(Some(Time::from_unix(seconds))),
                None => Err(self.malformed(field, "seconds since the epoch")),
            },
        }
    }

    /// Whole seconds, at least 1.
    fn duration(self, field: &str) -> Result<Option<u32>, Malformed> {
        let expected = "a duration such as 10m";
        match self.text(field)? {
            "" => Ok(None),
            text => {
                let duration: jiff::SignedDuration =
                    text.parse().map_err(|_| self.malformed(field, expected))?;
                let seconds = u32::try_from(duration.as_secs())
                    .map_err(|_| self.malformed(field, expected))?;
                Ok(Some(seconds.max(1)))
            }
        }
    }

    fn errors(self, field: &str) -> Result<Vec<String>, Malformed> {
        let expected = "a list of texts";
        match &self.object[field] {
            Value::Null => Ok(Vec::new()),
            Value::Array(errors) => errors
                .iter()
                .take(ERRORS)
                .map(|error| match error.as_str() {
                    Some(error) => Ok(bounded(error, ERROR_LENGTH)),
                    None => Err(self.malformed(field, expected)),
                })
                .collect(),
            _ => Err(self.malformed(field, expected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::{Body, CheckKind, Timing};
    use super::parse_snapshot;

    #[test]
    fn errors_are_bounded() {
        let errors: Vec<_> = (0..1000)
            .map(|i| format!("{i}\n{}", "é\u{7}".repeat(100_000)))
            .collect();
        let object = json!({"metadata": {"namespace": "n", "name": "c", "uid": "u"}, "spec": {"Errors": errors}});
        let snapshot = parse_snapshot(CheckKind::KuberhealthyState, &object, None).unwrap();
        let Body::V2(body) = snapshot.body else {
            panic!("{:?}", snapshot.body)
        };
        assert_eq!(body.errors.len(), 50);
        assert!(
            body.errors
                .iter()
                .all(|e| e.chars().count() == 300 && !e.chars().any(char::is_control))
        );
    }

    #[test]
    fn the_schedule_is_the_objects_own_in_v3_and_the_khchecks_in_v2() {
        let metadata = json!({"namespace": "n", "name": "c", "uid": "u"});
        let known = Some(Timing {
            interval: 1,
            timeout: 2,
        });
        for (kind, spec, timing, expected) in [
            (
                CheckKind::HealthCheck,
                json!({"runInterval": "1h30m", "timeout": "90s"}),
                known,
                (5400, 90),
            ),
            (
                CheckKind::HealthCheck,
                json!({"timeout": "10ms"}),
                None,
                (600, 1),
            ),
            (CheckKind::HealthCheck, json!({}), None, (600, 30)),
            (CheckKind::KuberhealthyState, json!({}), known, (1, 2)),
            (CheckKind::KuberhealthyState, json!({}), None, (600, 300)),
        ] {
            let object = json!({"metadata": metadata, "spec": spec});
            let timing = parse_snapshot(kind, &object, timing).unwrap().timing;
            assert_eq!((timing.interval, timing.timeout), expected, "{spec}");
        }
    }

    #[test]
    fn a_malformed_object_is_named_by_its_field() {
        let metadata = json!({"namespace": "n", "name": "c", "uid": "u"});
        for (object, field) in [
            (json!(null), "metadata.namespace"),
            (
                json!({"metadata": {"namespace": "n", "name": 1}}),
                "metadata.name",
            ),
            (
                json!({"metadata": metadata, "status": {"ok": "yes"}}),
                "status.ok",
            ),
            (
                json!({"metadata": metadata, "status": {"errors": "x"}}),
                "status.errors",
            ),
            (
                json!({"metadata": metadata, "status": {"errors": [1]}}),
                "status.errors",
            ),
            (
                json!({"metadata": metadata, "status": {"failureCount": -1}}),
                "status.failureCount",
            ),
            (
                json!({"metadata": metadata, "status": {"lastRunUnix": 1e300}}),
                "status.lastRunUnix",
            ),
            (
                json!({"metadata": metadata, "spec": {"runInterval": "soon"}}),
                "spec.runInterval",
            ),
            (
                json!({"metadata": metadata, "spec": {"runInterval": "-5m"}}),
                "spec.runInterval",
            ),
        ] {
            assert_eq!(
                parse_snapshot(CheckKind::HealthCheck, &object, None)
                    .unwrap_err()
                    .field,
                field
            );
        }
    }
}
