//! http-check: does a web service answer as it should?
//!
//! ```text
//! HttpArgs --> Schedule, Sender, Expectations      the options, checked
//! URLs and running pods --> Target ...             what to probe
//! Prober: Sender --> Observation --> Expectations  one probe
//! Schedule, Tally                                  how many, and whether enough passed
//! ```

mod args;
mod assert;
mod connector;
pub(crate) mod credentials;
mod headers;
mod json;
mod plan;
mod probe;
pub(crate) mod proxy;
pub(crate) mod request;
mod route;
pub(crate) mod values;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use futures::StreamExt;
use khclient::{Context, Finding, Report};
use url::Url;

use crate::Check;
use crate::cli::ConfigError;
use crate::cluster::{Access, Cluster, ClusterError};
use crate::log;
use crate::pods::{self, NoPods, PodTarget};
use args::HttpArgs;
use assert::Expectations;
use plan::Schedule;
use probe::Prober;
use request::{Sender, Target};

/// The check.
pub static CHECK: Check = Check {
    name: "http-check",
    about: "Asks URLs, or every running pod of a selector, and checks the answers",
    replaces: &["kuberhealthy/http-check", "kuberhealthy/http-content-check"],
    examples: EXAMPLES,
    names: args::NAMES,
    augment: HttpArgs::augment_args,
    prepare,
};

const EXAMPLES: &str = "\
# Two pages that must answer 200 within a second, with a word in the body
http-check --check-url 'https://a.example https://b.example' --target-string Welcome --max-latency 1s
# A health page in JSON, three probes of which two must pass
http-check --check-url http://localhost:8080/health --expected-json '$.status == \"UP\"' --count 3 --passing-percent 60
# Any answer but a server error, and a certificate that is good for two weeks
http-check --check-url https://example.com --expected-status-code 200-499 --min-cert-days 14
# Every running pod of a label, through kubectl proxy; variables are as flags
POD_SELECTOR=app=web POD_TARGETPORT=8080 http-check --pod-selector-namespace shop --kube-api-url http://localhost:8001";

/// The options, checked against each other.
struct Plan {
    args: HttpArgs,
    schedule: Schedule,
    sender: Sender,
    expected: Expectations,
    targets: Vec<Target>,
    access: Option<Result<Access, ClusterError>>,
}

