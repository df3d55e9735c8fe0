//! Runs checks in a sandbox: real Kuberhealthy behaviour decides the verdicts, with its own waiting times shortened.

use std::time::{Duration, Instant};

use anyhow::Context;
use sandbox::api::{Api, ApiError};
use sandbox::node::Images;
use serde_json::{Value, json};

use super::manifest::{CheckDocument, Line};
use super::prepare::{Surroundings, image_of, prepare};
use super::progress::{FRAME, Progress};
use super::verdict::{Outcome, Verdict};
use crate::cluster::{self, Cluster, own_image};
use crate::follow::{Change, FollowV2, FollowV3};
use crate::signals::Signals;
use crate::style::{Style, stderr_width};
use crate::watch::{HEALTH_CHECKS, PODS, STATES, Watches, Written};

/// How many times as fast as in production Kuberhealthy's own polls go: 5 s become 100 ms.
const SPEED: u32 = 50;
/// How long after its container ended a check may still be heard: its report can be on the way.
const AFTER_EXIT: Duration = Duration::from_secs(3);
/// What Kuberhealthy may take beyond a check's own time-out before it is given up.
const SLACK: Duration = Duration::from_secs(30);

/// Runs every check once, all at the same time as Kuberhealthy would, and returns their outcomes in order; `None` if a
/// signal came first. No process is left behind either way.
pub(crate) async fn run(
    checks: &[CheckDocument],
    around: &Surroundings<'_>,
    signals: &mut Signals,
) -> anyhow::Result<Option<Vec<Outcome>>> {
    let mut progress = Progress::new(
        std::io::stderr(),
        Style::stderr(),
        stderr_width(),
        checks.len(),
    );
    let mut bench = Bench::new(checks);
    let mut objects = Vec::new();
    for (nth, check) in checks.iter().enumerate() {
        match prepare(check, around) {
            Ok(object) => objects.push((nth, object)),
            Err(why) => bench.end(nth, Verdict::Unusable(why), &mut progress),
        }
    }
    if !objects.is_empty() {
        let mut images = Images::new();
        for known in around.known {
            images = images.with(image_of(known.check), own_image(&["check", known.check])?);
        }
        let cluster = Cluster::start(cluster::Options {
            images,
            speed: SPEED,
            port: None,
        })
        .await?;
        let ended = tokio::select! {
            ended = bench.watch(cluster.api(), &objects, &mut progress) => Some(ended),
            () = signals.received() => None,
        };
        progress.erase();
        cluster.stop().await;
        let Some(ended) = ended else {
            return Ok(None);
        };
        ended?;
    }
    Ok(Some(bench.outcomes()))
}

/// The checks under way.
struct Bench<'a> {
    checks: &'a [CheckDocument],
    slots: Vec<Slot>,
    begun: Instant,
}

struct Slot {
    follow: Follow,
    limit: Duration,
    started: Option<Instant>,
    exited: Option<(Instant, String)>,
    ended: Option<(Verdict, Duration)>,
}

enum Follow {
    V2(FollowV2),
    V3(FollowV3),
}

impl<'a> Bench<'a> {
    fn new(checks: &'a [CheckDocument]) -> Bench<'a> {
        let slots = checks
            .iter()
            .map(|check| Slot {
                follow: match check.line {
                    Line::V2 => Follow::V2(FollowV2::default()),
                    Line::V3 => Follow::V3(FollowV3::default()),
                },
                limit: check.timeout + SLACK,
                started: None,
                exited: None,
                ended: None,
            })
            .collect();
        Bench {
            checks,
            slots,
            begun: Instant::now(),
        }
    }

    /// Creates the resources and follows them until each has a verdict.
    async fn watch<W: std::io::Write>(
        &mut self,
        api: &Api,
        objects: &[(usize, Value)],
        progress: &mut Progress<W>,
    ) -> anyhow::Result<()> {
        let mut watches = Watches::start(api, &[STATES, HEALTH_CHECKS, PODS]);
        for (nth, object) in objects {
            if let Err(error) = create(api, &self.checks[*nth], object).await {
                let why = format!("the API server refuses it: {error}");
                self.end(*nth, Verdict::Unusable(why), progress);
            }
        }
        let mut frames = tokio::time::interval(FRAME);
        while self.slots.iter().any(|slot| slot.ended.is_none()) {
            tokio::select! {
                written = watches.next() => {
                    let written = written.context("lost sight of the checks")?;
                    self.see(&written, progress);
                }
                _ = frames.tick() => {
                    progress.draw();
                    self.give_up(progress);
                }
            }
        }
        Ok(())
    }

    fn see<W: std::io::Write>(&mut self, written: &Written, progress: &mut Progress<W>) {
        if written.collection == PODS {
            self.see_pod(&written.object);
            return;
        }
        let line = if written.collection == STATES {
            Line::V2
        } else {
            Line::V3
        };
        let text = |key: &str| written.object["metadata"][key].as_str().unwrap_or_default();
        let Some(nth) = self.find(line, text("namespace"), text("name")) else {
            return;
        };
        let slot = &mut self.slots[nth];
        let change = match &mut slot.follow {
            Follow::V2(follow) => follow.see(&written.object),
            Follow::V3(follow) => follow.see(&written.object),
        };
        match change {
            Change::Nothing => {}
            Change::Started => {
                slot.started = Some(Instant::now());
                slot.exited = None;
                progress.started(&label(&self.checks[nth]));
            }
            Change::Finished(result) => {
                let verdict = if result.ok {
                    Verdict::Passed
                } else {
                    Verdict::Failed(result.errors)
                };
                self.end(nth, verdict, progress);
            }
        }
    }

    /// A checker pod that ended without a report is waited for by Kuberhealthy until the time-out; here its end is
    /// told at once.
    fn see_pod(&mut self, pod: &Value) {
        if !matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        ) {
            return;
        }
        let labels = &pod["metadata"]["labels"];
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        for (line, label) in [
            (Line::V2, "kuberhealthy-check-name"),
            (Line::V3, "healthcheck"),
        ] {
            if let Some(name) = labels[label].as_str()
                && let Some(nth) = self.find(line, namespace, name)
            {
                let slot = &mut self.slots[nth];
                slot.exited
                    .get_or_insert_with(|| (Instant::now(), how_it_ended(pod)));
            }
        }
    }

