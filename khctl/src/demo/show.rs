//! Plays the story against the cluster and tells it line by line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::door::Door;
use super::scene::{self, CULPRIT, NAMESPACE, PODS, WEB_PORT};
use super::story::{CHAPTER_LIMIT, Chapter, Story};
use super::summary;
use super::timeline::{Mark, Source, line};
use super::web::{Health, Remote};
use crate::cluster::Cluster;
use crate::follow::{Change, FollowV2, FollowV3, RunResult};
use crate::style::{Style, print, stdout_width};
use crate::watch::{self, HEALTH_CHECKS, STATES, Watches};

/// How long the web application's pods may take to start.
const WEB_LIMIT: Duration = Duration::from_secs(30);

/// The cluster, the story, and how far it is told.
pub(super) struct Show<'a> {
    cluster: &'a Cluster,
    watches: Watches,
    remote: Remote,
    start: Instant,
    style: Style,
    story: Story,
    v2: FollowV2,
    v3: FollowV3,
    /// Address of each pod of the web application.
    pods: BTreeMap<String, String>,
}

impl<'a> Show<'a> {
    /// Ready to begin.
    pub(super) fn new(cluster: &'a Cluster) -> anyhow::Result<Show<'a>> {
        Ok(Show {
            cluster,
            watches: Watches::start(cluster.api(), &[watch::PODS, STATES, HEALTH_CHECKS]),
            remote: Remote::new()?,
            start: Instant::now(),
            style: Style::stdout(),
            story: Story::new(format!("pod {NAMESPACE}/{CULPRIT}")),
            v2: FollowV2::default(),
            v3: FollowV3::default(),
            pods: BTreeMap::new(),
        })
    }

    /// The whole story. The error says what did not happen.
    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        let (v2, v3) = (self.cluster.v2_url(), self.cluster.v3_url());
        self.note(
            Source::Demo,
            &format!(
                "a cluster in this process: API server {}",
                self.cluster.api().url()
            ),
        )?;
        self.note(
            Source::V2,
            &format!("Kuberhealthy v2: status page {v2}/, /metrics"),
        )?;
        self.note(
            Source::V3,
            &format!("Kuberhealthy v3: status page {v3}/json, /metrics"),
        )?;

        scene::create_web(self.cluster.api(), self.cluster.service_address())
            .await
            .context("cannot create the web application")?;
        tokio::time::timeout(WEB_LIMIT, self.pods_run())
            .await
            .with_context(|| {
                format!(
                    "the pods of the web application did not run within {} s",
                    WEB_LIMIT.as_secs()
                )
            })??;
        let service = format!("http://{}:{WEB_PORT}/", self.cluster.service_address());
        self.note(
            Source::Web,
            &format!("Service {NAMESPACE}/{} answers at {service}", scene::WEB),
        )?;
        scene::create_checks(self.cluster.api(), &service)
            .await
            .context("cannot create the checks")?;
        self.note(
            Source::Demo,
            "http-check starts: v2 asks the Service, v3 asks each pod",
        )?;

        self.chapter().await?;
        self.set_web(Health::Broken).await?;
        self.chapter().await?;
        self.set_web(Health::Well).await?;
        self.chapter().await
    }

