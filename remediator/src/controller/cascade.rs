//! From the errors of an open incident to the checks of other policies that they lead to. Nothing is asked of the API
//! server unless an error names something that another policy's target may be behind.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::objects::Objects;
use super::{Failed, Key, Leader, Workloads, lock};
use crate::clock;
use crate::core::cascade::{Behind, Inferred, Named, Subject, Target, joined, subjects};
use crate::core::{CheckKey, ObjectKey, PolicySpec, PolicyState};
use crate::crd::RemediationPolicyStatus;

/// How long what is behind a subject is taken for known.
const FRESH: Duration = Duration::from_secs(60);

/// Subjects that are known at once.
const KNOWN: usize = 1024;

/// Namespaces of which it is said once that they may not be read.
const TOLD: usize = 256;

/// A subject, and the asking policy's own target if it may be behind it: that is among the workloads that are asked.
type Question = (Subject, Option<Target>);

/// What is known to be behind subjects.
#[derive(Debug, Default)]
pub(super) struct Known {
    behind: HashMap<Question, (Instant, Arc<[Target]>)>,
    told: BTreeSet<Arc<str>>,
}

impl Known {
    fn get(&self, question: &Question, now: Instant) -> Option<Arc<[Target]>> {
        let (at, behind) = self.behind.get(question)?;
        let fresh = now.saturating_duration_since(*at) < FRESH;
        fresh.then(|| behind.clone())
    }

    fn put(&mut self, question: Question, behind: Arc<[Target]>, now: Instant) {
        if self.behind.len() >= KNOWN {
            let fresh = |at: &Instant| now.saturating_duration_since(*at) < FRESH;
            self.behind.retain(|_, (at, _)| fresh(at));
            if self.behind.len() >= KNOWN {
                self.behind.clear();
            }
        }
        self.behind.insert(question, (now, behind));
    }

    /// Whether this is to be said of the namespace.
    fn tell(&mut self, namespace: &Arc<str>) -> bool {
        self.told.len() < TOLD && self.told.insert(namespace.clone())
    }
}

impl<W: Workloads> Leader<W> {
    /// The checks that the errors of the open incident lead to, with those that they have led to before.
    pub(super) async fn inferred(
        &self,
        spec: &PolicySpec,
        check: Option<&CheckKey>,
        state: &PolicyState,
    ) -> Result<Vec<Inferred>, Failed> {
        let open = state.incident.as_ref();
        let open = open.filter(|incident| incident.recovered.is_none());
        let Some(incident) = open.filter(|_| spec.infer_dependencies) else {
            return Ok(state.upstreams.clone());
        };
        let mut found = Vec::new();
        for subject in subjects(&incident.errors) {
            let via = subject.to_string();
            if state.upstreams.iter().any(|known| known.via == via) {
                continue;
            }
            let candidates = self.with_objects(|objects| candidates(objects, spec, &subject));
            if candidates.is_empty() {
                continue;
            }
            let here = subject.namespace == spec.key.namespace;
            let own = here.then(|| spec.target.clone());
            let behind = self.behind((subject.clone(), own), &candidates).await?;
            let own = |target: &Target| *target == spec.target;
            if subject.namespace == spec.key.namespace && behind.iter().any(own) {
                // What it is about itself is no reason to wait for somebody else.
                continue;
            }
            let checks: BTreeSet<CheckKey> = self.with_objects(|objects| {
                let all = behind.iter();
                all.flat_map(|target| objects.checks_of(&subject.namespace, target))
                    .collect()
            });
            let others = checks.into_iter().filter(|found| Some(found) != check);
            found.extend(others.map(|check| Inferred {
                check,
                via: via.clone(),
            }));
        }
        Ok(joined(&state.upstreams, found))
    }

    /// Has those looked at that a policy has come to wait for: they may wait for it in turn, and then neither does.
    pub(super) fn look_at_upstreams(&self, status: &RemediationPolicyStatus) {
        let keys: Vec<ObjectKey> = self.with_objects(|objects| {
            let upstreams = status.upstreams.iter();
            let checks = upstreams.map(|one| super::key(&one.namespace, &one.name));
            let policies = |check| objects.policies.triggered_by(&check).cloned().collect();
            checks.flat_map::<Vec<ObjectKey>, _>(policies).collect()
        });
        let (queue, now) = (self.shared.queue(), clock::instant());
        for key in keys {
            queue.add(Key::Policy(key), now);
        }
    }

