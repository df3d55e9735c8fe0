//! Under which names a policy is found, kept as it changes.

use std::collections::BTreeSet;

use super::policy::Policy;
use super::{ObjectKey, Policies};

/// What a change of policies means for the rest.
#[derive(Debug, Default)]
pub(in crate::controller::objects) struct Renamed {
    /// Checks that no policy names any more.
    pub(in crate::controller::objects) dropped: Vec<ObjectKey>,
    /// Whether other checks are named than before.
    pub(in crate::controller::objects) named: bool,
    /// Whether the declared dependencies between checks have changed.
    pub(in crate::controller::objects) edges: bool,
    /// Whether the inferred ones have.
    pub(in crate::controller::objects) inferred: bool,
}

/// Has the key in the set or not.
fn keep(set: &mut BTreeSet<ObjectKey>, key: &ObjectKey, whether: bool) {
    if whether {
        set.insert(key.clone());
    } else {
        set.remove(key);
    }
}

impl Policies {
    pub(super) fn index(
        &mut self,
        key: &ObjectKey,
        old: Option<&Policy>,
        new: Option<&Policy>,
    ) -> Renamed {
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
