//! Each guard has a history that acts if and only if that guard is switched off.

use super::super::ask_target;
use super::*;
use crate::core::{FactsNeed, Pending, Window, still_wanted, target_allows, wake};

/// A situation in which a guard, and no other, speaks against acting.
fn stopped_by(guard: Guard) -> (Case, Reason) {
    let failing = Run {
        verdict: Verdict::Failed(Class::Reported),
        ..passed(ago(5))
    };
    let upstream = Upstream {
        last: Some(failing),
        ..Case::upstream()
    };
    let key = ObjectKey {
        namespace: "shop".into(),
        name: "older".into(),
    };
    match guard {
        Guard::CheckGone => (
            Case::with(|c| c.status = CheckStatus::Gone),
            Reason::CheckNotFound,
        ),
        Guard::NeverRun => (
            Case::with(|c| c.status = CheckStatus::NeverRun),
            Reason::NeverRun,
        ),
        Guard::Stale => (Case::with(|c| c.status = CheckStatus::Stale), Reason::Stale),
        Guard::Unsettled => {
            let pending = Pending {
                run: passed(ago(1)),
                until: now().plus(14),
            };
            (
                Case::with(|c| c.state.check.pending = Some(pending)),
                Reason::Inconclusive,
            )
        }
        Guard::LastRun => {
            let last = (id("r4"), Verdict::Failed(Class::Infrastructure), ago(1));
            (
                Case::with(|c| c.state.check.last = Some(last)),
                Reason::InfrastructureFailure,
            )
        }
        Guard::Healthy => (
            Case::with(|c| c.state.incident.as_mut().unwrap().recovered = Some(ago(1))),
            Reason::Recovered,
        ),
        Guard::Unfinished => (
            Case::with(|c| {
                let mut record = c.record(1, "r2", Touched::No, ago(1000));
                record.status = RecordStatus {
                    reason: Reason::Applied,
                    ..RecordStatus::default()
                };
                c.records.push(record);
            }),
            Reason::Applied,
        ),
        Guard::Threshold => (Case::with(|c| c.state.failures = 2), Reason::BelowThreshold),
        Guard::Duration => (
            Case::with(|c| c.spec.failure_seconds = 1301),
            Reason::NotLongEnough,
        ),
        Guard::NoSteps => (Case::with(|c| c.spec.steps.clear()), Reason::NoSteps),
        Guard::Exhausted => (
            Case::with(|c| {
                let record = c.record(1, "r2", Touched::Yes, ago(1000));
                c.records.push(record);
            }),
            Reason::RetryBudgetExhausted,
        ),
        Guard::Cycle => (
            Case::with(|c| c.cycle = Some(vec![check("web"), check("web")])),
            Reason::DependencyCycle,
        ),
        Guard::Rival => (Case::with(|c| c.rival = Some(key)), Reason::TargetConflict),
        Guard::GlobalPause => (
            Case::with(|c| c.limits.paused = true),
            Reason::GloballyPaused,
        ),
        Guard::Pause => (
            Case::with(|c| c.spec.pause = Some("migration".to_owned())),
            Reason::Paused,
        ),
        Guard::Window => {
            let window = Window {
                days: 0,
                start: 0,
                end: 1,
                zone: "UTC".to_owned(),
            };
            (
                Case::with(|c| c.spec.windows = vec![window]),
                Reason::OutsideWindow,
            )
        }
        Guard::DryRunOnce => (
            Case::with(|c| {
                c.spec.mode = Mode::DryRun;
                let mut record = c.record(1, "r2", Touched::No, ago(1000));
                record.intent.mode = Mode::DryRun;
                c.records.push(record);
            }),
            Reason::DryRun,
        ),
        Guard::NewRun => (
            Case::with(|c| {
                let record = c.record(1, "r3", Touched::No, ago(1000));
                c.records.push(record);
            }),
            Reason::AwaitingNewRun,
        ),
        Guard::Flapping => (
            Case::with(|c| c.state.verdicts = 0b01_0101),
            Reason::Flapping,
        ),
        Guard::Cooldown => (
            Case::with(|c| {
                let record = c.record(1, "r2", Touched::No, ago(299));
                c.records.push(record);
            }),
            Reason::Cooldown,
        ),
        Guard::SourceStale => (Case::with(|c| c.stale = 5), Reason::SourceStale),
        Guard::Storm => (
            Case::with(|c| c.storm = StormState::Active { since: ago(1) }),
            Reason::StormActive,
        ),
        Guard::Upstream => (
            Case::with(|c| c.upstreams = vec![upstream]),
            Reason::UpstreamUnhealthy,
        ),
        Guard::InFlight => (Case::with(|c| c.in_flight = 1), Reason::TooManyInFlight),
        Guard::Rate => (Case::with(|c| c.last_hour = 10), Reason::RateLimited),
        Guard::Deleting => (
            Case::with(|c| c.facts.deleting = true),
            Reason::TargetDeleting,
        ),
        Guard::Excluded => (
            Case::with(|c| c.facts.excluded = true),
            Reason::TargetExcluded,
        ),
        Guard::Stateful => (
            Case::with(|c| c.spec.target.0 = TargetKind::StatefulSet),
            Reason::StatefulNotAllowed,
        ),
        Guard::NoReplicas => (
            Case::with(|c| {
                c.spec.safety.min_replicas = 0;
                c.facts.replicas = 0;
            }),
            Reason::TooFewReplicas,
        ),
        Guard::Controlled => (
            Case::step(Action::RolloutRestart, |c| c.facts.controlled = true),
            Reason::OwnedByController,
        ),
        Guard::TargetPaused => (Case::with(|c| c.facts.paused = true), Reason::TargetPaused),
        Guard::Rollout => (
            Case::with(|c| c.facts.updated = 2),
            Reason::RolloutInProgress,
        ),
        Guard::Replicas => (Case::with(|c| c.facts.replicas = 1), Reason::TooFewReplicas),
        Guard::Owned => (
            Case::with(|c| c.facts.pods[1].owned = false),
            Reason::SubjectNotOwned,
        ),
        Guard::ReadyPod => (
            Case::with(|c| {
                c.facts.pods[0].ready = false;
                c.facts.pods[1].ready = true;
            }),
            Reason::TargetUnhealthy,
        ),
        Guard::ScaleToZero => (
            Case::step(absolute(0), |c| c.spec.safety.min_replicas = 0),
            Reason::ScaleBounds,
        ),
        Guard::Autoscaler => (
            Case::step(absolute(5), |c| c.facts.autoscaler = Some(autoscaler())),
            Reason::AutoscalerConflict,
        ),
    }
}

