//! What the controller is made of.

use kube::Client;

use super::options::Options;
use crate::controller::{self, Settings, Workloads};
use crate::core::execution::{Answer, Live, Refusal, TargetWrite};
use crate::core::{FactsNeed, TargetKind, TargetRef};
use crate::fence::{Fence, LostLease};
use crate::metrics::Metrics;

/// Runs the controller, for ever.
pub(super) async fn controller(
    client: Client,
    fence: Fence,
    options: Options,
    identity: String,
    metrics: Metrics,
) -> Result<(), LostLease> {
    let workloads = Unreadable;
    let settings = Settings {
        limits: options.limits(),
        namespaces: options.namespaces,
        check_namespaces: options.check_namespaces,
        instance: identity,
        metrics,
    };
    controller::run(client, workloads, fence, settings).await
}

/// Until there is a way to workloads, each of them is one that cannot be read, so that nothing is ever done.
struct Unreadable;

impl Workloads for Unreadable {
    async fn facts(
        &self,
        _: &str,
        _: (TargetKind, &str),
        _: FactsNeed,
    ) -> Result<Live, kube::Error> {
        Ok(Live::Unreadable(refusal()))
    }

    async fn write(&self, _: &Fence, _: &str, _: &TargetRef, _: &TargetWrite) -> Answer {
        Answer::Refused(refusal())
    }
}

fn refusal() -> Refusal {
    Refusal {
        code: 0,
        reason: "NotImplemented".to_owned(),
        message: "this build reads no workloads".to_owned(),
    }
}