fn prepare(
    matches: &ArgMatches,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::Job, Vec<ConfigError>> {
    let args = HttpArgs::from_arg_matches(matches)
        .map_err(|error| vec![ConfigError::of("", error.to_string())])?;
    let plan = Plan::new(args, lookup)?;
    Ok(Box::new(move |context| Box::pin(plan.run(context))))
}

impl Plan {
    fn new(
        args: HttpArgs,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Plan, Vec<ConfigError>> {
        let mut errors = Vec::new();
        errors.extend(missing(&args));
        let expected = Expectations::new(&args)
            .map_err(|error| errors.push(error))
            .ok();
        let sender = Sender::new(&args, lookup)
            .map_err(|more| errors.extend(more))
            .ok();
        let lists = args.check_url.iter().chain(&args.target_url);
        let mut targets: Vec<Target> = Vec::new();
        for url in lists.flat_map(|list| &list.0) {
            let target = Target {
                url: url.clone(),
                subject: None,
                direct: false,
            };
            if let Some(Err(error)) = sender.as_ref().map(|sender| sender.accepts(&target)) {
                errors.push(error);
            }
            // The same URL in CHECK_URL and TARGET_URL is one target.
            if !targets.iter().any(|other| other.url == target.url) {
                targets.push(target);
            }
        }
        let access = args
            .pods
            .pod_selector
            .is_some()
            .then(|| Access::find(&args.pods.cluster, lookup));
        match (sender, expected) {
            (Some(sender), Some(expected)) if errors.is_empty() => {
                let schedule = Schedule::from(&args.schedule);
                Ok(Plan {
                    args,
                    schedule,
                    sender,
                    expected,
                    targets,
                    access,
                })
            }
            _ => Err(errors),
        }
    }

    async fn run(self, context: Context) -> Report {
        // A little before the harness would cut the check off, so that what was found is reported in full.
        let until = context.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            deadline
                .checked_sub((left / 20).min(Duration::from_millis(500)))
                .unwrap_or(deadline)
        });
        if let Err(error) = self.fits(self.targets.len(), &context) {
            return Report::misconfigured([error]);
        }
        let mut items: Vec<Item> = self.targets.iter().cloned().map(Item::Probe).collect();
        match self.pods(&context, until).await {
            Ok(pods) => items.extend(pods),
            Err(NoPods::Config(error)) => return Report::misconfigured([error]),
            Err(error) => items.push(Item::Broken(Finding::new(error.to_string()))),
        }
        if let Err(error) = self.fits(items.len(), &context) {
            return Report::misconfigured([error]);
        }
        let probes = items.into_iter().enumerate().map(|(place, item)| {
            let plan = &self;
            async move {
                plan.probe(item, until)
                    .await
                    .map(|finding| (place, finding))
            }
        });
        let mut found: Vec<(usize, Finding)> = Vec::new();
        let mut running = futures::stream::iter(probes).buffer_unordered(self.schedule.concurrency);
        while let Some(outcome) = running.next().await {
            found.extend(outcome.inspect(|(_, finding)| context.add_finding(finding.clone())));
        }
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, finding)| finding).collect()
    }

    fn fits(&self, targets: usize, context: &Context) -> Result<(), ConfigError> {
        match context.remaining() {
            Some(remaining) if context.deadline_given() => self.schedule.fits(targets, remaining),
            _ => Ok(()),
        }
    }

    async fn probe(&self, item: Item, until: Option<Instant>) -> Option<Finding> {
        let target = match item {
            Item::Probe(target) => target,
            Item::Broken(finding) => return Some(finding),
        };
        let prober = Prober::new(&self.sender, &self.expected, self.schedule, &target);
        prober
            .run(until)
            .await
            .err()
            .map(|reason| target.finding(&reason))
    }

    /// What to do for each pod; nothing without a selector.
    async fn pods(&self, context: &Context, until: Option<Instant>) -> Result<Vec<Item>, NoPods> {
        let (Some(selector), Some(access)) = (&self.args.pods.pod_selector, &self.access) else {
            return Ok(Vec::new());
        };
        let cluster = Cluster::connect(access.clone()?, until)?;
        let own = context.env().pod_namespace.as_deref();
        let pods = pods::select(&self.args.pods, &cluster, own, until).await?;
        log!("{} running pods match {selector}", pods.len());
        Ok(pods.iter().map(|pod| self.pod(pod)).collect())
    }

    fn pod(&self, pod: &PodTarget) -> Item {
        match self.pod_url(pod) {
            Ok(url) => Item::Probe(Target {
                url,
                subject: pod.subject(),
                direct: true,
            }),
            Err(reason) => Item::Broken(pod.finding(&reason)),
        }
    }

    fn pod_url(&self, pod: &PodTarget) -> Result<Url, String> {
        let HttpArgs {
            pod_scheme,
            pod_path,
            pod_targetport,
            ..
        } = &self.args;
        let ip = pod.ip(self.args.connection.ip_family)?;
        let port = pod_targetport
            .as_ref()
            .map(|port| pod.port(port))
            .transpose()?;
        let host = SocketAddr::new(ip, port.unwrap_or_default());
        Url::parse(&format!("{pod_scheme}://{host}{pod_path}"))
            .map_err(|_| "has no address that makes a URL".to_owned())
    }
}

/// One thing to do in a run.
enum Item {
    Probe(Target),
    /// A pod that cannot be probed.
    Broken(Finding),
}

/// Options without which others mean nothing.
fn missing(args: &HttpArgs) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut wrong = |env: &str, message: &str| errors.push(ConfigError::of(env, message));
    let per_pod = args.pods.pod_selector.is_some();
    if args.check_url.is_empty() && args.target_url.is_empty() && !per_pod {
        wrong("CHECK_URL", "expected at least one URL, or POD_SELECTOR");
    }
    if !args.target_url.is_empty() && args.expected.target_string.is_none() {
        wrong(
            "TARGET_STRING",
            "expected the text to find at TARGET_URL; CHECK_URL needs none",
        );
    }
    if per_pod && args.pod_targetport.is_none() {
        wrong(
            "POD_TARGETPORT",
            "expected the port of the pods that POD_SELECTOR matches",
        );
    }
    if !per_pod && (args.pod_targetport.is_some() || args.pods.pod_selector_namespace.is_some()) {
        wrong("POD_SELECTOR", "expected a label selector, such as app=web");
    }
    if !args.pod_path.starts_with('/') {
        errors.push(ConfigError::value(
            "POD_PATH",
            &args.pod_path,
            "expected a path that begins with /",
        ));
    }
    errors
}

#[cfg(test)]
mod testing {
    use super::args::{HttpArgs, NAMES};
    use clap::{Args, FromArgMatches};

    /// The options that `flags` make.
    pub(super) fn args(flags: &[&str]) -> HttpArgs {
        let flags: Vec<std::ffi::OsString> = flags.iter().map(Into::into).collect();
        let command = HttpArgs::augment_args(clap::Command::new("http-check"));
        HttpArgs::from_arg_matches(&crate::cli::parse(command, NAMES, &flags, &|_| None).unwrap())
            .unwrap()
    }
}
