//! What these tests share: a record, its target, and where they stand.

mod answer;
mod at_once;
mod autoscaler;
mod claim;
mod crash;
mod created;
mod pods;
mod revert;
mod turn;
mod verify;
mod wanted;

use std::sync::Arc;

use super::*;
use crate::core::{
    Action, Incident0, Mode, ObjectKey, PodFact, Record, RunId, Scaling, Selection, TargetKind,
    TargetRef, Verify,
};

/// The leader that asks.
const TERM: i64 = 1;

/// When everything was decided.
fn t0() -> Time {
    Time::from_unix(1_800_000_000)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        namespace: Arc::from("shop"),
        name: Arc::from(name),
    }
}

fn record(action: Action) -> Record {
    Record {
        name: key("web-0123456789-1"),
        uid: "record".to_owned(),
        resource_version: "1".to_owned(),
        deleting: false,
        approved: false,
        intent: Intent {
            policy: key("web"),
            policy_uid: "policy".to_owned(),
            incident: Incident0 {
                id: "0123456789".to_owned(),
                opened: t0(),
                first_run: RunId("first".to_owned()),
            },
            attempt: 1,
            step: 0,
            mode: Mode::Enforce,
            run: RunId("third".to_owned()),
            errors: Vec::new(),
            time: t0(),
            target: TargetRef {
                kind: TargetKind::Deployment,
                name: "web".to_owned(),
                uid: "target".to_owned(),
            },
            claim: Claim {
                resource_version: "10".to_owned(),
                generation: 3,
            },
            pods: match action {
                Action::RestartPods { .. } => vec![
                    ("a".to_owned(), "uid-a".to_owned()),
                    ("b".to_owned(), "uid-b".to_owned()),
                ],
                _ => Vec::new(),
            },
            replicas: matches!(action, Action::Scale(_)).then_some((2, 5)),
            autoscaler: None,
            revision: matches!(action, Action::Rollback)
                .then(|| ("web-1".to_owned(), "revision".to_owned(), 1)),
            verify: Verify {
                seconds: 300,
                success_threshold: 1,
                failure_threshold: 2,
                count_timeouts: false,
            },
            revert_after: None,
            choice: None,
            begun: None,
            action,
        },
        status: RecordStatus::default(),
    }
}

fn scale() -> Action {
    Action::Scale(Scaling::Absolute {
        replicas: 5,
        revert: None,
    })
}

fn evict() -> Action {
    Action::RestartPods {
        pods: Selection::NotReady,
        max: 2,
    }
}

fn pod(name: &str, ready: bool) -> PodFact {
    PodFact {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        created: Time::from_unix(t0().unix() - 1000),
        ready,
        deleting: false,
        owned: true,
    }
}

fn facts() -> Facts {
    Facts {
        uid: "target".to_owned(),
        resource_version: "10".to_owned(),
        generation: 3,
        observed_generation: 3,
        replicas: 2,
        updated: 2,
        ready: 0,
        paused: false,
        stalled: false,
        controlled: false,
        excluded: false,
        deleting: false,
        autoscaler: None,
        pods: vec![pod("a", false), pod("b", false)],
        revision: None,
        restarted_at: None,
        current_revision: None,
    }
}

fn standing(runs: &[Run]) -> Standing<'_> {
    Standing {
        rank: 0,
        doubtful: 0,
        last_hour: 0,
        term: TERM,
        created: false,
        limits: Limits::default(),
        wanted: Ok(()),
        runs,
        check: CheckStatus::Settled,
        policy_deleted: false,
        lasting: false,
        set_back: Ok(()),
    }
}

fn ask(record: &Record, facts: &Facts) -> Next {
    next(
        t0(),
        record,
        &Live::Target(Box::new(facts.clone())),
        &standing(&[]),
    )
}

/// The record as it is when its first write is made.
fn claimed(action: Action) -> Record {
    let mut record = record(action);
    record.status = status(ask(&record, &facts()));
    assert!(record.status.claim.is_some() && record.status.phase == Phase::Pending);
    record
}

fn status(next: Next) -> RecordStatus {
    match next {
        Next::Status(status) => status,
        other => panic!("expected a status, got {other:?}"),
    }
}

/// The target after the record's write has taken effect.
fn written(record: &Record) -> Facts {
    let mut facts = Facts {
        resource_version: "11".to_owned(),
        generation: 4,
        ..facts()
    };
    match record.intent.action {
        Action::RestartPods { .. } => facts.pods[0].deleting = true,
        Action::RolloutRestart => facts.restarted_at = Some(t0()),
        Action::Scale(_) => facts.replicas = 5,
        Action::Rollback => facts.current_revision = Some("revision".to_owned()),
    }
    facts
}

/// The API server says no, and only a number tells why.
fn refusal(code: u16) -> Refusal {
    Refusal {
        code,
        reason: String::new(),
        message: String::new(),
    }
}

fn unreadable(code: u16) -> Live {
    Live::Unreadable(refusal(code))
}
