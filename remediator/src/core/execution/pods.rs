//! Pods, one after the other: the next is evicted once the replacement of the one before is ready.

use super::next::{LOOK_AGAIN, act, end, patience, unsettled};
use super::{Next, SETTLE_SECONDS, Standing, TargetWrite, settled};
use crate::core::{Facts, Phase, PodFact, Reason, Record, RecordStatus, Time};

/// What comes next for a record that restarts pods.
pub(super) fn pods(now: Time, record: &Record, facts: &Facts, standing: &Standing<'_>) -> Next {
    let (intent, status) = (&record.intent, &record.status);
    let mut left = intent
        .pods
        .iter()
        .filter(|(_, uid)| !status.pods_done.contains(uid));
    let Some((name, uid)) = left.next() else {
        return Next::Status(settled(now, intent, status, ""));
    };
    let begun = status.phase == Phase::Applied;
    match facts.pods.iter().find(|pod| pod.uid == *uid) {
        Some(pod) if !pod.deleting => evict(now, record, facts, standing, pod),
        Some(_) => unsettled(now, record),
        None if begun && replacements_ready(record, facts) => {
            let mut done = status.clone();
            done.pods_done.push(uid.clone());
            done.deadline = Some(now.plus(SETTLE_SECONDS));
            Next::Status(if left.next().is_none() {
                settled(now, intent, &done, "")
            } else {
                RecordStatus {
                    message: format!("pod {name} was replaced"),
                    ..done
                }
            })
        }
        None => unsettled(now, record),
    }
}

fn evict(
    now: Time,
    record: &Record,
    facts: &Facts,
    standing: &Standing<'_>,
    pod: &PodFact,
) -> Next {
    let (intent, status) = (&record.intent, &record.status);
    // Once one pod has been restarted, what stands in the way of the next leads to the judgement of what was done.
    let rest_dropped = |why: &str| {
        let why = format!("the other pods are left alone: {why}");
        Next::Status(settled(now, intent, status, &why))
    };
    let first = status.phase != Phase::Applied;
    if !pod.owned {
        return if first {
            end(
                now,
                record,
                Phase::Inconclusive,
                Reason::SubjectNotOwned,
                &pod.name,
            )
        } else {
            rest_dropped(Reason::SubjectNotOwned.as_str())
        };
    }
    if !first {
        if let Err(reason) = standing.wanted {
            return rest_dropped(reason.as_str());
        }
        if status.deadline.is_some_and(|deadline| now >= deadline) {
            return rest_dropped(Reason::TargetUnhealthy.as_str());
        }
    }
    if pod.ready && facts.ready < facts.replicas {
        return if first {
            patience(now, record, Reason::TargetUnhealthy, LOOK_AGAIN, "")
        } else {
            unsettled(now, record)
        };
    }
    if let Some(until) = status.retry_at.filter(|until| now < *until) {
        let reason = status.reason;
        return Next::Wait { until, reason };
    }
    let write = TargetWrite::Evict {
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
    };
    act(now, record, facts, standing, write)
}

/// Whether the target has all its pods again and those that came since the intent are ready. The others need not be: a
/// second pod may be the next to go because it is not.
fn replacements_ready(record: &Record, facts: &Facts) -> bool {
    let mine = || facts.pods.iter().filter(|pod| pod.owned && !pod.deleting);
    let enough = usize::try_from(facts.replicas).is_ok_and(|wanted| mine().count() >= wanted);
    enough && mine().all(|pod| pod.ready || pod.created < record.intent.time)
}
