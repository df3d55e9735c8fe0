//! Policies as they are written, and edited.

use remediator::core::{
    Action, Matcher, Mode, ObjectKey, PolicySpec, Retry, Safety, Scaling, Selection, Step,
    Strategy, TargetKind,
};

use crate::simulation::dice::Dice;

pub(super) fn spec(index: usize) -> PolicySpec {
    let key = |namespace: &str, name: String| ObjectKey {
        namespace: namespace.into(),
        name: name.into(),
    };
    PolicySpec {
        key: key("shop", format!("web{index}")),
        uid: format!("policy{index}"),
        generation: 1,
        mode: Mode::Enforce,
        source: None,
        check: key("kuberhealthy", format!("check{index}")),
        failure_threshold: 1,
        failure_seconds: 0,
        success_threshold: 1,
        match_errors: Matcher::default(),
        count_timeouts: false,
        target: (TargetKind::Deployment, "web".into()),
        steps: Vec::new(),
        retry: Retry::default(),
        safety: Safety::default(),
        depends_on: Vec::new(),
        dependency_grace: 300,
        windows: Vec::new(),
        pause: None,
        history_limit: 3,
        infer_dependencies: true,
        strategy: Strategy::Ordered,
        notify: None,
        alert: None,
    }
}

/// Somebody edits the policy.
pub(super) fn edit(spec: &mut PolicySpec, dice: &mut Dice) {
    spec.generation += 1;
    spec.mode = dice.pick(&[
        Mode::Enforce,
        Mode::Enforce,
        Mode::Enforce,
        Mode::Manual,
        Mode::DryRun,
    ]);
    spec.failure_threshold = 1 + dice.below(3);
    spec.failure_seconds = dice.pick(&[0, 0, 900]);
    spec.success_threshold = 1 + dice.below(2);
    spec.count_timeouts = dice.one_in(2);
    spec.retry.max_retry = dice.below(2);
    spec.retry.cooldown = dice.pick(&[0, 60, 300]);
    spec.dependency_grace = dice.pick(&[60, 300, 900]);
    spec.strategy = dice.pick(&[Strategy::Ordered, Strategy::Adaptive]);
    let evict = Action::RestartPods {
        pods: dice.pick(&[Selection::All, Selection::Reported]),
        max: 1 + dice.below(2),
    };
    let scale = Action::Scale(Scaling::By {
        step: 1,
        max: 4,
        revert: dice.one_in(2).then_some(900),
    });
    let most = dice.below(5) as usize;
    spec.steps = [evict, Action::RolloutRestart, scale, Action::Rollback]
        .into_iter()
        .take(most)
        .map(step)
        .collect();
}

pub(super) fn step(action: Action) -> Step {
    Step {
        action,
        verify_seconds: None,
    }
}
