//! What the watches have told: a cache, never the truth. Every write that follows from it carries a resourceVersion or
//! a name that makes it fail if the cache was behind.

mod cascade;
mod checks;
mod counts;
mod policies;
mod read;
mod records;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kinds::Kind;
use super::watch::{Change, Lean, Source};
use crate::core::cascade::Graph;
use crate::core::depends::Edges;
use crate::core::{
    CheckKey, CheckKind, CheckState, ObjectKey, PolicySpec, Record, Snapshot, Time, parse_snapshot,
};
use crate::crd::{alert_snapshot, state_view};

use counts::Counted;

pub(super) use checks::{Checks, Entry, check_key};
pub(super) use counts::{Counts, STALE};
pub(super) use policies::{Policies, Policy};
pub(super) use read::belonging;
pub(super) use records::{Owner, Records};

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) policies: Policies,
    pub(super) records: Records,
    pub(super) checks: Checks,
    edges: Option<Arc<Edges>>,
    graph: Option<Arc<Graph>>,
    counted: Counted,
    complete: BTreeSet<Source>,
}

/// What a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concerns {
    Policy(ObjectKey),
    Record(ObjectKey),
    Check(ObjectKey),
}

impl Objects {
    /// Whether this has been listed.
    pub(super) fn listed(&self, source: &Source) -> bool {
        self.complete.contains(source)
    }

    /// Takes in what a watch told, and says what it concerns.
    pub(super) fn take(&mut self, source: &Source, change: Change, now: Time) -> Vec<Concerns> {
        let kind = source.kind;
        match change {
            Change::Applied(key, object) => self.applied(kind, key, *object, now),
            Change::Deleted(key) => {
                self.remove(kind, &key);
                vec![concerns(kind, key)]
            }
            Change::Complete(all, at) => {
                self.complete.insert(source.clone());
                let here = |key: &ObjectKey| {
                    let namespace = source.namespace.as_ref();
                    namespace.is_none_or(|namespace| key.namespace == *namespace)
                };
                let gone: Vec<ObjectKey> = self
                    .keys(kind)
                    .into_iter()
                    .filter(|key| here(key) && !all.contains(key) && !self.newer(kind, key, &at))
                    .collect();
                gone.into_iter()
                    .map(|key| {
                        self.remove(kind, &key);
                        concerns(kind, key)
                    })
                    .collect()
            }
            Change::Forbidden => {
                // A line of Kuberhealthy that may not be read has no checks for us; our own kinds are needed.
                if kind.is_kuberhealthys() {
                    self.complete.insert(source.clone());
                }
                Vec::new()
            }
            Change::Failed => Vec::new(),
        }
    }

    /// Whether what is known of the object is newer than a list: our own write may have made it while the list was read,
    /// and the watch that begins where the list was read tells of it later.
    fn newer(&self, kind: Kind, key: &ObjectKey, list: &str) -> bool {
        let known = match kind {
            Kind::Record => {
                let record = self.records.get(key);
                record.map(|record| record.resource_version.as_str())
            }
            Kind::Policy => {
                let policy = self.policies.get(key);
                policy.and_then(|policy| policy.object.metadata.resource_version.as_deref())
            }
            Kind::Check(_) | Kind::Schedule => None,
        };
        let number = |version: &str| version.parse::<u64>().ok();
        match (known.and_then(number), number(list)) {
            (Some(known), Some(list)) => known > list,
            _ => false,
        }
    }

    fn applied(&mut self, kind: Kind, key: ObjectKey, object: Lean, now: Time) -> Vec<Concerns> {
        match self.apply(kind, &key, object, now) {
            Ok(true) => vec![concerns(kind, key)],
            Ok(false) => Vec::new(),
            Err(why) => {
                let (namespace, name) = (&key.namespace, &key.name);
                tracing::warn!(kind = kind.plural(), %namespace, %name, %why, "object left out");
                vec![concerns(kind, key)]
            }
        }
    }

