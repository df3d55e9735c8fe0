//! Between a policy's status and the core's state. Whatever is written reads back the same; what nobody has written is
//! brought within bounds, never refused: a damaged status must not stop a policy for ever.

use super::learned::{read_learned, written_learned};
use super::policy::RemediationPolicy;
use super::policy_status as crd;
use crate::core::cascade::MOST;
use crate::core::{
    ActionName, CheckKey, CheckState, Class, Counters, Incident, Inferred, Learned, Pending,
    PolicyState, Run, RunId, Seen, Statistics, Tally, Verdict,
};

/// What the status of a policy says of its check, its incident and its outcomes.
pub fn state_view(policy: &RemediationPolicy) -> PolicyState {
    let Some(status) = &policy.status else {
        return PolicyState::default();
    };
    let crd::RemediationPolicyStatus {
        observed_generation: _,
        conditions: _,
        last_remediation_time: _,
        next_allowed_time: _,
        success_percent: _,
        failures,
        successes,
        first_failure_time,
        healthy_since,
        incident,
        statistics,
        check,
        last_counted,
        verdicts,
        before_last,
        upstreams,
        learned,
        // Not the controller's to write: who receives alerts does.
        alerts: _,
    } = status;
    PolicyState {
        check: check.clone().map(read_check).unwrap_or_default(),
        failures: count(*failures),
        successes: count(*successes),
        first_failure: *first_failure_time,
        last_counted: last_counted.clone().map(|run| (RunId(run.id), run.time)),
        before_last: before_last
            .clone()
            .map(|counters| Box::new(read_counters(counters))),
        verdicts: bits(*verdicts),
        incident: incident.clone().map(read_incident),
        healthy_since: *healthy_since,
        statistics: Statistics {
            learned: read_learned(learned.clone()),
            ..read_statistics(statistics.clone())
        },
        upstreams: read_upstreams(upstreams),
    }
}

/// What the status says of the checks that the errors lead to.
pub fn upstreams_view(policy: &RemediationPolicy) -> Vec<Inferred> {
    let status = policy.status.as_ref();
    status.map_or(Vec::new(), |status| read_upstreams(&status.upstreams))
}

/// Writes the state into a status; what else is in the status stays.
pub fn write_state(state: &PolicyState, status: &mut crd::RemediationPolicyStatus) {
    let PolicyState {
        check,
        failures,
        successes,
        first_failure,
        last_counted,
        before_last,
        verdicts,
        incident,
        healthy_since,
        mut statistics,
        upstreams,
    } = state.clone();
    status.check = (check != CheckState::default()).then(|| written_check(check));
    status.failures = failures.into();
    status.successes = successes.into();
    status.first_failure_time = first_failure;
    status.last_counted = last_counted.map(|(id, time)| crd::CountedRun { id: id.0, time });
    status.before_last = before_last.map(|counters| written_counters(*counters));
    status.verdicts = verdicts.into();
    status.incident = incident.map(written_incident);
    status.healthy_since = healthy_since;
    status.success_percent = success_percent(&statistics);
    status.learned = written_learned(std::mem::take(&mut statistics.learned));
    status.statistics = written_statistics(statistics);
    status.upstreams = upstreams.into_iter().map(written_upstream).collect();
}

fn read_upstreams(upstreams: &[crd::InferredUpstream]) -> Vec<Inferred> {
    let upstreams = upstreams.iter().take(MOST).map(|upstream| Inferred {
        check: CheckKey {
            kind: upstream.kind,
            namespace: upstream.namespace.as_str().into(),
            name: upstream.name.as_str().into(),
        },
        via: upstream.via.clone(),
    });
    upstreams.collect()
}

/// Whether it is waited for is not part of the state: the others have a say in it.
fn written_upstream(Inferred { check, via }: Inferred) -> crd::InferredUpstream {
    crd::InferredUpstream {
        kind: check.kind,
        namespace: check.namespace.to_string(),
        name: check.name.to_string(),
        via,
        ignored: false,
    }
}

