//! The checks under way: from what the API server tells to one verdict each. Pure, but for the clock it is handed.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::manifest::{CheckDocument, Line};
use super::verdict::{Outcome, Verdict};
use crate::follow::{Change, FollowV2, FollowV3};

/// How long after its pod ended a check may still be heard: its report can be on the way.
const AFTER_EXIT: Duration = Duration::from_secs(3);
/// What Kuberhealthy may take beyond a check's own time-out before it is given up.
const SLACK: Duration = Duration::from_secs(30);

/// All checks, each with how far it is.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    checks: &'a [CheckDocument],
    slots: Vec<Slot>,
    begun: Instant,
}

#[derive(Debug)]
struct Slot {
    follow: Follow,
    started: Option<Instant>,
    pod: Option<Pod>,
    ended: Option<(Verdict, Duration)>,
}

#[derive(Debug)]
enum Follow {
    V2(FollowV2),
    V3(FollowV3),
}

/// The pod of a check's latest run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// Its containers, those that initialise it first.
    pub(crate) containers: Vec<String>,
    /// When and how it ended, or why it cannot start.
    stuck: Option<(Instant, Stuck)>,
}

/// A pod from which nothing more can come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stuck {
    container: String,
    how: String,
}

/// What a step led to, for whoever tells the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A run of this check began.
    Started(usize),
    /// This check has its verdict.
    Ended(usize),
}

impl<'a> Bench<'a> {
    /// Nothing is running yet.
    pub(crate) fn new(checks: &'a [CheckDocument], now: Instant) -> Bench<'a> {
        let slot = |check: &CheckDocument| Slot {
            follow: match check.line {
                Line::V2 => Follow::V2(FollowV2::default()),
                Line::V3 => Follow::V3(FollowV3::default()),
            },
            started: None,
            pod: None,
            ended: None,
        };
        Bench {
            checks,
            slots: checks.iter().map(slot).collect(),
            begun: now,
        }
    }

    /// Whether every check has its verdict.
    pub(crate) fn is_over(&self) -> bool {
        self.slots.iter().all(|slot| slot.ended.is_some())
    }

    /// Ends a check. The first verdict stands.
    pub(crate) fn end(&mut self, nth: usize, verdict: Verdict, now: Instant) -> Option<Step> {
        let slot = self.slots.get_mut(nth)?;
        if slot.ended.is_some() {
            return None;
        }
        let took = slot.started.map(|at| now.duration_since(at));
        slot.ended = Some((verdict, took.unwrap_or_default()));
        Some(Step::Ended(nth))
    }

    /// A KuberhealthyState or a HealthCheck was written.
    pub(crate) fn see_check(&mut self, line: Line, object: &Value, now: Instant) -> Option<Step> {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
        let nth = self.find(line, text("namespace"), text("name"))?;
        let slot = &mut self.slots[nth];
        let change = match &mut slot.follow {
            Follow::V2(follow) => follow.see(object),
            Follow::V3(follow) => follow.see(object),
        };
        match change {
            Change::Nothing => None,
            Change::Started => {
                slot.started = Some(now);
                slot.ended.is_none().then_some(Step::Started(nth))
            }
            Change::Finished(result) if result.ok => self.end(nth, Verdict::Passed, now),
            Change::Finished(result) => self.end(nth, Verdict::Failed(result.errors), now),
        }
    }

    /// A pod was written. Kuberhealthy waits until the time-out for a pod that ended without a report; here its end
    /// is remembered, to be told sooner.
    pub(crate) fn see_pod(&mut self, object: &Value, now: Instant) {
        let metadata = &object["metadata"];
        let label = |key: &str| metadata["labels"][key].as_str();
        let (line, name) = match (label("kuberhealthy-check-name"), label("healthcheck")) {
            (Some(name), _) => (Line::V2, name),
            (None, Some(name)) => (Line::V3, name),
            (None, None) => return,
        };
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let Some(nth) = self.find(line, namespace, name) else {
            return;
        };
        let slot = &mut self.slots[nth];
        let pod_name = metadata["name"].as_str().unwrap_or_default();
        let pod = match &mut slot.pod {
            Some(pod) if pod.name == pod_name => pod,
            // A pod of an earlier run that is still being cleared away does not come back.
            Some(_) if is_over(object) => return,
            pod => pod.insert(Pod {
                name: pod_name.to_owned(),
                containers: containers(object),
                stuck: None,
            }),
        };
        if pod.stuck.is_none() {
            pod.stuck = stuck(object).map(|stuck| (now, stuck));
        }
    }

    /// Ends the checks of which nothing can come any more. `last_output` knows the last line a container wrote.
    pub(crate) fn give_up(
        &mut self,
        now: Instant,
        last_output: impl Fn(&CheckDocument, &Pod, &str) -> Option<String>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for (nth, check) in self.checks.iter().enumerate() {
            let slot = &self.slots[nth];
            let limit = sandbox::kuberhealthy::GoDuration::from(check.timeout);
            let since = slot.started.unwrap_or(self.begun);
            let verdict = match &slot.pod {
                Some(
                    pod @ Pod {
                        stuck: Some((at, stuck)),
                        ..
                    },
                ) if now.duration_since(*at) > AFTER_EXIT => {
                    let said = last_output(check, pod, &stuck.container)
                        .map(|line| format!("; its last output: {line}"))
                        .unwrap_or_default();
                    Verdict::Failed(vec![format!(
                        "{} and Kuberhealthy has no report, for which it would wait until the time-out of {limit}{said}",
                        stuck.how
                    )])
                }
                _ if now.duration_since(since) > check.timeout + SLACK => Verdict::Unusable(
                    format!("Kuberhealthy gave no verdict within the time-out of {limit}"),
                ),
                _ => continue,
            };
            steps.extend(self.end(nth, verdict, now));
        }
        steps
    }

    /// The pod of a check's latest run.
    pub(crate) fn pod(&self, nth: usize) -> Option<&Pod> {
        self.slots.get(nth)?.pod.as_ref()
    }

    /// The outcome of a check that has its verdict.
    pub(crate) fn outcome(&self, nth: usize) -> Option<Outcome> {
        let (verdict, took) = self.slots.get(nth)?.ended.clone()?;
        Some(Outcome {
            check: self.checks.get(nth)?.clone(),
            verdict,
            took,
        })
    }

    /// Every outcome, in the order of the checks.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        (0..self.checks.len())
            .filter_map(|nth| self.outcome(nth))
            .collect()
    }

