//! Plays the story against the cluster and tells it line by line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::door::Door;
use super::healer;
use super::remedies::{self, News, Remedy};
use super::scene::{self, DATABASE, NAMESPACE, PORT, WEB};
use super::story::{CHAPTER_LIMIT, Chapter, Check, Story};
use super::summary;
use super::timeline::{Mark, Source, line};
use super::web::{Health, Remote};
use crate::cluster::Cluster;
use crate::follow::{Change, FollowV2, FollowV3, RunResult};
use crate::style::{Style, print, stdout_width};
use crate::watch::{self, HEALTH_CHECKS, POLICIES, REMEDIATIONS, STATES, Watches};

/// How long the applications' pods may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// File that names the revision whose pods are spoilt.
const SPOILT: &str = "spoilt-revision";

/// A pod of an application that runs.
#[derive(Clone, Debug)]
struct Pod {
    /// Its application.
    app: String,
    /// Where it answers.
    address: String,
    /// Its revision.
    revision: String,
}

/// The cluster, the story, and how far it is told.
pub(super) struct Show<'a> {
    cluster: &'a Cluster,
    watches: Watches,
    remote: Remote,
    start: Instant,
    style: Style,
    story: Story,
    v2: FollowV2,
    web: FollowV3,
    database: FollowV3,
    remedies: remedies::Follow,
    /// Pods of the applications that run, by name.
    pods: BTreeMap<String, Pod>,
    /// URL of the Service of the web application, which stays when its pods are replaced.
    service: String,
    /// URL of the remediator's metrics.
    metrics: String,
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
            story: Story::new(),
            v2: FollowV2::default(),
            web: FollowV3::default(),
            database: FollowV3::default(),
            remedies: remedies::Follow::default(),
            pods: BTreeMap::new(),
            service: String::new(),
            metrics: String::new(),
        })
    }

    /// The whole story. The error says what did not happen.
    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        self.set_up().await?;
        self.chapter().await?;

        let (name, pod) = self.pod_of(WEB)?;
        self.remote
            .set(&pod.address, Health::Broken)
            .await
            .with_context(|| format!("cannot break pod {NAMESPACE}/{name}"))?;
        self.bad(&format!(
            "pod {NAMESPACE}/{name} goes bad: it answers 503 until it is replaced"
        ))?;
        self.chapter().await?;

        let (_, pod) = self.pod_of(WEB)?;
        self.cluster.write(SPOILT, &pod.revision)?;
        self.bad(
            "the cache of this revision is spoilt: each of its pods answers 503, new ones too",
        )?;
        self.chapter().await?;

        let (_, database) = self.pod_of(DATABASE)?;
        self.remote
            .set(&database.address, Health::Broken)
            .await
            .context("cannot break the database")?;
        self.bad("the database goes down, and the web application with it")?;
        self.chapter().await?;
        self.remote
            .set(&database.address, Health::Well)
            .await
            .context("cannot heal the database")?;
        self.say(Source::Shop, Mark::Good, "the database is back")?;
        self.chapter().await?;

        ensure!(
            self.story.unexpected().is_empty(),
            "the demo failed: the remediator also did {}",
            self.story.unexpected().join(", ")
        );
        self.say(
            Source::Demo,
            Mark::Good,
            "a bad pod was replaced, a bad revision rolled out anew, and a victim of its database left alone",
        )
    }

    /// The cluster with everything in it.
    async fn set_up(&mut self) -> anyhow::Result<()> {
        let (v2, v3) = (self.cluster.v2_url(), self.cluster.v3_url());
        let api = self.cluster.api();
        self.note(
            Source::Demo,
            &format!("a cluster in this process: API server {}", api.url()),
        )?;
        self.note(
            Source::V2,
            &format!("Kuberhealthy v2: status page {v2}/, /metrics"),
        )?;
        self.note(
            Source::V3,
            &format!("Kuberhealthy v3: status page {v3}/json, /metrics"),
        )?;
        let spoilt = self.cluster.path(SPOILT);
        let services = self.cluster.service_addresses();
        let addresses = scene::create_applications(api, services, &spoilt)
            .await
            .context("cannot create the applications")?;
        tokio::time::timeout(START_LIMIT, self.pods_run())
            .await
            .with_context(|| {
                let limit = START_LIMIT.as_secs();
                format!("the pods of the applications did not run within {limit} s")
            })??;
        for (name, url) in [(WEB, &addresses.web), (DATABASE, &addresses.database)] {
            self.note(
                Source::Shop,
                &format!("Service {NAMESPACE}/{name} answers at {url}"),
            )?;
        }
        self.service.clone_from(&addresses.web);
        scene::create_checks(self.cluster.api(), &addresses)
            .await
            .context("cannot create the checks")?;
        self.note(
            Source::Demo,
            &format!(
                "http-check starts: v2 asks the Service web {} times a run, as one bad pod of {} answers only some; v3 asks each pod of web and of db",
                scene::PROBES,
                scene::WEB_PODS,
            ),
        )?;
        let listen = self.cluster.remediator_address()?;
        scene::create_remediator(self.cluster.api(), &self.cluster.kubeconfig()?, listen)
            .await
            .context("cannot create the remediator")?;
        self.watches
            .add(self.cluster.api(), &[POLICIES, REMEDIATIONS]);
        self.metrics = format!("http://{listen}/metrics");
        let metrics = &self.metrics;
        self.note(
            Source::Heal,
            &format!("the remediator starts: {metrics}; policy shop/web restarts the pods that the check names, then all of them; it depends on db"),
        )?;
        healer::ready(self.cluster, &self.remote, listen).await
    }

    /// Watches on after the story; only changes of a verdict and what the remediator does are told. Ends only with an
    /// error.
    pub(super) async fn go_on(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some((check, result)) = self.next().await? {
                let changed = self.story.tally(check).last != Some(result.ok);
                self.story.run_ended(check, &result);
                if changed {
                    self.say_run(check, &result)?;
                }
            }
        }
    }

    /// Prints the tables of what happened.
    pub(super) async fn summary(&self) -> anyhow::Result<()> {
        let width = stdout_width();
        let checks = summary::checks(&self.story).render(width, self.style);
        let history = summary::remedies(self.remedies.remedies()).render(width, self.style);
        let path = format!(
            "/apis/kuberhealer.io/v1alpha1/namespaces/{NAMESPACE}/remediationpolicies/{WEB}"
        );
        let policy = self
            .cluster
            .api()
            .get(&path)
            .await
            .context("cannot read the policy")?;
        let rate = summary::rate(&policy, &format!("{NAMESPACE}/{WEB}"));
        write(&format!("\n{checks}\n{history}\n{rate}\n\n"))
    }

    /// Opens the door for kubectl and says how to look around.
    pub(super) async fn invite(&self) -> anyhow::Result<Door> {
        let door = Door::open(self.cluster, self.remote.client()).await?;
        let kubectl = format!("kubectl --kubeconfig {}", door.kubeconfig().display());
        let khctl = std::env::current_exe().context("cannot tell where this program is")?;
        write(&format!(
            "Everything keeps running until Ctrl-C. In another terminal:\n\
             \x20 {kubectl} get khstates,healthchecks,pods -A\n\
             \x20 {kubectl} get remediationpolicies,remediations -A\n\
             \x20 {kubectl} -n {NAMESPACE} describe remediationpolicy {WEB}\n\
             \x20 {kubectl} -n {NAMESPACE} events --for remediationpolicy/{WEB}\n\
             \x20 {kubectl} explain remediationpolicy.spec.steps\n\
             \x20 curl {}/json\n\
             \x20 curl {}\n\
             \x20 curl -X POST {}control/break      # one of its pods goes bad, until the remediator has had it replaced\n\
             A check of all pods, while a proxy runs in a terminal of its own:\n\
             \x20 {kubectl} proxy --append-server-path\n\
             \x20 {} check pod-restarts --kube-api-url http://127.0.0.1:8001\n\n",
            self.cluster.v3_url(),
            self.metrics,
            self.service,
            khctl.display(),
        ))?;
        Ok(door)
    }

    /// The user has had enough.
    pub(super) fn interrupted(&self) {
        // Nobody may be left to read it.
        let _ = self.note(Source::Demo, "ends; nothing is left behind");
    }

    /// Waits until what the chapter expects has happened, then turns the page.
    async fn chapter(&mut self) -> anyhow::Result<()> {
        let told = tokio::time::timeout(CHAPTER_LIMIT, async {
            while !self.story.chapter_told() {
                if let Some((check, result)) = self.next().await? {
                    self.story.run_ended(check, &result);
                    self.say_run(check, &result)?;
                }
            }
            anyhow::Ok(())
        })
        .await;
        match told {
            Ok(told) => told?,
            Err(_) => bail!("the demo failed: {}", self.story.what_is_missing()),
        }
        let _: Chapter = self.story.next_chapter();
        Ok(())
    }

    /// Takes the next write. Returns the run that it ends, if it ends one.
    async fn next(&mut self) -> anyhow::Result<Option<(Check, RunResult)>> {
        let written = self
            .watches
            .next()
            .await
            .context("lost sight of the cluster")?;
        let object = &written.object;
        let (check, change) = match written.collection {
            STATES => (Check::WebV2, self.v2.see(object)),
            HEALTH_CHECKS if object["metadata"]["name"] == WEB => {
                (Check::WebV3, self.web.see(object))
            }
            HEALTH_CHECKS => (Check::Database, self.database.see(object)),
            POLICIES => {
                let news = self.remedies.see_policy(object);
                self.heard(news)?;
                return Ok(None);
            }
            REMEDIATIONS => {
                let news = self.remedies.see_record(object);
                self.heard(news)?;
                return Ok(None);
            }
            _ => {
                self.see_pod(object);
                return Ok(None);
            }
        };
        Ok(match change {
            Change::Finished(result) => Some((check, result)),
            Change::Started | Change::Nothing => None,
        })
    }

    /// Tells what the remediator did.
    fn heard(&mut self, news: Option<News>) -> anyhow::Result<()> {
        let Some(news) = news else {
            return Ok(());
        };
        self.story.heard(&news);
        match &news {
            News::Held {
                policy,
                reason,
                message,
            } => self.note(
                Source::Heal,
                &format!("policy {policy} holds back: {reason}: {message}"),
            ),
            News::Remedy(Remedy {
                action,
                to,
                phase,
                reason,
                message,
                ..
            }) => {
                let mark = match phase.as_str() {
                    "Succeeded" => Mark::Good,
                    "Failed" => Mark::Bad,
                    _ => Mark::Plain,
                };
                let why = match reason.as_str() {
                    "" => String::new(),
                    reason if reason == phase => format!(": {message}"),
                    reason => format!(": {reason}: {message}"),
                };
                self.say(
                    Source::Heal,
                    mark,
                    &format!("{action} of {to}: {phase}{why}"),
                )
            }
        }
    }

    /// Notes a pod of an application that runs, and forgets one that is going.
    fn see_pod(&mut self, pod: &Value) {
        let text = |pointer: &str| {
            let value = pod.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let name = text("/metadata/name");
        let app = text("/metadata/labels/app");
        let (phase, ip) = (text("/status/phase"), text("/status/podIP"));
        let ours =
            text("/metadata/namespace") == NAMESPACE && [WEB, DATABASE].contains(&app.as_str());
        let runs =
            phase == "Running" && !ip.is_empty() && pod["metadata"]["deletionTimestamp"].is_null();
        if ours && runs {
            let revision = text("/metadata/labels/pod-template-hash");
            let address = format!("{ip}:{PORT}");
            self.pods.insert(
                name,
                Pod {
                    app,
                    address,
                    revision,
                },
            );
        } else {
            self.pods.remove(&name);
        }
    }

    /// Waits until every pod of the applications runs and answers.
    async fn pods_run(&mut self) -> anyhow::Result<()> {
        while self.pods.len() < scene::WEB_PODS + 1 {
            let object = self.watches.next().await?.object;
            self.see_pod(&object);
        }
        for (name, pod) in &self.pods {
            self.remote.answers(&pod.address, Health::Well).await?;
            self.note(
                Source::Shop,
                &format!(
                    "pod {NAMESPACE}/{name} runs and answers at http://{}/",
                    pod.address
                ),
            )?;
        }
        Ok(())
    }

    /// A pod of an application.
    fn pod_of(&self, app: &str) -> anyhow::Result<(String, Pod)> {
        let found = self.pods.iter().find(|(_, pod)| pod.app == app);
        let (name, pod) = found.with_context(|| format!("no pod of {app} runs"))?;
        Ok((name.clone(), pod.clone()))
    }

    fn bad(&self, text: &str) -> anyhow::Result<()> {
        self.say(Source::Shop, Mark::Bad, text)
    }

    fn note(&self, source: Source, text: &str) -> anyhow::Result<()> {
        self.say(source, Mark::Plain, text)
    }

    fn say_run(&self, check: Check, result: &RunResult) -> anyhow::Result<()> {
        let (source, of) = match check {
            Check::WebV2 => (Source::V2, WEB),
            Check::WebV3 => (Source::V3, WEB),
            Check::Database => (Source::V3, DATABASE),
        };
        let (mark, text) = if result.ok {
            (Mark::Good, format!("{of}: http-check passed"))
        } else {
            let errors = result.errors.join("; ");
            (Mark::Bad, format!("{of}: http-check FAILED: {errors}"))
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