    /// Whether this version of the object is known: most that watches tell of policies and records are our own writes.
    fn knows(&self, kind: Kind, key: &ObjectKey, version: (&str, &str)) -> bool {
        let known = match kind {
            Kind::Policy => self.policies.get(key).map(|policy| policy.version()),
            Kind::Record => self.records.get(key).map(|record| {
                (
                    Some(record.uid.as_str()),
                    Some(record.resource_version.as_str()),
                )
            }),
            Kind::Check(_) | Kind::Schedule => None,
        };
        known == Some((Some(version.0), Some(version.1)))
    }

    /// Whether anything is new.
    fn apply(
        &mut self,
        kind: Kind,
        key: &ObjectKey,
        object: Lean,
        now: Time,
    ) -> Result<bool, String> {
        if self.knows(kind, key, object.version()) {
            return Ok(false);
        }
        if let Kind::Check(line) = kind
            && !self.policies.name(key)
        {
            let new = self.checks.put_unread(check_key(line, key), Entry::Unread);
            self.existence(new);
            return Ok(false);
        }
        let value = object.value(kind);
        match kind {
            Kind::Policy => match read::policy(&value) {
                Ok(object) => Ok(self.put_policy(key, Arc::new(Policy::new(object)), now)),
                Err(why) => {
                    let renamed = self.policies.put_malformed(key, &value, &why);
                    self.renamed(renamed.unwrap_or_default());
                    self.forget_alerts(key);
                    Err(why)
                }
            },
            Kind::Record => match read::any(value).and_then(|object| belonging(&object)) {
                Ok(record) => Ok(self.put_record(record)),
                Err(why) => {
                    self.records.remove(key);
                    Err(why)
                }
            },
            Kind::Check(line) => {
                let check = check_key(line, key);
                let timing = self.checks.schedule(key);
                let timing = timing.filter(|_| line == CheckKind::KuberhealthyState);
                match parse_snapshot(line, &value, timing) {
                    Ok(snapshot) => self.put_check(snapshot, now),
                    Err(error) => {
                        let why = error.to_string();
                        let malformed = Entry::Malformed(why.clone());
                        let new = self.checks.put_unread(check, malformed);
                        self.existence(new);
                        return Err(why);
                    }
                }
                Ok(true)
            }
            Kind::Schedule => {
                let before = self.checks.schedule(key);
                let timing = read::schedule(&value)?;
                self.checks.put_schedule(key, timing);
                Ok(before != Some(timing))
            }
        }
    }

    /// Takes a check as it was read.
    pub(super) fn put_check(&mut self, snapshot: Snapshot, now: Time) {
        let policies = &self.policies;
        let known = |snapshot: &Snapshot| written_down(policies, snapshot);
        let new = self.checks.put(snapshot, known, now);
        self.existence(new);
    }

    /// Takes a policy that was read or written. Whether anything is new.
    pub(super) fn put_policy(&mut self, key: &ObjectKey, policy: Arc<Policy>, now: Time) -> bool {
        let Some(renamed) = self.policies.put(key, policy.clone()) else {
            return false;
        };
        self.renamed(renamed);
        // What was received of alerts comes with the policy.
        match alert_snapshot(&policy.object) {
            Some(snapshot) => self.put_check(snapshot, now),
            None => self.forget_alerts(key),
        }
        true
    }

    fn forget_alerts(&mut self, policy: &ObjectKey) {
        let gone = self.checks.remove(&check_key(CheckKind::Alert, policy));
        self.existence(gone);
    }

    /// Takes a record that was read or written. Whether anything is new.
    pub(super) fn put_record(&mut self, record: Record) -> bool {
        let known = self.records.get(&record.name);
        let newer = known.is_none_or(|known| {
            let number = |record: &Record| record.resource_version.parse::<u64>().ok();
            known.uid != record.uid
                || match (number(known), number(&record)) {
                    (Some(known), Some(read)) => read > known,
                    _ => known.resource_version != record.resource_version,
                }
        });
        if newer {
            self.records.insert(record);
        }
        newer
    }

