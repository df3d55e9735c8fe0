//! The API server of the model: records and workloads, what a request does to them, and what it answers.

use remediator::core::execution::{Answer, Refusal, TargetWrite};
use remediator::core::{
    Action, Autoscaler, Begun, Claim, Facts, Incident0, Intent, Mode, ObjectKey, PodFact, Record,
    RecordStatus, RunId, Scaling, Selection, TargetKind, TargetRef, Time, Verify,
};

/// When everything was decided.
pub(super) fn t0() -> Time {
    Time::from_unix(1_800_000_000)
}

/// What is done, in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Pods(u8),
    Restart,
    Scale,
    Rollback,
    Minimum,
}

/// A record on the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    pub(super) version: u8,
    pub(super) begun: Option<Begun>,
    pub(super) status: RecordStatus,
}

/// A workload, and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Workload {
    pub(super) facts: Facts,
    version: u8,
    /// How often the record's write took effect; for pods, how many were evicted.
    pub(super) effects: u8,
    /// How often its replicas were set back.
    pub(super) set_back: u8,
}

pub(super) fn intent(kind: Kind, record: usize) -> Intent {
    let action = match kind {
        Kind::Pods(most) => Action::RestartPods {
            pods: Selection::All,
            max: most.into(),
        },
        Kind::Restart => Action::RolloutRestart,
        Kind::Scale | Kind::Minimum => Action::Scale(Scaling::Absolute {
            replicas: 3,
            revert: None,
        }),
        Kind::Rollback => Action::Rollback,
    };
    let pods = match kind {
        Kind::Pods(most) => (0..most)
            .map(|pod| (format!("p{pod}"), format!("u{pod}")))
            .collect(),
        _ => Vec::new(),
    };
    Intent {
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
        time: Time::from_unix(t0().unix() + i64::try_from(record).unwrap()),
        action,
        target: TargetRef {
            kind: TargetKind::Deployment,
            name: "web".to_owned(),
            uid: "target".to_owned(),
        },
        claim: Claim {
            resource_version: "0".to_owned(),
            generation: 1,
        },
        pods,
        replicas: matches!(kind, Kind::Scale | Kind::Minimum).then_some((2, 3)),
        autoscaler: (kind == Kind::Minimum).then(|| "web".to_owned()),
        revision: (kind == Kind::Rollback).then(|| ("web-1".to_owned(), "former".to_owned(), 1)),
        verify: Verify {
            seconds: 300,
            success_threshold: 1,
            failure_threshold: 1,
            count_timeouts: false,
        },
        revert_after: (kind == Kind::Scale).then_some(60),
        choice: None,
        begun: None,
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        namespace: "shop".into(),
        name: name.into(),
    }
}

/// The record as it was created.
pub(super) fn record(intent: &Intent, number: usize) -> Record {
    Record {
        name: key(["web-1", "web-2"][number]),
        uid: String::new(),
        resource_version: String::new(),
        deleting: false,
        approved: false,
        intent: intent.clone(),
        status: RecordStatus::default(),
    }
}

impl Workload {
    pub(super) fn new(kind: Kind) -> Workload {
        let number = if matches!(kind, Kind::Pods(_)) { 2 } else { 0 };
        let pods = (0..number).map(|pod| old_pod(&format!("p{pod}"), &format!("u{pod}")));
        Workload {
            facts: Facts {
                uid: "target".to_owned(),
                resource_version: "0".to_owned(),
                generation: 1,
                observed_generation: 1,
                replicas: 2,
                updated: 2,
                ready: 2,
                paused: false,
                stalled: false,
                controlled: false,
                excluded: false,
                deleting: false,
                autoscaler: (kind == Kind::Minimum).then(|| Autoscaler {
                    name: "web".to_owned(),
                    resource_version: "0".to_owned(),
                    min: 2,
                    max: 6,
                    raised_by: None,
                }),
                pods: pods.collect(),
                revision: None,
                restarted_at: None,
                current_revision: Some("latter".to_owned()),
            },
            version: 0,
            effects: 0,
            set_back: 0,
        }
    }

