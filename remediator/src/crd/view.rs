//! From a `RemediationPolicy` to what the core works with.
//!
//! All that the schema and its CEL rules refuse is refused here again: an object can be older than the rule, and the
//! rules may be missing on the API server.

use std::sync::Arc;

use kube::ResourceExt;

use super::alerts::alert_match;
use super::common::{Action, CheckReference, RestartPods, Scale};
use super::policy::{AutoscalerMode, Day, Notify, RemediationPolicy, RolloutMode, Step, Window};
use crate::core::reason::bounded;
use crate::core::{
    self, ActionName, CheckKind, Matcher, ObjectKey, PolicySpec, Scaling, TargetKind,
};

/// Why an object cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// Which field, as `spec.steps[0].scale`.
    pub field: String,
    /// What is wrong with it, and what to do.
    pub why: String,
}

/// `field` is wrong.
pub(super) fn invalid(field: impl Into<String>, why: impl AsRef<str>) -> Invalid {
    Invalid {
        field: field.into(),
        why: bounded(why.as_ref(), 400),
    }
}

/// A number between two others.
pub(super) fn within<T: TryFrom<i64>>(
    field: impl Into<String>,
    value: impl Into<i64>,
    least: i64,
    most: i64,
) -> Result<T, Invalid> {
    let value = value.into();
    let fitting = (least..=most).contains(&value).then_some(value);
    fitting
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| {
            invalid(
                field,
                format!("expected a number from {least} to {most}, found {value}"),
            )
        })
}

/// A text that is there, and not too long.
pub(super) fn text(field: impl Into<String>, value: &str, most: usize) -> Result<(), Invalid> {
    match value.chars().count() {
        0 => Err(invalid(field, "it is empty")),
        length if length > most => Err(invalid(
            field,
            format!("it has {length} characters, at most {most} are allowed"),
        )),
        _ => Ok(()),
    }
}

fn at_most<T>(field: &str, list: &[T], most: usize) -> Result<(), Invalid> {
    if list.len() > most {
        let length = list.len();
        return Err(invalid(
            field,
            format!("it has {length} entries, at most {most} are allowed"),
        ));
    }
    Ok(())
}

/// A name of Kubernetes; `dots` are allowed in most.
pub(super) fn name(field: String, value: &str, most: usize, dots: bool) -> Result<(), Invalid> {
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| end(c) || c == '-' || (dots && c == '.');
    text(field.as_str(), value, most)?;
    if value.starts_with(end) && value.ends_with(end) && value.chars().all(inner) {
        return Ok(());
    }
    let value = bounded(value, 100);
    Err(invalid(
        field,
        format!("expected the name of a Kubernetes object, found {value:?}"),
    ))
}

