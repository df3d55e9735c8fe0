//! The minimum of an autoscaler, raised in place of a scale.

use super::*;
use crate::core::Autoscaler;

fn autoscaled(min: i32, raised_by: Option<&str>) -> Facts {
    Facts {
        autoscaler: Some(Autoscaler {
            name: "web".to_owned(),
            resource_version: "20".to_owned(),
            min,
            max: 6,
            raised_by: raised_by.map(str::to_owned),
        }),
        ..facts()
    }
}

fn raise() -> Record {
    let mut record = record(scale());
    record.intent.autoscaler = Some("web".to_owned());
    record
}

#[test]
fn a_minimum_is_raised_once_and_told_by_the_records_name() {
    let mut record = raise();
    let before = autoscaled(2, Some("web-0123456789-0"));
    record.status = status(ask(&record, &before));
    let Next::Act(write) = ask(&record, &before) else {
        panic!("nothing raised");
    };
    let expected = TargetWrite::RaiseMinimum {
        autoscaler: "web".to_owned(),
        resource_version: "20".to_owned(),
        minimum: 5,
        record: "web-0123456789-1".to_owned(),
    };
    assert_eq!(write, expected);
    let after = autoscaled(5, Some("web-0123456789-1"));
    for answer in [Answer::Conflict, Answer::Unknown] {
        let mut lost = record.clone();
        lost.status = answered(t0(), &record, &write, answer);
        let found = status(ask(&lost, &after));
        assert_eq!((found.phase, found.touched), (Phase::Applied, Touched::Yes));
    }
    // It has settled once the autoscaler has followed.
    record.status = answered(t0(), &record, &write, Answer::Done);
    assert!(matches!(ask(&record, &after), Next::Wait { .. }));
    let scaled = Facts {
        replicas: 5,
        updated: 5,
        ready: 5,
        ..after
    };
    assert_eq!(status(ask(&record, &scaled)).phase, Phase::Verifying);
    assert_eq!(record.status.revert, None, "a minimum is not set back");
}

#[test]
fn a_minimum_is_never_lowered_and_no_other_autoscaler_is_touched() {
    let renamed = |name: &str| {
        let mut facts = autoscaled(2, None);
        facts.autoscaler.as_mut().unwrap().name = name.to_owned();
        facts
    };
    let lowered = |max| {
        let mut facts = autoscaled(2, None);
        facts.autoscaler.as_mut().unwrap().max = max;
        facts
    };
    for (live, reason) in [
        (autoscaled(6, None), Reason::TargetChanged),
        (autoscaled(1, None), Reason::TargetChanged),
        (renamed("other"), Reason::TargetChanged),
        (facts(), Reason::TargetChanged),
        (lowered(4), Reason::ScaleBounds),
    ] {
        let found = status(ask(&raise(), &live));
        assert_eq!(
            (found.phase, found.reason, found.touched),
            (Phase::Inconclusive, reason, Touched::No),
            "{:?}",
            live.autoscaler
        );
    }
}
