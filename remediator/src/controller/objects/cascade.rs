//! Dependencies that follow from what errors name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Objects;
use super::policies::key_of;
use crate::core::cascade::{Graph, Target};
use crate::core::depends::Edges;
use crate::core::{CheckKey, CheckKind, Inferred};

impl Objects {
    /// Those of the checks that errors lead to that are waited for: they exist, and a policy still has each for its own.
    /// Alerts are not: between two deliveries nobody knows whether they are still so.
    pub(in crate::controller) fn waited_for(&self, inferred: &[Inferred]) -> BTreeSet<CheckKey> {
        let checks = inferred.iter().map(|inferred| &inferred.check);
        let wanted = checks.filter(|check| {
            let key = key_of(check);
            check.kind != CheckKind::Alert
                && self.checks.get(check).is_some()
                && self.policies.triggered_by(&key).next().is_some()
        });
        wanted.cloned().collect()
    }

    /// Checks of the policies that have this target, without alerts.
    pub(in crate::controller) fn checks_of(
        &self,
        namespace: &Arc<str>,
        target: &Target,
    ) -> Vec<CheckKey> {
        let (kind, name) = target.clone();
        let target = (namespace.clone(), kind, name);
        let policies = self.policies.with_target(&target);
        let specs = policies.filter_map(|policy| policy.spec.as_ref().ok());
        specs
            .flat_map(|spec| self.meant(spec.source, &spec.check))
            .filter(|check| check.kind != CheckKind::Alert && self.checks.get(check).is_some())
            .collect()
    }

    /// What depends on what, declared and inferred.
    pub(in crate::controller) fn graph(&mut self) -> Arc<Graph> {
        if let Some(graph) = &self.graph {
            return graph.clone();
        }
        let declared = self.edges();
        let mut inferred = Edges::new();
        for policy in self.policies.inferring() {
            let Ok(spec) = &policy.spec else { continue };
            let upstreams = self.waited_for(&policy.inferred());
            for check in self.meant(spec.source, &spec.check) {
                let mut upstreams = upstreams.clone();
                upstreams.remove(&check);
                inferred.entry(check).or_default().extend(upstreams);
            }
        }
        let graph = Arc::new(Graph::new(declared, &inferred));
        self.graph = Some(graph.clone());
        graph
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::{Objects, Policy};
    use crate::core::{CheckKey, CheckKind, Inferred, TargetKind, Time, parse_snapshot};

    fn put(objects: &mut Objects, name: &str, trigger: Value) {
        let object = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"trigger": trigger, "target": {"kind": "Deployment", "name": "web"}},
        });
        let policy = Arc::new(Policy::new(serde_json::from_value(object).unwrap()));
        let key = policy.spec.as_ref().unwrap().key.clone();
        objects.put_policy(&key, policy, Time::from_unix(0));
    }

    #[test]
    fn nobody_is_led_to_alerts() {
        let mut objects = Objects::default();
        put(
            &mut objects,
            "slow",
            json!({"alert": {"matchLabels": {"alertname": "Slow"}}}),
        );
        let named = json!({"kind": "HealthCheck", "namespace": "shop", "name": "web"});
        put(&mut objects, "web", json!({"check": named}));
        let check = json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "c"},
            "spec": {"runInterval": "60s", "timeout": "10s"},
        });
        let check = parse_snapshot(CheckKind::HealthCheck, &check, None).unwrap();
        objects.put_check(check, Time::from_unix(0));
        let key = |kind, name: &str| CheckKey {
            kind,
            namespace: "shop".into(),
            name: name.into(),
        };
        let (web, slow) = (
            key(CheckKind::HealthCheck, "web"),
            key(CheckKind::Alert, "slow"),
        );
        assert!(objects.checks.get(&slow).is_some());
        let target = (TargetKind::Deployment, "web".into());
        let found = objects.checks_of(&"shop".into(), &target);
        assert_eq!(found, std::slice::from_ref(&web));
        let inferred = [&web, &slow].map(|check| Inferred {
            check: check.clone(),
            via: "service shop/web".to_owned(),
        });
        assert!(objects.waited_for(&inferred).iter().eq([&web]));
    }
}
