//! What is to be done for a policy now.

use super::depends::grace;
use super::guards::{Guard, Question, Rules, ask_target, hold};
use super::target::{choose, reported_pods};
use super::{
    Action, Claim, Decision, Facts, FactsNeed, Incident, Incident0, Intent, PolicySpec,
    PolicyState, Reason, Selection, Step, TargetRef, Time, Verify, World, next_attempt, settles_at,
};

/// Added to the time a check takes to be run again, in seconds.
const VERIFY_SLACK: u32 = 60;

/// What is to be done for a policy now. The first guard that has something to say answers; without `facts` of the
/// target the answer is at most [`Decision::NeedFacts`].
pub fn decide(
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    world: &World<'_>,
    facts: Option<&Facts>,
) -> Decision {
    decide_by(
        Rules::default(),
        Question {
            now,
            spec,
            state,
            world,
        },
        facts,
    )
}

/// Whether a remediation that was recorded and not begun should still be: all that speaks against beginning one, but for
/// what the record itself has used up.
pub fn still_wanted(
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    world: &World<'_>,
) -> Result<(), Reason> {
    let question = Question {
        now,
        spec,
        state,
        world,
    };
    let standing = [
        Guard::CheckGone,
        Guard::NeverRun,
        Guard::Stale,
        Guard::LastRun,
        Guard::Healthy,
        Guard::Cycle,
        Guard::Rival,
        Guard::GlobalPause,
        Guard::Pause,
        Guard::Window,
        Guard::SourceStale,
        Guard::Storm,
        Guard::Upstream,
    ];
    if state.failures == 0 {
        let until = question
            .incident()
            .and_then(|incident| grace(spec, incident));
        return Err(match until {
            Some(until) if now < until => Reason::UpstreamGrace,
            _ => Reason::Recovered,
        });
    }
    match standing.into_iter().find_map(|guard| question.ask(guard)) {
        None => Ok(()),
        Some(Decision::Idle { reason } | Decision::Hold { reason, .. }) => Err(reason),
        Some(Decision::NeedFacts(_) | Decision::Act(_) | Decision::Exhausted { .. }) => {
            Err(Reason::RetryBudgetExhausted)
        }
    }
}

/// Whether a remediation that was recorded and not begun may still be, as far as its target goes: it may have changed
/// while the record waited for its turn, for approval or for a disruption budget.
///
/// # Errors
/// What speaks against it.
pub fn target_allows(spec: &PolicySpec, action: &Action, facts: &Facts) -> Result<(), Reason> {
    let refused = Guard::ALL
        .iter()
        .find_map(|guard| ask_target(*guard, spec, action, facts));
    match refused {
        Some((reason, _)) => Err(reason),
        None => Ok(()),
    }
}

/// When to decide again although nothing was observed: when a reason ends by itself, a result settles, or an incident
/// that is over is forgotten.
pub fn wake(
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    decision: &Decision,
) -> Option<Time> {
    let until = match decision {
        Decision::Hold { until, .. } => *until,
        _ => None,
    };
    let recovered = state
        .incident
        .as_ref()
        .and_then(|incident| incident.recovered);
    let forgotten = recovered.map(|recovered| recovered.plus(spec.retry.min_healthy).plus(1));
    [until, settles_at(&state.check), forgotten]
        .into_iter()
        .flatten()
        .filter(|time| *time > now)
        .min()
}

pub(super) fn exhausted() -> Decision {
    Decision::Exhausted {
        message: Reason::RetryBudgetExhausted.sentence().to_owned(),
    }
}

