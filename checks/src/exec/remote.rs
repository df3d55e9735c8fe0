//! A command in running pods, through the API server's exec. Needs `list` on `pods`, and `get` and `create` on `pods/exec`.
//!
//! ```text
//! pods that run --each, some at a time--> socket (upgrade, WebSocket) --frames--> Output, Outcome
//!                                           |refused                                |
//!                                           v                                       v
//!                                         refusal -----------> findings, less those of pods that are gone by now
//! ```
//!
//! A finding has the pod as its subject only if it says something of the pod. That the check may not exec, or that the API
//! server cannot be reached, does not: whoever acts on pods by their findings must leave them alone then.

mod refusal;
mod socket;
mod status;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use khclient::{Context, Finding, Report};
use tokio::time::{sleep, timeout_at};

use super::Command;
use super::args::ExecArgs;
use super::outcome::{Limit, Outcome};
use super::output::{Output, Seen};
use crate::cluster::{Access, Answered, Cluster, ClusterError};
use crate::pods::{self, NoPods, PodTarget};
use crate::values::Selector;
use refusal::{Asked, Refusal, refusal};

/// The longest pause before a busy API server is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The command in every pod.
struct Remote<'a> {
    command: &'a Command,
    args: &'a ExecArgs,
    cluster: Cluster,
    own_namespace: Option<&'a str>,
    until: Option<Instant>,
}

/// What came of it in one pod.
enum PodResult {
    Passed,
    Failed(Vec<String>),
    /// The pod is not there any more.
    Gone,
    /// The check cannot get at it, which is not the pod's fault.
    NoAccess(ClusterError),
    /// The run was over before its turn came, which is not the pod's fault either.
    Untried,
}

/// Why an attempt says nothing of the command in a pod.
enum NoAnswer {
    Gone,
    Access(ClusterError),
    Late,
}

/// Runs `command` in the pods that `args` select.
pub(super) async fn run(
    command: &Command,
    args: &ExecArgs,
    access: Result<Access, ClusterError>,
    context: &Context,
    until: Option<Instant>,
) -> Report {
    let cluster = match access.and_then(|access| Cluster::connect_for_upgrades(access, until)) {
        Ok(cluster) => cluster,
        Err(error) => return Report::failed([error]),
    };
    let own_namespace = context.env().pod_namespace.as_deref();
    let remote = Remote {
        command,
        args,
        cluster,
        own_namespace,
        until,
    };
    let pods = match remote.pods().await {
        Ok(pods) => pods,
        Err(NoPods::Config(error)) => return Report::misconfigured([error]),
        Err(error) => return Report::failed([error.to_string()]),
    };
    crate::log!("{} running pods match", pods.len());
    let running = pods.iter().map(|pod| async {
        let result = remote.in_pod(pod).await;
        for finding in findings(pod, &result) {
            context.add_finding(finding);
        }
        result
    });
    let mut results: Vec<PodResult> = futures::stream::iter(running)
        .buffered(args.schedule.concurrency.0)
        .collect()
        .await;
    remote.forgive_gone(&pods, &mut results).await;
    let only_gone = results
        .iter()
        .all(|result| matches!(result, PodResult::Gone));
    if only_gone && !args.pods.pod_allow_none.0 {
        let selector = args.pods.pod_selector.as_ref().map_or("", Selector::as_str);
        return Report::failed([format!(
            "no pod that matches {selector} lasted until the command had run"
        )]);
    }
    pods.iter()
        .zip(&results)
        .flat_map(|(pod, result)| findings(pod, result))
        .collect()
}

fn findings(pod: &PodTarget, result: &PodResult) -> Vec<Finding> {
    match result {
        PodResult::Passed | PodResult::Gone => Vec::new(),
        PodResult::Failed(failures) => failures
            .iter()
            .map(|failure| pod.finding(failure))
            .collect(),
        PodResult::NoAccess(error) => vec![error.clone().into()],
        PodResult::Untried => vec![Finding::new(
            "expected the command to run in every pod before the deadline of the run, some had no turn",
        )],
    }
}