    /// Something of it is written that is not its spec.
    pub(super) fn touch(&mut self) {
        self.version += 1;
        self.facts.resource_version = self.version.to_string();
        if let Some(autoscaler) = &mut self.facts.autoscaler {
            autoscaler.resource_version = self.version.to_string();
        }
    }

    /// Somebody else changes its spec.
    pub(super) fn meddle(&mut self) {
        self.touch();
        self.facts.generation += 1;
        if let Some(autoscaler) = &mut self.facts.autoscaler {
            autoscaler.min = 4;
        }
    }

    /// Whether its controllers have anything to do.
    pub(super) fn settles(&self) -> bool {
        let Facts { generation, .. } = self.facts;
        let raised = self.facts.autoscaler.as_ref();
        self.facts.observed_generation < generation
            || self.facts.pods.iter().any(|pod| pod.deleting)
            || raised.is_some_and(|raised| raised.min > self.facts.replicas)
    }

    pub(super) fn settle(&mut self) {
        let facts = &mut self.facts;
        facts.observed_generation = facts.generation;
        if let Some(autoscaler) = &facts.autoscaler {
            facts.replicas = facts.replicas.max(autoscaler.min);
        }
        for pod in &mut facts.pods {
            if pod.deleting {
                let uid = format!("new-{}", pod.uid);
                *pod = PodFact {
                    created: t0().plus(1),
                    ..old_pod(&pod.name, &uid)
                };
            }
        }
        (facts.updated, facts.ready) = (facts.replicas, facts.replicas);
        self.touch();
    }

    /// What a write does and what is answered; `lax`: the server takes no notice of resourceVersions.
    pub(super) fn write(&mut self, write: &TargetWrite, lax: bool, back: bool) -> Answer {
        let holds =
            |claim: &Claim, facts: &Facts| lax || claim.resource_version == facts.resource_version;
        let facts = &mut self.facts;
        match write {
            TargetWrite::Evict { uid, .. } => {
                let Some(pod) = facts.pods.iter_mut().find(|pod| pod.uid == *uid) else {
                    return Answer::Gone;
                };
                if pod.deleting {
                    return Answer::Done;
                }
                (pod.deleting, pod.ready) = (true, false);
                facts.ready -= 1;
            }
            TargetWrite::Restart { claim, at } if holds(claim, facts) => {
                facts.restarted_at = Some(*at);
                facts.generation += 1;
            }
            TargetWrite::Scale { claim, replicas } if holds(claim, facts) => {
                facts.replicas = *replicas;
                facts.generation += 1;
            }
            TargetWrite::Rollback { claim, revision } if holds(claim, facts) => {
                facts.current_revision = Some(revision.1.clone());
                facts.generation += 1;
            }
            TargetWrite::RaiseMinimum {
                resource_version,
                minimum,
                record,
                ..
            } => match &mut facts.autoscaler {
                Some(found) if lax || found.resource_version == *resource_version => {
                    found.min = *minimum;
                    found.raised_by = Some(record.clone());
                }
                _ => return Answer::Conflict,
            },
            _ => return Answer::Conflict,
        }
        if back {
            self.set_back += 1;
        } else {
            self.effects += 1;
        }
        self.touch();
        Answer::Done
    }
}

fn old_pod(name: &str, uid: &str) -> PodFact {
    PodFact {
        name: name.to_owned(),
        uid: uid.to_owned(),
        created: Time::from_unix(t0().unix() - 1000),
        ready: true,
        deleting: false,
        owned: true,
    }
}

/// How a server refuses a write.
pub(super) fn refusal(write: &TargetWrite) -> Answer {
    if matches!(write, TargetWrite::Evict { .. }) {
        return Answer::Budget("web needs 2".to_owned());
    }
    Answer::Refused(Refusal {
        code: 403,
        reason: "Forbidden".to_owned(),
        message: "no".to_owned(),
    })
}