pub(super) fn decide_by(rules: Rules, question: Question<'_>, facts: Option<&Facts>) -> Decision {
    let asked = Guard::ALL.iter().filter(|guard| !rules.off(**guard));
    if let Some(answer) = asked.clone().find_map(|guard| question.ask(*guard)) {
        return answer;
    }
    let Some(incident) = question.state.incident.as_ref() else {
        return Decision::Idle {
            reason: Reason::BelowThreshold,
        };
    };
    let (index, step) = match next_step(rules, &question, incident) {
        Ok(next) => next,
        Err(decision) => return *decision,
    };
    let Some(facts) = facts else {
        return Decision::NeedFacts(match step.action {
            Action::RestartPods { .. } => FactsNeed::Pods,
            Action::RolloutRestart | Action::Scale(_) => FactsNeed::Target,
            Action::Rollback => FactsNeed::Revision,
        });
    };
    let refused = asked
        .clone()
        .find_map(|guard| ask_target(*guard, question.spec, &step.action, facts));
    let chosen = match refused {
        Some(refused) => Err(refused),
        None => choose(rules, question.spec, &step.action, &incident.errors, facts),
    };
    let (reason, details) = match chosen {
        Ok(choice) => {
            let attempt = next_attempt(question.tries());
            return Decision::Act(Box::new(Intent {
                pods: choice.pods,
                replicas: choice.replicas,
                autoscaler: choice.autoscaler,
                revision: choice.revision,
                ..intent(&question, incident, attempt, index, step, facts)
            }));
        }
        Err(refused) => refused,
    };
    hold(reason, &details, None).unwrap_or(Decision::Idle { reason })
}

/// The gentlest step that has tries left, never one before a step that has been tried. A step that restarts the pods
/// the check names is left out where it names none.
fn next_step<'a>(
    rules: Rules,
    question: &Question<'a>,
    incident: &Incident,
) -> Result<(u32, &'a Step), Box<Decision>> {
    let spec = question.spec;
    let touched: Vec<u32> = question
        .tries()
        .filter(|record| record.is_try())
        .map(|record| record.intent.step)
        .collect();
    let first = touched.iter().copied().max().unwrap_or(0);
    let names_pods = reported_pods(spec, &incident.errors).any;
    let mut left_out = false;
    for (index, step) in (0..)
        .zip(&spec.steps)
        .skip_while(|(index, _)| *index < first)
    {
        let tries = touched.iter().filter(|tried| **tried == index).count();
        if !rules.off(Guard::Exhausted)
            && tries > usize::try_from(spec.retry.max_retry).unwrap_or(usize::MAX)
        {
            continue;
        }
        if matches!(
            step.action,
            Action::RestartPods {
                pods: Selection::Reported,
                ..
            }
        ) && !names_pods
        {
            left_out = true;
            continue;
        }
        return Ok((index, step));
    }
    let none = if left_out {
        hold(Reason::NoEligiblePod, "the check names no pod", None)
    } else {
        None
    };
    Err(Box::new(none.unwrap_or_else(exhausted)))
}

fn intent(
    question: &Question<'_>,
    incident: &Incident,
    attempt: u32,
    index: u32,
    step: &Step,
    facts: &Facts,
) -> Intent {
    let Question {
        now, spec, world, ..
    } = *question;
    let (kind, name) = &spec.target;
    let runs = spec.success_threshold.saturating_mul(world.timing.interval);
    let seconds = runs
        .saturating_add(world.timing.timeout)
        .saturating_add(VERIFY_SLACK);
    Intent {
        policy: spec.key.clone(),
        policy_uid: spec.uid.clone(),
        incident: Incident0 {
            id: incident.id.clone(),
            opened: incident.opened,
            first_run: incident.first_run.clone(),
        },
        attempt,
        step: index,
        mode: spec.mode,
        run: incident.failing_run.clone(),
        errors: incident.errors.clone(),
        time: now,
        action: step.action.clone(),
        target: TargetRef {
            kind: *kind,
            name: name.to_string(),
            uid: facts.uid.clone(),
        },
        claim: Claim {
            resource_version: facts.resource_version.clone(),
            generation: facts.generation,
        },
        pods: Vec::new(),
        replicas: None,
        autoscaler: None,
        revision: None,
        verify: Verify {
            seconds: step.verify_seconds.unwrap_or(seconds),
            success_threshold: spec.success_threshold,
            failure_threshold: spec.failure_threshold,
            count_timeouts: spec.count_timeouts,
        },
        revert_after: match &step.action {
            Action::Scale(scaling) => scaling.revert(),
            Action::RestartPods { .. } | Action::RolloutRestart | Action::Rollback => None,
        },
    }
}
