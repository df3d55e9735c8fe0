//! Outcomes per action: each finished record is counted once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Action, Incident, Learned, Mode, ObjectKey, Phase, Record, Time, Touched};

/// Which of the actions, without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionName {
    /// [`Action::RestartPods`].
    RestartPods,
    /// [`Action::RolloutRestart`].
    RolloutRestart,
    /// [`Action::Scale`].
    Scale,
    /// [`Action::Rollback`].
    Rollback,
}

impl ActionName {
    /// As a policy writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionName::RestartPods => "restartPods",
            ActionName::RolloutRestart => "rolloutRestart",
            ActionName::Scale => "scale",
            ActionName::Rollback => "rollback",
        }
    }
}

impl Action {
    /// Which of the actions.
    pub fn name(&self) -> ActionName {
        match self {
            Action::RestartPods { .. } => ActionName::RestartPods,
            Action::RolloutRestart => ActionName::RolloutRestart,
            Action::Scale(_) => ActionName::Scale,
            Action::Rollback => ActionName::Rollback,
        }
    }
}

/// Outcomes of a policy's remediations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Statistics {
    /// Per action.
    pub by_action: BTreeMap<ActionName, Tally>,
    /// `INCIDENT-ATTEMPT` of the finished records that are counted and still exist.
    pub counted: BTreeSet<String>,
    /// What became of the steps, by failure.
    pub learned: Learned,
}

/// How often an action ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// The check passed afterwards.
    pub succeeded: u64,
    /// It did not.
    pub failed: u64,
    /// Nobody can tell.
    pub inconclusive: u64,
    /// A disruption budget refused it until the incident was over.
    pub blocked: u64,
    /// Recorded only.
    pub dry_run: u64,
    /// When the last one ended.
    pub last: Option<Time>,
}

/// How long a finished record is kept at least, in seconds; one that has touched nothing only while there are few.
const KEPT: i64 = 3600;

/// More finished records of a policy than this are many: twice the highest limit.
const MANY: usize = 200;

/// The most records that are counted and not deleted yet. The definition of a policy allows a list twice as long: a
/// status with a longer one could not be written any more. What is beyond is counted as soon as others are deleted.
pub const MOST_COUNTED: usize = 500;

impl Statistics {
    /// Share of successes in successes and failures, in percent; what is inconclusive, blocked or a dry run says nothing.
    pub fn success_percent(&self) -> Option<u32> {
        let sum =
            |of: fn(&Tally) -> u64| self.by_action.values().map(of).fold(0, u64::saturating_add);
        let succeeded = sum(|tally| tally.succeeded);
        let all = succeeded.saturating_add(sum(|tally| tally.failed));
        let percent = succeeded.saturating_mul(100).checked_div(all)?;
        u32::try_from(percent).ok()
    }
}

/// What a record is counted as. Attempts of an incident are numbered, so this names it among its policy's.
fn counted_name(record: &Record) -> String {
    format!("{}-{}", record.intent.incident.id, record.intent.attempt)
}

/// Counts each finished record once, and forgets those that do not exist any more.
pub fn count(mut statistics: Statistics, records: &[Record]) -> Statistics {
    let existing: BTreeSet<String> = records.iter().map(counted_name).collect();
    statistics.counted.retain(|name| existing.contains(name));
    let mut ended: Vec<(Time, &Record)> = records
        .iter()
        .filter_map(|record| Some((record.status.completed?, record)))
        .filter(|(_, record)| !statistics.counted.contains(&counted_name(record)))
        .collect();
    // The oldest, as they are the first to be deleted; and of what is learned the last is remembered longest.
    ended.sort_by(|(a, one), (b, other)| {
        let order = |record: &Record| (record.intent.attempt, record.name.clone());
        a.cmp(b).then_with(|| order(one).cmp(&order(other)))
    });
    let room = MOST_COUNTED.saturating_sub(statistics.counted.len());
    for (completed, record) in ended.into_iter().take(room) {
        if !statistics.counted.insert(counted_name(record)) {
            continue;
        }
        statistics.learned.learn(record, completed, records);
        let tally = statistics
            .by_action
            .entry(record.intent.action.name())
            .or_default();
        let counter = match record.status.phase {
            Phase::Succeeded => &mut tally.succeeded,
            Phase::Failed => &mut tally.failed,
            Phase::Blocked => &mut tally.blocked,
            Phase::DryRun => &mut tally.dry_run,
            Phase::Pending | Phase::Applied | Phase::Verifying | Phase::Inconclusive => {
                &mut tally.inconclusive
            }
        };
        *counter = counter.saturating_add(1);
        tally.last = tally.last.max(Some(completed));
    }
    statistics
}

/// Records that can be deleted: the oldest beyond `limit` that are finished, counted, an hour old and not needed by the
/// open incident.
pub fn prunable(
    statistics: &Statistics,
    records: &[Record],
    incident: Option<&Incident>,
    limit: u32,
    now: Time,
) -> Vec<ObjectKey> {
    let mut finished: Vec<(Time, &Record)> = records
        .iter()
        .filter_map(|record| record.status.completed.map(|completed| (completed, record)))
        .collect();
    finished.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.name.cmp(&other.name)));
    let many = finished.len() > MANY;
    let open = |record: &&Record| {
        incident.is_some_and(|incident| incident.id == record.intent.incident.id)
    };
    let newest = |of: fn(&Record) -> bool| {
        let open = records.iter().filter(open).filter(|record| of(record));
        open.map(|record| record.intent.attempt).max()
    };
    let kept = [newest(|_| true), newest(dry)];
    // Of an open incident the tries say what comes next, the newest its number, and a dry run that there was one.
    let needed = |record: &Record| {
        open(&record)
            && (touched(record) || record.is_try() || kept.contains(&Some(record.intent.attempt)))
    };
    finished
        .into_iter()
        .skip(usize::try_from(limit).unwrap_or(usize::MAX))
        .filter(|(completed, record)| {
            let reverts = record
                .status
                .revert
                .as_ref()
                .is_some_and(|revert| revert.end.is_none());
            statistics.counted.contains(&counted_name(record))
                && !needed(record)
                && (now.since(*completed) >= KEPT || many && !touched(record))
                && !reverts
                && !record.deleting
        })
        .map(|(_, record)| record.name.clone())
        .collect()
}

fn touched(record: &Record) -> bool {
    record.status.touched != Touched::No
}

fn dry(record: &Record) -> bool {
    record.intent.mode == Mode::DryRun
}
