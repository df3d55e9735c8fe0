//! What around a policy matters to its decision, taken from the cache at one moment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::objects::{Counts, Objects, Owner};
use crate::core::cascade::Graph;
use crate::core::depends::upstreams;
use crate::core::limits::storm;
use crate::core::{
    CheckKey, CheckStatus, Inferred, Limits, ObjectKey, PolicySpec, Record, Run, StormState, Time,
    Timing, Upstream, Verdict, World, settles_at,
};

/// What [`World`] borrows from.
pub(super) struct Surroundings {
    records: Arc<Vec<Record>>,
    upstreams: Vec<Upstream>,
    /// Settled runs of the check, the newest last.
    pub(super) runs: Vec<Run>,
    /// When the last of them settles, if it may still change.
    pub(super) settles: Option<Time>,
    in_flight: u32,
    last_hour: u32,
    pub(super) counts: Counts,
    pub(super) storm: StormState,
    cycle: Option<Vec<CheckKey>>,
    rival: Option<ObjectKey>,
    limits: Limits,
    pub(super) status: CheckStatus,
    pub(super) timing: Timing,
    /// From the check to the one that may be the cause of its failure.
    pub(super) chain: Vec<CheckKey>,
    /// Checks that the errors lead to and that are not waited for, as they lead back.
    pub(super) ignored: BTreeSet<CheckKey>,
}

impl Surroundings {
    pub(super) fn world(&self) -> World<'_> {
        World {
            records: &self.records,
            in_flight: self.in_flight,
            last_hour: self.last_hour,
            mapped: self.counts.mapped,
            checks: self.counts.checks,
            failing: self.counts.failing,
            stale: self.counts.stale,
            storm: self.storm,
            upstreams: &self.upstreams,
            cycle: self.cycle.clone(),
            rival: self.rival.clone(),
            limits: self.limits,
            check_status: self.status,
            timing: self.timing,
        }
    }

    /// The policy's records.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }
}

/// How a policy is looked at.
pub(super) struct View<'a> {
    pub(super) spec: &'a PolicySpec,
    /// Its check, if that is known.
    pub(super) check: Option<&'a CheckKey>,
    /// The checks that its errors lead to.
    pub(super) inferred: &'a [Inferred],
    pub(super) limits: Limits,
    /// Whether the checks are counted now: what is counted once a second is good enough to hold back, not to act.
    pub(super) exactly: bool,
    pub(super) now: Time,
}

/// Looks around a policy.
pub(super) fn around(
    objects: &mut Objects,
    view: &View<'_>,
    storm_before: &mut StormState,
) -> Surroundings {
    let View {
        spec,
        check,
        inferred,
        limits,
        exactly,
        now,
    } = *view;
    let owner = Owner {
        policy: spec.key.clone(),
        uid: spec.uid.clone(),
    };
    let mut graph = objects.graph();
    let mut depends_on = objects.depends_on(spec);
    let mut ignored = BTreeSet::new();
    if let Some(check) = check {
        let mut inferred = objects.waited_for(inferred);
        inferred.remove(check);
        graph = graph.with(check, &inferred);
        let leads_back = |upstream: &CheckKey| graph.leaves_out(check, upstream);
        let (out, wanted) = inferred.into_iter().partition(leads_back);
        ignored = out;
        depends_on.extend::<BTreeSet<CheckKey>>(wanted);
    }
    let found = check
        .map(|check| upstreams(check, &depends_on, &graph))
        .unwrap_or_default();
    let upstreams: Vec<Upstream> = found
        .checks
        .iter()
        .map(|key| upstream(objects, key, now))
        .collect();
    let own = check.and_then(|check| objects.checks.look(check, now));
    let settles = own.and_then(|check| settles_at(&check.state));
    let (status, timing, runs) =
        own.map_or((CheckStatus::Gone, Timing::UNKNOWN, Vec::new()), |check| {
            let runs = check.runs.iter().cloned().collect();
            (check.status(now), check.snapshot.timing, runs)
        });
    let counts = objects.counts(now, exactly);
    *storm_before = storm(*storm_before, counts.failing, counts.mapped, &limits, now);
    let chain = check
        .map(|check| chain(check, &depends_on, &graph, &upstreams))
        .unwrap_or_default();
    Surroundings {
        records: objects.records.of(&owner),
        upstreams,
        runs,
        settles,
        in_flight: objects.records.count_in_flight(),
        last_hour: objects.records.count_last_hour(now),
        counts,
        storm: *storm_before,
        cycle: found.cycle,
        rival: objects.policies.rival(spec),
        limits,
        status,
        timing,
        chain,
        ignored,
    }
}

