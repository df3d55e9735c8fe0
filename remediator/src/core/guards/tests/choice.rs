//! What is done, and to which pods, replicas or revision.

use super::*;
use crate::core::{Claim, FactsNeed, Incident0, Revision, TargetRef, Verify};

#[test]
fn the_intent_says_it_all() {
    let intent = Case::new().act();
    assert_eq!(intent.pods, [("web-1".to_owned(), "uid-web-1".to_owned())]);
    assert_eq!((intent.attempt, intent.step, intent.run), (1, 0, id("r3")));
    assert_eq!(
        intent.target,
        TargetRef {
            kind: TargetKind::Deployment,
            name: "web".to_owned(),
            uid: "target".to_owned()
        }
    );
    assert_eq!(
        intent.claim,
        Claim {
            resource_version: "7".to_owned(),
            generation: 2
        }
    );
    assert_eq!(
        intent.verify,
        Verify {
            seconds: 600 + 300 + 60,
            success_threshold: 1,
            failure_threshold: 3,
            count_timeouts: false,
        }
    );
    let first = Incident0 {
        id: "0123456789".to_owned(),
        opened: ago(1300),
        first_run: id("r1"),
    };
    assert_eq!(intent.incident, first);
}

#[test]
fn a_step_that_needs_named_pods_is_left_out_where_none_is_named() {
    let mut case =
        Case::with(|c| c.state.incident.as_mut().unwrap().errors = vec!["502".to_owned()]);
    assert_eq!(case.reason(), Reason::NoEligiblePod);
    case.spec.steps.push(step(Action::RolloutRestart));
    assert_eq!(case.act().step, 1);
}

#[test]
fn pods_of_other_owners_are_never_chosen() {
    for error in [
        "pod shop/web-9: x",
        "pod kube-system/web-1: x",
        "pod shop/db-0: x",
    ] {
        let mut case =
            Case::with(|c| c.state.incident.as_mut().unwrap().errors = vec![error.to_owned()]);
        case.facts.pods.push(PodFact {
            owned: false,
            ..pod("db-0", false, 0)
        });
        assert_eq!(case.reason(), Reason::SubjectNotOwned, "{error}");
    }
}

#[test]
fn failing_pods_go_first_then_the_oldest() {
    for (selection, max, ready, expected) in [
        (Selection::NotReady, 2, 2, &["web-1"][..]),
        (Selection::All, 3, 2, &["web-1"]),
        (Selection::All, 3, 3, &["web-1", "web-2", "web-0"]),
        (Selection::All, 2, 3, &["web-1", "web-2"]),
    ] {
        let case = Case::step(
            Action::RestartPods {
                pods: selection,
                max,
            },
            |c| c.facts.ready = ready,
        );
        let names: Vec<String> = case.act().pods.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{selection:?} of {ready} ready");
    }
}

#[test]
fn scaling_stays_within_its_bounds() {
    let by = |step, max| {
        Action::Scale(Scaling::By {
            step,
            max,
            revert: Some(60),
        })
    };
    for (action, expected) in [
        (absolute(5), Ok((3, 5))),
        (absolute(3), Err(Reason::ScaleBounds)),
        (absolute(1), Err(Reason::ScaleBounds)),
        // Down, but not below the least.
        (absolute(2), Err(Reason::ScaleBounds)),
        (by(2, 10), Ok((3, 5))),
        (by(2, 4), Ok((3, 4))),
        (by(2, 3), Err(Reason::ScaleBounds)),
        (by(2, 2), Err(Reason::ScaleBounds)),
        (by(i32::MAX, i32::MAX), Ok((3, i32::MAX))),
    ] {
        let case = Case::step(action.clone(), |_| {});
        match expected {
            Ok(replicas) => assert_eq!(case.act().replicas, Some(replicas), "{action:?}"),
            Err(reason) => assert_eq!(case.reason(), reason, "{action:?}"),
        }
    }
}

#[test]
fn a_raised_minimum_is_not_one_to_be_set_back() {
    let revert = Action::Scale(Scaling::Absolute {
        replicas: 5,
        revert: Some(60),
    });
    let case = Case::step(revert, |c| {
        c.spec.safety.raise_minimum = true;
        c.facts.autoscaler = Some(autoscaler());
    });
    assert_eq!(case.reason(), Reason::AutoscalerConflict);
}

#[test]
fn an_autoscalers_minimum_is_raised_only_when_asked_and_only_to_its_maximum() {
    for (to, expected) in [
        (5, Ok((3, 5))),
        (7, Err(Reason::ScaleBounds)),
        (2, Err(Reason::ScaleBounds)),
    ] {
        let case = Case::step(absolute(to), |c| {
            c.spec.safety.raise_minimum = true;
            c.facts.autoscaler = Some(autoscaler());
        });
        match expected {
            Ok(replicas) => {
                let intent = case.act();
                assert_eq!(
                    (intent.replicas, intent.autoscaler.as_deref()),
                    (Some(replicas), Some("web"))
                );
            }
            Err(reason) => assert_eq!(case.reason(), reason, "{to}"),
        }
    }
}

#[test]
fn a_rollback_needs_an_earlier_revision() {
    let mut case = Case::step(Action::Rollback, |_| {});
    assert_eq!(
        case.decide(None, None),
        Decision::NeedFacts(FactsNeed::Revision)
    );
    assert_eq!(case.reason(), Reason::NoPreviousRevision);
    case.facts.revision = Some(Revision {
        name: "web-1".to_owned(),
        uid: "u".to_owned(),
        number: 1,
    });
    assert_eq!(
        case.act().revision,
        Some(("web-1".to_owned(), "u".to_owned(), 1))
    );
}

#[test]
fn a_stalled_rollout_does_not_hold() {
    let case = Case::with(|c| {
        c.facts.updated = 2;
        c.facts.stalled = true;
    });
    case.act();
}
