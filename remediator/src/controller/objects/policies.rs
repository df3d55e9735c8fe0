//! Policies, by name, by the checks they name and by their targets.

mod index;
mod policy;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use kube::ResourceExt as _;
use serde_json::Value;

use crate::core::reason::bounded;
use crate::core::{Action, ObjectKey, PolicySpec, TargetKind};

pub(super) use index::Renamed;
use policy::{Age, Role};
pub(in crate::controller) use policy::{Policy, Target, key_of};

/// A policy that is not even one by its types: only an API server with another definition holds such an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controller) struct Malformed {
    pub(in crate::controller) why: String,
    pub(in crate::controller) generation: i64,
    pub(in crate::controller) resource_version: String,
    /// What is said of it already.
    pub(in crate::controller) told: bool,
}

/// All policies.
#[derive(Debug, Default)]
pub(in crate::controller) struct Policies {
    all: HashMap<ObjectKey, Arc<Policy>>,
    malformed: BTreeMap<ObjectKey, Malformed>,
    named: HashMap<(Role, ObjectKey), BTreeSet<ObjectKey>>,
    targets: BTreeMap<Target, BTreeSet<(Age, ObjectKey)>>,
    inferring: BTreeSet<ObjectKey>,
    waiting: BTreeSet<ObjectKey>,
    /// Policies that alerts trigger, by the first of the labels asked for.
    alerts: HashMap<(String, String), BTreeSet<ObjectKey>>,
    departed: VecDeque<Arc<Policy>>,
}

/// Policies that do not exist any more and are remembered, because they may have scaled something that is to be set back.
const DEPARTED: usize = 1000;

impl Policies {
    pub(in crate::controller) fn get(&self, key: &ObjectKey) -> Option<&Arc<Policy>> {
        self.all.get(key)
    }

    /// The policy of this name and UID, also if it was deleted while this process ran.
    pub(in crate::controller) fn former(&self, key: &ObjectKey, uid: &str) -> Option<&Arc<Policy>> {
        let existing = self.all.get(key);
        let mut known = existing.into_iter().chain(self.departed.iter().rev());
        known.find(|policy| {
            let object = &policy.object;
            object.metadata.uid.as_deref() == Some(uid)
                && object.metadata.name.as_deref() == Some(&*key.name)
                && object.metadata.namespace.as_deref() == Some(&*key.namespace)
        })
    }

    fn depart(&mut self, policy: Arc<Policy>) {
        let steps = policy.spec.as_ref().map(|spec| spec.steps.as_slice());
        let mut steps = steps.unwrap_or_default().iter();
        if !steps.any(|step| matches!(step.action, Action::Scale(_))) {
            return;
        }
        self.departed.push_back(policy);
        if self.departed.len() > DEPARTED {
            self.departed.pop_front();
        }
    }

    pub(in crate::controller) fn malformed(&self, key: &ObjectKey) -> Option<&Malformed> {
        self.malformed.get(key)
    }

