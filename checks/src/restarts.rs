//! pod-restarts-check: do containers restart too often?
//!
//! ```text
//! RestartsArgs --> Plan                                     the options, checked
//! Scope --> namespaces                                      where to look
//! cluster::Pages --> Pod ... --judge--> Trouble --> Worst   page by page, only the worst kept
//! ```
//!
//! It reads the statuses of containers (`list` on pods), not events: those are gone after an hour, outlive the pods they
//! are about, and count pauses, also those before the next try to pull an image, rather than restarts.

mod args;
mod globs;
mod judge;
mod objects;
mod scope;
mod time;
mod worst;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{ArgMatches, Args, FromArgMatches};
use khclient::{Context, Finding, Report, Subject};
use serde::de::IgnoredAny;

use crate::cli::ConfigError;
use crate::cluster::{Access, Cluster, ClusterError, Page, Query, Resource};
use crate::values::Selector;
use crate::{Check, log};
use args::RestartsArgs;
use judge::Rule;
use objects::Pod;
use scope::Scope;
use worst::Worst;

/// The check.
pub static CHECK: Check = Check {
    name: "pod-restarts-check",
    about: "Looks for containers that restart too often, in all pods or in some",
    replaces: &["kuberhealthy/pod-restarts-check"],
    examples: "\
# Every pod that kubectl proxy leads to
pod-restarts-check --kube-api-url http://localhost:8001
# Two namespaces, with less patience, and without the pods of one job
pod-restarts-check --pod-namespace shop,bank --max-failures-allowed 3 --exclude-pods 'import-*' --kube-api-url http://localhost:8001
# Namespaces by label; variables do the same as flags
POD_NAMESPACE_SELECTOR=team=shop RESTART_WINDOW=30m pod-restarts-check --kube-api-url http://localhost:8001",
    names: args::NAMES,
    augment: RestartsArgs::augment_args,
    prepare,
};

/// Pods asked for at a time.
const PODS_AT_A_TIME: u32 = 500;

/// The options, checked against each other.
struct Plan {
    args: RestartsArgs,
    scope: Scope,
    rule: Rule,
    access: Result<Access, ClusterError>,
}

/// What was found so far.
#[derive(Default)]
struct Survey {
    worst: Worst,
    /// What could not be looked at.
    gaps: Vec<Finding>,
    pods: usize,
}

