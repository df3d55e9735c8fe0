//! What of what is told goes to receivers of notifications, and what is open. Pure.

use super::conditions::get;
use super::objects::Policy;
use super::status::{ALLOWED, WAITS_FOR};
use super::told::{Told, of_policy, of_record};
use crate::core::{Level, PolicySpec, Reason, Record, RecordStatus, Time};
use crate::crd::RemediationPolicyStatus;
use crate::crd::policy_status::Incident;
use crate::events::Severity;
use crate::notify::notice::{About, Attempt, MESSAGE, Notice, Subject, Transition};

/// What a policy's new status, which `policy` has, has to say to receivers.
pub(super) fn by_policy(
    policy: &Policy,
    records: &[Record],
    before: Option<&RemediationPolicyStatus>,
    after: &RemediationPolicyStatus,
    now: Time,
) -> Vec<Notice> {
    let (Ok(spec), Some(incident)) = (&policy.spec, &after.incident) else {
        return Vec::new();
    };
    let told = of_policy(before, after).into_iter();
    told.filter_map(|told| {
        let about = about(spec, incident, Some(after), records);
        let mark = mark(incident, told.notice);
        notice(spec, &incident.id, &told, &mark, about, now)
    })
    .collect()
}

/// What a beginning, or an end, has of its own in the status: a verdict that is amended makes for a second one.
fn mark(incident: &Incident, what: Option<Transition>) -> String {
    match (what, incident.recovered_time) {
        (Some(Transition::Opened), _) => incident.failing_run.clone(),
        (Some(Transition::Recovered), Some(time)) => time.to_string(),
        _ => String::new(),
    }
}

/// What a record's new status has to say to receivers.
pub(super) fn by_record(
    policy: &Policy,
    before: &RecordStatus,
    record: &Record,
    now: Time,
) -> Option<Notice> {
    let spec = policy.spec.as_ref().ok()?;
    let intent = &record.intent;
    if spec.uid != intent.policy_uid {
        return None;
    }
    let told = of_record(before, record)?;
    let status = policy.object.status.as_ref();
    let incident = status.and_then(|status| status.incident.as_ref());
    let same = incident.filter(|incident| incident.id == intent.incident.id);
    let about = About {
        policy_uid: spec.uid.clone(),
        check: spec.check.clone(),
        target: spec.target.clone(),
        opened: intent.incident.opened,
        exhausted: same.is_some_and(|incident| incident.exhausted),
        errors: About::errors(&intent.errors),
        remediation: Some(attempt(record)),
        root: None,
        under_way: !record.finished(),
        notify: spec.notify.clone(),
    };
    notice(spec, &intent.incident.id, &told, "", about, now)
}

/// The incident of a policy, if it is open and receivers are to know, as if it had just been opened.
pub(super) fn open(policy: &Policy, records: &[Record]) -> Option<Notice> {
    let spec = policy.spec.as_ref().ok()?;
    let status = policy.object.status.as_ref()?;
    let incident = status.incident.as_ref()?;
    if incident.recovered_time.is_some() || !incident.reached {
        return None;
    }
    let empty = RemediationPolicyStatus::default();
    let mut told = of_policy(Some(&empty), status).into_iter();
    let last = if incident.exhausted {
        Transition::Exhausted
    } else {
        Transition::Opened
    };
    let told = told.find(|told| told.notice == Some(last))?;
    let mut about = about(spec, incident, Some(status), records);
    let own = records.iter().filter(|record| of(record, incident));
    let newest = own.max_by_key(|record| record.intent.time);
    about.remediation = newest.map(attempt);
    let mark = mark(incident, told.notice);
    notice(
        spec,
        &incident.id,
        &told,
        &mark,
        about,
        incident.opened_time,
    )
}

fn of(record: &Record, incident: &Incident) -> bool {
    record.intent.incident.id == incident.id
}

fn attempt(record: &Record) -> Attempt {
    let intent = &record.intent;
    Attempt {
        name: record.name.name.to_string(),
        action: intent.action.name().as_str(),
        number: intent.attempt,
        step: intent.step.saturating_add(1),
    }
}

