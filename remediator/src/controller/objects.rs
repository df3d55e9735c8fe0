//! What the watches have told: a cache, never the truth. Every write that follows from it carries a resourceVersion or
//! a name that makes it fail if the cache was behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::kinds::Kind;
use super::watch::Change;
use crate::core::{
    CheckKey, CheckKind, CheckState, ObjectKey, Observation, PolicySpec, Record, Run, Snapshot,
    Time, Timing, Verdict, observe, parse_snapshot,
};
use crate::crd::{Invalid, Remediation, RemediationPolicy, policy_view, record_view};

/// Runs kept of each check.
const RUNS: usize = 8;

/// No leader's term.
const UNSURE: i64 = -1;

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) object: RemediationPolicy,
    pub(super) spec: Result<PolicySpec, Invalid>,
}

impl Policy {
    pub(super) fn new(object: RemediationPolicy) -> Policy {
        Policy {
            spec: policy_view(&object),
            object,
        }
    }
}

/// A check: its object, and what has been seen of it since this process began to watch.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) state: CheckState,
    pub(super) runs: VecDeque<Run>,
    pub(super) recovered: Option<Time>,
}

impl Check {
    /// Looks at the object again: a result may have settled in the meantime.
    fn look(&mut self, now: Time) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        if self.state.uid != snapshot.uid {
            // Another check of the same name.
            self.runs.clear();
            self.recovered = None;
        }
        let (state, told) = observe(std::mem::take(&mut self.state), snapshot, now);
        self.state = state;
        for observation in told {
            let (Observation::New(run) | Observation::Amended(run)) = observation;
            let before = self.runs.back().map(|run| run.verdict);
            if run.verdict == Verdict::Passed && matches!(before, Some(Verdict::Failed(_))) {
                self.recovered = Some(run.finished);
            }
            self.runs.retain(|known| known.id != run.id);
            self.runs.push_back(run);
            if self.runs.len() > RUNS {
                self.runs.pop_front();
            }
        }
    }

    /// When the run under way was first seen, if that was seen.
    pub(super) fn started(&self) -> Option<(String, Time)> {
        self.state.started.clone()
    }

    /// Whether its last run failed.
    pub(super) fn fails(&self) -> bool {
        let last = self.runs.back().map(|run| run.verdict);
        matches!(last, Some(Verdict::Failed(_)))
    }
}

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) policies: BTreeMap<ObjectKey, Arc<Policy>>,
    pub(super) records: BTreeMap<ObjectKey, Arc<Record>>,
    pub(super) checks: BTreeMap<CheckKey, Check>,
    schedules: BTreeMap<ObjectKey, Timing>,
    complete: Vec<Kind>,
}

/// What a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concerns {
    Policy(ObjectKey),
    Record(ObjectKey),
    Check(ObjectKey),
}