    /// Watches on after the story; only changes of a verdict are told. Ends only with an error.
    pub(super) async fn go_on(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some((source, result)) = self.next_run().await? {
                let changed = self.story.tally(source).last != Some(result.ok);
                self.story.run_ended(source, &result);
                if changed {
                    self.say_run(source, &result)?;
                }
            }
        }
    }

    /// Prints the table of what happened.
    pub(super) fn summary(&self) -> anyhow::Result<()> {
        write(&format!(
            "\n{}\n",
            summary::table(&self.story).render(stdout_width(), self.style)
        ))
    }

    /// Opens the door for kubectl and says how to look around.
    pub(super) async fn invite(&self) -> anyhow::Result<Door> {
        let door = Door::open(self.cluster, self.remote.client()).await?;
        let kubectl = format!("kubectl --kubeconfig {}", door.kubeconfig().display());
        let pod = self.culprit();
        write(&format!(
            "Everything keeps running until Ctrl-C. In another terminal:\n\
             \x20 {kubectl} get khstates,healthchecks,pods -A\n\
             \x20 {kubectl} get healthchecks -A -w\n\
             \x20 {kubectl} proxy --append-server-path      (then checks with KUBE_API_URL=http://127.0.0.1:8001)\n\
             \x20 curl {}/json\n\
             \x20 curl -X POST http://{pod}/control/break      (and .../control/heal)\n\n",
            self.cluster.v3_url(),
        ))?;
        Ok(door)
    }

    /// The user has had enough.
    pub(super) fn interrupted(&self) {
        // Nobody may be left to read it.
        let _ = self.note(Source::Demo, "ends; nothing is left behind");
    }

    /// Waits until both checks did what the chapter expects, then turns the page.
    async fn chapter(&mut self) -> anyhow::Result<()> {
        let told = tokio::time::timeout(CHAPTER_LIMIT, async {
            loop {
                if let Some((source, result)) = self.next_run().await? {
                    let over = self.story.run_ended(source, &result);
                    self.say_run(source, &result)?;
                    if over {
                        return anyhow::Ok(());
                    }
                }
            }
        })
        .await;
        match told {
            Ok(told) => told?,
            Err(_) => bail!("the demo failed: {}", self.story.what_is_missing()),
        }
        if self.story.next_chapter() == Chapter::Over {
            self.say(
                Source::Demo,
                Mark::Good,
                "both checks saw the failure and the recovery",
            )?;
        }
        Ok(())
    }

    /// Takes the next write; a run that it ends.
    async fn next_run(&mut self) -> anyhow::Result<Option<(Source, RunResult)>> {
        let written = self
            .watches
            .next()
            .await
            .context("lost sight of the cluster")?;
        let object = &written.object;
        let (source, change) = match written.collection {
            STATES => (Source::V2, self.v2.see(object)),
            HEALTH_CHECKS => (Source::V3, self.v3.see(object)),
            _ => return Ok(None),
        };
        Ok(match change {
            Change::Finished(result) => Some((source, result)),
            Change::Started | Change::Nothing => None,
        })
    }

    /// Waits until every pod of the web application runs and answers.
    async fn pods_run(&mut self) -> anyhow::Result<()> {
        while self.pods.len() < PODS.len() {
            let pod = self.watches.next().await?.object;
            let text = |pointer: &str| {
                pod.pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let name = text("/metadata/name");
            let is_web = text("/metadata/namespace") == NAMESPACE && PODS.contains(&name);
            if !is_web || self.pods.contains_key(name) {
                continue;
            }
            match (text("/status/phase"), text("/status/podIP")) {
                ("Failed" | "Succeeded", _) => bail!(
                    "pod {NAMESPACE}/{name} ended at its start: {}",
                    pod["status"]
                ),
                ("Running", ip) if !ip.is_empty() => {
                    let address = format!("{ip}:{WEB_PORT}");
                    self.remote.answers(&address, Health::Well).await?;
                    self.note(
                        Source::Web,
                        &format!("pod {NAMESPACE}/{name} runs and answers at http://{address}/"),
                    )?;
                    self.pods.insert(name.to_owned(), address);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Breaks or heals the pod, and makes sure that it did.
    async fn set_web(&mut self, to: Health) -> anyhow::Result<()> {
        let pod = format!("pod {NAMESPACE}/{CULPRIT}");
        self.remote
            .set(self.culprit(), to)
            .await
            .with_context(|| format!("cannot change {pod}"))?;
        let (mark, words) = match to {
            Health::Well => (Mark::Good, "heals: it answers 200 again"),
            Health::Broken => (Mark::Bad, "breaks: it answers 503 Service Unavailable"),
        };
        self.say(Source::Web, mark, &format!("{pod} {words}"))
    }

    /// Address of the pod that breaks; empty before it runs.
    fn culprit(&self) -> &str {
        self.pods
            .get(CULPRIT)
            .map(String::as_str)
            .unwrap_or_default()
    }

    fn note(&self, source: Source, text: &str) -> anyhow::Result<()> {
        self.say(source, Mark::Plain, text)
    }

    fn say_run(&self, source: Source, result: &RunResult) -> anyhow::Result<()> {
        let (mark, text) = if result.ok {
            (Mark::Good, "http-check passed".to_owned())
        } else {
            (
                Mark::Bad,
                format!("http-check FAILED: {}", result.errors.join("; ")),
            )
        };
        self.say(source, mark, &text)
    }

    fn say(&self, source: Source, mark: Mark, text: &str) -> anyhow::Result<()> {
        let line = line(self.start.elapsed(), source, mark, text, self.style);
        write(&format!("{line}\n"))
    }
}

/// Writes a part of the story. The error ends it: what nobody reads is not told on.
fn write(text: &str) -> anyhow::Result<()> {
    print(text).context("cannot write to standard output")
}