    fn give_up<W: std::io::Write>(&mut self, progress: &mut Progress<W>) {
        for nth in 0..self.slots.len() {
            let slot = &self.slots[nth];
            let late = slot.started.unwrap_or(self.begun).elapsed() > slot.limit;
            let verdict = match &slot.exited {
                Some((at, how)) if at.elapsed() > AFTER_EXIT => Verdict::Failed(vec![format!(
                    "{how} without a report that Kuberhealthy accepted; it would wait for one until the time-out of {}",
                    readable(self.checks[nth].timeout)
                )]),
                _ if late => Verdict::Unusable(format!(
                    "no verdict within the time-out of {}",
                    readable(self.checks[nth].timeout)
                )),
                _ => continue,
            };
            self.end(nth, verdict, progress);
        }
    }

    fn find(&self, line: Line, namespace: &str, name: &str) -> Option<usize> {
        self.checks.iter().position(|check| {
            check.line == line && check.namespace == namespace && check.name == name
        })
    }

    /// The first verdict stands.
    fn end<W: std::io::Write>(&mut self, nth: usize, verdict: Verdict, progress: &mut Progress<W>) {
        let slot = &mut self.slots[nth];
        if slot.ended.is_some() {
            return;
        }
        let took = slot.started.map(|at| at.elapsed()).unwrap_or_default();
        slot.ended = Some((verdict.clone(), took));
        let check = &self.checks[nth];
        let outcome = Outcome {
            check: check.clone(),
            verdict,
            took,
        };
        progress.ended(&label(check), &outcome);
    }

    fn outcomes(self) -> Vec<Outcome> {
        self.checks
            .iter()
            .zip(self.slots)
            .filter_map(|(check, slot)| {
                let (verdict, took) = slot.ended?;
                Some(Outcome {
                    check: check.clone(),
                    verdict,
                    took,
                })
            })
            .collect()
    }
}

fn label(check: &CheckDocument) -> String {
    format!("{} ({})", check.id(), check.line)
}

fn readable(time: Duration) -> String {
    sandbox::kuberhealthy::GoDuration::from(time).to_string()
}

/// In the words of the first container that did not end well, or of the first.
fn how_it_ended(pod: &Value) -> String {
    let ended: Vec<(&str, i64)> = pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|status| {
            let code = status["state"]["terminated"]["exitCode"].as_i64()?;
            Some((status["name"].as_str()?, code))
        })
        .collect();
    match ended.iter().find(|(_, code)| *code != 0).or(ended.first()) {
        Some((name, code)) => format!("container {name} exited with code {code}"),
        None => "its pod ended".to_owned(),
    }
}

async fn create(api: &Api, check: &CheckDocument, object: &Value) -> Result<(), ApiError> {
    let namespace = &check.namespace;
    let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    match api.create("/api/v1/namespaces", &own).await {
        Err(error) if !error.is_already_exists() => return Err(error),
        _ => {}
    }
    let path = match check.line {
        Line::V2 => format!("/apis/comcast.github.io/v1/namespaces/{namespace}/khchecks"),
        Line::V3 => format!("/apis/kuberhealthy.github.io/v2/namespaces/{namespace}/healthchecks"),
    };
    api.create(&path, object).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_pod_is_told_by_its_worst_container() {
        let pod = |codes: &[(&str, i64)]| {
            let statuses: Vec<Value> = codes
                .iter()
                .map(|(name, code)| json!({"name": name, "state": {"terminated": {"exitCode": code}}}))
                .collect();
            json!({"status": {"containerStatuses": statuses}})
        };
        for (codes, text) in [
            (vec![("a", 0), ("b", 3)], "container b exited with code 3"),
            (vec![("a", 0)], "container a exited with code 0"),
            (vec![], "its pod ended"),
        ] {
            assert_eq!(how_it_ended(&pod(&codes)), text);
        }
    }
}