fn upstream(objects: &mut Objects, key: &CheckKey, now: Time) -> Upstream {
    let found = objects.checks.look(key, now);
    Upstream {
        key: key.clone(),
        status: found.map_or(CheckStatus::Gone, |check| check.status(now)),
        last: found.and_then(|check| check.runs.back().cloned()),
        recovered: found.and_then(|check| check.recovered),
    }
}

/// The way from a check to the one most likely to be the cause: of those that do not pass, the one furthest up.
fn chain(
    check: &CheckKey,
    depends_on: &BTreeSet<CheckKey>,
    graph: &Graph,
    upstreams: &[Upstream],
) -> Vec<CheckKey> {
    let passes = |upstream: &&Upstream| {
        let last = upstream.last.as_ref().map(|run| run.verdict);
        last == Some(Verdict::Passed)
            && matches!(upstream.status, CheckStatus::Running | CheckStatus::Settled)
    };
    let passing: BTreeSet<&CheckKey> = upstreams
        .iter()
        .filter(passes)
        .map(|upstream| &upstream.key)
        .collect();
    let mut from: BTreeMap<&CheckKey, &CheckKey> = BTreeMap::new();
    let mut waiting: VecDeque<&CheckKey> = VecDeque::new();
    for next in depends_on {
        from.insert(next, check);
        waiting.push_back(next);
    }
    let mut cause = None;
    while let Some(at) = waiting.pop_front() {
        if !passing.contains(at) {
            cause = Some(at);
        }
        for next in graph.after(at) {
            if next != check && !from.contains_key(next) {
                from.insert(next, at);
                waiting.push_back(next);
            }
        }
    }
    let mut way: Vec<CheckKey> = Vec::new();
    let mut at = cause;
    while let Some(key) = at {
        way.push(key.clone());
        at = from.get(key).copied();
    }
    way.reverse();
    way
}

/// The storm as the last leader has left it, told by what it wrote of its policies: who leads next must not begin in the
/// middle of one as if all were calm.
pub(super) fn inherited(objects: &Objects, limits: &Limits, now: Time) -> StormState {
    use crate::core::Reason::{StormActive, StormCooldown};
    let statuses = objects
        .policies
        .values()
        .filter_map(|policy| policy.object.status.as_ref());
    let until = statuses.filter_map(|status| {
        let held = status.conditions.iter();
        let held = held
            .filter(|condition| condition.type_ == "RemediationAllowed")
            .map(|condition| condition.reason.as_str());
        let reasons: Vec<&str> = held.collect();
        if reasons.contains(&StormActive.as_str()) {
            Some(now.plus(limits.storm_cooldown))
        } else if reasons.contains(&StormCooldown.as_str()) {
            status.next_allowed_time
        } else {
            None
        }
    });
    match until.max() {
        Some(until) if until > now => StormState::Cooling { until },
        _ => StormState::Calm,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::chain;
    use crate::core::depends::Edges;
    use crate::core::{
        CheckKey, CheckKind, CheckStatus, Class, Run, RunId, Time, Upstream, Verdict,
    };

    fn key(name: &str) -> CheckKey {
        CheckKey {
            kind: CheckKind::HealthCheck,
            namespace: "n".into(),
            name: name.into(),
        }
    }

    fn upstream(name: &str, verdict: Verdict) -> Upstream {
        Upstream {
            key: key(name),
            status: CheckStatus::Settled,
            last: Some(Run {
                id: RunId(name.to_owned()),
                started: None,
                finished: Time::from_unix(1),
                verdict,
                errors: Vec::new(),
            }),
            recovered: None,
        }
    }

    #[test]
    fn the_chain_ends_at_the_failure_furthest_up() {
        let mut edges = Edges::new();
        for (from, to) in [("web", "api"), ("api", "db"), ("db", "disk"), ("db", "web")] {
            edges.entry(key(from)).or_default().insert(key(to));
        }
        let direct: BTreeSet<CheckKey> = [key("api")].into();
        let failed = Verdict::Failed(Class::Reported);
        for (api, db, disk, expected) in [
            (Verdict::Passed, Verdict::Passed, Verdict::Passed, vec![]),
            (failed, Verdict::Passed, Verdict::Passed, vec!["web", "api"]),
            (failed, failed, Verdict::Passed, vec!["web", "api", "db"]),
            (
                Verdict::Passed,
                Verdict::Passed,
                failed,
                vec!["web", "api", "db", "disk"],
            ),
        ] {
            let upstreams = [
                upstream("api", api),
                upstream("db", db),
                upstream("disk", disk),
            ];
            let graph = edges.clone().into();
            let found = chain(&key("web"), &direct, &graph, &upstreams);
            let names: Vec<&str> = found.iter().map(|key| &*key.name).collect();
            assert_eq!(names, expected, "{api:?} {db:?} {disk:?}");
        }
    }
}
