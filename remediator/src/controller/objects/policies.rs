//! Policies, by name, by the checks they name and by their targets.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use kube::ResourceExt as _;
use serde_json::Value;

use super::super::conditions::why_not;
use super::super::status::ALLOWED;
use crate::core::reason::bounded;
use crate::core::{Action, CheckKey, Inferred, ObjectKey, PolicySpec, Reason, TargetKind};
use crate::crd::{Invalid, RemediationPolicy, policy_status, policy_view, upstreams_view};

/// A policy.
#[derive(Debug)]
pub(in crate::controller) struct Policy {
    pub(in crate::controller) object: RemediationPolicy,
    pub(in crate::controller) spec: Result<PolicySpec, Invalid>,
}

impl Policy {
    pub(in crate::controller) fn new(mut object: RemediationPolicy) -> Policy {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        Policy {
            spec: policy_view(&object),
            object,
        }
    }

    /// Its UID and resourceVersion.
    pub(in crate::controller) fn version(&self) -> (Option<&str>, Option<&str>) {
        let metadata = &self.object.metadata;
        (
            metadata.uid.as_deref(),
            metadata.resource_version.as_deref(),
        )
    }

    /// The incident that its status tells of, open or over.
    pub(in crate::controller) fn incident(&self) -> Option<&policy_status::Incident> {
        self.object.status.as_ref()?.incident.as_ref()
    }

    /// When it was created, and its UID: the older one of two with one target goes first.
    fn age(&self) -> Age {
        let created = self.object.creation_timestamp();
        let created = created.map_or(0, |time| time.0.as_second());
        (created, self.object.uid().unwrap_or_default())
    }

    /// The checks that the errors of its open incident lead to, if that is asked for.
    pub(in crate::controller) fn inferred(&self) -> Vec<Inferred> {
        match &self.spec {
            Ok(spec) if spec.infer_dependencies => upstreams_view(&self.object),
            _ => Vec::new(),
        }
    }

    /// Whether its status says that it waits for a place among the remediations in flight.
    fn waits(&self) -> bool {
        let status = self.object.status.as_ref();
        let why = status.and_then(|status| why_not(&status.conditions, ALLOWED));
        self.spec.is_ok() && why == Some(Reason::TooManyInFlight)
    }

    /// The checks it names: its own, those it depends on, and those its errors lead to.
    fn named(&self) -> BTreeSet<(Role, ObjectKey)> {
        let Ok(spec) = &self.spec else {
            return BTreeSet::new();
        };
        let inferred = self.inferred();
        let inferred = inferred.iter().map(|inferred| key_of(&inferred.check));
        let upstream = spec.depends_on.iter().map(|(_, key)| key.clone());
        let upstream = upstream.chain(inferred).map(|key| (Role::Upstream, key));
        upstream
            .chain([(Role::Trigger, spec.check.clone())])
            .collect()
    }

    fn target(&self) -> Option<Target> {
        let spec = self.spec.as_ref().ok()?;
        let (kind, name) = spec.target.clone();
        Some((spec.key.namespace.clone(), kind, name))
    }
}

/// Has the key in the set or not.
fn keep(set: &mut BTreeSet<ObjectKey>, key: &ObjectKey, whether: bool) {
    if whether {
        set.insert(key.clone());
    } else {
        set.remove(key);
    }
}

/// Namespace and name of a check.
pub(in crate::controller) fn key_of(check: &CheckKey) -> ObjectKey {
    ObjectKey {
        namespace: check.namespace.clone(),
        name: check.name.clone(),
    }
}

type Age = (i64, String);
/// Namespace, kind and name of a workload.
pub(in crate::controller) type Target = (Arc<str>, TargetKind, Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Role {
    Trigger,
    Upstream,
}

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

/// What a change of policies means for the rest.
#[derive(Debug, Default)]
pub(super) struct Renamed {
    /// Checks that no policy names any more.
    pub(super) dropped: Vec<ObjectKey>,
    /// Whether other checks are named than before.
    pub(super) named: bool,
    /// Whether the declared dependencies between checks have changed.
    pub(super) edges: bool,
    /// Whether the inferred ones have.
    pub(super) inferred: bool,
}

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

    fn index(&mut self, key: &ObjectKey, old: Option<&Policy>, new: Option<&Policy>) -> Renamed {
        let (was, is) = (old.map(Policy::named), new.map(Policy::named));
        let (was, is) = (was.unwrap_or_default(), is.unwrap_or_default());
        for name in is.difference(&was) {
            self.named
                .entry(name.clone())
                .or_default()
                .insert(key.clone());
        }
        let mut dropped = Vec::new();
        for name in was.difference(&is) {
            if let Some(policies) = self.named.get_mut(name) {
                policies.remove(key);
                if policies.is_empty() {
                    self.named.remove(name);
                    if !self.name(&name.1) {
                        dropped.push(name.1.clone());
                    }
                }
            }
        }
        self.index_target(key, old, new);
        self.index_alerts(key, old, new);
        let source = |policy: Option<&Policy>| Some(policy?.spec.as_ref().ok()?.source);
        let depends = |policy: Option<&Policy>| {
            let spec = policy.and_then(|policy| policy.spec.as_ref().ok());
            spec.map(|spec| (spec.source, spec.check.clone(), spec.depends_on.clone()))
                .filter(|(_, _, upstream)| !upstream.is_empty())
        };
        let (led, leads) = (old.map(Policy::inferred), new.map(Policy::inferred));
        let (led, leads) = (led.unwrap_or_default(), leads.unwrap_or_default());
        keep(&mut self.inferring, key, !leads.is_empty());
        keep(&mut self.waiting, key, new.is_some_and(Policy::waits));
        // An inferred edge also ends where no policy has the check for its own any more.
        let trigger = |policy: Option<&Policy>| {
            let spec = policy.and_then(|policy| policy.spec.as_ref().ok());
            spec.map(|spec| (spec.source, spec.check.clone()))
        };
        Renamed {
            dropped,
            named: was != is || source(old) != source(new),
            edges: depends(old) != depends(new),
            inferred: led != leads || trigger(old) != trigger(new),
        }
    }

    fn index_alerts(&mut self, key: &ObjectKey, old: Option<&Policy>, new: Option<&Policy>) {
        let first = |policy: &Policy| {
            let spec = policy.spec.as_ref().ok()?;
            let (name, value) = spec.alert.as_ref()?.labels.first_key_value()?;
            Some((name.clone(), value.clone()))
        };
        let (was, is) = (old.and_then(first), new.and_then(first));
        if was == is {
            return;
        }
        if let Some(label) = was
            && let Some(policies) = self.alerts.get_mut(&label)
        {
            policies.remove(key);
            if policies.is_empty() {
                self.alerts.remove(&label);
            }
        }
        if let Some(label) = is {
            self.alerts.entry(label).or_default().insert(key.clone());
        }
    }

    fn index_target(&mut self, key: &ObjectKey, old: Option<&Policy>, new: Option<&Policy>) {
        let place = |policy: &Policy| Some((policy.target()?, (policy.age(), key.clone())));
        let (was, is) = (old.and_then(place), new.and_then(place));
        if was == is {
            return;
        }
        if let Some((target, place)) = was
            && let Some(places) = self.targets.get_mut(&target)
        {
            places.remove(&place);
            if places.is_empty() {
                self.targets.remove(&target);
            }
        }
        if let Some((target, place)) = is {
            self.targets.entry(target).or_default().insert(place);
        }
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
