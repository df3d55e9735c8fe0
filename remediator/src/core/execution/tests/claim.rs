//! Only the target that was claimed is written, as it was claimed.

use super::*;

#[test]
fn a_target_changed_by_somebody_else_is_not_written() {
    for action in [Action::RolloutRestart, scale(), Action::Rollback] {
        let record = claimed(action);
        let theirs = Facts {
            resource_version: "12".to_owned(),
            generation: 4,
            ..facts()
        };
        assert_eq!(taken(&record, &theirs), Taken::Changed);
        let found = status(ask(&record, &theirs));
        assert_eq!(
            (found.phase, found.reason, found.touched),
            (Phase::Inconclusive, Reason::TargetChanged, Touched::Maybe)
        );
    }
}

#[test]
fn a_new_resource_version_of_the_same_spec_is_claimed_before_it_is_used() {
    let mut record = record(Action::RolloutRestart);
    let moved = Facts {
        resource_version: "12".to_owned(),
        ..facts()
    };
    let claim = Claim {
        resource_version: "12".to_owned(),
        generation: 3,
    };
    for before in [None, claimed(Action::RolloutRestart).status.claim] {
        record.status.claim = before;
        record.status = status(ask(&record, &moved));
        assert_eq!(record.status.claim.as_ref(), Some(&claim));
        assert_eq!(record.status.touched, Touched::No);
    }
    assert_eq!(
        ask(&record, &moved),
        Next::Act(TargetWrite::Restart { claim, at: t0() })
    );
}

#[test]
fn another_target_of_the_same_name_is_left_alone() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let record = record(action);
        let other = Facts {
            uid: "other".to_owned(),
            ..facts()
        };
        for live in [Live::Target(Box::new(other)), Live::Gone] {
            let found = status(next(t0(), &record, &live, &standing(&[])));
            assert_eq!(
                (found.reason, found.touched),
                (Reason::TargetChanged, Touched::No)
            );
        }
    }
}
