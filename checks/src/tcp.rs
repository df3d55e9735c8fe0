//! tcp-check: can a service be reached, and does it answer as it should?
//!
//! ```text
//! TcpArgs --plan--> Prober                          the options, checked
//! targets and running pods --> Job ...              what to try
//! Prober: connect --> talk | udp | grpc --> Failure one try
//! ```
//!
//! The gRPC health protocol is a scheme here and not a check of its own: targets, time-outs, TLS, source address,
//! retries, pods and the negative test are the same, and only what is said differs.

mod args;
mod bytes;
mod connect;
mod dialogue;
mod grpc;
mod limit;
mod plan;
mod probe;
mod starttls;
mod talk;
mod target;
mod udp;

use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use futures::StreamExt;
use khclient::{Context, Finding, Report, Subject};

use crate::Check;
use crate::cli::ConfigError;
use crate::cluster::{Access, Cluster, ClusterError};
use crate::log;
use crate::pods::{self, NoPods, PodTarget};
use args::{ScheduleArgs, TcpArgs};
use limit::{Failure, Limit};
use probe::Prober;
use target::{Host, Target};

/// The check.
pub static CHECK: Check = Check {
    name: "tcp-check",
    about: "Connects to targets, or to every running pod of a selector, over TCP, TLS, UDP or gRPC, and checks the answers",
    replaces: &["kuberhealthy/network-connection-check"],
    examples: "\
# Two ports that must accept connections
tcp-check --connection-target 'localhost:5432 [::1]:6379'
# What Redis must answer, tried again twice before it counts as failed
tcp-check --connection-target localhost:6379 --send 'PING\\r\\n' --expect '^\\+PONG' --retries 2
# TLS asked for in the middle, and a certificate that is good for two weeks
tcp-check --connection-target mail.example.com:25 --starttls smtp --min-cert-days 14
# A port that must not be reachable; variables do the same as flags
CONNECTION_TARGET_UNREACHABLE=true tcp-check --connection-target 192.0.2.1:22 --connection-timeout 3s",
    names: args::NAMES,
    augment: TcpArgs::augment_args,
    prepare,
};

fn prepare(
    matches: &ArgMatches,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::Job, Vec<ConfigError>> {
    let args = TcpArgs::from_arg_matches(matches)
        .map_err(|error| vec![ConfigError::of("", error.to_string())])?;
    let prober = plan::prober(&args)?;
    let access = args
        .pods
        .pod_selector
        .is_some()
        .then(|| Access::find(&args.pods.cluster, lookup));
    let check = TcpCheck {
        args,
        prober,
        access,
    };
    Ok(Box::new(move |context| Box::pin(check.run(context))))
}

/// One target, and what findings are about; the target itself if nothing.
struct Aim {
    target: Target,
    subject: Option<Subject>,
}

impl Aim {
    fn finding(&self, failure: &Failure) -> Finding {
        match &self.subject {
            Some(subject) => Finding::about(subject.clone(), failure.to_string()),
            None => Finding::new(format!("{}: {failure}", self.target)),
        }
    }

    /// There was no time for it. That says nothing of a pod, so that no pod is the subject: whoever acts on pods by their
    /// findings must leave it alone.
    fn untried(&self) -> Finding {
        let what = match self.subject {
            Some(_) => "expected time to try every pod".to_owned(),
            None => format!("{}: expected time to try it", self.target),
        };
        Finding::new(format!("{what}, seen none left before the run's deadline"))
    }

    fn shown(&self) -> String {
        self.subject
            .as_ref()
            .map_or_else(|| self.target.to_string(), Subject::to_string)
    }
}

/// One thing to do in a run.
enum Item {
    Try(Aim),
    /// A pod that cannot be tried.
    Broken(Finding),
}

struct TcpCheck {
    args: TcpArgs,
    prober: Prober,
    access: Option<Result<Access, ClusterError>>,
}

impl TcpCheck {
    async fn run(self, context: Context) -> Report {
        // A little before the harness would cut the check off, so that what was found is reported in full.
        let until = context.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            deadline
                .checked_sub((left / 20).min(Duration::from_millis(500)))
                .unwrap_or(deadline)
        });
        let mut items: Vec<Item> = plan::targets(&self.args)
            .map(|target| {
                Item::Try(Aim {
                    target: target.clone(),
                    subject: None,
                })
            })
            .collect();
        match self.pods(&context, until).await {
            Ok(pods) => items.extend(pods),
            Err(NoPods::Config(error)) => return Report::misconfigured([error]),
            Err(error) => items.push(Item::Broken(Finding::new(error.to_string()))),
        }
        let tries = items.into_iter().enumerate().map(|(place, item)| {
            let check = &self;
            async move {
                check
                    .item(item, until)
                    .await
                    .map(|finding| (place, finding))
            }
        });
        let mut found: Vec<(usize, Finding)> = Vec::new();
        let mut running =
            futures::stream::iter(tries).buffer_unordered(self.args.schedule.concurrency.0);
        while let Some(outcome) = running.next().await {
            found.extend(outcome.inspect(|(_, finding)| context.add_finding(finding.clone())));
        }
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, finding)| finding).collect()
    }

    async fn item(&self, item: Item, until: Option<Instant>) -> Option<Finding> {
        let aim = match item {
            Item::Try(aim) => aim,
            Item::Broken(finding) => return Some(finding),
        };
        let ScheduleArgs {
            connection_timeout,
            retries,
            retry_delay,
            ..
        } = &self.args.schedule;
        let mut tries = 0;
        let mut failed = None;
        loop {
            let started = Instant::now();
            let limit = Limit::new(connection_timeout.0, until);
            if !self.prober.has_time(limit) {
                return Some(failed.unwrap_or_else(|| aim.untried()));
            }
            let outcome = self.prober.probe(&aim.target, limit).await;
            let millis = started.elapsed().as_millis();
            let Err(failure) = outcome else {
                log!("{}: as expected after {millis} ms", aim.shown());
                return None;
            };
            log!("{}: {failure} (after {millis} ms)", aim.shown());
            let again = Instant::now() + retry_delay.0;
            if tries == retries.0 || until.is_some_and(|until| again >= until) {
                return Some(aim.finding(&failure));
            }
            failed = Some(aim.finding(&failure));
            tries += 1;
            tokio::time::sleep_until(again.into()).await;
        }
    }

    /// What to do for each pod; nothing without a selector.
    async fn pods(&self, context: &Context, until: Option<Instant>) -> Result<Vec<Item>, NoPods> {
        let Some(access) = &self.access else {
            return Ok(Vec::new());
        };
        let cluster = Cluster::connect(access.clone()?, until)?;
        let own = context.env().pod_namespace.as_deref();
        let pods = pods::select(&self.args.pods, &cluster, own, until).await?;
        log!("{} running pods match POD_SELECTOR", pods.len());
        Ok(pods.iter().map(|pod| self.pod(pod)).collect())
    }

    fn pod(&self, pod: &PodTarget) -> Item {
        match self.pod_target(pod) {
            Ok(target) => Item::Try(Aim {
                target,
                subject: pod.subject(),
            }),
            Err(reason) => Item::Broken(pod.finding(&reason)),
        }
    }

    fn pod_target(&self, pod: &PodTarget) -> Result<Target, String> {
        let port = self
            .args
            .pod_targetport
            .as_ref()
            .ok_or("has no port to try")?;
        let host = Host::Ip(pod.ip(self.args.connection.ip_family)?);
        Ok(Target {
            scheme: self.args.pod_scheme,
            host,
            port: pod.port(port)?,
        })
    }
}
