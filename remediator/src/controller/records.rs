//! Drives a record to its end. What comes next is asked of the core each time; nothing is remembered here.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;

use super::kinds::Kind;
use super::mandate::{backed, pending, sets_back};
use super::objects::{Policy, belonging};
use super::world::View;
use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::execution::{Live, Next, Refusal, Standing, answered, certain, idle, need, next};
use crate::core::{
    CheckStatus, Intent, ObjectKey, Reason, Record, RecordStatus, Time, still_wanted, target_allows,
};
use crate::crd::{REVERT_FINALIZER, Remediation, RemediationPolicy, record_status};

/// How often a record is asked about in one go.
const STEPS: usize = 8;

/// What was read for a record.
pub(super) struct Seen {
    pub(super) live: Live,
    /// Its policy, if that exists.
    pub(super) policy: Option<Arc<Policy>>,
    /// Whether the API server says that the policy does not exist.
    pub(super) deleted: bool,
    /// Whether this leader has created the record just now.
    pub(super) created: bool,
}

fn unread(why: &str) -> Live {
    Live::Unreadable(Refusal {
        code: 503,
        reason: Reason::Refused.as_str().to_owned(),
        message: why.to_owned(),
    })
}

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
            let seen = self.look(&record).await?;
            // Alone, so that two records never take the last place at once; nothing is read meanwhile.
            let _alone = match certain(&record) {
                true => None,
                false => Some(self.admission.lock().await),
            };
            let changed = self.with_objects(|objects| {
                let known = objects.records.get(key);
                // The whole of it: that it is being acted on is remembered before it is written.
                known.is_none_or(|known| *known != record)
            });
            if changed {
                continue;
            }
            if let ControlFlow::Break(after) = self.step(&record, &seen).await? {
                return Ok(after);
            }
        }
        Ok(Some(Duration::from_secs(1)))
    }

    /// Does what comes next for a record. Breaks off with after how long to look again, if not at once.
    pub(super) async fn step(
        &self,
        record: &Record,
        seen: &Seen,
    ) -> Result<ControlFlow<Option<Duration>>, Failed> {
        let (next, settles) = self.ask(record, seen);
        Ok(match next {
            Next::Status(status) => {
                self.put_status(record, status).await?;
                ControlFlow::Continue(())
            }
            Next::Act(write) => {
                let namespace = &record.name.namespace;
                let target = &record.intent.target;
                // From here on it may have been done, even if this ends before there is an answer.
                let record = &*self.acting(record, seen.created);
                let answer = self
                    .workloads
                    .write(&self.fence, namespace, target, &write)
                    .await;
                let status = answered(clock::now(), record, &write, answer);
                self.put_status(record, status).await?;
                ControlFlow::Continue(())
            }
            Next::DropFinalizer => {
                self.drop_finalizer(record).await?;
                ControlFlow::Break(None)
            }
            Next::Wait { until, .. } => {
                // A result that settles is a run, though nothing is written then.
                let until = settles.map_or(until, |settles| until.min(settles));
                let seconds = u64::try_from(until.since(clock::now())).unwrap_or(0);
                ControlFlow::Break(Some(Duration::from_secs(seconds.max(1))))
            }
            Next::Finished => ControlFlow::Break(None),
        })
    }

    /// The record as it is acted on, which is remembered if that comes with its creation.
    fn acting<'a>(&self, record: &'a Record, created: bool) -> Cow<'a, Record> {
        if !created {
            return Cow::Borrowed(record);
        }
        self.with_objects(|objects| objects.records.begin(record));
        Cow::Owned(record.clone().begun_with_creation())
    }

    /// Reads what the record needs.
    async fn look(&self, record: &Record) -> Result<Seen, Failed> {
        let intent = &record.intent;
        let live = async {
            match idle(record) {
                true => Ok(unread("nothing is done for it")),
                false => self.live(record).await,
            }
        };
        let policy = async {
            // It is done only if the policy says so now.
            match self.may_begin(record) {
                true => self
                    .get_policy(&intent.policy)
                    .await
                    .map(|read| read.is_some()),
                false => Ok(true),
            }
        };
        let (live, policy) = tokio::join!(live, policy);
        let (live, exists) = match (live?, policy) {
            (live, Ok(exists)) => (live, exists),
            (_, Err(error @ (Failed::Request(_) | Failed::Timeout))) => {
                (unread(&format!("its policy: {error}")), true)
            }
            (_, Err(error)) => return Err(error),
        };
        let policy = self.policy_of(intent).filter(|_| exists);
        let deleted = match &policy {
            Some(_) => false,
            // The cache may be behind; only the API server can say so.
            None => !exists || !self.exists(record).await?,
        };
        Ok(Seen {
            live,
            policy,
            deleted,
            created: false,
        })
    }

    /// The intent's policy as it is known; none if another one has its name.
    pub(super) fn policy_of(&self, intent: &Intent) -> Option<Arc<Policy>> {
        let known = self.with_objects(|objects| objects.policies.get(&intent.policy).cloned());
        known.filter(|policy| policy.object.uid().as_ref() == Some(&intent.policy_uid))
    }

    /// Whether the record's first write, or the claim for it, may come next.
    fn may_begin(&self, record: &Record) -> bool {
        let status = &record.status;
        let again = status.retry_at.is_some_and(|again| clock::now() < again);
        let turn = || {
            let rank = self.with_objects(|objects| objects.records.rank(record, self.term.0));
            rank < self.shared.limits.in_flight
        };
        pending(record) && !record.finished() && !idle(record) && !again && turn()
    }

    async fn live(&self, record: &Record) -> Result<Live, Failed> {
        let (intent, namespace) = (&record.intent, &record.name.namespace);
        let target = (intent.target.kind, intent.target.name.as_str());
        let live = self.workloads.facts(namespace, target, need(intent));
        match self.limited(live).await {
            // The record's own deadlines go on while its target cannot be read.
            Err(error @ (Failed::Request(_) | Failed::Timeout)) => Ok(unread(&error.to_string())),
            read => read,
        }
    }

    /// What the record needs next, and when the check's last result settles.
    fn ask(&self, record: &Record, seen: &Seen) -> (Next, Option<Time>) {
        let intent = &record.intent;
        let Seen {
            live,
            policy,
            deleted,
            created,
        } = seen;
        let now = clock::now();
        let spec = policy.as_ref().and_then(|policy| policy.spec.as_ref().ok());
        let (rank, doubtful, last_hour) = self.with_objects(|objects| {
            let records = &mut objects.records;
            let last_hour = records.count_others(now, record, self.term.0);
            let rank = records.rank(record, self.term.0);
            (rank, records.doubtful(record, self.term.0), last_hour)
        });
        let limits = self.shared.limits;
        let mut settles = None;
        let (wanted, runs, check) = match (policy, spec) {
            (Some(policy), Some(spec)) => {
                let meant = self.with_objects(|objects| objects.meant(spec.source, &spec.check));
                let inferred = policy.inferred();
                let around = self.around(&View {
                    spec,
                    check: meant.first(),
                    inferred: &inferred,
                    limits,
                    exactly: false,
                    now,
                });
                // The status may be behind the check: what has happened since counts too.
                let snapshot = meant.first().and_then(|check| self.snapshot(check));
                let state = self.observed(&policy.object, spec, snapshot.as_deref(), &around, now);
                let wanted = backed(spec, &state, record)
                    .and_then(|()| still_wanted(now, spec, &state, &around.world()))
                    .and_then(|()| match live {
                        Live::Target(facts) if pending(record) => {
                            target_allows(spec, &intent.action, facts)
                        }
                        _ => Ok(()),
                    });
                settles = around.settles;
                (wanted, around.runs, around.status)
            }
            _ => (Err(Reason::InvalidPolicy), Vec::new(), CheckStatus::Gone),
        };
        let standing = Standing {
            rank,
            doubtful,
            last_hour,
            term: self.term.0,
            created: *created,
            limits,
            wanted,
            runs: &runs,
            check,
            policy_deleted: *deleted,
            set_back: self.set_back(intent),
            lasting: spec.is_some_and(|spec| spec.alert.is_some()),
        };
        (next(now, record, live, &standing), settles)
    }

    /// Whether the record's policy answers for setting back its replicas, and why not.
    fn set_back(&self, intent: &Intent) -> Result<(), Reason> {
        let policy = self.with_objects(|objects| {
            let former = objects.policies.former(&intent.policy, &intent.policy_uid);
            former.cloned()
        });
        let policy = policy.ok_or(Reason::PolicyDeleted)?;
        let spec = policy.spec.as_ref().map_err(|_| Reason::InvalidPolicy)?;
        sets_back(spec, intent)
    }

    async fn exists(&self, record: &Record) -> Result<bool, Failed> {
        let policy = &record.intent.policy;
        let policies: Api<RemediationPolicy> =
            Api::namespaced(self.client.clone(), &policy.namespace);
        let found = self.limited(policies.get_opt(&policy.name)).await?;
        Ok(found.is_some_and(|found| found.uid().as_ref() == Some(&record.intent.policy_uid)))
    }

    /// Writes the status, if the record is still what it was when it was looked at.
    async fn put_status(&self, record: &Record, status: RecordStatus) -> Result<(), Failed> {
        let (namespace, name) = (&record.name.namespace, &record.name.name);
        let records: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &Kind::Record.resource());
        let status = RecordStatus {
            term: self.term.0,
            ..status
        };
        let mut object = DynamicObject::new(name, &Kind::Record.resource()).within(namespace);
        object.metadata.resource_version = Some(record.resource_version.clone());
        object.metadata.uid = Some(record.uid.clone());
        object.data = json!({"status": record_status(&record.intent, &status)});
        let parameters = PostParams::default();
        let written = self
            .write(records.replace_status(name, &parameters, &object))
            .await;
        match written {
            Ok(written) => {
                let written = parsed(&written)?;
                self.tell_record(&record.status, &written);
                self.notify_record(&record.status, &written);
                self.put_record(written);
                Ok(())
            }
            // Somebody else was faster, or an answer was lost: what is written counts.
            Err(Failed::Request(kube::Error::Api(answer))) if answer.code == 409 => {
                let records: Api<Remediation> = Api::namespaced(self.client.clone(), namespace);
                let found = self.limited(records.get(name)).await?;
                self.put_record(belonging(&found).map_err(Failed::Read)?);
                Ok(())
            }
            Err(error) => {
                if error.may_have_taken_effect() {
                    self.with_objects(|objects| objects.records.doubt(record));
                }
                Err(error)
            }
        }
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

/// The record in an object, if it is one and the remediator has made it.
pub(super) fn parsed(object: &DynamicObject) -> Result<Record, Failed> {
    let value = serde_json::to_value(object).map_err(|error| Failed::Read(error.to_string()))?;
    let object = serde_json::from_value(value).map_err(|error| Failed::Read(error.to_string()))?;
    belonging(&object).map_err(Failed::Read)
}