/// Share of the remediations that helped among those that did or did not, rounded down.
fn success_percent(statistics: &Statistics) -> Option<i32> {
    let sum = |of: fn(&Tally) -> u64| {
        statistics
            .by_action
            .values()
            .map(|tally| u128::from(of(tally)))
            .sum::<u128>()
    };
    let succeeded = sum(|tally| tally.succeeded);
    let all = succeeded + sum(|tally| tally.failed);
    (succeeded * 100)
        .checked_div(all)
        .and_then(|percent| percent.try_into().ok())
}

fn count(number: i64) -> u32 {
    number
        .clamp(0, u32::MAX.into())
        .try_into()
        .unwrap_or_default()
}

fn large(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

fn written(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn bits(number: i32) -> u16 {
    number.try_into().unwrap_or_default()
}

fn read_counters(counters: crd::Counters) -> Counters {
    let crd::Counters {
        failures,
        successes,
        first_failure_time,
        last_counted,
        verdicts,
        incident,
        healthy_since,
    } = counters;
    Counters {
        failures: count(failures),
        successes: count(successes),
        first_failure: first_failure_time,
        last_counted: last_counted.map(|run| (RunId(run.id), run.time)),
        verdicts: bits(verdicts),
        incident: incident.map(read_incident),
        healthy_since,
    }
}

fn written_counters(counters: Counters) -> crd::Counters {
    let Counters {
        failures,
        successes,
        first_failure,
        last_counted,
        verdicts,
        incident,
        healthy_since,
    } = counters;
    crd::Counters {
        failures: failures.into(),
        successes: successes.into(),
        first_failure_time: first_failure,
        last_counted: last_counted.map(|(id, time)| crd::CountedRun { id: id.0, time }),
        verdicts: verdicts.into(),
        incident: incident.map(written_incident),
        healthy_since,
    }
}

fn read_incident(incident: crd::Incident) -> Incident {
    let crd::Incident {
        id,
        opened_time,
        first_run,
        failing_run,
        failing_started_time,
        errors,
        recovered_time,
        exhausted,
        joined,
        upstream_recovered_time,
        reached,
    } = incident;
    Incident {
        id,
        opened: opened_time,
        first_run: RunId(first_run),
        failing_run: RunId(failing_run),
        failing_started: failing_started_time,
        errors,
        recovered: recovered_time,
        exhausted,
        joined: count(joined),
        upstream_recovered: upstream_recovered_time,
        reached,
    }
}

fn written_incident(incident: Incident) -> crd::Incident {
    let Incident {
        id,
        opened,
        first_run,
        failing_run,
        failing_started,
        errors,
        recovered,
        exhausted,
        joined,
        upstream_recovered,
        reached,
    } = incident;
    crd::Incident {
        id,
        opened_time: opened,
        first_run: first_run.0,
        failing_run: failing_run.0,
        failing_started_time: failing_started,
        errors,
        recovered_time: recovered,
        exhausted,
        joined: joined.into(),
        upstream_recovered_time: upstream_recovered,
        reached,
    }
}

fn read_verdict(verdict: crd::Verdict) -> Verdict {
    match verdict {
        crd::Verdict::Passed => Verdict::Passed,
        crd::Verdict::Failed => Verdict::Failed(Class::Reported),
        crd::Verdict::TimedOut => Verdict::Failed(Class::Timeout),
        crd::Verdict::Infrastructure => Verdict::Failed(Class::Infrastructure),
        crd::Verdict::Inconclusive => Verdict::Inconclusive,
    }
}

fn written_verdict(verdict: Verdict) -> crd::Verdict {
    match verdict {
        Verdict::Passed => crd::Verdict::Passed,
        Verdict::Failed(Class::Reported) => crd::Verdict::Failed,
        Verdict::Failed(Class::Timeout) => crd::Verdict::TimedOut,
        Verdict::Failed(Class::Infrastructure) => crd::Verdict::Infrastructure,
        Verdict::Inconclusive => crd::Verdict::Inconclusive,
    }
}

fn read_run(run: crd::Run) -> Run {
    let crd::Run {
        id,
        started_time,
        finished_time,
        verdict,
        errors,
    } = run;
    Run {
        id: RunId(id),
        started: started_time,
        finished: finished_time,
        verdict: read_verdict(verdict),
        errors,
    }
}

fn written_run(run: Run) -> crd::Run {
    let Run {
        id,
        started,
        finished,
        verdict,
        errors,
    } = run;
    crd::Run {
        id: id.0,
        started_time: started,
        finished_time: finished,
        verdict: written_verdict(verdict),
        errors,
    }
}

fn read_check(check: crd::CheckState) -> CheckState {
    let crd::CheckState {
        uid,
        seen,
        recent,
        pending,
        started,
        last,
        last_activity_time,
    } = check;
    CheckState {
        uid,
        seen: seen.map(|seen| Seen {
            last_run: seen.last_run_time,
            uuid: seen.uuid,
            ok: seen.ok,
            errors_hash: u64::from_str_radix(&seen.errors_hash, 16).unwrap_or_default(),
            successes: large(seen.successes),
            failures: large(seen.failures),
        }),
        recent: recent.into_iter().map(RunId).collect(),
        pending: pending.map(|pending| Pending {
            run: read_run(pending.run),
            until: pending.until_time,
        }),
        started: started.map(|run| (run.uuid, run.first_seen_time)),
        last: last.map(|run| (RunId(run.id), read_verdict(run.verdict), run.time)),
        last_activity: last_activity_time,
    }
}

fn written_check(check: CheckState) -> crd::CheckState {
    let CheckState {
        uid,
        seen,
        recent,
        pending,
        started,
        last,
        last_activity,
    } = check;
    crd::CheckState {
        uid,
        seen: seen.map(|seen| {
            let Seen {
                last_run,
                uuid,
                ok,
                errors_hash,
                successes,
                failures,
            } = seen;
            crd::Seen {
                last_run_time: last_run,
                uuid,
                ok,
                errors_hash: format!("{errors_hash:016x}"),
                successes: written(successes),
                failures: written(failures),
            }
        }),
        recent: recent.into_iter().map(|id| id.0).collect(),
        pending: pending.map(|Pending { run, until }| crd::Pending {
            run: written_run(run),
            until_time: until,
        }),
        started: started.map(|(uuid, first_seen_time)| crd::StartedRun {
            uuid,
            first_seen_time,
        }),
        last: last.map(|(id, verdict, time)| crd::EndedRun {
            id: id.0,
            verdict: written_verdict(verdict),
            time,
        }),
        last_activity_time: last_activity,
    }
}

const ACTIONS: [ActionName; 4] = [
    ActionName::RestartPods,
    ActionName::RolloutRestart,
    ActionName::Scale,
    ActionName::Rollback,
];

fn read_statistics(statistics: crd::Statistics) -> Statistics {
    let crd::Statistics {
        mut by_action,
        counted,
    } = statistics;
    Statistics {
        by_action: ACTIONS
            .iter()
            .filter_map(|action| Some((*action, read_tally(by_action.remove(action.as_str())?))))
            .collect(),
        counted: counted.into_iter().collect(),
        learned: Learned::default(),
    }
}

fn written_statistics(statistics: Statistics) -> crd::Statistics {
    let Statistics {
        by_action,
        counted,
        learned: _,
    } = statistics;
    crd::Statistics {
        by_action: by_action
            .into_iter()
            .map(|(action, tally)| (action.as_str().to_owned(), written_tally(tally)))
            .collect(),
        counted: counted.into_iter().collect(),
    }
}

fn read_tally(tally: crd::Tally) -> Tally {
    let crd::Tally {
        succeeded,
        failed,
        inconclusive,
        blocked,
        dry_run,
        last_time,
    } = tally;
    Tally {
        succeeded: large(succeeded),
        failed: large(failed),
        inconclusive: large(inconclusive),
        blocked: large(blocked),
        dry_run: large(dry_run),
        last: last_time,
    }
}

fn written_tally(tally: Tally) -> crd::Tally {
    let Tally {
        succeeded,
        failed,
        inconclusive,
        blocked,
        dry_run,
        last,
    } = tally;
    crd::Tally {
        succeeded: written(succeeded),
        failed: written(failed),
        inconclusive: written(inconclusive),
        blocked: written(blocked),
        dry_run: written(dry_run),
        last_time: last,
    }
}
