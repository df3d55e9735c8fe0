//! dependency-check: is what a service needs available?
//!
//! ```text
//! DEPENDENCIES ... --parse--> Dependency ...     the list, checked
//! Dependency --look--> objects, connections      one look at one of them
//! objects --judge--> available, or why not       pure
//! rounds                                         who is looked at when, until all are there
//! ```
//!
//! What counts as available, and what a role must allow for it:
//!
//! | dependency | available | verbs and resources |
//! |---|---|---|
//! | `service:` | endpoints in its EndpointSlices that are ready, serving and not terminating, on the named port | get services, list endpointslices.discovery.k8s.io |
//! | `deployment:`, `statefulset:`, `daemonset:` | available replicas in its status | get deployments.apps and so on |
//! | `job:` | condition Complete | get jobs.batch |
//! | `pvc:` | phase Bound | get persistentvolumeclaims |
//! | `pod:` | pods of the selector with condition Ready, not terminating | list pods |
//! | `GROUP/VERSION/KIND:` | the condition, of the current generation | get that resource |
//!
//! One is enough unless a minimum is given (`>=2`, `>=50%`). A percentage is one of the endpoints that are not
//! terminating, of the replicas that are wanted, or of the pods that neither terminate nor have finished.

mod args;
mod item;
mod judge;
mod look;
mod objects;
mod parse;
mod rounds;

use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use khclient::{Context, Finding, Report};

use crate::cli::ConfigError;
use crate::cluster::{Access, Cluster, ClusterError};
use crate::tls::Tls;
use crate::{Check, log};
use args::DependencyArgs;
use item::{Dependency, Minimum, Target};
use look::Looker;
use rounds::{Rounds, Standing};

/// The check.
pub static CHECK: Check = Check {
    name: "dependency-check",
    about: "Looks whether services, workloads, jobs, names, ports and URLs that others need are available",
    replaces: &[],
    examples: "\
# A host and port, a name, and a page
dependency-check --dependencies tcp:localhost:5432,dns:example.com,https://example.com/
# A service with two endpoints or more, a finished job, through kubectl proxy
dependency-check --dependencies 'service:shop/web>=2,job:shop/migrate' --kube-api-url http://localhost:8001
# Wait a minute for a deployment; variables do the same as flags
DEPENDENCIES=deployment:shop/web dependency-check --wait-seconds 60 --kube-api-url http://localhost:8001",
    names: args::NAMES,
    augment: DependencyArgs::augment_args,
    prepare,
};

/// The options, checked against each other.
struct Plan {
    args: DependencyArgs,
    dependencies: Vec<Dependency>,
    tls: Tls,
    /// Only if there is something to ask the API server for.
    access: Option<Result<Access, ClusterError>>,
}

