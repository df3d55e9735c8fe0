//! What is to be done for a policy now.

use super::depends::grace;
use super::guards::{Guard, Question, Rules, ask_target, hold};
use super::learning::{self, Choice, Standing};
use super::pattern::pattern;
use super::target::{choose, reported_pods};
use super::{
    Action, Claim, Decision, Facts, FactsNeed, Incident, Incident0, Intent, PolicySpec,
    PolicyState, Reason, Selection, Step, Strategy, TargetRef, Time, Verify, World, next_attempt,
    settles_at,
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
    match question.first(&standing) {
        None => Ok(()),
        Some(Decision::Idle { reason } | Decision::Hold { reason, .. }) => Err(reason),
        Some(Decision::NeedFacts(_) | Decision::Act(_) | Decision::Exhausted { .. }) => {
            Err(Reason::RetryBudgetExhausted)
        }
    }
}

/// What would hold the policy back although nothing is wrong now: who pauses a policy wants to see that it is paused.
pub fn standing_hold(
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    world: &World<'_>,
) -> Option<Decision> {
    let question = Question {
        now,
        spec,
        state,
        world,
    };
    question.first(&[Guard::Cycle, Guard::Rival, Guard::GlobalPause, Guard::Pause])
}

/// Why nothing would be begun for a reason beyond the policy's own check and target, whatever the steps are.
pub fn held_beyond(
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    world: &World<'_>,
) -> Option<Reason> {
    let question = Question {
        now,
        spec,
        state,
        world,
    };
    let beyond = [
        Guard::GlobalPause,
        Guard::Pause,
        Guard::SourceStale,
        Guard::Storm,
        Guard::Upstream,
    ];
    match question.first(&beyond)? {
        Decision::Hold { reason, .. } | Decision::Idle { reason } => Some(reason),
        Decision::NeedFacts(_) | Decision::Act(_) | Decision::Exhausted { .. } => None,
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
    let mut held = Vec::new();
    // Each turn holds one more step.
    loop {
        let next = match next_step(rules, &question, incident, &held) {
            Ok(next) => next,
            Err(decision) => return *decision,
        };
        let Some(facts) = facts else {
            return Decision::NeedFacts(next.need);
        };
        let action = &next.step.action;
        let refused = asked
            .clone()
            .find_map(|guard| ask_target(*guard, question.spec, action, facts));
        let chosen = match refused {
            Some(refused) => Err(refused),
            None => choose(rules, question.spec, action, &incident.errors, facts),
        };
        match chosen {
            Ok(choice) => {
                let attempt = next_attempt(question.tries());
                return Decision::Act(Box::new(Intent {
                    pods: choice.pods,
                    replicas: choice.replicas,
                    autoscaler: choice.autoscaler,
                    revision: choice.revision,
                    ..intent(&question, incident, attempt, &next, facts)
                }));
            }
            // What the target does not allow must not keep a gentler step waiting.
            Err(_) if next.early => held.push(next.index),
            Err((reason, details)) => {
                return hold(reason, &details, None).unwrap_or(Decision::Idle { reason });
            }
        }
    }
}

/// The step to be taken.
struct Next<'a> {
    index: usize,
    step: &'a Step,
    /// Why this one, if that was weighed.
    choice: Option<Choice>,
    /// Whether it comes before a gentler one that has tries left.
    early: bool,
    /// What of the target has to be known.
    need: FactsNeed,
}

/// The gentlest step that has tries left, never one before a step that has been tried; or, of a policy that learns,
/// the one that its record favours. A step that restarts the pods the check names is left out where it names none.
/// Nor are those in `held` taken, which come early and are not allowed now.
fn next_step<'a>(
    rules: Rules,
    question: &Question<'a>,
    incident: &Incident,
    held: &[usize],
) -> Result<Next<'a>, Box<Decision>> {
    let spec = question.spec;
    let touched: Vec<usize> = question
        .tries()
        .filter(|record| record.is_try())
        .filter_map(|record| usize::try_from(record.intent.step).ok())
        .collect();
    let names_pods = reported_pods(spec, &incident.errors).any;
    let most = usize::try_from(spec.retry.max_retry).unwrap_or(usize::MAX);
    let standing = |index: usize| {
        let tries = touched.iter().filter(|tried| **tried == index).count();
        let of_reported = spec.steps.get(index).is_some_and(|step| {
            matches!(
                step.action,
                Action::RestartPods {
                    pods: Selection::Reported,
                    ..
                }
            )
        });
        if !rules.off(Guard::Exhausted) && tries > most {
            Standing::Used
        } else if of_reported && !names_pods {
            Standing::NoPodNamed
        } else if held.contains(&index) {
            Standing::Held
        } else {
            Standing::Waiting
        }
    };
    let first = match spec.strategy {
        Strategy::Ordered => touched.iter().copied().max().unwrap_or(0),
        Strategy::Adaptive => 0,
    };
    let left = |index: &usize| standing(*index) == Standing::Waiting;
    let gentlest = (first..spec.steps.len()).find(left);
    let next = match spec.strategy {
        Strategy::Ordered => gentlest.map(|index| (index, None)),
        Strategy::Adaptive => {
            let learned = &question.state.statistics.learned;
            let failure = pattern(&incident.errors);
            learning::choose(learned, failure, &spec.steps, standing)
                .map(|(index, choice)| (index, Some(choice)))
        }
    };
    let found = next.and_then(|(index, choice)| Some((index, spec.steps.get(index)?, choice)));
    if let Some((index, step, choice)) = found {
        return Ok(Next {
            index,
            step,
            choice,
            early: gentlest.is_some_and(|gentlest| gentlest < index),
            need: need(spec, step),
        });
    }
    let left_out = (first..spec.steps.len()).any(|index| standing(index) == Standing::NoPodNamed);
    let none = if left_out {
        hold(Reason::NoEligiblePod, "the check names no pod", None)
    } else {
        None
    };
    Err(Box::new(none.unwrap_or_else(exhausted)))
}

/// What of the target has to be known for a step; of a policy that learns, for each of its steps, as it may pass over one.
fn need(spec: &PolicySpec, step: &Step) -> FactsNeed {
    let of = |step: &Step| match step.action {
        Action::RestartPods { .. } => FactsNeed::Pods,
        Action::RolloutRestart => FactsNeed::Target,
        Action::Scale(_) => FactsNeed::Autoscaler,
        Action::Rollback => FactsNeed::Revision,
    };
    let need = of(step);
    let mixed = spec.steps.iter().any(|step| of(step) != need);
    match spec.strategy {
        Strategy::Adaptive if mixed => FactsNeed::All,
        Strategy::Adaptive | Strategy::Ordered => need,
    }
}

fn intent(
    question: &Question<'_>,
    incident: &Incident,
    attempt: u32,
    next: &Next<'_>,
    facts: &Facts,
) -> Intent {
    let step = next.step;
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
        step: u32::try_from(next.index).unwrap_or(u32::MAX),
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
        choice: next.choice.clone(),
        begun: None,
    }
}
