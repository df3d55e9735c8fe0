//! Writes to workloads: each one request, with its precondition in it.

mod evict;
mod minimum;
mod scale;
mod template;

use std::future::Future;

use kube::Client;

use super::{answer, limited};
use crate::clock;
use crate::core::TargetRef;
use crate::core::execution::{Answer, Refusal, TargetWrite};
use crate::fence::Fence;

/// Where a write goes, and whether it may.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) client: &'a Client,
    pub(super) fence: &'a Fence,
    pub(super) namespace: &'a str,
}

impl Place<'_> {
    /// Makes a request that writes, if this process leads at this moment.
    async fn send<T>(
        &self,
        kind: answer::Write,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Answer {
        if self.fence.check(clock::instant()).is_err() {
            return Answer::Refused(Refusal::lease_lost());
        }
        match limited(request).await {
            Ok(_) => Answer::Done,
            Err(error) => answer::answer(kind, &error),
        }
    }
}

/// Makes a write.
pub(super) async fn write(place: Place<'_>, target: &TargetRef, write: &TargetWrite) -> Answer {
    match write {
        TargetWrite::Evict { pod, uid } => evict::evict(place, pod, uid).await,
        TargetWrite::Restart { claim, at } => template::restart(place, target, claim, *at).await,
        TargetWrite::Scale { claim, replicas } => {
            scale::scale(place, target, claim, *replicas).await
        }
        TargetWrite::Rollback {
            claim,
            revision: (name, uid, _),
        } => template::roll_back(place, target, claim, (name, uid)).await,
        TargetWrite::RaiseMinimum {
            autoscaler,
            resource_version,
            minimum,
            record,
        } => minimum::raise(place, autoscaler, resource_version, *minimum, record).await,
    }
}

/// Whatever was decided: nothing is ever scaled to no replicas.
fn at_least_one(replicas: i32) -> Result<(), Answer> {
    if replicas >= 1 {
        return Ok(());
    }
    let message = format!("expected at least 1 replica, got {replicas}; nothing is scaled to none");
    Err(Answer::Refused(answer::invalid(message)))
}
