//! Runs checks in a sandbox: real Kuberhealthy behaviour decides the verdicts, with its own waiting times shortened.

use std::io::Stderr;
use std::time::Instant;

use anyhow::Context;
use sandbox::api::{Api, ApiError};
use sandbox::node::Images;
use serde_json::{Value, json};

use super::bench::{Bench, Pod, Step};
use super::manifest::{CheckDocument, Line};
use super::prepare::{Surroundings, image_of, prepare};
use super::progress::{FRAME, Progress};
use super::verdict::{Outcome, Verdict};
use crate::cluster::{self, Cluster, own_image};
use crate::signals::Signals;
use crate::style::{Style, complain, printable, stderr_width};
use crate::watch::{HEALTH_CHECKS, PODS, STATES, Watches};

/// How many times as fast as in production Kuberhealthy's own polls go: 5 s become 100 ms.
const SPEED: u32 = 50;
/// The longest part of a container's last line that a finding repeats.
const LAST_OUTPUT: usize = 200;

/// Checks on their way through the sandbox.
pub(crate) struct Engine<'a> {
    checks: &'a [CheckDocument],
    bench: Bench<'a>,
    progress: Progress<Stderr>,
}

impl<'a> Engine<'a> {
    /// Ready to run these checks.
    pub(crate) fn new(checks: &'a [CheckDocument]) -> Engine<'a> {
        Engine {
            checks,
            bench: Bench::new(checks, Instant::now()),
            progress: Progress::new(
                std::io::stderr(),
                Style::stderr(),
                stderr_width(),
                checks.len(),
            ),
        }
    }

    /// Runs every check once, all at the same time as Kuberhealthy would, and returns their outcomes in order; `None`
    /// if a signal came first. No process is left behind either way. `logs`: what the containers wrote is repeated on
    /// standard error.
    pub(crate) async fn run(
        mut self,
        around: &Surroundings<'_>,
        logs: bool,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<Vec<Outcome>>> {
        let mut objects = Vec::new();
        for (nth, check) in self.checks.iter().enumerate() {
            match prepare(check, around) {
                Ok(object) => objects.push((nth, object)),
                Err(why) => self.end(nth, Verdict::Unusable(why)),
            }
        }
        if !objects.is_empty() {
            let mut images = Images::new();
            for known in around.known {
                images = images.with(image_of(known.check), own_image(&["check", known.check])?);
            }
            let cluster = Cluster::start(cluster::Options {
                images,
                api_for_pods: false,
                speed: SPEED,
                port: None,
            })
            .await?;
            let ended = tokio::select! {
                ended = self.follow(&cluster, &objects) => Some(ended),
                () = signals.received() => None,
            };
            self.progress.erase();
            if logs {
                self.repeat_logs(&cluster);
            }
            cluster.stop().await;
            let Some(ended) = ended else {
                return Ok(None);
            };
            ended?;
        }
        Ok(Some(self.bench.outcomes()))
    }

    /// Creates the resources and follows them until each has a verdict.
    async fn follow(
        &mut self,
        cluster: &Cluster,
        objects: &[(usize, Value)],
    ) -> anyhow::Result<()> {
        let api = cluster.api();
        let mut watches = Watches::start(api, &[STATES, HEALTH_CHECKS, PODS]);
        for (nth, object) in objects {
            if let Err(error) = create(api, &self.checks[*nth], object).await {
                self.end(
                    *nth,
                    Verdict::Unusable(format!("the API server refuses it: {error}")),
                );
            }
        }
        let mut frames = tokio::time::interval(FRAME);
        while !self.bench.is_over() {
            let steps = tokio::select! {
                written = watches.next() => {
                    let written = written.context("lost sight of the checks")?;
                    let (object, now) = (&written.object, Instant::now());
                    let step = match written.collection {
                        STATES => self.bench.see_check(Line::V2, object, now),
                        HEALTH_CHECKS => self.bench.see_check(Line::V3, object, now),
                        _ => {
                            self.bench.see_pod(object, now);
                            None
                        }
                    };
                    Vec::from_iter(step)
                }
                _ = frames.tick() => {
                    self.progress.draw();
                    self.bench.give_up(Instant::now(), |check, pod, container| {
                        last_output(cluster, check, pod, container)
                    })
                }
            };
            for step in steps {
                self.tell(&step);
            }
        }
        Ok(())
    }

    fn end(&mut self, nth: usize, verdict: Verdict) {
        if let Some(step) = self.bench.end(nth, verdict, Instant::now()) {
            self.tell(&step);
        }
    }

    fn tell(&mut self, step: &Step) {
        match *step {
            Step::Started(nth) => self.progress.started(&label(&self.checks[nth])),
            Step::Ended(nth) => {
                if let Some(outcome) = self.bench.outcome(nth) {
                    self.progress.ended(&label(&self.checks[nth]), &outcome);
                }
            }
        }
    }

    fn repeat_logs(&self, cluster: &Cluster) {
        for (nth, check) in self.checks.iter().enumerate() {
            let Some(pod) = self.bench.pod(nth) else {
                continue;
            };
            for container in &pod.containers {
                for line in cluster.logs(&check.namespace, &pod.name, container) {
                    complain(&format!("{} {container}: {}", label(check), line));
                }
            }
        }
    }
}

/// How progress names a check: both lines may have one of the same name.
fn label(check: &CheckDocument) -> String {
    format!("{} ({})", check.id(), check.line)
}

fn last_output(
    cluster: &Cluster,
    check: &CheckDocument,
    pod: &Pod,
    container: &str,
) -> Option<String> {
    let lines = cluster.logs(&check.namespace, &pod.name, container);
    let last = lines.iter().rev().find(|line| !line.trim().is_empty())?;
    Some(printable(last.trim()).chars().take(LAST_OUTPUT).collect())
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