impl Objects {
    /// Whether every kind has been listed.
    pub(super) fn complete(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.complete.contains(kind))
    }

    /// Takes in what a watch told, and says what it concerns.
    pub(super) fn take(&mut self, kind: Kind, change: Change, now: Time) -> Vec<Concerns> {
        match change {
            Change::Applied(key, value) => {
                if let Err(why) = self.apply(kind, &key, value, now) {
                    tracing::warn!(kind = kind.plural(), ?key, %why, "object left out");
                }
                vec![concerns(kind, key)]
            }
            Change::Deleted(key) => {
                self.remove(kind, &key);
                vec![concerns(kind, key)]
            }
            Change::Complete(all) => {
                if !self.complete.contains(&kind) {
                    self.complete.push(kind);
                }
                let gone: Vec<ObjectKey> = self
                    .keys(kind)
                    .into_iter()
                    .filter(|key| !all.contains(key))
                    .collect();
                gone.into_iter()
                    .map(|key| {
                        self.remove(kind, &key);
                        concerns(kind, key)
                    })
                    .collect()
            }
        }
    }

    fn apply(
        &mut self,
        kind: Kind,
        key: &ObjectKey,
        value: Value,
        now: Time,
    ) -> Result<(), String> {
        match kind {
            Kind::Policy => {
                let object: RemediationPolicy = read(value)?;
                let policy = Arc::new(Policy::new(object));
                self.policies.insert(key.clone(), policy);
            }
            Kind::Record => drop(self.put_record(&read(value)?)?),
            Kind::Check(line) => {
                let timing = self.schedules.get(key).copied();
                let timing = timing.filter(|_| line == CheckKind::KuberhealthyState);
                let snapshot =
                    parse_snapshot(line, &value, timing).map_err(|error| error.to_string())?;
                let check = self.checks.entry(snapshot.key.clone()).or_default();
                check.snapshot = Some(Arc::new(snapshot));
                check.look(now);
            }
            Kind::Schedule => {
                // Its fields are those of a HealthCheck's spec.
                let timing = Timing {
                    interval: 600,
                    timeout: 300,
                };
                let schedule = parse_snapshot(CheckKind::HealthCheck, &value, Some(timing))
                    .map_err(|error| error.to_string())?;
                self.schedules.insert(key.clone(), schedule.timing);
                let check = self.checks.get_mut(&CheckKey {
                    kind: CheckKind::KuberhealthyState,
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                });
                if let Some(snapshot) = check.and_then(|check| check.snapshot.as_mut()) {
                    Arc::make_mut(snapshot).timing = schedule.timing;
                }
            }
        }
        Ok(())
    }

    /// Takes in a record that was read or written.
    pub(super) fn put_record(&mut self, object: &Remediation) -> Result<ObjectKey, String> {
        let record = record_view(object).map_err(|invalid| invalid.to_string())?;
        let key = record.name.clone();
        // A watch may be behind what was written meanwhile: what is known of a record never becomes older.
        let version = |record: &Record| record.resource_version.parse::<u64>().ok();
        let newer = self.records.get(&key).is_none_or(|known| {
            known.uid != record.uid
                || version(&record).is_none()
                || version(&record) > version(known)
        });
        if newer {
            self.records.insert(key.clone(), Arc::new(record));
        }
        Ok(key)
    }

    /// Nobody knows whether a write of the record took effect.
    pub(super) fn doubt(&mut self, record: &Record) {
        if let Some(known) = self.records.get_mut(&record.name)
            && known.resource_version == record.resource_version
        {
            Arc::make_mut(known).status.term = UNSURE;
        }
    }

    fn remove(&mut self, kind: Kind, key: &ObjectKey) {
        match kind {
            Kind::Policy => drop(self.policies.remove(key)),
            Kind::Record => drop(self.records.remove(key)),
            Kind::Check(line) => drop(self.checks.remove(&check_key(line, key))),
            Kind::Schedule => drop(self.schedules.remove(key)),
        }
    }

    fn keys(&self, kind: Kind) -> BTreeSet<ObjectKey> {
        match kind {
            Kind::Policy => self.policies.keys().cloned().collect(),
            Kind::Record => self.records.keys().cloned().collect(),
            Kind::Check(line) => self
                .checks
                .keys()
                .filter(|key| key.kind == line)
                .map(|key| ObjectKey {
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                })
                .collect(),
            Kind::Schedule => self.schedules.keys().cloned().collect(),
        }
    }

    /// The check, looked at now.
    pub(super) fn look(&mut self, key: &CheckKey, now: Time) -> Option<&Check> {
        let check = self.checks.get_mut(key)?;
        check.look(now);
        Some(check)
    }

    /// The checks that a reference may mean: one if it names the kind, else those that exist.
    pub(super) fn meant(&self, kind: Option<CheckKind>, key: &ObjectKey) -> Vec<CheckKey> {
        match kind {
            Some(kind) => vec![check_key(kind, key)],
            None => [CheckKind::KuberhealthyState, CheckKind::HealthCheck]
                .into_iter()
                .map(|kind| check_key(kind, key))
                .filter(|key| self.checks.contains_key(key))
                .collect(),
        }
    }

    /// Policies that name the check as their own or as one they depend on.
    pub(super) fn policies_of(&self, check: &ObjectKey) -> Vec<ObjectKey> {
        let names = |spec: &PolicySpec| {
            spec.check == *check || spec.depends_on.iter().any(|(_, key)| key == check)
        };
        self.policies
            .iter()
            .filter(|(_, policy)| policy.spec.as_ref().is_ok_and(names))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

pub(super) fn check_key(kind: CheckKind, key: &ObjectKey) -> CheckKey {
    CheckKey {
        kind,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

fn concerns(kind: Kind, key: ObjectKey) -> Concerns {
    match kind {
        Kind::Policy => Concerns::Policy(key),
        Kind::Record => Concerns::Record(key),
        Kind::Check(_) | Kind::Schedule => Concerns::Check(key),
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