    fn remove(&mut self, kind: Kind, key: &ObjectKey) {
        match kind {
            Kind::Policy => {
                let renamed = self.policies.remove(key);
                self.renamed(renamed.unwrap_or_default());
                self.forget_alerts(key);
            }
            Kind::Record => self.records.remove(key),
            Kind::Check(line) => {
                let gone = self.checks.remove(&check_key(line, key));
                self.existence(gone);
            }
            Kind::Schedule => self.checks.remove_schedule(key),
        }
    }

    fn renamed(&mut self, renamed: policies::Renamed) {
        for key in renamed.dropped {
            for line in LINES {
                self.checks.drop_body(&check_key(line, &key));
            }
        }
        if renamed.named {
            self.counted.forget();
        }
        self.existence(renamed.edges);
        if renamed.inferred {
            self.graph = None;
        }
    }

    /// Which check a reference means may have changed.
    fn existence(&mut self, changed: bool) {
        if changed {
            self.edges = None;
            self.counted.forget();
            self.graph = None;
        }
    }

    fn keys(&self, kind: Kind) -> BTreeSet<ObjectKey> {
        match kind {
            Kind::Policy => self.policies.keys().cloned().collect(),
            Kind::Record => self.records.keys().cloned().collect(),
            Kind::Check(line) => self
                .checks
                .keys(line)
                .map(|key| ObjectKey {
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                })
                .collect(),
            Kind::Schedule => self.checks.schedules().cloned().collect(),
        }
    }

    /// The checks that a reference may mean: one if it names the kind, else those that exist.
    pub(super) fn meant(&self, kind: Option<CheckKind>, key: &ObjectKey) -> Vec<CheckKey> {
        match kind {
            Some(kind) => vec![check_key(kind, key)],
            None => LINES
                .into_iter()
                .map(|kind| check_key(kind, key))
                .filter(|key| self.checks.get(key).is_some())
                .collect(),
        }
    }

    /// The checks a policy depends on. One that does not exist is taken for v3's, so that it is seen to be missing.
    pub(super) fn depends_on(&self, spec: &PolicySpec) -> BTreeSet<CheckKey> {
        let each = spec.depends_on.iter().flat_map(|(kind, key)| {
            let meant = self.meant(*kind, key);
            if meant.is_empty() {
                vec![check_key(CheckKind::HealthCheck, key)]
            } else {
                meant
            }
        });
        each.collect()
    }

    /// Checks a policy names that exist and have not been read.
    pub(super) fn unread(&self, spec: &PolicySpec) -> Vec<CheckKey> {
        let mut named: BTreeSet<CheckKey> = self.depends_on(spec);
        named.extend(self.meant(spec.source, &spec.check));
        named.retain(|key| matches!(self.checks.get(key), Some(Entry::Unread)));
        named.into_iter().collect()
    }

    /// From each check to those that policies triggered by it depend on.
    fn edges(&mut self) -> Arc<Edges> {
        if let Some(edges) = &self.edges {
            return edges.clone();
        }
        let mut edges: Edges = BTreeMap::new();
        for spec in self.policies.specs() {
            if spec.depends_on.is_empty() {
                continue;
            }
            for check in self.meant(spec.source, &spec.check) {
                edges
                    .entry(check)
                    .or_default()
                    .extend(self.depends_on(spec));
            }
        }
        let edges = Arc::new(edges);
        self.edges = Some(edges.clone());
        edges
    }

    fn spec(&self, policy: &ObjectKey) -> Option<&PolicySpec> {
        self.policies.get(policy)?.spec.as_ref().ok()
    }
}

