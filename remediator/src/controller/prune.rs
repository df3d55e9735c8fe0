//! Forgets the oldest finished records.

use kube::api::{Api, DeleteParams, Preconditions};

use super::status::Found;
use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::{ObjectKey, PolicySpec, Time, prunable};
use crate::crd::Remediation;

/// Records of one policy that are deleted in one go.
const AT_ONCE: usize = 4;

impl<W: Workloads> Leader<W> {
    /// Deletes finished records beyond the policy's limit, as few at a time as the rate allows. What was counted is
    /// written down by now. Returns whether more are left.
    pub(super) async fn prune(
        &self,
        spec: &PolicySpec,
        found: &Found,
        now: Time,
    ) -> Result<bool, Failed> {
        let surplus = prunable(
            &found.state.statistics,
            found.around.records(),
            found.state.incident.as_ref(),
            spec.history_limit,
            now,
        );
        for key in surplus.iter().take(AT_ONCE) {
            if !self.may_prune() {
                return Ok(true);
            }
            self.delete(key).await?;
        }
        Ok(surplus.len() > AT_ONCE)
    }

    fn may_prune(&self) -> bool {
        let mut rate = super::lock(&self.pruning);
        rate.take(clock::instant()).is_ok()
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), Failed> {
        let record = self.with_objects(|objects| objects.records.get(key).cloned());
        let Some(record) = record else {
            return Ok(());
        };
        let records: Api<Remediation> = Api::namespaced(self.client.clone(), &key.namespace);
        // Exactly what was looked at: finished, and counted.
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                resource_version: Some(record.resource_version),
                uid: Some(record.uid),
            }),
            ..DeleteParams::background()
        };
        match self.write(records.delete(&key.name, &parameters)).await {
            // It is gone, or not what was looked at.
            Err(Failed::Request(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
                Ok(())
            }
            Err(Failed::Request(kube::Error::Api(status))) if status.code == 403 => {
                let message = &status.message;
                tracing::warn!(%message, "old Remediations are kept");
                Ok(())
            }
            other => other.map(drop),
        }
    }
}
