//! Drives a record to its end. What comes next is asked of the core each time; nothing is remembered here.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::execution::{Live, Next, Standing, answered, begun, need, next, rank};
use crate::core::{CheckStatus, ObjectKey, Reason, Record, RecordStatus, still_wanted};
use crate::crd::{REVERT_FINALIZER, Remediation, RemediationPolicy, record_status, state_view};

/// How often a record is asked about in one go.
const STEPS: usize = 8;

impl<W: Workloads> Leader<W> {
    /// Does what the record needs now. Returns after how long to look again.
    pub(super) async fn record(&self, key: &ObjectKey) -> Result<Option<Duration>, Failed> {
        for _ in 0..STEPS {
            let Some(record) = self.with_objects(|objects| objects.records.get(key).cloned())
            else {
                return Ok(None);
            };
            let reverts = record.status.revert.as_ref();
            if record.finished() && reverts.is_none_or(|revert| revert.end.is_some()) {
                if record.intent.revert_after.is_some() {
                    self.drop_finalizer(&record).await?;
                }
                return Ok(None);
            }
            // Alone, so that two records never take the last place at once.
            let _alone = match begun(&record) || record.finished() {
                true => None,
                false => Some(self.admission.lock().await),
            };
            match self.ask(&record).await? {
                Next::Status(status) => self.put_status(&record, status).await?,
                Next::Act(write) => {
                    let namespace = &record.name.namespace;
                    let target = &record.intent.target;
                    let answer = self
                        .workloads
                        .write(&self.fence, namespace, target, &write)
                        .await;
                    let status = answered(clock::now(), &record, &write, answer);
                    if status == record.status {
                        // Read again, but not at once: a precondition failed or the answer was lost.
                        return Ok(Some(Duration::from_secs(1)));
                    }
                    self.put_status(&record, status).await?;
                }
                Next::DropFinalizer => {
                    self.drop_finalizer(&record).await?;
                    return Ok(None);
                }
                Next::Wait { until, .. } => {
                    let seconds = u64::try_from(until.since(clock::now())).unwrap_or(0);
                    return Ok(Some(Duration::from_secs(seconds.max(1))));
                }
                Next::Finished => return Ok(None),
            }
        }
        Ok(Some(Duration::from_secs(1)))
    }

    async fn ask(&self, record: &Record) -> Result<Next, Failed> {
        let intent = &record.intent;
        let namespace = &record.name.namespace;
        let target = (intent.target.kind, intent.target.name.as_str());
        let live = self.workloads.facts(namespace, target, need(intent));
        let live: Live = self.limited(live).await?;
        let now = clock::now();
        let policy = self.with_objects(|objects| objects.policies.get(&intent.policy).cloned());
        let policy =
            policy.filter(|policy| policy.object.uid().as_ref() == Some(&intent.policy_uid));
        let deleted = match &policy {
            Some(_) => false,
            // The cache may be behind; only the API server can say so.
            None => !self.exists(record).await?,
        };
        let spec = policy.as_ref().and_then(|policy| policy.spec.as_ref().ok());
        let (rank, limits) = self.rank(record);
        let (wanted, runs, check) = match (&policy, spec) {
            (Some(policy), Some(spec)) => {
                let meant = self.with_objects(|objects| objects.meant(spec.source, &spec.check));
                let around = self.around(spec, meant.first(), now);
                let state = state_view(&policy.object);
                let wanted = still_wanted(now, spec, &state, &around.world());
                (wanted, around.runs, around.status)
            }
            _ => (Err(Reason::InvalidPolicy), Vec::new(), CheckStatus::Gone),
        };
        Ok(next(
            now,
            record,
            &live,
            &Standing {
                rank,
                term: self.term.0,
                limits,
                wanted,
                runs: &runs,
                check,
                policy_deleted: deleted,
            },
        ))
    }

    async fn exists(&self, record: &Record) -> Result<bool, Failed> {
        let policy = &record.intent.policy;
        let policies: Api<RemediationPolicy> =
            Api::namespaced(self.client.clone(), &policy.namespace);
        let found = self.limited(policies.get_opt(&policy.name)).await?;
        Ok(found.is_some_and(|found| found.uid().as_ref() == Some(&record.intent.policy_uid)))
    }

    fn rank(&self, record: &Record) -> (u32, crate::core::Limits) {
        let before = self.with_objects(|objects| {
            let all = objects.records.values().map(|other| other.as_ref());
            rank(record, all, self.term.0)
        });
        (before, self.limits)
    }

    async fn put_status(&self, record: &Arc<Record>, status: RecordStatus) -> Result<(), Failed> {
        let records: Api<Remediation> =
            Api::namespaced(self.client.clone(), &record.name.namespace);
        let status = RecordStatus {
            term: self.term.0,
            ..status
        };
        let mut object = self.limited(records.get(&record.name.name)).await?;
        if object.resource_version().as_ref() != Some(&record.resource_version) {
            self.put_record(&object)?;
            return Ok(());
        }
        object.status = Some(record_status(&record.intent, &status));
        let parameters = PostParams::default();
        let written = self
            .write(records.replace_status(&record.name.name, &parameters, &object))
            .await;
        if matches!(&written, Err(error) if error.may_have_taken_effect()) {
            // Until it is written again it is not known what it says: as if another leader had written it last.
            self.with_objects(|objects| objects.doubt(record));
        }
        self.put_record(&written?)
    }

    async fn drop_finalizer(&self, record: &Record) -> Result<(), Failed> {
        let records: Api<Remediation> =
            Api::namespaced(self.client.clone(), &record.name.namespace);
        let Some(mut object) = self.limited(records.get_opt(&record.name.name)).await? else {
            return Ok(());
        };
        let finalizers = object.finalizers_mut();
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer != REVERT_FINALIZER);
        if finalizers.len() == before {
            return Ok(());
        }
        let finalizers = finalizers.clone();
        let patch = json!({"metadata": {
            "resourceVersion": object.metadata.resource_version,
            "finalizers": finalizers,
        }});
        let parameters = PatchParams::default();
        self.write(records.patch(&record.name.name, &parameters, &Patch::Merge(patch)))
            .await
            .map(drop)
    }
}
