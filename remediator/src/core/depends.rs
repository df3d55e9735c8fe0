//! Which checks a check depends on, directly or not.

use std::collections::{BTreeMap, BTreeSet};

use super::cascade::Graph;
use super::guards::hold;
use super::{
    CheckKey, CheckStatus, Decision, Incident, PolicySpec, PolicyState, Reason, Time, Timing,
    Upstream, Verdict, World,
};

/// From a check to those that policies triggered by it depend on.
pub type Edges = BTreeMap<CheckKey, BTreeSet<CheckKey>>;

/// All a policy depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstreams {
    /// The checks, each once.
    pub checks: BTreeSet<CheckKey>,
    /// A way from the policy's check back to itself, starting and ending with it.
    pub cycle: Option<Vec<CheckKey>>,
}

/// Follows `graph` from what one policy, triggered by `check`, depends on itself. A cycle further up concerns the
/// policies on it, not this one.
pub fn upstreams(check: &CheckKey, depends_on: &BTreeSet<CheckKey>, graph: &Graph) -> Upstreams {
    let mut found = Upstreams::default();
    let mut came_from: BTreeMap<&CheckKey, &CheckKey> = BTreeMap::new();
    let mut waiting: Vec<(&CheckKey, &CheckKey)> = depends_on
        .iter()
        .map(|upstream| (check, upstream))
        .collect();
    while let Some((from, to)) = waiting.pop() {
        if to == check {
            found
                .cycle
                .get_or_insert_with(|| way(check, from, &came_from));
            continue;
        }
        if !found.checks.insert(to.clone()) {
            continue;
        }
        came_from.insert(to, from);
        waiting.extend(graph.after(to).map(|next| (to, next)));
    }
    found
}

fn way(
    check: &CheckKey,
    last: &CheckKey,
    came_from: &BTreeMap<&CheckKey, &CheckKey>,
) -> Vec<CheckKey> {
    let mut way = vec![check.clone()];
    let mut at = last;
    while at != check {
        way.push(at.clone());
        match came_from.get(at) {
            Some(from) => at = from,
            None => break,
        }
    }
    way.push(check.clone());
    way.reverse();
    way
}

/// Takes note of the upstream checks' last recovery. Failures counted until some time after it were theirs, so the count
/// starts anew: only runs that start after [`PolicySpec::dependency_grace`] count. Call it after
/// [`advance`](super::advance).
pub fn upstreams_recovered(
    mut state: PolicyState,
    spec: &PolicySpec,
    upstreams: &[Upstream],
) -> PolicyState {
    let newest = upstreams
        .iter()
        .filter_map(|upstream| upstream.recovered)
        .max();
    let Some(incident) = state.incident.as_mut() else {
        return state;
    };
    let Some(recovered) = newest.filter(|newest| Some(*newest) > incident.upstream_recovered)
    else {
        return state;
    };
    incident.upstream_recovered = Some(recovered);
    let until = recovered.plus(spec.dependency_grace);
    if state.first_failure.is_some_and(|first| first < until) {
        state.failures = 0;
        state.first_failure = None;
        state.last_counted = None;
        if let Some(before) = state.before_last.as_deref_mut() {
            before.failures = 0;
            before.first_failure = None;
            before.last_counted = None;
        }
    }
    state
}

/// Until when the incident's check gets to recover by itself, after an upstream check has.
pub(super) fn grace(spec: &PolicySpec, incident: &Incident) -> Option<Time> {
    let recovered = incident.upstream_recovered?;
    Some(recovered.plus(spec.dependency_grace))
}

/// Why the policy waits for an upstream check: each must have passed in a run newer than our first failure, and ours must
/// have failed again, in a run that started after they had time to do us good.
pub(super) fn upstream_hold(
    now: Time,
    spec: &PolicySpec,
    state: &PolicyState,
    world: &World<'_>,
) -> Option<Decision> {
    let first_failure = state.first_failure?;
    for upstream in world.upstreams {
        let name = &upstream.key.name;
        let passed = match (&upstream.last, upstream.status) {
            (Some(run), CheckStatus::Running | CheckStatus::Settled) => run,
            _ => return hold(Reason::UpstreamUnknown, name, None),
        };
        match passed.verdict {
            Verdict::Failed(_) => return hold(Reason::UpstreamUnhealthy, name, None),
            Verdict::Inconclusive => return hold(Reason::UpstreamUnknown, name, None),
            Verdict::Passed if passed.started.unwrap_or(passed.finished) <= first_failure => {
                return hold(Reason::UpstreamUnknown, name, None);
            }
            Verdict::Passed => {}
        }
    }
    let incident = state.incident.as_ref()?;
    let recovered = world
        .upstreams
        .iter()
        .filter_map(|upstream| upstream.recovered)
        .max()
        .max(incident.upstream_recovered)?;
    let until = recovered.plus(spec.dependency_grace);
    if now < until {
        return hold(Reason::UpstreamGrace, "", Some(until));
    }
    let (_, finished) = state.last_counted.as_ref()?;
    let started = earliest_start(incident.failing_started, *finished, world.timing);
    if started < until {
        hold(Reason::UpstreamGrace, "no run has failed since", None)
    } else {
        None
    }
}

/// When a run started, or the earliest it can have.
pub(super) fn earliest_start(started: Option<Time>, finished: Time, timing: Timing) -> Time {
    let timeout = i64::from(timing.timeout);
    started.unwrap_or(Time::from_unix(finished.unix().saturating_sub(timeout)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{CheckKey, CheckKind};
    use super::{Edges, upstreams};

    fn check(name: &str) -> CheckKey {
        CheckKey {
            kind: CheckKind::HealthCheck,
            namespace: "kuberhealthy".into(),
            name: name.into(),
        }
    }

    fn edges(edges: &[(&str, &str)]) -> Edges {
        let mut map = Edges::new();
        for (from, to) in edges {
            map.entry(check(from)).or_default().insert(check(to));
        }
        map
    }

    fn of(name: &str, map: &Edges) -> (Vec<String>, Option<Vec<String>>) {
        let none = BTreeSet::new();
        let direct = map.get(&check(name)).unwrap_or(&none);
        let found = upstreams(&check(name), direct, &map.clone().into());
        let names = |keys: Vec<CheckKey>| keys.iter().map(|key| key.name.to_string()).collect();
        (
            names(found.checks.into_iter().collect()),
            found.cycle.map(names),
        )
    }

    #[test]
    fn upstreams_are_transitive_and_each_once() {
        let map = edges(&[("web", "api"), ("web", "db"), ("api", "db"), ("db", "disk")]);
        assert_eq!(of("web", &map).0, ["api", "db", "disk"]);
        assert_eq!(of("disk", &map), (vec![], None));
    }

    #[test]
    fn a_cycle_is_refused_for_its_members_only() {
        let map = edges(&[
            ("web", "a"),
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("self", "self"),
        ]);
        assert_eq!(of("web", &map).1, None);
        for (name, cycle) in [
            ("a", ["a", "b", "c", "a"]),
            ("b", ["b", "c", "a", "b"]),
            ("c", ["c", "a", "b", "c"]),
        ] {
            assert_eq!(of(name, &map).1.unwrap(), cycle);
        }
        assert_eq!(of("self", &map).1.unwrap(), ["self", "self"]);
    }

    #[test]
    fn thousands_of_checks_in_a_row_are_followed() {
        let names: Vec<String> = (0..20_000).map(|number| format!("c{number:05}")).collect();
        let pairs: Vec<(&str, &str)> = names
            .windows(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        assert_eq!(of("c00000", &edges(&pairs)).0.len(), 19_999);
    }
}
