//! Dependencies that follow from what errors name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Objects;
use super::policies::key_of;
use crate::core::cascade::{Graph, Target};
use crate::core::depends::Edges;
use crate::core::{CheckKey, Inferred};

impl Objects {
    /// Those of the checks that errors lead to that are waited for: they exist, and a policy still has each for its own.
    pub(in crate::controller) fn waited_for(&self, inferred: &[Inferred]) -> BTreeSet<CheckKey> {
        let checks = inferred.iter().map(|inferred| &inferred.check);
        let wanted = checks.filter(|check| {
            let key = key_of(check);
            self.checks.get(check).is_some() && self.policies.triggered_by(&key).next().is_some()
        });
        wanted.cloned().collect()
    }

    /// Checks of the policies that have this target.
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
            .filter(|check| self.checks.get(check).is_some())
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