/// What a policy asks for, if it makes sense.
///
/// # Errors
/// The first thing in it that does not.
pub fn policy_view(policy: &RemediationPolicy) -> Result<PolicySpec, Invalid> {
    let spec = &policy.spec;
    let namespace = policy.namespace().unwrap_or_default();
    let own = ObjectKey {
        namespace: namespace.into(),
        name: policy.name_any().into(),
    };
    let trigger = &spec.trigger;
    let (source, check, alert) = match (&trigger.check, &trigger.alert) {
        (Some(check), None) => {
            let (source, check) = reference("spec.trigger.check", check)?;
            (source, check, None)
        }
        (None, Some(alert)) => {
            let wanted = alert_match("spec.trigger.alert", alert)?;
            (Some(CheckKind::Alert), own.clone(), Some(wanted))
        }
        _ => {
            return Err(invalid(
                "spec.trigger",
                "expected exactly one of check and alert",
            ));
        }
    };
    let success_threshold = within(
        "spec.trigger.successThreshold",
        trigger.success_threshold,
        1,
        if alert.is_some() { 1 } else { 100 },
    )?;
    let defaults = if alert.is_some() { ALERT } else { CHECK };
    at_most("spec.trigger.matchErrors", &trigger.match_errors, 16)?;
    for (index, pattern) in trigger.match_errors.iter().enumerate() {
        text(format!("spec.trigger.matchErrors[{index}]"), pattern, 256)?;
    }
    let match_errors = Matcher::new(&trigger.match_errors).map_err(|bad| {
        invalid(
            format!("spec.trigger.matchErrors[{}]", bad.index),
            bad.to_string(),
        )
    })?;
    name("spec.target.name".to_owned(), &spec.target.name, 253, true)?;
    at_most("spec.steps", &spec.steps, 5)?;
    let steps = spec.steps.iter().enumerate();
    let steps = steps
        .map(|(index, wanted)| step(&format!("spec.steps[{index}]"), wanted, defaults))
        .collect::<Result<Vec<_>, _>>()?;
    let retry = core::Retry {
        max_retry: within("spec.retry.maxRetry", spec.retry.max_retry, 0, 10)?,
        cooldown: within(
            "spec.retry.cooldownSeconds",
            spec.retry.cooldown_seconds,
            0,
            86_400,
        )?,
        min_healthy: within(
            "spec.retry.minHealthySeconds",
            spec.retry.min_healthy_seconds,
            0,
            604_800,
        )?,
    };
    let safety = core::Safety {
        min_replicas: within("spec.safety.minReplicas", spec.safety.min_replicas, 0, 1000)?,
        allow_stateful: spec.safety.allow_stateful,
        raise_minimum: spec.safety.autoscaler == AutoscalerMode::RaiseMinimum,
        block_rollout: spec.safety.while_rolling_out == RolloutMode::Block,
    };
    suits(spec.target.kind, &steps, safety)?;
    at_most("spec.dependsOn", &spec.depends_on, 16)?;
    let depends_on = spec.depends_on.iter().enumerate();
    let depends_on = depends_on
        .map(|(index, wanted)| {
            let field = format!("spec.dependsOn[{index}]");
            let upstream = reference(&field, wanted)?;
            if alert.is_none() && upstream.1 == check {
                return Err(invalid(field, "it is the check of the trigger itself"));
            }
            Ok(upstream)
        })
        .collect::<Result<Vec<_>, _>>()?;
    at_most("spec.windows", &spec.windows, 16)?;
    let windows = spec.windows.iter().enumerate();
    let windows = windows
        .map(|(index, wanted)| window(&format!("spec.windows[{index}]"), wanted))
        .collect::<Result<Vec<_>, _>>()?;
    at_most("spec.pauseRequests", &spec.pause_requests, 16)?;
    for (index, reason) in spec.pause_requests.iter().enumerate() {
        text(format!("spec.pauseRequests[{index}]"), reason, 128)?;
    }
    Ok(PolicySpec {
        key: own,
        uid: policy.uid().unwrap_or_default(),
        generation: policy.metadata.generation.unwrap_or_default(),
        mode: spec.mode,
        source,
        check,
        failure_threshold: within(
            "spec.trigger.failureThreshold",
            trigger.failure_threshold.unwrap_or(defaults.threshold),
            1,
            100,
        )?,
        failure_seconds: within(
            "spec.trigger.failureSeconds",
            trigger.failure_seconds,
            0,
            86_400,
        )?,
        success_threshold,
        match_errors,
        count_timeouts: trigger.count_timeouts,
        target: (spec.target.kind, Arc::from(spec.target.name.as_str())),
        steps,
        retry,
        safety,
        depends_on,
        dependency_grace: within(
            "spec.dependencyGraceSeconds",
            spec.dependency_grace_seconds,
            0,
            86_400,
        )?,
        windows,
        pause: spec
            .pause_requests
            .first()
            .map(|reason| bounded(reason, 128)),
        history_limit: within("spec.historyLimit", spec.history_limit, 1, 100)?,
        infer_dependencies: spec.infer_dependencies,
        strategy: spec.strategy,
        notify: spec.notify.as_ref().map(notify).transpose()?,
        alert,
    })
}

fn notify(wanted: &Notify) -> Result<core::Notify, Invalid> {
    at_most("spec.notify.receivers", &wanted.receivers, 16)?;
    for (index, receiver) in wanted.receivers.iter().enumerate() {
        let field = format!("spec.notify.receivers[{index}]");
        name(field, receiver, 63, false)?;
    }
    Ok(core::Notify {
        receivers: wanted.receivers.clone(),
        level: wanted.severity,
    })
}

/// What is taken where a policy says nothing.
#[derive(Clone, Copy)]
struct Defaults {
    threshold: i32,
    verify_seconds: Option<u32>,
}

const CHECK: Defaults = Defaults {
    threshold: 3,
    verify_seconds: None,
};

/// An alert's own rule waits before it fires. That it is resolved comes late: after the rule's next evaluations, and
/// with the next delivery of its group, which Alertmanager makes every five minutes.
const ALERT: Defaults = Defaults {
    threshold: 1,
    verify_seconds: Some(900),
};

fn reference(
    field: &str,
    wanted: &CheckReference,
) -> Result<(Option<CheckKind>, ObjectKey), Invalid> {
    name(format!("{field}.namespace"), &wanted.namespace, 63, false)?;
    name(format!("{field}.name"), &wanted.name, 253, true)?;
    if wanted.kind == Some(CheckKind::Alert) {
        return Err(invalid(
            format!("{field}.kind"),
            "expected KuberhealthyState or HealthCheck",
        ));
    }
    let key = ObjectKey {
        namespace: Arc::from(wanted.namespace.as_str()),
        name: Arc::from(wanted.name.as_str()),
    };
    Ok((wanted.kind, key))
}

fn step(field: &str, wanted: &Step, defaults: Defaults) -> Result<core::Step, Invalid> {
    let Step {
        restart_pods,
        rollout_restart,
        scale,
        rollback,
        verify_seconds,
    } = wanted.clone();
    let wanted = Action {
        restart_pods,
        rollout_restart,
        scale,
        rollback,
    };
    let verify_seconds = verify_seconds
        .map(|seconds| within(format!("{field}.verifySeconds"), seconds, 1, 86_400))
        .transpose()?;
    Ok(core::Step {
        action: action(field, &wanted)?,
        verify_seconds: verify_seconds.or(defaults.verify_seconds),
    })
}

