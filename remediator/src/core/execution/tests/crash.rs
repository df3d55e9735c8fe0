//! Each situation a crash can leave behind, and what becomes of it.

use super::*;

#[test]
fn replay_after_each_crash_changes_nothing() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let mut record = claimed(action);
        // Before the write: the same write again, with the same precondition.
        let Next::Act(write) = ask(&record, &facts()) else {
            panic!("{record:?} was not carried out");
        };
        assert_eq!(ask(&record, &facts()), Next::Act(write.clone()));
        // After the write, before its acknowledgement, with its answer lost or not: no second write.
        let unknown = answered(t0(), &record, &write, Answer::Unknown);
        assert_eq!(
            (unknown.phase, unknown.touched),
            (Phase::Pending, Touched::Maybe)
        );
        for before in [record.status.clone(), unknown] {
            record.status = before;
            let found = status(ask(&record, &written(&record)));
            assert_eq!(found.phase, Phase::Applied);
            assert_ne!(found.touched, Touched::No);
        }
        // After the acknowledgement: wait for the target.
        record.status = answered(t0(), &record, &write, Answer::Done);
        assert_eq!(record.status.touched, Touched::Yes);
        let wait = ask(&record, &written(&record));
        assert!(matches!(wait, Next::Wait { .. }), "{wait:?}");
    }
}

#[test]
fn what_another_leader_began_is_taken_over_before_it_is_written() {
    for action in [evict(), Action::RolloutRestart, scale(), Action::Rollback] {
        let mut record = claimed(action);
        let claim = record.status.claim.clone();
        record.status.term = TERM - 1;
        record.status = status(ask(&record, &facts()));
        assert_eq!(
            (record.status.term, record.status.touched),
            (TERM, Touched::Maybe),
            "its write may be on its way"
        );
        assert_eq!(record.status.claim, claim);
        let Next::Act(write) = ask(&record, &facts()) else {
            panic!("not gone on with");
        };
        // That this one was turned down says nothing of the other leader's.
        let refused = answered(t0(), &record, &write, Answer::Budget(String::new()));
        assert_eq!((refused.claim, refused.touched), (claim, Touched::Maybe));
    }
}
