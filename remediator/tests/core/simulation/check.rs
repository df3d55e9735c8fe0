//! A check as Kuberhealthy runs it: each of its writes, at its time, and what really happened.

use remediator::core::{Body, CheckKey, CheckKind, Snapshot, Time, Timing, V2, V3};

use super::dice::Dice;

pub(super) const INTERVAL: u32 = 600;
pub(super) const TIMEOUT: u32 = 300;
pub(super) const TIMING: Timing = Timing {
    interval: INTERVAL,
    timeout: TIMEOUT,
};

/// How a run really ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Truth {
    Passed,
    Failed,
    Timeout,
    Infrastructure,
    Aborted,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RealRun {
    pub(super) number: u64,
    pub(super) started: Time,
    pub(super) finished: Time,
    pub(super) truth: Truth,
}

/// What is written next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    End {
        started: Time,
        truth: Truth,
    },
    /// v2: the pod's end, which may flip the verdict. v3: the uuid goes after a time-out.
    After {
        run: RealRun,
        flips: bool,
    },
}

pub(super) struct Check {
    name: String,
    uid: u64,
    body: Body,
    stage: Stage,
    /// When the next write is due.
    pub(super) due: Time,
    began: Time,
    runs: u64,
    /// Whether the workload it looks at works.
    pub(super) healthy: bool,
    pub(super) deleted: bool,
    /// The last run whose result was written, the last one before that told a verdict of its own, and when anything
    /// was written last.
    latest: Option<RealRun>,
    verdict_of: Option<RealRun>,
    pub(super) written: Option<Time>,
}

/// A check as somebody saw it, and what they cannot see.
pub(super) struct Sight {
    pub(super) snapshot: Snapshot,
    latest: Option<RealRun>,
    verdict_of: Option<RealRun>,
    runs: u64,
}

/// The runs that somebody has seen, of one object.
#[derive(Clone, Default)]
pub(super) struct SeenRuns {
    uid: String,
    pub(super) runs: Vec<RealRun>,
}

impl SeenRuns {
    pub(super) fn see(&mut self, sight: &Sight) {
        if self.uid != sight.snapshot.uid {
            self.uid.clone_from(&sight.snapshot.uid);
            self.runs.clear();
        }
        let Some(mut run) = sight.latest else {
            return;
        };
        let at = |number| self.runs.iter().position(|run| run.number == number);
        match (at(run.number), run.truth) {
            // Once the next run has begun nobody can tell that a verdict has changed.
            (Some(_), _) if run.number != sight.runs => return,
            (Some(_), Truth::Aborted) => return,
            (Some(known), _) => drop(self.runs.remove(known)),
            // An aborted run carries the verdict of the last one; where that was not seen, it is what is seen now.
            (None, Truth::Aborted) => {
                if let Some(carried) = sight.verdict_of.filter(|last| at(last.number).is_none()) {
                    run.truth = carried.truth;
                }
            }
            (None, _) => {}
        }
        self.runs.push(run);
    }
}

impl Check {
    pub(super) fn new(index: usize, v2: bool, now: Time) -> Check {
        let mut check = Check {
            name: format!("check{index}"),
            uid: 1,
            body: Body::V3(V3::default()),
            stage: Stage::Start,
            due: now,
            began: now,
            runs: 0,
            healthy: true,
            deleted: false,
            latest: None,
            verdict_of: None,
            written: None,
        };
        check.body = empty(v2);
        check
    }

    pub(super) fn key(&self) -> CheckKey {
        CheckKey {
            kind: match self.body {
                Body::V2(_) => CheckKind::KuberhealthyState,
                Body::V3(_) => CheckKind::HealthCheck,
                Body::Alerts(_) => CheckKind::Alert,
            },
            namespace: "kuberhealthy".into(),
            name: self.name.as_str().into(),
        }
    }

    pub(super) fn sight(&self) -> Sight {
        Sight {
            snapshot: Snapshot {
                key: self.key(),
                uid: format!("uid{}", self.uid),
                resource_version: String::new(),
                deleting: false,
                timing: TIMING,
                body: self.body.clone(),
            },
            latest: self.latest,
            verdict_of: self.verdict_of,
            runs: self.runs,
        }
    }

    /// Another object of the same name.
    pub(super) fn replace(&mut self, now: Time) {
        self.uid += 1;
        self.body = empty(matches!(self.body, Body::V2(_)));
        (self.latest, self.verdict_of, self.written) = (None, None, None);
        (self.stage, self.due) = (Stage::Start, now);
    }

    /// Nothing is written for a while: Kuberhealthy is down.
    pub(super) fn pause(&mut self, seconds: u32) {
        if let Stage::Start = self.stage {
            self.due = self.due.plus(seconds);
        }
    }

    fn truth(&self, dice: &mut Dice) -> Truth {
        match dice.below(20) {
            0 => Truth::Timeout,
            1 => Truth::Infrastructure,
            2 => Truth::Aborted,
            3 => Truth::Passed,
            _ if self.healthy => Truth::Passed,
            _ => Truth::Failed,
        }
    }