/// The one action that is set.
pub(super) fn action(field: &str, wanted: &Action) -> Result<core::Action, Invalid> {
    match wanted {
        Action {
            restart_pods: Some(RestartPods { pods, max_pods }),
            rollout_restart: None,
            scale: None,
            rollback: None,
        } => Ok(core::Action::RestartPods {
            pods: *pods,
            max: within(format!("{field}.restartPods.maxPods"), *max_pods, 1, 20)?,
        }),
        Action {
            restart_pods: None,
            rollout_restart: Some(_),
            scale: None,
            rollback: None,
        } => Ok(core::Action::RolloutRestart),
        Action {
            restart_pods: None,
            rollout_restart: None,
            scale: Some(wanted),
            rollback: None,
        } => Ok(core::Action::Scale(scaling(
            &format!("{field}.scale"),
            wanted,
        )?)),
        Action {
            restart_pods: None,
            rollout_restart: None,
            scale: None,
            rollback: Some(_),
        } => Ok(core::Action::Rollback),
        _ => Err(invalid(
            field,
            "expected exactly one of restartPods, rolloutRestart, scale, rollback",
        )),
    }
}

fn scaling(field: &str, wanted: &Scale) -> Result<Scaling, Invalid> {
    let revert = wanted
        .revert_after_seconds
        .map(|seconds| within(format!("{field}.revertAfterSeconds"), seconds, 60, 604_800))
        .transpose()?;
    match (wanted.replicas, wanted.step, wanted.max_replicas) {
        (Some(replicas), None, None) => Ok(Scaling::Absolute {
            replicas: within(format!("{field}.replicas"), replicas, 1, 1000)?,
            revert,
        }),
        (None, Some(step), Some(max)) => Ok(Scaling::By {
            step: within(format!("{field}.step"), step, 1, 100)?,
            max: within(format!("{field}.maxReplicas"), max, 1, 1000)?,
            revert,
        }),
        _ => Err(invalid(
            field,
            "expected either replicas, or step with maxReplicas",
        )),
    }
}

/// Whether the steps suit the kind of the target and the minimum of replicas.
fn suits(kind: TargetKind, steps: &[core::Step], safety: core::Safety) -> Result<(), Invalid> {
    if kind == TargetKind::StatefulSet && !steps.is_empty() && !safety.allow_stateful {
        return Err(invalid(
            "spec.safety.allowStateful",
            "a StatefulSet is acted on only if this is true",
        ));
    }
    for (index, step) in steps.iter().enumerate() {
        let core::Action::Scale(scaling) = &step.action else {
            continue;
        };
        let field = format!("spec.steps[{index}].{}", ActionName::Scale.as_str());
        if kind == TargetKind::DaemonSet {
            return Err(invalid(field, "a DaemonSet cannot be scaled"));
        }
        let (Scaling::Absolute { replicas: most, .. } | Scaling::By { max: most, .. }) = scaling;
        if *most < safety.min_replicas {
            let least = safety.min_replicas;
            return Err(invalid(
                field,
                format!("{most} replicas are fewer than spec.safety.minReplicas, {least}"),
            ));
        }
    }
    Ok(())
}

fn window(field: &str, wanted: &Window) -> Result<core::Window, Invalid> {
    at_most(&format!("{field}.days"), &wanted.days, 7)?;
    let start = minutes(format!("{field}.start"), &wanted.start)?;
    let end = minutes(format!("{field}.end"), &wanted.end)?;
    if start == end {
        return Err(invalid(field, "start and end are the same"));
    }
    let zone_field = format!("{field}.timeZone");
    text(zone_field.as_str(), &wanted.time_zone, 64)?;
    if jiff::tz::TimeZone::get(&wanted.time_zone).is_err() {
        let zone = bounded(&wanted.time_zone, 64);
        return Err(invalid(
            zone_field,
            format!("expected a time zone such as Europe/Berlin, found {zone:?}"),
        ));
    }
    let bit = |day: &Day| 1_u8 << (*day as u8);
    Ok(core::Window {
        days: wanted.days.iter().map(bit).fold(0, |days, day| days | day),
        start,
        end,
        zone: wanted.time_zone.clone(),
    })
}

/// Minutes since midnight.
fn minutes(field: String, clock: &str) -> Result<u16, Invalid> {
    let part = |text: &str, most: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .filter(|&value: &u16| value <= most)
    };
    clock
        .split_once(':')
        .and_then(|(hours, minutes)| Some(part(hours, 23)? * 60 + part(minutes, 59)?))
        .ok_or_else(|| {
            let clock = bounded(clock, 20);
            invalid(
                field,
                format!("expected a time from 00:00 to 23:59, found {clock:?}"),
            )
        })
}
