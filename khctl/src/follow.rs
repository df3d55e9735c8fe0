//! From the writes Kuberhealthy makes to a check's state, which runs began and how they ended. Pure.

use serde_json::Value;

/// What a write says about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing new.
    Nothing,
    /// A run began.
    Started,
    /// A run is over, and this is its verdict.
    Finished(RunResult),
}

/// The verdict of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunResult {
    /// Whether it passed.
    pub(crate) ok: bool,
    /// What it found; empty if it passed.
    pub(crate) errors: Vec<String>,
}

/// How v2 marks failures of its own, which end a run without the write that follows a report.
const EXECUTION_ERROR: &str = "Check execution error: ";

/// Follows one KuberhealthyState.
///
/// A run is three writes: the new uuid; the report, with `Node` emptied; the pod's exit, with `Node` set. Only the
/// last one is the verdict: the second can still be flipped, and a run that was called off looks just like it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FollowV2 {
    uuid: Option<String>,
    over: bool,
}

impl FollowV2 {
    /// Takes the object as it is after a write.
    pub(crate) fn see(&mut self, state: &Value) -> Change {
        let spec = &state["spec"];
        let text = |key: &str| spec[key].as_str().unwrap_or_default();
        let uuid = text("uuid");
        if uuid.is_empty() {
            return Change::Nothing;
        }
        if self.uuid.as_deref() != Some(uuid) {
            self.uuid = Some(uuid.to_owned());
            self.over = false;
            return Change::Started;
        }
        let errors = texts(&spec["Errors"]);
        let failed_itself = errors.iter().any(|e| e.starts_with(EXECUTION_ERROR));
        if self.over || (text("Node").is_empty() && !failed_itself) {
            return Change::Nothing;
        }
        self.over = true;
        Change::Finished(RunResult {
            ok: spec["OK"] == Value::Bool(true),
            errors,
        })
    }
}

/// Follows one HealthCheck: the counters tell that a run is over, in the same write as its verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct FollowV3 {
    uuid: String,
    runs: u64,
}

impl FollowV3 {
    /// Takes the object as it is after a write.
    pub(crate) fn see(&mut self, check: &Value) -> Change {
        let status = &check["status"];
        let count = |key: &str| status[key].as_u64().unwrap_or_default();
        let runs = count("successCount") + count("failureCount");
        let uuid = status["currentUUID"].as_str().unwrap_or_default();
        let began = !uuid.is_empty() && uuid != self.uuid;
        self.uuid = uuid.to_owned();
        if runs > self.runs {
            self.runs = runs;
            return Change::Finished(RunResult {
                ok: status["ok"] == Value::Bool(true),
                errors: texts(&status["errors"]),
            });
        }
        if began {
            Change::Started
        } else {
            Change::Nothing
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ok() -> Change {
        Change::Finished(RunResult {
            ok: true,
            errors: Vec::new(),
        })
    }

    fn failed(error: &str) -> Change {
        Change::Finished(RunResult {
            ok: false,
            errors: vec![error.to_owned()],
        })
    }

    #[test]
    fn a_v2_run_is_over_when_its_pod_is() {
        let state = |uuid: &str, node: &str, ok: bool, errors: &[&str]| json!({"spec": {"uuid": uuid, "Node": node, "OK": ok, "Errors": errors}});
        let timed_out =
            "Check execution error: k/web: timed out waiting for checker pod to report in";
        let writes = [
            (state("a", "", true, &[]), Change::Started),
            (state("a", "", true, &[]), Change::Nothing),
            (state("a", "n1", true, &[]), ok()),
            (state("b", "n1", true, &[]), Change::Started),
            (state("b", "", false, &["got 503"]), Change::Nothing),
            (state("b", "n1", false, &["got 503"]), failed("got 503")),
            // Called off: the previous verdict again under a new uuid, then another run.
            (state("c", "n1", false, &["got 503"]), Change::Started),
            (state("c", "", false, &["got 503"]), Change::Nothing),
            (state("d", "", false, &["got 503"]), Change::Started),
            (state("d", "", false, &[timed_out]), failed(timed_out)),
            (state("e", "", false, &[timed_out]), Change::Started),
            (state("e", "", true, &[]), Change::Nothing),
            (state("e", "n1", true, &[]), ok()),
            (state("e", "n1", true, &[]), Change::Nothing),
        ];
        let mut follow = FollowV2::default();
        for (nth, (write, change)) in writes.into_iter().enumerate() {
            assert_eq!(follow.see(&write), change, "write {nth}: {write}");
        }
    }

    #[test]
    fn a_v3_run_is_over_when_it_is_counted() {
        let writes = [
            (json!({}), Change::Nothing),
            (json!({"currentUUID": "a", "ok": false}), Change::Started),
            (
                json!({"currentUUID": "a", "ok": false, "lastRunUnix": 1}),
                Change::Nothing,
            ),
            (
                json!({"currentUUID": "", "ok": true, "successCount": 1}),
                ok(),
            ),
            (
                json!({"currentUUID": "b", "ok": true, "successCount": 1}),
                Change::Started,
            ),
            (
                json!({"currentUUID": "b", "ok": false, "successCount": 1, "failureCount": 1, "errors": ["timed out"]}),
                failed("timed out"),
            ),
            (
                json!({"currentUUID": "", "ok": false, "successCount": 1, "failureCount": 1, "errors": ["timed out"]}),
                Change::Nothing,
            ),
        ];
        let mut follow = FollowV3::default();
        for (nth, (status, change)) in writes.into_iter().enumerate() {
            let check = json!({ "status": status });
            assert_eq!(follow.see(&check), change, "write {nth}: {check}");
        }
    }
}