/// Whether a reference may mean a check of this kind that exists.
fn means(kind: Option<CheckKind>, of: CheckKind) -> bool {
    match kind {
        Some(kind) => kind == of,
        None => LINES.contains(&of),
    }
}

/// Both lines of Kuberhealthy.
const LINES: [CheckKind; 2] = [CheckKind::KuberhealthyState, CheckKind::HealthCheck];

/// What a policy's status says of the check.
fn written_down(policies: &Policies, snapshot: &Snapshot) -> CheckState {
    let key = ObjectKey {
        namespace: snapshot.key.namespace.clone(),
        name: snapshot.key.name.clone(),
    };
    let policies = policies
        .triggered_by(&key)
        .filter_map(|key| policies.get(key));
    policies
        .filter(|policy| {
            let status = policy.object.status.as_ref();
            let check = status.and_then(|status| status.check.as_ref());
            check.is_some_and(|check| check.uid == snapshot.uid)
        })
        .map(|policy| state_view(&policy.object).check)
        .max_by_key(|state| state.last_activity)
        .unwrap_or_default()
}

fn concerns(kind: Kind, key: ObjectKey) -> Concerns {
    match kind {
        Kind::Policy => Concerns::Policy(key),
        Kind::Record => Concerns::Record(key),
        Kind::Check(_) | Kind::Schedule => Concerns::Check(key),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::kinds::Kind;
    use super::super::watch::{Change, Lean, Source, key};
    use super::{ObjectKey, Objects, Time, belonging, read};

    fn record(version: &str) -> Value {
        json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "Remediation",
            "metadata": {
                "name": "web-0123456789-1", "namespace": "shop", "uid": "r", "resourceVersion": version,
                "ownerReferences": [{
                    "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "name": "web", "uid": "p",
                    "controller": true,
                }],
            },
            "spec": {
                "policy": "web", "policyUID": "p", "attempt": 1, "step": 0, "mode": "Enforce", "run": "a",
                "incident": {"id": "0123456789", "openedTime": "2026-01-01T00:00:00Z", "firstRun": "a"},
                "time": "2026-01-01T00:00:00Z", "actionName": "rolloutRestart", "action": {"rolloutRestart": {}},
                "target": {"kind": "Deployment", "name": "web", "uid": "t"},
                "claim": {"resourceVersion": "1", "generation": 1},
                "verify": {"seconds": 1, "successThreshold": 1, "failureThreshold": 1},
            },
        })
    }

    #[test]
    fn a_version_that_is_known_is_no_news() {
        let source = Source {
            kind: Kind::Record,
            namespace: None,
        };
        let mut objects = Objects::default();
        let mut told = |version: &str, uid: &str| {
            let mut object = record(version);
            object["metadata"]["uid"] = uid.into();
            let object: Lean = serde_json::from_value(object).unwrap();
            let change = Change::Applied(key(&object), Box::new(object));
            objects.take(&source, change, Time::from_unix(0)).len()
        };
        for (version, uid, news) in [
            ("10", "r", 1),
            ("10", "r", 0),
            ("9", "r", 0),
            ("11", "r", 1),
            ("11", "another", 1),
        ] {
            assert_eq!(told(version, uid), news, "{version} {uid}");
        }
    }

    #[test]
    fn what_was_written_while_a_list_was_read_outlives_the_list() {
        let source = Source {
            kind: Kind::Record,
            namespace: None,
        };
        let key = ObjectKey {
            namespace: "shop".into(),
            name: "web-0123456789-1".into(),
        };
        for (list, stays) in [("9", true), ("10", false), ("11", false), ("", false)] {
            let mut objects = Objects::default();
            let own = read::any(record("10")).and_then(|object| belonging(&object));
            objects.put_record(own.unwrap());
            let all = Change::Complete(BTreeSet::new(), list.to_owned());
            objects.take(&source, all, Time::from_unix(0));
            assert_eq!(objects.records.get(&key).is_some(), stays, "{list:?}");
        }
    }
}