    /// The workloads behind a subject. One that may not be read is nobody's: no reason to wait.
    async fn behind(
        &self,
        question: Question,
        candidates: &[Target],
    ) -> Result<Arc<[Target]>, Failed> {
        if let Some(known) = lock(&self.cascade).get(&question, clock::instant()) {
            return Ok(known);
        }
        let (subject, _) = &question;
        let read = self.workloads.behind(subject, candidates);
        let behind = match read.await? {
            Behind::Workloads(behind) => behind,
            Behind::Refused(refusal) => {
                if lock(&self.cascade).tell(&subject.namespace) {
                    let why = refusal.message;
                    tracing::warn!(%subject, %why, "what is behind it is not known, and not waited for");
                }
                Vec::new()
            }
        };
        let behind: Arc<[Target]> = behind.into();
        lock(&self.cascade).put(question, behind.clone(), clock::instant());
        Ok(behind)
    }
}

/// Targets of policies that may be behind the subject: none if it cannot be anybody's but the policy's own.
fn candidates(objects: &Objects, spec: &PolicySpec, subject: &Subject) -> Vec<Target> {
    let here = subject.namespace == spec.key.namespace;
    let own = |target: &Target| here && *target == spec.target;
    let targets = objects.policies.targets_in(&subject.namespace);
    let mut all: Vec<Target> = match &subject.kind {
        Named::Service => targets.collect(),
        Named::Workload(kind) => {
            let named = (*kind, subject.name.clone());
            targets.filter(|target| *target == named).collect()
        }
        // A workload gives its pods names that begin with its own. Whose the pod is, is read.
        Named::Pod => {
            let begins = |(_, name): &Target| {
                let rest = subject.name.strip_prefix(&**name);
                rest.is_some_and(|rest| rest.starts_with('-'))
            };
            let longest = targets.filter(begins).max_by_key(|(_, name)| name.len());
            longest.into_iter().collect()
        }
    };
    if all.iter().all(own) {
        return Vec::new();
    }
    // Only so many are asked whether they are it, and the own one has to be among them.
    all.sort_by_key(|target| (!own(target), unlikeness(&subject.name, &target.1)));
    all
}

/// How unlike a Service a workload is, by their names.
fn unlikeness(service: &str, workload: &str) -> u8 {
    match workload.strip_prefix(service) {
        Some("") => 0,
        Some(_) => 1,
        None => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::super::objects::{Objects, Policy};
    use super::{FRESH, KNOWN, Known, Question, TOLD, candidates};
    use crate::clock;
    use crate::core::TargetKind;
    use crate::core::cascade::{Named, Subject};

    fn service(name: &str) -> Subject {
        Subject {
            kind: Named::Service,
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    fn subject(number: usize) -> Question {
        (service(&number.to_string()), None)
    }

    #[test]
    fn those_are_asked_first_that_are_likely_to_be_it() {
        let mut objects = Objects::default();
        let mut spec = None;
        for name in ["a", "api", "api-v2", "web", "zone"] {
            let object = json!({
                "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
                "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1"},
                "spec": {
                    "trigger": {"check": {"namespace": "shop", "name": name}},
                    "target": {"kind": "Deployment", "name": name},
                },
            });
            let policy = Arc::new(Policy::new(serde_json::from_value(object).unwrap()));
            let own = policy.spec.clone().unwrap();
            objects.put_policy(&own.key, policy, clock::now());
            if name == "web" {
                spec = Some(own);
            }
        }
        let found = candidates(&objects, &spec.unwrap(), &service("api"));
        let names: Vec<&str> = found.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["web", "api", "api-v2", "a", "zone"]);
    }

    #[test]
    fn what_is_behind_is_known_for_each_asking_target() {
        let (now, mut known) = (clock::instant(), Known::default());
        let own = |name: &str| Some((TargetKind::Deployment, name.into()));
        known.put((service("api"), own("web")), Arc::from([]), now);
        assert!(known.get(&(service("api"), own("web")), now).is_some());
        assert!(known.get(&(service("api"), own("db")), now).is_none());
        assert!(known.get(&(service("api"), None), now).is_none());
    }

    #[test]
    fn what_is_known_is_forgotten_in_time_and_bounded() {
        let (now, nothing) = (clock::instant(), Arc::from([]));
        let mut known = Known::default();
        for number in 0..3 * KNOWN {
            known.put(subject(number), Arc::clone(&nothing), now);
            assert!(known.behind.len() <= KNOWN);
        }
        let last = subject(3 * KNOWN - 1);
        assert!(
            known
                .get(&last, now + FRESH - Duration::from_secs(1))
                .is_some()
        );
        assert!(known.get(&last, now + FRESH).is_none());
    }

    #[test]
    fn a_namespace_is_told_once_and_not_too_many_are() {
        let mut known = Known::default();
        assert!(known.tell(&"shop".into()));
        assert!(!known.tell(&"shop".into()));
        let told = (0..2 * TOLD).filter(|number| known.tell(&number.to_string().into()));
        assert_eq!(told.count(), TOLD - 1);
    }
}