    pub(in crate::controller) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.all.keys().chain(self.malformed.keys())
    }

    pub(in crate::controller) fn values(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.all.values()
    }

    /// All, in the order of their names.
    pub(in crate::controller) fn sorted(&self) -> Vec<&Arc<Policy>> {
        let mut all: Vec<(&ObjectKey, &Arc<Policy>)> = self.all.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all.into_iter().map(|(_, policy)| policy).collect()
    }

    /// All that can be used.
    pub(in crate::controller) fn specs(&self) -> impl Iterator<Item = &PolicySpec> {
        self.all
            .values()
            .filter_map(|policy| policy.spec.as_ref().ok())
    }

    /// Whether any policy names the check.
    pub(in crate::controller) fn name(&self, check: &ObjectKey) -> bool {
        [Role::Trigger, Role::Upstream]
            .iter()
            .any(|role| self.named.contains_key(&(*role, check.clone())))
    }

    /// Policies triggered by the check.
    pub(in crate::controller) fn triggered_by(
        &self,
        check: &ObjectKey,
    ) -> impl Iterator<Item = &ObjectKey> {
        let named = self.named.get(&(Role::Trigger, check.clone()));
        named.into_iter().flatten()
    }

    /// Policies that name the check as their own or as one they depend on.
    pub(in crate::controller) fn of_check(&self, check: &ObjectKey) -> BTreeSet<ObjectKey> {
        [Role::Trigger, Role::Upstream]
            .iter()
            .filter_map(|role| self.named.get(&(*role, check.clone())))
            .flatten()
            .cloned()
            .collect()
    }

    /// Checks that trigger policies, with these.
    pub(in crate::controller) fn triggers(
        &self,
    ) -> impl Iterator<Item = (&ObjectKey, &BTreeSet<ObjectKey>)> {
        let triggers = self.named.iter();
        triggers
            .filter(|((role, _), _)| *role == Role::Trigger)
            .map(|((_, check), policies)| (check, policies))
    }

    /// The oldest policy with the same target, if it is another and older one.
    pub(in crate::controller) fn rival(&self, spec: &PolicySpec) -> Option<ObjectKey> {
        let own = self.all.get(&spec.key)?;
        let (_, oldest) = self.targets.get(&own.target()?)?.first()?;
        (*oldest != spec.key).then(|| oldest.clone())
    }

    /// Targets of policies in a namespace.
    pub(in crate::controller) fn targets_in(
        &self,
        namespace: &Arc<str>,
    ) -> impl Iterator<Item = (TargetKind, Arc<str>)> {
        let first = (namespace.clone(), TargetKind::Deployment, Arc::from(""));
        let here = self.targets.range(first..).map(|(target, _)| target);
        here.take_while(move |(here, _, _)| here == namespace)
            .map(|(_, kind, name)| (*kind, name.clone()))
    }

    /// Policies that an alert with these labels triggers.
    pub(in crate::controller) fn alerted(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &ObjectKey> {
        let each = labels.iter();
        let some = each.filter_map(|(name, value)| self.alerts.get(&(name.clone(), value.clone())));
        some.flatten().filter(|key| {
            let spec = self
                .all
                .get(key)
                .and_then(|policy| policy.spec.as_ref().ok());
            let wanted = spec.and_then(|spec| spec.alert.as_ref());
            wanted.is_some_and(|wanted| wanted.matches(labels))
        })
    }

    /// Policies with this target.
    pub(in crate::controller) fn with_target(
        &self,
        target: &Target,
    ) -> impl Iterator<Item = &Arc<Policy>> {
        let keys = self.targets.get(target).into_iter().flatten();
        keys.filter_map(|(_, key)| self.all.get(key))
    }

    /// Policies whose errors have led to checks.
    pub(in crate::controller) fn inferring(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.inferring.iter().filter_map(|key| self.all.get(key))
    }

    /// Policies that wait for a place among the remediations in flight.
    pub(in crate::controller) fn waiting(&self) -> impl Iterator<Item = &ObjectKey> {
        self.waiting.iter()
    }

    /// Takes a policy as it was read, unless what is known is newer. None: nothing is new.
    pub(super) fn put(&mut self, key: &ObjectKey, policy: Arc<Policy>) -> Option<Renamed> {
        let before = self.all.get(key);
        if before.is_some_and(|before| !newer(&before.object, &policy.object)) {
            return None;
        }
        self.malformed.remove(key);
        let before = self.all.insert(key.clone(), policy.clone());
        if let Some(before) = &before
            && before.object.uid() != policy.object.uid()
        {
            self.depart(before.clone());
        }
        Some(self.index(key, before.as_deref(), Some(&policy)))
    }

    /// Takes a policy that cannot be read.
    pub(super) fn put_malformed(
        &mut self,
        key: &ObjectKey,
        object: &Value,
        why: &str,
    ) -> Option<Renamed> {
        let metadata = &object["metadata"];
        let generation = metadata["generation"].as_i64().unwrap_or_default();
        let why = bounded(why, 512);
        let conditions = object["status"]["conditions"].as_array();
        let told = conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "Accepted"
                && condition["message"] == why.as_str()
                && condition["observedGeneration"] == generation
        });
        let malformed = Malformed {
            why,
            generation,
            resource_version: metadata["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            told,
        };
        self.malformed.insert(key.clone(), malformed);
        let before = self.all.remove(key)?;
        Some(self.index(key, Some(&before), None))
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Renamed> {
        self.malformed.remove(key);
        let before = self.all.remove(key)?;
        self.depart(before.clone());
        Some(self.index(key, Some(&before), None))
    }
}

/// Whether an object as it was read now is newer than what is known. Answers to writes overtake watches. Kubernetes
/// promises since 1.35 that resourceVersions of one resource are numbers that grow, and no server did otherwise before;
/// one that is no number is taken for newer.
pub(super) fn newer<K: kube::Resource>(known: &K, read: &K) -> bool {
    let number = |object: &K| object.resource_version()?.parse::<u64>().ok();
    if known.uid() != read.uid() {
        return true;
    }
    match (number(known), number(read)) {
        (Some(known), Some(read)) => read > known,
        _ => known.resource_version() != read.resource_version(),
    }
}

#[cfg(test)]
mod tests;