fn prepare(
    matches: &ArgMatches,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::Job, Vec<ConfigError>> {
    let args = DependencyArgs::from_arg_matches(matches)
        .map_err(|error| vec![ConfigError::of("", error.to_string())])?;
    let plan = Plan::new(args, lookup)?;
    Ok(Box::new(move |context| Box::pin(plan.run(context))))
}

/// All that the options name, each once.
fn dependencies(args: &DependencyArgs) -> Result<Vec<Dependency>, Vec<ConfigError>> {
    let service = |place| Target::Service {
        place,
        port: None,
        minimum: Minimum::ONE,
    };
    let mut all: Vec<Dependency> = Vec::new();
    let mut errors = Vec::new();
    for list in [
        parse::list("DEPENDENCIES", &args.dependencies),
        parse::names("DEPENDENCY_SERVICE", &args.dependency_service, service),
        parse::names("DEPENDENCY_JOBS", &args.dependency_jobs, Target::Job),
    ] {
        match list {
            Ok(more) => {
                let new = more.into_iter().filter(|one| !all.contains(one));
                let new: Vec<Dependency> = new.collect();
                all.extend(new);
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() && all.iter().all(|dependency| dependency.optional) {
        errors.push(ConfigError::of(
            "DEPENDENCIES",
            "expected at least one dependency that is not optional, such as service:shop/db",
        ));
    }
    if errors.is_empty() {
        Ok(all)
    } else {
        Err(errors)
    }
}

impl Plan {
    fn new(
        args: DependencyArgs,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Plan, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let dependencies = dependencies(&args)
            .map_err(|more| errors.extend(more))
            .unwrap_or_default();
        let tls = Tls::new(args.tls.clone())
            .map_err(|error| errors.push(error))
            .ok();
        let access = dependencies
            .iter()
            .any(|dependency| dependency.target.needs_cluster())
            .then(|| Access::find(&args.cluster, lookup));
        match tls {
            Some(tls) if errors.is_empty() => Ok(Plan {
                args,
                dependencies,
                tls,
                access,
            }),
            _ => Err(errors),
        }
    }

    async fn run(self, context: Context) -> Report {
        let started = Instant::now();
        // A little before the harness would cut the check off, so that what was found is reported in full.
        let until = context.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(started);
            deadline
                .checked_sub((left / 20).min(Duration::from_millis(500)))
                .unwrap_or(deadline)
        });
        let namespace = context
            .env()
            .pod_namespace
            .clone()
            .or_else(Access::own_namespace);
        let Plan {
            args,
            dependencies,
            tls,
            access,
        } = self;
        if let (None, Some(target)) = (&namespace, nowhere(&dependencies)) {
            return Report::misconfigured([ConfigError::of(
                "DEPENDENCIES",
                format!(
                    "expected the namespace of {target}: the one of the check's pod is not known"
                ),
            )]);
        }
        let looker = Looker {
            cluster: access.map(|access| access.and_then(|access| Cluster::connect(access, until))),
            namespace: namespace.unwrap_or_default(),
            tls,
            min_cert_days: args.tls.min_cert_days.map_or(0, |days| days.0),
            accepted: args.expected_status_code.clone(),
            timeout: args.timeout_duration.0,
            until,
            served: Default::default(),
        };
        let patience = started + args.wait_seconds.0;
        // Waiting leaves time for a last look before the run is over.
        let latest = until.map(|until| {
            let left = until.saturating_duration_since(started);
            until - (left / 4).min(args.timeout_duration.0)
        });
        let rounds = Rounds {
            concurrency: args.concurrency.0,
            give_up: latest.map_or(patience, |latest| latest.min(patience)),
        };
        let optional: Vec<bool> = dependencies.iter().map(|one| one.optional).collect();
        let look = async |place: usize| {
            let Some(dependency) = dependencies.get(place) else {
                return Standing::new();
            };
            let standing = looker.look(&dependency.target).await;
            // What is waited for may still come, so only a single look is worth reporting if the run is cut short.
            if !dependency.optional && args.wait_seconds.0.is_zero() {
                for finding in &standing {
                    context.add_finding(finding.clone());
                }
            }
            standing
        };
        let standings = rounds.run(&optional, look).await;
        verdict(&optional, standings)
    }
}

/// Findings of what is not optional, in the order of the list; the others are only logged.
fn verdict(optional: &[bool], standings: Vec<Standing>) -> Report {
    let mut report: Vec<Finding> = Vec::new();
    for (findings, optional) in standings.into_iter().zip(optional) {
        if *optional {
            for finding in findings {
                log!("optional: {finding}");
            }
        } else {
            report.extend(findings);
        }
    }
    report.into()
}

/// The first object that names no namespace, though its kind has them.
fn nowhere(dependencies: &[Dependency]) -> Option<String> {
    dependencies.iter().find_map(|dependency| {
        let missing = match &dependency.target {
            Target::Service { place, .. } => place.namespace.is_none().then_some(&place.name),
            Target::Workload { place, .. } => place.namespace.is_none().then_some(&place.name),
            Target::Job(place) | Target::Claim(place) => {
                place.namespace.is_none().then_some(&place.name)
            }
            Target::Pods {
                namespace: None,
                selector,
                ..
            } => return Some(format!("the pods with {selector}")),
            // Discovery tells whether its kind has namespaces.
            Target::Condition { .. } => None,
            _ => None,
        };
        missing.map(|name| format!("\"{name}\""))
    })
}