    /// Makes the write that is due, of a run that ends as the workload's health has it.
    pub(super) fn write_truly(&mut self) {
        let truth = if self.healthy {
            Truth::Passed
        } else {
            Truth::Failed
        };
        self.write_as(truth, 30, false);
    }

    /// Makes the write that is due.
    pub(super) fn write(&mut self, dice: &mut Dice) {
        let (truth, seconds, flips) = (self.truth(dice), 1 + dice.below(60), dice.one_in(8));
        self.write_as(truth, seconds, flips);
    }

    fn write_as(&mut self, truth: Truth, seconds: u32, flips: bool) {
        let now = self.due;
        match self.stage {
            Stage::Start => {
                self.runs += 1;
                self.began = now;
                let uuid = format!("u{}", self.runs);
                match &mut self.body {
                    Body::V2(body) => body.uuid = uuid,
                    Body::V3(body) => {
                        body.uuid = uuid;
                        body.last_run = Some(now);
                        self.written = Some(now);
                    }
                    Body::Alerts(_) => {}
                }
                let length = match truth {
                    Truth::Timeout => TIMEOUT,
                    _ => seconds,
                };
                self.stage = Stage::End {
                    started: now,
                    truth,
                };
                self.due = now.plus(length);
            }
            Stage::End { started, truth } => {
                let run = RealRun {
                    number: self.runs,
                    started,
                    finished: now,
                    truth,
                };
                let after = match self.body {
                    Body::V2(_) => self.end_v2(run),
                    Body::V3(_) | Body::Alerts(_) => self.end_v3(run),
                };
                if after {
                    self.stage = Stage::After { run, flips };
                    self.due = now.plus(5);
                } else {
                    self.rest();
                }
            }
            Stage::After { run, flips } => {
                self.after(
                    RealRun {
                        finished: now,
                        ..run
                    },
                    flips,
                );
                self.rest();
            }
        }
    }

    /// Until the next run.
    fn rest(&mut self) {
        self.stage = Stage::Start;
        self.due = self.began.plus(INTERVAL).max(self.due.plus(1));
    }

    fn result(&mut self, run: RealRun) {
        self.latest = Some(run);
        self.written = Some(run.finished);
        if run.truth != Truth::Aborted {
            self.verdict_of = Some(run);
        }
    }

    /// Whether another write follows.
    fn end_v2(&mut self, run: RealRun) -> bool {
        let Body::V2(body) = &mut self.body else {
            return false;
        };
        body.last_run = Some(run.finished);
        body.node.clear();
        match run.truth {
            Truth::Passed | Truth::Failed => {
                body.ok = run.truth == Truth::Passed;
                body.errors = if body.ok { vec![] } else { reported() };
            }
            Truth::Timeout => own(body, "timed out waiting for checker pod to report in"),
            Truth::Infrastructure => own(body, "pod deleted unexpectedly"),
            Truth::Aborted => body.has_duration = true,
        }
        self.result(run);
        matches!(run.truth, Truth::Passed | Truth::Failed)
    }

    fn end_v3(&mut self, run: RealRun) -> bool {
        let number = self.runs;
        let Body::V3(body) = &mut self.body else {
            return false;
        };
        let now = Some(run.finished);
        let error = match run.truth {
            // The leader changes: the next run takes its place and nothing is told of this one.
            Truth::Aborted => return false,
            Truth::Passed => None,
            Truth::Failed => Some(reported()),
            Truth::Timeout => Some(vec![format!(
                "check run u{number} timed out after 5m (started at {})",
                run.started
            )]),
            Truth::Infrastructure => Some(vec!["failed to create check pod: quota".to_owned()]),
        };
        match error {
            None => {
                (body.ok, body.errors, body.last_ok) = (true, vec![], now);
                body.successes += 1;
            }
            Some(errors) => {
                (body.ok, body.errors, body.last_failure) = (false, errors, now);
                body.failures += 1;
            }
        }
        let timed_out = run.truth == Truth::Timeout;
        if !timed_out {
            body.uuid.clear();
        }
        self.result(run);
        timed_out
    }

    fn after(&mut self, run: RealRun, flips: bool) {
        match &mut self.body {
            Body::Alerts(_) => {}
            Body::V3(body) => body.uuid.clear(),
            Body::V2(body) => {
                body.last_run = Some(run.finished);
                let truth = if flips {
                    own(body, "timed out waiting for pod to exit");
                    Truth::Infrastructure
                } else {
                    body.node = "n1".to_owned();
                    body.has_duration = true;
                    run.truth
                };
                self.result(RealRun { truth, ..run });
            }
        }
    }
}

fn empty(v2: bool) -> Body {
    if v2 {
        Body::V2(V2 {
            ok: true,
            ..V2::default()
        })
    } else {
        Body::V3(V3::default())
    }
}

fn reported() -> Vec<String> {
    vec!["pod shop/web-0: 502".to_owned()]
}

/// One of Kuberhealthy's own errors.
fn own(body: &mut V2, what: &str) {
    body.ok = false;
    body.errors = vec![format!("Check execution error: kuberhealthy/web: {what}")];
    body.has_duration = false;
}
