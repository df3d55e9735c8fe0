//! What a policy answers for of a record: nobody who may only write Remediations has anything done that no policy asks
//! for. Pure.

use crate::core::{Action, Intent, Phase, PolicySpec, PolicyState, Reason, Record, Scaling};

/// Whether nothing is known to have taken effect for the record: a lost answer is no reason to stop asking.
pub(super) fn pending(record: &Record) -> bool {
    matches!(record.status.phase, Phase::Pending | Phase::Blocked)
}

/// Whether what is still to be done for a record is what its policy would have done: the incident, the step and the mode
/// are the policy's own. The policy is read at most a second before the first write is begun, so that an edit of it
/// counts until then, or until a little earlier where the write first reads what it is made of, as for a StatefulSet and
/// for a rollback; of several pods it counts before each.
pub(super) fn backed(
    spec: &PolicySpec,
    state: &PolicyState,
    record: &Record,
) -> Result<(), Reason> {
    let intent = &record.intent;
    let open = state.incident.as_ref();
    if open.is_none_or(|open| open.id != intent.incident.id) {
        return Err(Reason::Recovered);
    }
    let step = usize::try_from(intent.step)
        .ok()
        .and_then(|step| spec.steps.get(step));
    let asked = step.is_some_and(|step| step.action == intent.action)
        && within(&intent.action, intent)
        && intent.mode == spec.mode
        && targets(spec, intent);
    if asked {
        Ok(())
    } else {
        Err(Reason::PolicyChanged)
    }
}

/// Whether setting back the record's replicas is what its policy, or what is remembered of it, stands for: a step of it
/// scales this target, and leads from the one number to the other. A record alone is not believed, as its status may be
/// anybody's.
pub(super) fn sets_back(spec: &PolicySpec, intent: &Intent) -> Result<(), Reason> {
    let mut steps = spec.steps.iter();
    let scales =
        steps.any(|step| matches!(step.action, Action::Scale(_)) && within(&step.action, intent));
    let lowers = intent
        .replicas
        .is_some_and(|(from, to)| (1..to).contains(&from));
    if targets(spec, intent) && scales && lowers {
        Ok(())
    } else {
        Err(Reason::PolicyChanged)
    }
}

fn targets(spec: &PolicySpec, intent: &Intent) -> bool {
    let target = &intent.target;
    (target.kind, target.name.as_str()) == (spec.target.0, &*spec.target.1)
}

/// Whether what is to be done in particular is no more than the action asks for.
fn within(action: &Action, intent: &Intent) -> bool {
    let pods = usize::try_from(match action {
        Action::RestartPods { max, .. } => *max,
        Action::RolloutRestart | Action::Scale(_) | Action::Rollback => 0,
    });
    let replicas = match (action, intent.replicas) {
        (Action::Scale(Scaling::Absolute { replicas, .. }), Some((_, to))) => to == *replicas,
        (Action::Scale(Scaling::By { step, max, .. }), Some((from, to))) => {
            to == from.saturating_add(*step).min(*max)
        }
        (Action::Scale(_), None) => false,
        (_, replicas) => replicas.is_none(),
    };
    pods.is_ok_and(|most| intent.pods.len() <= most) && replicas
}

#[cfg(test)]
mod tests {
    use super::{backed, pending};
    use crate::core::guards::tests::Case;
    use crate::core::{Mode, Phase, PolicySpec, Reason, Touched};

    #[test]
    fn an_edit_counts_until_nothing_is_left_to_do() {
        let edits: [fn(&mut PolicySpec); 3] = [
            |spec| spec.mode = Mode::DryRun,
            |spec| spec.steps.clear(),
            |spec| spec.target.1 = "api".into(),
        ];
        let case = Case::new();
        for (phase, touched) in [
            (Phase::Pending, Touched::No),
            // The answer was lost: the write is made again.
            (Phase::Pending, Touched::Maybe),
            (Phase::Blocked, Touched::No),
            // Other pods are still to be restarted.
            (Phase::Applied, Touched::Yes),
        ] {
            let mut record = case.record(1, "r3", touched, Case::now());
            (record.status.phase, record.status.completed) = (phase, None);
            assert_eq!(backed(&case.spec, &case.state, &record), Ok(()));
            assert_eq!(pending(&record), phase != Phase::Applied);
            for edit in edits {
                let mut edited = case.spec.clone();
                edit(&mut edited);
                let answer = backed(&edited, &case.state, &record);
                assert_eq!(answer, Err(Reason::PolicyChanged), "{phase:?} {touched:?}");
            }
        }
    }
}
