//! Reads workloads and writes to them: nothing else in the remediator does.
//!
//! What is read is the API server's own, newest state, never a cache's. What is written carries its precondition to the
//! server (a resourceVersion, or the UID of a pod), so that a write which arrives late or twice has no second effect.
//!
//! ```text
//!   facts: target -> [autoscaler] | [pods, and who owns them] | [revisions] -> Live
//!   write: fence -> one request with a precondition -> Answer
//! ```

mod answer;
mod autoscaler;
mod behind;
mod kinds;
mod pages;
mod pods;
mod read;
mod revisions;
mod write;

use std::future::Future;
use std::time::Duration;

use kube::Client;

use crate::controller::Workloads;
use crate::core::cascade::{Behind, Subject, Target};
use crate::core::execution::{Answer, Live, TargetWrite};
use crate::core::{FactsNeed, TargetKind, TargetRef};
use crate::fence::Fence;

/// The longest that one request takes.
const REQUEST: Duration = Duration::from_secs(4);

/// The workloads of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl Cluster {
    /// The workloads that `client` reaches.
    ///
    /// The client must not try again by itself (`default_retry` of its configuration is off): whether a write is made
    /// again is decided from a new read.
    pub fn new(client: Client) -> Cluster {
        Cluster { client }
    }
}

impl Workloads for Cluster {
    /// Reads the target and what `need` says beside it: its autoscaler for [`FactsNeed::Autoscaler`], its pods for
    /// [`FactsNeed::Pods`], its revisions for [`FactsNeed::Revision`], or all of them. Nothing else is asked for, so nothing else has to
    /// be permitted.
    ///
    /// # Errors
    /// No answer, or one that is to be asked for again. What permissions or bounds forbid is [`Live::Unreadable`].
    async fn facts(
        &self,
        namespace: &str,
        target: (TargetKind, &str),
        need: FactsNeed,
    ) -> Result<Live, kube::Error> {
        read::live(&self.client, namespace, target, need).await
    }

    /// Reads a Service and whose its pods are, or whose a pod is. `candidates` are asked if a Service finds no pod.
    ///
    /// # Errors
    /// No answer, or one that is to be asked for again.
    async fn behind(
        &self,
        subject: &Subject,
        candidates: &[Target],
    ) -> Result<Behind, kube::Error> {
        behind::read(&self.client, subject, candidates).await
    }

    async fn write(
        &self,
        fence: &Fence,
        namespace: &str,
        target: &TargetRef,
        write: &TargetWrite,
    ) -> Answer {
        let place = write::Place {
            client: &self.client,
            fence,
            namespace,
        };
        write::write(place, target, write).await
    }
}

/// No answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", REQUEST.as_secs())]
struct Timeout;

/// The answer to a request, or an error after [`REQUEST`].
async fn limited<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(answer) => answer,
        Err(_) => Err(kube::Error::Service(Box::new(Timeout))),
    }
}