    fn find(&self, line: Line, namespace: &str, name: &str) -> Option<usize> {
        self.checks.iter().position(|check| {
            check.line == line && check.namespace == namespace && check.name == name
        })
    }
}

fn is_over(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

fn containers(pod: &Value) -> Vec<String> {
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
        .map(str::to_owned)
        .collect()
}

/// In the words of the container that explains it best: one that cannot start, one that ended badly, any.
fn stuck(pod: &Value) -> Option<Stuck> {
    let statuses: Vec<&Value> = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
        .collect();
    let about = |status: &Value, how: String| {
        let container = status["name"].as_str().unwrap_or_default().to_owned();
        let how = format!("container {container} {how}");
        Some(Stuck { container, how })
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for status in &statuses {
        let waiting = &status["state"]["waiting"];
        if waiting["reason"] == "CreateContainerConfigError" {
            return about(
                status,
                format!("cannot start ({})", text(&waiting["message"])),
            );
        }
    }
    if !is_over(pod) {
        return None;
    }
    let code = |status: &&&Value| status["state"]["terminated"]["exitCode"].as_i64();
    let ended = || statuses.iter().filter(|status| code(status).is_some());
    let Some(worst) = ended()
        .find(|status| code(status) != Some(0))
        .or_else(|| ended().next())
    else {
        return Some(Stuck {
            container: String::new(),
            how: "its pod ended".to_owned(),
        });
    };
    let terminated = &worst["state"]["terminated"];
    match terminated["reason"].as_str() {
        Some("StartError") => about(
            worst,
            format!("cannot start ({})", text(&terminated["message"])),
        ),
        _ => about(
            worst,
            format!("exited with code {}", terminated["exitCode"]),
        ),
    }
}

#[cfg(test)]
mod tests;
