//! Which checks a failing check depends on by what its errors name, beside those that policies declare.
//!
//! ```text
//!   errors -> subjects -> (read: the workloads behind them) -> checks of the policies that have these as their target
//! ```
//!
//! What is inferred only ever holds back. A check that the errors blame and that blames back, directly or through
//! others, is no reason to wait: inferred edges on a circle are left out, all of them, so that it does not matter who
//! was looked at first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use khclient::Finding;
use serde::{Deserialize, Serialize};

use super::depends::Edges;
use super::execution::Refusal;
use super::{CheckKey, TargetKind};

/// Subjects of one failing run that are looked at.
const SUBJECTS: usize = 8;

/// Inferred upstream checks of one policy.
pub const MOST: usize = 16;

/// What kind of object an error names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Named {
    /// A Service.
    Service,
    /// A pod.
    Pod,
    /// A workload.
    Workload(TargetKind),
}

/// An object that an error is about. Its names are names that Kubernetes takes, whatever the error says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Its kind.
    pub kind: Named,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl fmt::Display for Subject {
    /// As the error begins: `service shop/api`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Named::Service => "service",
            Named::Pod => "pod",
            Named::Workload(TargetKind::Deployment) => "deployment",
            Named::Workload(TargetKind::StatefulSet) => "statefulset",
            Named::Workload(TargetKind::DaemonSet) => "daemonset",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

/// The objects that errors are about and that may lead to another workload: the first eight, each once.
pub fn subjects(errors: &[String]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for error in errors {
        if let Some(subject) = subject(error)
            && !subjects.contains(&subject)
        {
            subjects.push(subject);
            if subjects.len() == SUBJECTS {
                break;
            }
        }
    }
    subjects
}

fn subject(error: &str) -> Option<Subject> {
    let Ok(finding) = error.parse::<Finding>();
    let about = finding.subject()?;
    let kind = match about.kind() {
        // The name of a Service is a label, as it is part of host names.
        "service" if about.name().len() <= 63 && !about.name().contains('.') => Named::Service,
        "pod" => Named::Pod,
        "deployment" => Named::Workload(TargetKind::Deployment),
        "statefulset" => Named::Workload(TargetKind::StatefulSet),
        "daemonset" => Named::Workload(TargetKind::DaemonSet),
        _ => return None,
    };
    Some(Subject {
        kind,
        namespace: about.namespace()?.into(),
        name: about.name().into(),
    })
}

/// A workload of a subject's namespace: its kind and name.
pub type Target = (TargetKind, Arc<str>);

/// What was read of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// The workloads behind it, each once; none if there are none or that cannot be told.
    Workloads(Vec<Target>),
    /// It may not or cannot be read.
    Refused(Refusal),
}

/// A check that an incident's errors lead to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Inferred {
    /// The check.
    pub check: CheckKey,
    /// The subject that leads to it, as `service shop/api`.
    pub via: String,
}

/// What is known and what was found, each check once, in order; what was known first stays if there are too many.
pub fn joined(known: &[Inferred], found: Vec<Inferred>) -> Vec<Inferred> {
    let mut all = known.to_vec();
    for one in found {
        if all.len() < MOST && all.iter().all(|known| known.check != one.check) {
            all.push(one);
        }
    }
    all.sort();
    all
}

/// What depends on what: declared, and inferred without closing a circle.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    declared: Arc<Edges>,
    /// From check to check, and whether the edge is left out.
    inferred: BTreeMap<CheckKey, BTreeMap<CheckKey, bool>>,
}

impl Graph {
    /// Leaves each inferred edge out that lies on a circle of edges of either kind.
    pub fn new(declared: Arc<Edges>, inferred: &Edges) -> Graph {
        let circle = circles(&declared, inferred);
        let inferred = inferred.iter().map(|(from, to)| {
            let to = to
                .iter()
                .map(|to| (to.clone(), circle.get(from) == circle.get(to)));
            (from.clone(), to.collect())
        });
        Graph {
            inferred: inferred.collect(),
            declared,
        }
    }

    /// The same with more inferred edges.
    pub fn with(self: &Arc<Graph>, from: &CheckKey, to: &BTreeSet<CheckKey>) -> Arc<Graph> {
        let known = self.inferred.get(from);
        if to
            .iter()
            .all(|to| known.is_some_and(|known| known.contains_key(to)))
        {
            return self.clone();
        }
        let mut inferred: Edges = self
            .inferred
            .iter()
            .map(|(from, to)| (from.clone(), to.keys().cloned().collect()))
            .collect();
        let all = inferred.entry(from.clone()).or_default();
        all.extend(to.iter().cloned());
        Arc::new(Graph::new(self.declared.clone(), &inferred))
    }

