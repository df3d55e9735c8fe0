//! A workload, and what becomes of the writes to it.

use remediator::core::execution::{Answer, Refusal, TargetWrite};
use remediator::core::{Claim, Facts, PodFact, Revision, Time};

use super::dice::Dice;

pub(super) struct Target {
    pub(super) facts: Facts,
    /// When the rollout under way, or the replacement of a pod, is done.
    settles: Option<Time>,
    version: u64,
    pods: u32,
    /// A server that takes no notice of preconditions.
    pub(super) lax: bool,
}

impl Target {
    pub(super) fn new(now: Time) -> Target {
        let mut target = Target {
            facts: Facts {
                uid: "target".to_owned(),
                resource_version: "1".to_owned(),
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
                autoscaler: None,
                pods: Vec::new(),
                revision: Some(Revision {
                    name: "web-1".to_owned(),
                    uid: "revision1".to_owned(),
                    number: 1,
                }),
                restarted_at: None,
                current_revision: Some("revision2".to_owned()),
            },
            settles: None,
            version: 1,
            pods: 0,
            lax: false,
        };
        for _ in 0..2 {
            let pod = target.pod(now, true);
            target.facts.pods.push(pod);
        }
        target
    }

    fn pod(&mut self, now: Time, ready: bool) -> PodFact {
        let number = self.pods;
        self.pods += 1;
        PodFact {
            name: format!("web-{number}"),
            uid: format!("uid-{number}"),
            created: now,
            ready,
            deleting: false,
            owned: true,
        }
    }

    fn touch(&mut self) {
        self.version += 1;
        self.facts.resource_version = self.version.to_string();
    }

    /// What its controllers have done by now.
    pub(super) fn tick(&mut self, now: Time) {
        if self.settles.is_none_or(|settles| now < settles) {
            return;
        }
        self.settles = None;
        self.touch();
        self.facts.observed_generation = self.facts.generation;
        self.facts.pods.retain(|pod| !pod.deleting);
        for pod in &mut self.facts.pods {
            pod.ready = true;
        }
        while self.facts.pods.len() < self.facts.replicas as usize {
            let pod = self.pod(now, true);
            self.facts.pods.push(pod);
        }
        self.facts.ready = self.facts.replicas;
        self.facts.updated = self.facts.replicas;
    }

    /// Somebody else changes its spec, or only its status.
    pub(super) fn meddle(&mut self, now: Time, spec: bool) {
        self.touch();
        if spec {
            self.facts.generation += 1;
            self.settles = Some(now.plus(30));
        }
    }

    /// What the server does with a write, and what the writer is told: whether it took effect, and the answer.
    pub(super) fn write(
        &mut self,
        now: Time,
        write: &TargetWrite,
        dice: &mut Dice,
    ) -> (bool, Answer) {
        let refused = |code| {
            Answer::Refused(Refusal {
                code,
                reason: String::new(),
                message: "no".to_owned(),
            })
        };
        let lost = match dice.below(24) {
            0 => return (false, refused(403)),
            1 => return (false, refused(429)),
            2 => return (false, refused(0)),
            3 => return (false, Answer::Unknown),
            4 | 5 => true,
            _ => false,
        };
        if dice.one_in(12) {
            self.touch();
        }
        let answer = self.take(now, write, dice);
        let done = answer == Answer::Done;
        (done, if lost { Answer::Unknown } else { answer })
    }

    fn take(&mut self, now: Time, write: &TargetWrite, dice: &mut Dice) -> Answer {
        let holds = |claim: &Claim, facts: &Facts, lax: bool| {
            lax || claim.resource_version == facts.resource_version
        };
        match write {
            TargetWrite::Evict { uid, .. } => {
                if dice.one_in(6) {
                    return Answer::Budget("web needs 2".to_owned());
                }
                let mut pods = self.facts.pods.iter_mut();
                let Some(pod) = pods.find(|pod| pod.uid == *uid) else {
                    return Answer::Gone;
                };
                if pod.ready {
                    self.facts.ready -= 1;
                }
                (pod.deleting, pod.ready) = (true, false);
            }
            TargetWrite::Restart { claim, at } if holds(claim, &self.facts, self.lax) => {
                self.facts.restarted_at = Some(*at);
                self.facts.generation += 1;
            }
            TargetWrite::Scale { claim, replicas } if holds(claim, &self.facts, self.lax) => {
                self.facts.replicas = *replicas;
                self.facts.generation += 1;
            }
            TargetWrite::Rollback { claim, revision } if holds(claim, &self.facts, self.lax) => {
                self.facts.current_revision = Some(revision.1.clone());
                self.facts.generation += 1;
            }
            _ => return Answer::Conflict,
        }
        self.touch();
        // Once in a while it never settles.
        self.settles = Some(now.plus(dice.pick(&[10, 30, 200, 5000])));
        Answer::Done
    }
}
