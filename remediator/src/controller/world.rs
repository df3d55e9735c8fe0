//! What around a policy matters to its decision, taken from the cache at one moment.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;

use super::objects::{Objects, Policy, check_key};
use crate::core::depends::{Edges, upstreams};
use crate::core::execution::in_flight;
use crate::core::limits::storm;
use crate::core::{
    CheckKey, CheckKind, CheckStatus, Limits, ObjectKey, PolicySpec, Record, Run, StormState, Time,
    Timing, Touched, Upstream, World, check_status,
};

/// An hour, for the limit of remediations in it.
const HOUR: i64 = 3600;

/// What [`World`] borrows from.
pub(super) struct Surroundings {
    records: Vec<Record>,
    upstreams: Vec<Upstream>,
    /// Settled runs of the check, the newest last.
    pub(super) runs: Vec<Run>,
    in_flight: u32,
    last_hour: u32,
    mapped: u32,
    failing: u32,
    stale: u32,
    storm: StormState,
    cycle: Option<Vec<CheckKey>>,
    rival: Option<ObjectKey>,
    limits: Limits,
    pub(super) status: CheckStatus,
    pub(super) timing: Timing,
}

impl Surroundings {
    pub(super) fn world(&self) -> World<'_> {
        World {
            records: &self.records,
            in_flight: self.in_flight,
            last_hour: self.last_hour,
            mapped: self.mapped,
            failing: self.failing,
            stale: self.stale,
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

/// Looks around a policy. `check` is its check, if that is known.
pub(super) fn around(
    objects: &mut Objects,
    spec: &PolicySpec,
    check: Option<&CheckKey>,
    limits: Limits,
    storm_before: &mut StormState,
    now: Time,
) -> Surroundings {
    let records: Vec<Record> = objects
        .records
        .values()
        .filter(|record| record.intent.policy_uid == spec.uid && record.intent.policy == spec.key)
        .map(|record| Record::clone(record))
        .collect();
    let edges = edges(objects);
    let depends_on: BTreeSet<CheckKey> = meant(objects, spec);
    let found = check
        .map(|check| upstreams(check, &depends_on, &edges))
        .unwrap_or_default();
    let upstreams = found
        .checks
        .iter()
        .map(|key| {
            let found = objects.look(key, now);
            Upstream {
                key: key.clone(),
                status: found.map_or(CheckStatus::Gone, |check| {
                    check
                        .snapshot
                        .as_ref()
                        .map_or(CheckStatus::Gone, |snapshot| {
                            check_status(&check.state, snapshot.timing, now)
                        })
                }),
                last: found.and_then(|check| check.runs.back().cloned()),
                recovered: found.and_then(|check| check.recovered),
            }
        })
        .collect();
    let own = check.and_then(|check| objects.look(check, now));
    let runs = own.map(|check| check.runs.iter().cloned().collect());
    let timing = own
        .and_then(|check| check.snapshot.as_ref())
        .map_or(UNKNOWN, |snapshot| snapshot.timing);
    let status = own
        .filter(|check| check.snapshot.is_some())
        .map_or(CheckStatus::Gone, |check| {
            check_status(&check.state, timing, now)
        });
    let (mapped, failing, stale) = count_checks(objects, now);
    *storm_before = storm(*storm_before, failing, mapped, &limits, now);
    Surroundings {
        upstreams,
        runs: runs.unwrap_or_default(),
        in_flight: sum(objects.records.values().filter(|record| in_flight(record))),
        last_hour: sum(objects
            .records
            .values()
            .filter(|record| in_last_hour(record, now))),
        mapped,
        failing,
        stale,
        storm: *storm_before,
        cycle: found.cycle,
        rival: rival(objects, spec),
        limits,
        status,
        timing,
        records,
    }
}

const UNKNOWN: Timing = Timing {
    interval: 600,
    timeout: 300,
};

fn sum<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

fn in_last_hour(record: &Record, now: Time) -> bool {
    now.since(record.intent.time) < HOUR
        && (record.status.touched != Touched::No || in_flight(record))
}

/// The checks a policy depends on. One that does not exist is taken for v3's, so that it is seen to be missing.
fn meant(objects: &Objects, spec: &PolicySpec) -> BTreeSet<CheckKey> {
    let each = spec.depends_on.iter().flat_map(|(kind, key)| {
        let meant = objects.meant(*kind, key);
        if meant.is_empty() {
            vec![check_key(CheckKind::HealthCheck, key)]
        } else {
            meant
        }
    });
    each.collect()
}

fn edges(objects: &Objects) -> Edges {
    let mut edges: Edges = BTreeMap::new();
    for spec in specs(objects).filter(|spec| !spec.depends_on.is_empty()) {
        for check in objects.meant(spec.source, &spec.check) {
            edges.entry(check).or_default().extend(meant(objects, spec));
        }
    }
    edges
}

fn specs(objects: &Objects) -> impl Iterator<Item = &PolicySpec> {
    objects
        .policies
        .values()
        .filter_map(|policy| policy.spec.as_ref().ok())
}

/// Checks that policies are triggered by: all, those that fail or are being remediated, and those that are stale.
fn count_checks(objects: &Objects, now: Time) -> (u32, u32, u32) {
    let mut checks: BTreeMap<CheckKey, bool> = BTreeMap::new();
    let remediated: BTreeSet<&ObjectKey> = objects
        .records
        .values()
        .filter(|record| in_flight(record))
        .map(|record| &record.intent.policy)
        .collect();
    for spec in specs(objects) {
        for check in objects.meant(spec.source, &spec.check) {
            *checks.entry(check).or_default() |= remediated.contains(&spec.key);
        }
    }
    let known = || {
        checks
            .iter()
            .map(|(key, remediated)| (objects.checks.get(key), *remediated))
    };
    let failing =
        known().filter(|(check, remediated)| *remediated || check.is_some_and(|c| c.fails()));
    let stale = known().filter(|(check, _)| {
        check.is_some_and(|check| {
            check.snapshot.as_ref().is_some_and(|snapshot| {
                check_status(&check.state, snapshot.timing, now) == CheckStatus::Stale
            })
        })
    });
    (sum(checks.iter()), sum(failing), sum(stale))
}

/// The oldest other policy with the same target, if it is older.
fn rival(objects: &Objects, spec: &PolicySpec) -> Option<ObjectKey> {
    let age = |policy: &Policy| {
        let created = policy.object.creation_timestamp().map(|time| time.0);
        (created, policy.object.uid().unwrap_or_default())
    };
    let own = age(objects.policies.get(&spec.key)?);
    objects
        .policies
        .values()
        .filter_map(|policy| Some((policy, policy.spec.as_ref().ok()?)))
        .filter(|(_, other)| {
            other.key != spec.key
                && other.key.namespace == spec.key.namespace
                && other.target == spec.target
        })
        .filter(|(policy, _)| age(policy) < own)
        .map(|(_, other)| other.key.clone())
        .next()
}