    /// What a check depends on directly.
    pub fn after<'a>(&'a self, check: &CheckKey) -> impl Iterator<Item = &'a CheckKey> {
        let declared = self.declared.get(check).into_iter().flatten();
        let inferred = self.inferred.get(check).into_iter().flatten();
        declared.chain(inferred.filter(|(_, out)| !**out).map(|(to, _)| to))
    }

    /// Whether this inferred edge is left out, as it lies on a circle.
    pub fn leaves_out(&self, from: &CheckKey, to: &CheckKey) -> bool {
        let known = self.inferred.get(from).and_then(|known| known.get(to));
        known.copied().unwrap_or(false)
    }
}

impl From<Edges> for Graph {
    fn from(declared: Edges) -> Graph {
        Graph {
            declared: Arc::new(declared),
            inferred: BTreeMap::new(),
        }
    }
}

/// A number for each check that an inferred edge leads from, and for each that can be reached from there: two have the
/// same if each can be reached from the other. By Kosaraju, without recursion.
fn circles<'a>(declared: &'a Edges, inferred: &'a Edges) -> BTreeMap<&'a CheckKey, usize> {
    let after = |check: &CheckKey| {
        let declared = declared.get(check).into_iter().flatten();
        declared.chain(inferred.get(check).into_iter().flatten())
    };
    let mut before: BTreeMap<&CheckKey, Vec<&CheckKey>> = BTreeMap::new();
    let mut seen: BTreeSet<&CheckKey> = BTreeSet::new();
    let mut left = Vec::new();
    for root in inferred.keys() {
        let mut way = Vec::new();
        if seen.insert(root) {
            way.push((root, after(root)));
        }
        while let Some((at, next)) = way.last_mut() {
            match next.next() {
                Some(to) => {
                    before.entry(to).or_default().push(at);
                    if seen.insert(to) {
                        way.push((to, after(to)));
                    }
                }
                None => {
                    left.push(*at);
                    way.pop();
                }
            }
        }
    }
    let mut numbers = BTreeMap::new();
    for (number, last) in left.into_iter().rev().enumerate() {
        let mut waiting = vec![last];
        while let Some(at) = waiting.pop() {
            if !numbers.contains_key(at) {
                numbers.insert(at, number);
                waiting.extend(before.get(at).into_iter().flatten());
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::depends::{Edges, upstreams};
    use super::super::{CheckKey, CheckKind};
    use super::{Graph, Inferred, MOST, SUBJECTS, joined, subjects};

    fn check(name: &str) -> CheckKey {
        CheckKey {
            kind: CheckKind::HealthCheck,
            namespace: "kuberhealthy".into(),
            name: name.into(),
        }
    }

    fn edges(pairs: &[(&str, &str)]) -> Edges {
        let mut map = Edges::new();
        for (from, to) in pairs {
            map.entry(check(from)).or_default().insert(check(to));
        }
        map
    }

    fn graph(declared: &[(&str, &str)], inferred: &[(&str, &str)]) -> Graph {
        Graph::new(Arc::new(edges(declared)), &edges(inferred))
    }

    fn after(graph: &Graph, name: &str) -> Vec<String> {
        let check = check(name);
        let after = graph.after(&check);
        after.map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn errors_lead_to_what_they_are_about_and_to_nothing_else() {
        let long = "a".repeat(64);
        for (error, expected) in [
            ("service shop/api: refused", Some("service shop/api")),
            ("deployment shop/api: 0 ready", Some("deployment shop/api")),
            ("statefulset shop/db: 0 ready", Some("statefulset shop/db")),
            ("daemonset a/b: x", Some("daemonset a/b")),
            ("pod shop/api-1.x: not ready", Some("pod shop/api-1.x")),
            ("job shop/api: failed", None),
            ("node worker-1: not ready", None),
            ("http://api/: expected status 200, got 503", None),
            ("the service shop/api: refused", None),
            ("error: service shop/api: quoted", None),
            ("service shop/api", None),
            ("service api: no namespace", None),
            ("Service shop/api: a capital", None),
            ("service shop/Api: a capital", None),
            ("service shop/api.x: no label", None),
            (&format!("service shop/{long}: long"), None),
            (&format!("service {long}/api: long"), None),
            ("service ../api: up", None),
            ("service shop/../../secrets/x: up", None),
            ("service shop/api?watch=1: query", None),
            ("service shop/%61pi: escaped", None),
            ("service shop/api\n: line", None),
            ("service shop/\u{430}pi: no ASCII", None),
            ("service  shop/api: two spaces", None),
            ("", None),
        ] {
            let found = subjects(&[error.to_owned()]);
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(found, expected, "{error:?}");
        }
    }

    #[test]
    fn subjects_are_each_there_once_and_not_too_many() {
        let errors: Vec<String> = (0..100)
            .map(|number| format!("service shop/s{}: down", number / 2))
            .collect();
        let found = subjects(&errors);
        assert_eq!(found.len(), SUBJECTS);
        assert_eq!(&*found[7].name, "s7");
    }

    #[test]
    fn inferred_checks_are_each_there_once_and_not_too_many() {
        let inferred = |name: &str, via: &str| Inferred {
            check: check(name),
            via: via.to_owned(),
        };
        let known = [inferred("db", "service shop/db")];
        let found = vec![
            inferred("db", "pod shop/db-1"),
            inferred("api", "service shop/api"),
        ];
        let all = joined(&known, found);
        let both = [inferred("api", "service shop/api"), known[0].clone()];
        assert_eq!(all, both);
        let many = (0..100).map(|number| inferred(&format!("c{number:03}"), "x"));
        let all = joined(&known, many.collect());
        assert_eq!(all.len(), MOST);
        assert!(all.contains(&known[0]), "what was known stays");
    }

    type Pairs = &'static [(&'static str, &'static str)];

    #[test]
    fn an_inferred_edge_never_closes_a_circle() {
        // Declared, inferred, and which of the latter stay.
        let cases: [(Pairs, Pairs, Pairs); 9] = [
            (
                &[],
                &[("web", "api"), ("api", "db")],
                &[("web", "api"), ("api", "db")],
            ),
            // Both blame each other: neither waits.
            (&[], &[("web", "api"), ("api", "web")], &[]),
            (&[], &[("web", "web")], &[]),
            // What is declared counts more.
            (&[("web", "api")], &[("api", "web")], &[]),
            (
                &[("web", "api"), ("api", "db")],
                &[("db", "web"), ("web", "dns")],
                &[("web", "dns")],
            ),
            // A circle of three; what leads to it or away from it stays.
            (
                &[],
                &[("a", "b"), ("b", "c"), ("c", "a"), ("x", "a"), ("c", "y")],
                &[("x", "a"), ("c", "y")],
            ),
            // A circle that is declared is no business of what leads there.
            (&[("a", "b"), ("b", "a")], &[("web", "a")], &[("web", "a")]),
            // The same twice.
            (&[("web", "api")], &[("web", "api")], &[("web", "api")]),
            // Two ways to one check are no circle.
            (
                &[("web", "db")],
                &[("web", "api"), ("api", "db")],
                &[("web", "api"), ("api", "db")],
            ),
        ];
        for (declared, inferred, stay) in cases {
            let graph = graph(declared, inferred);
            for (from, to) in inferred {
                let out = graph.leaves_out(&check(from), &check(to));
                assert_eq!(
                    !out,
                    stay.contains(&(*from, *to)),
                    "{declared:?} {inferred:?} {from} {to}"
                );
            }
        }
    }

    #[test]
    fn who_blames_each_other_waits_for_the_same_upstream_all_the_same() {
        let graph = graph(
            &[],
            &[("web", "api"), ("api", "web"), ("api", "db"), ("web", "db")],
        );
        assert_eq!(after(&graph, "web"), ["db"]);
        assert_eq!(after(&graph, "api"), ["db"]);
    }

    #[test]
    fn a_declared_circle_stays_and_is_found() {
        let graph = graph(&[("a", "b"), ("b", "a")], &[("b", "c")]);
        let found = upstreams(&check("a"), &[check("b")].into(), &graph);
        assert!(found.cycle.is_some());
        assert!(found.checks.contains(&check("c")));
    }

    #[test]
    fn more_edges_are_taken_as_if_they_had_been_there() {
        let graph = Arc::new(graph(&[], &[("api", "web")]));
        assert_eq!(after(&graph, "api"), ["web"]);
        let same = graph.with(&check("api"), &BTreeSet::from([check("web")]));
        assert!(Arc::ptr_eq(&graph, &same));
        let more = graph.with(&check("web"), &BTreeSet::from([check("api"), check("db")]));
        assert!(more.leaves_out(&check("web"), &check("api")));
        assert!(more.leaves_out(&check("api"), &check("web")));
        assert_eq!(after(&more, "web"), ["db"]);
    }

    #[test]
    fn thousands_in_a_row_and_in_a_circle_are_followed() {
        let names: Vec<String> = (0..20_000).map(|number| format!("c{number:05}")).collect();
        let mut pairs: Vec<(&str, &str)> = names
            .windows(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        let row = graph(&[], &pairs);
        assert!(!row.leaves_out(&check("c00000"), &check("c00001")));
        pairs.push(("c19999", "c00000"));
        let circle = graph(&[], &pairs);
        assert!(circle.leaves_out(&check("c00000"), &check("c00001")));
    }
}