fn about(
    spec: &PolicySpec,
    incident: &Incident,
    status: Option<&RemediationPolicyStatus>,
    records: &[Record],
) -> About {
    let mut own = records.iter().filter(|record| of(record, incident));
    About {
        policy_uid: spec.uid.clone(),
        check: spec.check.clone(),
        target: spec.target.clone(),
        opened: incident.opened_time,
        exhausted: incident.exhausted,
        errors: About::errors(&incident.errors),
        remediation: None,
        root: status.and_then(root),
        under_way: own.any(|record| !record.finished()),
        notify: spec.notify.clone(),
    }
}

/// The check that holds the policy: the last of the way that the condition shows.
fn root(status: &RemediationPolicyStatus) -> Option<String> {
    let condition = get(&status.conditions, ALLOWED)?;
    let held = [Reason::UpstreamUnhealthy, Reason::UpstreamUnknown];
    let reason = held
        .iter()
        .find(|reason| reason.as_str() == condition.reason)?;
    let way = condition.message.strip_prefix(reason.sentence())?;
    let way = way.strip_prefix(": ")?;
    let (_, root) = way.rsplit_once(WAITS_FOR)?;
    Some(root.to_owned())
}

fn notice(
    spec: &PolicySpec,
    incident: &str,
    told: &Told,
    mark: &str,
    about: About,
    time: Time,
) -> Option<Notice> {
    let what = told.notice?;
    let level = match (what, told.severity) {
        (Transition::Exhausted, _) => Level::Critical,
        // Who was told how bad it is is told that it is over.
        (Transition::Recovered, _) if about.exhausted => Level::Critical,
        (Transition::Recovered, _) | (_, Severity::Warning) => Level::Warning,
        (_, Severity::Normal) => Level::Info,
    };
    let transition = told.transition.as_str();
    let parts = [&spec.uid, incident, transition, told.reason.as_str(), mark];
    Some(Notice {
        subject: Subject::Incident {
            policy: spec.key.clone(),
            id: incident.to_owned(),
        },
        what,
        level,
        reason: told.reason,
        message: crate::core::reason::bounded(&told.note, MESSAGE),
        time,
        id: Notice::id_of(what, parts),
        about: Some(about),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::by_policy;
    use crate::controller::objects::Policy;
    use crate::core::Time;
    use crate::crd::RemediationPolicyStatus;
    use crate::notify::notice::Transition;

    /// A status with an incident whose newest failing run is this, and that was over then.
    fn status(run: &str, over: Option<i64>) -> RemediationPolicyStatus {
        let mut incident = json!({
            "id": "0123456789", "openedTime": Time::from_unix(1), "firstRun": "a", "failingRun": run, "reached": true,
        });
        if let Some(over) = over {
            incident["recoveredTime"] = json!(Time::from_unix(over));
        }
        serde_json::from_value(json!({"incident": incident})).unwrap()
    }

    #[test]
    fn a_pass_that_is_amended_to_a_failure_is_told_and_so_is_the_next_end() {
        let policy = Policy::new(
            serde_json::from_value(json!({
                "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
                "metadata": {"namespace": "shop", "name": "web", "uid": "p"},
                "spec": {
                    "trigger": {"check": {"kind": "HealthCheck", "namespace": "shop", "name": "web"}},
                    "target": {"kind": "Deployment", "name": "web"},
                },
            }))
            .unwrap(),
        );
        let mut before = None;
        let mut ids = BTreeSet::new();
        for (run, over, what) in [
            ("a", None, Transition::Opened),
            ("a", Some(2), Transition::Recovered),
            ("b", None, Transition::Opened),
            ("b", Some(3), Transition::Recovered),
        ] {
            let after = status(run, over);
            let told = by_policy(&policy, &[], before.as_ref(), &after, Time::from_unix(9));
            let [told] = told.as_slice() else {
                panic!("{told:?}");
            };
            assert_eq!(told.what, what);
            assert!(ids.insert(told.id.clone()), "{run} {over:?}");
            // Told again it is still one.
            let again = by_policy(&policy, &[], before.as_ref(), &after, Time::from_unix(10));
            assert_eq!(again[0].id, told.id);
            before = Some(after);
        }
    }
}