impl Remote<'_> {
    async fn pods(&self) -> Result<Vec<PodTarget>, NoPods> {
        pods::select(
            &self.args.pods,
            &self.cluster,
            self.own_namespace,
            self.until,
        )
        .await
    }

    /// Pods come and go, and a command in one that is on its way out fails like any other. One look at the end tells
    /// those from pods that stay, and needs no other permission than the look at the beginning.
    async fn forgive_gone(&self, pods: &[PodTarget], results: &mut [PodResult]) {
        if !results
            .iter()
            .any(|result| matches!(result, PodResult::Failed(_)))
        {
            return;
        }
        let still = match self.pods().await {
            Ok(still) => still,
            Err(NoPods::NoMatch { .. }) => Vec::new(),
            // What was seen stands.
            Err(_) => return,
        };
        let still: HashMap<(&str, &str), &str> = still
            .iter()
            .map(|pod| {
                (
                    (pod.namespace.as_str(), pod.name.as_str()),
                    pod.uid.as_str(),
                )
            })
            .collect();
        for (pod, result) in pods.iter().zip(results) {
            let there =
                still.get(&(pod.namespace.as_str(), pod.name.as_str())) == Some(&pod.uid.as_str());
            if !there && matches!(result, PodResult::Failed(_)) {
                crate::log!(
                    "pod {}/{}: went away meanwhile, which is no failure",
                    pod.namespace,
                    pod.name
                );
                *result = PodResult::Gone;
            }
        }
    }

    async fn in_pod(&self, pod: &PodTarget) -> PodResult {
        let title = format!("pod {}/{}: {}", pod.namespace, pod.name, self.command.name);
        let attempts = self
            .command
            .attempts(&title, self.until, |output| self.attempt(pod, output));
        match attempts.await {
            Ok(failures) if failures.is_empty() => PodResult::Passed,
            Ok(failures) => PodResult::Failed(failures),
            Err(NoAnswer::Gone) => PodResult::Gone,
            Err(NoAnswer::Access(error)) => PodResult::NoAccess(error),
            Err(NoAnswer::Late) => PodResult::Untried,
        }
    }

    /// Runs the command once. One that takes too long is left behind: closing the connection does not end it, and the API
    /// offers nothing that would.
    async fn attempt(
        &self,
        pod: &PodTarget,
        mut output: Output<'_>,
    ) -> Result<(Outcome, Seen), NoAnswer> {
        let now = Instant::now();
        let limit = now + self.command.timeout;
        let (limit, which) = match self.until {
            Some(until) if until <= now => return Err(NoAnswer::Late),
            Some(until) if until < limit => (until, Limit::Deadline),
            _ => (limit, Limit::Timeout(self.command.timeout)),
        };
        let mut started = false;
        let talk = self.talk(pod, limit, &mut started, &mut output);
        let outcome = match timeout_at(limit.into(), talk).await {
            Ok(outcome) => outcome?,
            Err(_) if started => Outcome::TimedOut(which),
            Err(_) if which == Limit::Deadline => return Err(NoAnswer::Late),
            Err(_) => Outcome::NotTried(
                "expected the API server to run a command, it did not answer in time".to_owned(),
            ),
        };
        Ok(outcome.with(output))
    }

    async fn talk(
        &self,
        pod: &PodTarget,
        limit: Instant,
        started: &mut bool,
        output: &mut Output<'_>,
    ) -> Result<Outcome, NoAnswer> {
        let container = self
            .args
            .pod_container
            .as_deref()
            .unwrap_or_else(|| pod.default_container());
        let mut query = vec![
            ("container", container),
            ("stdout", "true"),
            ("stderr", "true"),
        ];
        query.extend(
            self.command
                .argv
                .iter()
                .map(|arg| ("command", arg.as_str())),
        );
        let path = [
            "api/v1",
            "namespaces",
            &pod.namespace,
            "pods",
            &pod.name,
            "exec",
        ];
        let mut pause = Duration::from_millis(250);
        loop {
            // A little longer than the wait around this, which then is the one that ends.
            let patience = limit.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
            let answer = self
                .cluster
                .web_socket(&path, &query, &socket::PROTOCOLS, patience)
                .await;
            let (error, busy) = match answer.map_err(NoAnswer::Access)? {
                Answered::Upgraded(stream) => {
                    *started = true;
                    let outcome = socket::converse(stream, output).await;
                    return Ok(self.with_shell(outcome));
                }
                Answered::NoConnection(reason) => {
                    (NoAnswer::Access(ClusterError::Unreachable(reason)), None)
                }
                Answered::Refused { status, body } => {
                    let asked = Asked {
                        namespace: &pod.namespace,
                        container,
                        unauthorized: &self.cluster.unauthorized(),
                    };
                    match refusal(asked, status, &body) {
                        Refusal::Gone => return Err(NoAnswer::Gone),
                        Refusal::Access(error) => return Err(NoAnswer::Access(error)),
                        Refusal::Pod(reason) => return Ok(Outcome::NotTried(reason)),
                        Refusal::Busy(error) => (NoAnswer::Access(error), Some(status)),
                    }
                }
            };
            // Nothing has run yet, so it may be tried again for as long as the command may take.
            if Instant::now() + pause >= limit {
                return Err(error);
            }
            crate::log!(
                "pod {}/{}: {}, asking again",
                pod.namespace,
                pod.name,
                busy.map_or("no connection".to_owned(), |status| format!(
                    "status {status}"
                ))
            );
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A container without a shell does not know the command as it was written.
    fn with_shell(&self, outcome: Outcome) -> Outcome {
        match (outcome, self.command.argv.first()) {
            (Outcome::CannotStart(reason), Some(shell))
                if self.command.name == super::command::SHELL =>
            {
                Outcome::CannotStart(format!("{shell}: {reason}"))
            }
            (outcome, _) => outcome,
        }
    }
}
