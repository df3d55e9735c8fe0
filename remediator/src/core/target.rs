//! What of a target is touched, and how.

use khclient::Finding;

use super::guards::{Guard, Rules};
use super::{Action, Facts, PodFact, PolicySpec, Reason, Scaling, Selection};

/// The pods that a check's errors name, by their subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReportedPods {
    /// Names of those in the policy's namespace, in the order of the errors, each once.
    pub(super) names: Vec<String>,
    /// Whether any pod is named, in whatever namespace.
    pub(super) any: bool,
}

pub(super) fn reported_pods(spec: &PolicySpec, errors: &[String]) -> ReportedPods {
    let mut reported = ReportedPods::default();
    for error in errors {
        let Ok(finding) = error.parse::<Finding>();
        let Some(subject) = finding.subject().filter(|subject| subject.kind() == "pod") else {
            continue;
        };
        reported.any = true;
        let ours = subject.namespace() == Some(&*spec.key.namespace);
        if ours && !reported.names.iter().any(|name| name == subject.name()) {
            reported.names.push(subject.name().to_owned());
        }
    }
    reported
}

/// What is done to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Pods to evict: name and UID, in order.
    pub(super) pods: Vec<(String, String)>,
    /// Replicas before and after.
    pub(super) replicas: Option<(i32, i32)>,
    /// The autoscaler whose minimum is raised instead.
    pub(super) autoscaler: Option<String>,
    /// The revision to go back to.
    pub(super) revision: Option<(String, String, i64)>,
}

/// Chooses what an action does to this target, or says why there is nothing it may do.
pub(super) fn choose(
    rules: Rules,
    spec: &PolicySpec,
    action: &Action,
    errors: &[String],
    facts: &Facts,
) -> Result<Choice, (Reason, String)> {
    match action {
        Action::RestartPods { pods, max } => Ok(Choice {
            pods: pods_to_evict(rules, spec, *pods, *max, errors, facts)?,
            ..Choice::default()
        }),
        Action::RolloutRestart => Ok(Choice::default()),
        Action::Scale(scaling) => scale(rules, spec, scaling, facts),
        Action::Rollback => match &facts.revision {
            Some(revision) => Ok(Choice {
                revision: Some((revision.name.clone(), revision.uid.clone(), revision.number)),
                ..Choice::default()
            }),
            None => Err((Reason::NoPreviousRevision, String::new())),
        },
    }
}

fn pods_to_evict(
    rules: Rules,
    spec: &PolicySpec,
    selection: Selection,
    max: u32,
    errors: &[String],
    facts: &Facts,
) -> Result<Vec<(String, String)>, (Reason, String)> {
    let reported = reported_pods(spec, errors);
    let selected = |pod: &&PodFact| match selection {
        Selection::Reported => reported.names.contains(&pod.name),
        Selection::NotReady => !pod.ready,
        Selection::All => true,
    };
    // Whatever an error says: only pods of the target, by their owners' UIDs.
    let owned: Vec<&PodFact> = facts
        .pods
        .iter()
        .filter(|pod| pod.owned || rules.off(Guard::Owned))
        .filter(selected)
        .collect();
    if selection == Selection::Reported && owned.is_empty() {
        return Err((Reason::SubjectNotOwned, reported.names.join(", ")));
    }
    // A ready pod serves: it goes only while all the others serve too.
    let all_ready = facts.ready >= facts.replicas || rules.off(Guard::ReadyPod);
    let mut eligible: Vec<&PodFact> = owned
        .iter()
        .copied()
        .filter(|pod| !pod.deleting && (!pod.ready || all_ready))
        .collect();
    if eligible.is_empty() {
        let (ready, replicas) = (facts.ready, facts.replicas);
        return Err(if owned.iter().any(|pod| !pod.deleting) {
            (
                Reason::TargetUnhealthy,
                format!("{ready} of {replicas} are ready, and so are the pods to be restarted"),
            )
        } else {
            (Reason::NoEligiblePod, String::new())
        });
    }
    // Failing ones first, then the oldest.
    eligible.sort_by_key(|pod| (pod.ready, pod.created, &pod.name));
    eligible.truncate(usize::try_from(max).unwrap_or(usize::MAX));
    Ok(eligible
        .into_iter()
        .map(|pod| (pod.name.clone(), pod.uid.clone()))
        .collect())
}

fn scale(
    rules: Rules,
    spec: &PolicySpec,
    scaling: &Scaling,
    facts: &Facts,
) -> Result<Choice, (Reason, String)> {
    let from = match &facts.autoscaler {
        Some(autoscaler) if spec.safety.raise_minimum => autoscaler.min.max(facts.replicas),
        _ => facts.replicas,
    };
    let to = match scaling {
        Scaling::Absolute { replicas, .. } => *replicas,
        Scaling::By { step, max, .. } => from.saturating_add(*step).min(*max),
    };
    let mut choice = Choice {
        replicas: Some((from, to)),
        ..Choice::default()
    };
    let never_below = spec.safety.min_replicas.max(1);
    // Taking replicas away from what fails is no remedy, and no disruption budget is asked.
    let downwards = to < from && !rules.off(Guard::ScaleToZero);
    if (to < never_below && !rules.off(Guard::ScaleToZero)) || downwards || to == from {
        return Err((
            Reason::ScaleBounds,
            format!("from {from} to {to} replicas, at least {never_below}"),
        ));
    }
    if let Some(autoscaler) = &facts.autoscaler
        && !rules.off(Guard::Autoscaler)
    {
        if !spec.safety.raise_minimum {
            return Err((Reason::AutoscalerConflict, autoscaler.name.clone()));
        }
        if scaling.revert().is_some() {
            let name = &autoscaler.name;
            return Err((
                Reason::AutoscalerConflict,
                format!("{name}: a raised minimum is not set back, take revertAfterSeconds out"),
            ));
        }
        if to <= autoscaler.min || to > autoscaler.max {
            let (min, max) = (autoscaler.min, autoscaler.max);
            return Err((
                Reason::ScaleBounds,
                format!(
                    "{}: a minimum of {to} is not in {min} to {max}",
                    autoscaler.name
                ),
            ));
        }
        choice.replicas = Some((autoscaler.min, to));
        choice.autoscaler = Some(autoscaler.name.clone());
    }
    Ok(choice)
}