fn prepare(
    matches: &ArgMatches,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::Job, Vec<ConfigError>> {
    let args = RestartsArgs::from_arg_matches(matches)
        .map_err(|error| vec![ConfigError::of("", error.to_string())])?;
    let plan = Plan {
        scope: Scope::new(&args).map_err(|error| vec![error])?,
        rule: Rule {
            most: args.max_failures_allowed.0,
            window: args.restart_window.0,
        },
        access: Access::find(&args.cluster, lookup),
        args,
    };
    Ok(Box::new(move |context| Box::pin(plan.run(context))))
}

impl Plan {
    async fn run(self, context: Context) -> Report {
        // A little before the harness would cut the check off, so that what was found is reported in full.
        let until = context.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            deadline
                .checked_sub((left / 20).min(Duration::from_millis(500)))
                .unwrap_or(deadline)
        });
        let mut survey = Survey::default();
        let looking = self.look(&context, until, &mut survey);
        let outcome = match until {
            Some(until) => tokio::time::timeout_at(until.into(), looking)
                .await
                .unwrap_or_else(|_| {
                    let reason = "no answer before the deadline of the run";
                    Err(ClusterError::Unreachable(reason.to_owned()))
                }),
            None => looking.await,
        };
        survey.gaps.extend(outcome.err().map(Finding::from));
        log!("{} pods looked at", survey.pods);
        for trouble in survey.worst.all() {
            log!("{}", trouble.details);
        }
        // That pods could not be looked at comes first: there is no telling what is wrong with them.
        let found = survey.worst.all().iter().map(|trouble| trouble.finding());
        survey.gaps.iter().cloned().chain(found).collect()
    }

    async fn look(
        &self,
        context: &Context,
        until: Option<Instant>,
        survey: &mut Survey,
    ) -> Result<(), ClusterError> {
        let cluster = Cluster::connect(self.access.clone()?, until)?;
        let places = self.scope.places(&cluster).await?;
        let allow_none = self.args.pod_allow_none.0;
        if places.is_empty() && !allow_none {
            let selector = self.args.pod_namespace_selector.as_ref();
            survey.gaps.push(Finding::new(format!(
                "no namespace matches {}",
                selector.map_or("the options", Selector::as_str)
            )));
        }
        for place in &places {
            match self
                .place(&cluster, place.as_deref(), context, survey)
                .await
            {
                Ok(0) => self.nothing(&cluster, place.as_deref(), survey).await,
                Ok(_) => {}
                // Others may be allowed.
                Err(error @ ClusterError::Forbidden { .. }) => survey.gaps.push(error.into()),
                Err(error) => return Err(error),
            }
        }
        match &self.args.pod_selector {
            Some(selector) if survey.pods == 0 && survey.gaps.is_empty() && !allow_none => {
                let place = self.scope.shown();
                let finding = format!("no pod matches {selector} in {place}");
                survey.gaps.push(Finding::new(finding));
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks at all pods of a namespace, or of all; how many there are.
    async fn place(
        &self,
        cluster: &Cluster,
        namespace: Option<&str>,
        context: &Context,
        survey: &mut Survey,
    ) -> Result<usize, ClusterError> {
        let mut pages = cluster.pages(&Query {
            resource: Resource::PODS,
            namespace,
            selector: self.args.pod_selector.as_ref().map(Selector::as_str),
            limit: PODS_AT_A_TIME,
            fields: objects::FIELDS,
        });
        let mut seen = 0;
        loop {
            let now = now();
            let judge = |json: &[u8]| {
                // Nearly all pods are well, and not worth decoding.
                if !objects::may_exceed(json, self.rule.most) {
                    return Ok(Some(Vec::new()));
                }
                let pod: Pod = serde_json::from_slice(json)?;
                Ok(Some(match self.excludes(&pod) {
                    true => Vec::new(),
                    false => self.rule.judge(&pod, now),
                }))
            };
            match pages.next(judge).await? {
                Some(Page::Items(pods)) => {
                    seen += pods.len();
                    survey.pods += pods.len();
                    for trouble in pods.into_iter().flatten() {
                        let finding = trouble.finding();
                        if survey.worst.add(trouble) {
                            context.add_finding(finding);
                        }
                    }
                }
                Some(Page::Again) => {
                    survey.pods -= std::mem::take(&mut seen);
                    survey.worst.forget(namespace);
                }
                None => return Ok(seen),
            }
        }
    }

    fn excludes(&self, pod: &Pod) -> bool {
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let pods = self.args.exclude_pods.as_ref();
        self.scope.excludes(namespace) || pods.is_some_and(|pods| pods.matches(namespace, name))
    }

    /// A namespace without pods: it may be the name that is wrong, for which the API server has the same answer.
    async fn nothing(&self, cluster: &Cluster, namespace: Option<&str>, survey: &mut Survey) {
        let Some(name) = namespace.filter(|name| self.scope.names(name)) else {
            return;
        };
        match cluster
            .get_global::<IgnoredAny>(Resource::NAMESPACES, name)
            .await
        {
            Ok(_) => {}
            Err(ClusterError::NotFound(_)) => {
                let message = "expected to exist, not found";
                survey.gaps.push(match Subject::cluster("namespace", name) {
                    Some(subject) => Finding::about(subject, message),
                    None => Finding::new(format!("namespace {name}: {message}")),
                });
            }
            Err(error) => {
                log!("namespace {name} has no pods; whether it exists is not known: {error}")
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