#[test]
fn each_safety_rule_has_a_test_that_dies_with_it() {
    for &guard in Guard::ALL {
        let (case, expected) = stopped_by(guard);
        assert_eq!(case.reason(), expected, "{guard:?}");
        assert!(guard.reasons().contains(&expected), "{guard:?}");
        let without = case.decide(Some(guard), Some(&case.facts));
        // Without steps there is nothing to be done, and then everything has been tried.
        let acts = matches!(without, Decision::Act(_))
            || guard == Guard::NoSteps && matches!(without, Decision::Exhausted { .. });
        assert!(acts, "{guard:?}: {without:?}");
    }
}

#[test]
fn without_facts_nothing_is_done() {
    for &guard in Guard::ALL {
        let (case, _) = stopped_by(guard);
        assert!(
            !matches!(case.decide(Some(guard), None), Decision::Act(_)),
            "{guard:?}"
        );
    }
    assert_eq!(
        Case::new().decide(None, None),
        Decision::NeedFacts(FactsNeed::Pods)
    );
}

#[test]
fn what_was_not_begun_is_dropped_when_it_is_not_wanted_any_more() {
    let wanted = |case: &Case| still_wanted(now(), &case.spec, &case.state, &case.world());
    assert_eq!(wanted(&Case::new()), Ok(()));
    for guard in [
        Guard::Stale,
        Guard::LastRun,
        Guard::Healthy,
        Guard::Pause,
        Guard::Storm,
        Guard::Upstream,
        Guard::Cycle,
    ] {
        let (case, expected) = stopped_by(guard);
        assert_eq!(wanted(&case), Err(expected), "{guard:?}");
    }
    for guard in [
        Guard::Unfinished,
        Guard::NewRun,
        Guard::Cooldown,
        Guard::InFlight,
        Guard::Rate,
    ] {
        assert_eq!(
            wanted(&stopped_by(guard).0),
            Ok(()),
            "{guard:?}: its own record is the reason"
        );
    }
}

#[test]
fn a_record_that_waited_asks_its_target_again() {
    let mut asked = 0;
    for guard in Guard::ALL {
        let (case, reason) = stopped_by(*guard);
        let Some(Step { action, .. }) = case.spec.steps.first() else {
            continue;
        };
        if ask_target(*guard, &case.spec, action, &case.facts).is_none() {
            continue;
        }
        asked += 1;
        let found = target_allows(&case.spec, action, &case.facts);
        assert_eq!(found, Err(reason), "{guard:?}");
        assert_eq!(
            target_allows(&case.spec, action, &Case::new().facts).is_ok(),
            *guard != Guard::Stateful
        );
    }
    assert!(asked >= 8, "{asked} guards of the target");
}

#[test]
fn a_reason_that_ends_by_itself_wakes_the_policy() {
    for guard in [
        Guard::Unsettled,
        Guard::Duration,
        Guard::Cooldown,
        Guard::Window,
    ] {
        let (case, _) = stopped_by(guard);
        let decision = case.decide(None, None);
        let at =
            wake(now(), &case.spec, &case.state, &decision).unwrap_or_else(|| panic!("{guard:?}"));
        assert!(at > now() && at.since(now()) <= 86_400, "{guard:?}: {at}");
    }
    let case = stopped_by(Guard::Pause).0;
    assert_eq!(
        wake(now(), &case.spec, &case.state, &case.decide(None, None)),
        None
    );
}
